"""Totals of ended jobs, kept in the store: right with any number of workers and servers, and after
restarts.

A worker notes an end once BullMQ has stored it. Notes are sent together, one transaction at a time,
so that a flood of small jobs costs the store little. A worker that is killed loses those of the
last moment.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate

from checkback.core.errors import EngineUnavailable
from checkback.engine.redis.connection import RedisConnection, ReplyError

BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, math.inf)
"""Upper ends, in seconds. Totals that are kept were counted by them: add none in between."""
RETRY_SECONDS = 1.0
ENDED, RUN, WAIT = "ended", "run", "wait"


class Tally:
    """What one worker adds to the totals."""

    def __init__(self, wire: RedisConnection, key: str) -> None:
        self._wire = wire
        self._key = key
        self._notes: Counter[str] = Counter()
        self._noted = asyncio.Event()

    def ended(
        self, kind: str, outcome: str, run_seconds: float | None, wait_seconds: float | None = None
    ) -> None:
        """Note the end of an attempt; it is in the store a moment later."""
        self._notes[f"{ENDED} {kind} {outcome}"] += 1
        for what, seconds in ((RUN, run_seconds), (WAIT, wait_seconds)):
            if seconds is not None:
                self._notes[f"{what} {kind} {next(one for one in BUCKETS if seconds <= one)}"] += 1
                self._notes[f"{what} {kind} ms"] += round(seconds * 1000)
        self._noted.set()

    async def run(self) -> None:
        """Send notes for ever. What an outage keeps here is sent after it."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            if not await self.send():
                await asyncio.sleep(RETRY_SECONDS)
                self._noted.set()

    async def send(self) -> bool:
        """Send what is noted; False where the store is away. A total may then miss what was under
        way: it was sent, perhaps, and must not be counted twice.
        """
        notes, self._notes = self._notes, Counter[str]()
        if not notes:
            return True
        try:
            await self._wire.transaction(
                [["HINCRBY", self._key, name, by] for name, by in notes.items()]
            )
        except ReplyError:
            self._notes.update(notes)  # refused as a whole: the store is full, say
            return False
        except EngineUnavailable:
            return False
        return True


class Totals:
    """All totals of a store, as they were read."""

    def __init__(self, flat: Iterable[str]) -> None:
        #: How many attempts ended, by kind and outcome.
        self.ended: dict[tuple[str, str], int] = {}
        self._counts: dict[tuple[str, str], dict[str, int]] = {}
        parts = list(flat)
        for name, value in zip(parts[::2], parts[1::2], strict=True):
            what, kind, label = name.split(" ")
            if what == ENDED:
                self.ended[kind, label] = int(value)
            else:
                self._counts.setdefault((what, kind), {})[label] = int(value)

    def histograms(self, what: str) -> dict[str, tuple[list[tuple[str, int]], float]]:
        """By kind: how many took at most so long, for each of BUCKETS as text; and the seconds of
        all.
        """
        found: dict[str, tuple[list[tuple[str, int]], float]] = {}
        for (of, kind), counts in self._counts.items():
            if of == what:
                sums = accumulate(counts.get(str(one), 0) for one in BUCKETS)
                names = ["+Inf" if math.isinf(one) else str(float(one)) for one in BUCKETS]
                found[kind] = (list(zip(names, sums, strict=True)), counts.get("ms", 0) / 1000)
        return found
