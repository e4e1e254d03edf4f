"""How everything on one store does, read at once: for those who watch it, not for callers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checkback.engine.jobs.store import JobStore
from checkback.engine.redis.connection import Script
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.heartbeat import alive
from checkback.engine.worker.upkeep.totals import Totals

OLDEST_WAITING = Script.named("oldest_waiting")
SCAN_LIMIT = 1000
"""How many of the next jobs are scanned for the one that has waited longest. The owners of a queue
take turns, so each one's oldest job is near the front.
"""


@dataclass(frozen=True, slots=True)
class Statistics:
    """One reading."""

    #: For each queue, how many jobs lie where.
    counts: Mapping[str, Mapping[str, int]]
    #: For each queue, for how long the job has waited that waits longest; 0 where none does.
    oldest_wait_seconds: Mapping[str, float]
    #: What each worker said last that is alive.
    workers: Sequence[Mapping[str, Any]]
    totals: Totals

    def processes(self, state: str) -> Counter[str]:
        """How many job processes there are by kind: ``busy`` ones, or those kept ``idle`` for the
        next.
        """
        found: Counter[str] = Counter()
        for worker in self.workers:
            found.update(worker.get(state, {}))
        return found

    @property
    def disk_bytes(self) -> int | None:
        """What artifacts and uploads take, where it is most; None where no
        worker has looked yet.
        """
        taken = [one["disk_bytes"] for one in self.workers if one.get("disk_bytes") is not None]
        return max(taken, default=None)


def _oldest_waiting(keys: Keys, queue: str) -> list[Any]:
    """The call of the script that looks for the job of a queue that has waited longest."""
    places = [keys.queue(queue, place) for place in ("prioritized", "wait")]
    return ["EVALSHA", OLDEST_WAITING.sha, 2, *places, keys.queue(queue, ""), SCAN_LIMIT]


async def read_figures(queues: JobStore) -> Statistics:
    """Everything in two round trips. Raises EngineUnavailable."""
    keys = queues.keys
    counting = asyncio.ensure_future(queues.counts())
    try:
        names = queues.names
        commands: list[list[Any]] = [_oldest_waiting(keys, name) for name in names]
        commands += [["TIME"], ["HVALS", keys.workers()], ["HGETALL", keys.totals()]]
        *oldest, now, beats, totals = await queues.wire.transaction(commands, [OLDEST_WAITING])
        counts = await counting
    finally:
        counting.cancel()
    at = int(now[0]) + int(now[1]) / 1e6
    waits = [max(0.0, at - int(since) / 1000) if since else 0.0 for since in oldest]
    return Statistics(
        counts, dict(zip(names, waits, strict=True)), alive(int(now[0]), beats), Totals(totals)
    )
