"""What runs and waits in one queue, in order, and how many jobs its workers can
run: for estimates.
"""

from __future__ import annotations

from typing import Any

from checkback.core.estimates import Ahead, Backlog
from checkback.core.queue_codec import kind_of
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.heartbeat import alive

SCAN_LIMIT = 100
"""How many of the next jobs are scanned; jobs further back get no estimate."""


async def read_backlog(wire: RedisConnection, keys: Keys, queue: str) -> Backlog:
    """A queue as it stands now, in two round trips. Raises EngineUnavailable, ReplyError."""
    wait, prioritized, active = (
        keys.queue(queue, part) for part in ("wait", "prioritized", "active")
    )
    commands: list[list[Any]] = [
        ["TIME"],
        ["HVALS", keys.workers()],
        ["LLEN", wait],
        ["ZRANGE", prioritized, 0, SCAN_LIMIT - 1],
        ["LRANGE", active, 0, SCAN_LIMIT - 1],
    ]
    time, beats, first, waiting, running = await wire.transaction(commands)
    now = int(time[0]) + int(time[1]) / 1e6
    jobs = [*running, *waiting]
    fields = await wire.transaction(
        [["HMGET", keys.job(queue, one), "name", "processedOn"] for one in jobs]
    )
    found = {
        one: Ahead(
            one, kind_of(name or "", queue), max(0.0, now - float(began) / 1000) if began else 0.0
        )
        for one, (name, began) in zip(jobs, fields, strict=True)
    }
    return Backlog(
        slots=sum(int(beat.get("slots", {}).get(queue, 0)) for beat in alive(now, beats)),
        running=tuple(found[one] for one in running),
        waiting=tuple(found[one] for one in waiting),
        others_first=first > 0,
    )
