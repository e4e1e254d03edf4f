"""The change feed: one blocking read of all queues' event streams wakes who waits for a job.

BullMQ writes an event for each step of a job, no matter which worker runs it; our scripts add
theirs. The feed only reports that a job has changed; a read then gives its state. After a lost
connection everybody is woken once, so that nothing that happened in between is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from checkback.core.errors import EngineUnavailable
from checkback.engine.redis.connection import RedisAddress, RedisConnection, ReplyError
from checkback.engine.redis.keys import Keys

BLOCK_MS = 10_000
CALL_SECONDS = 15.0
RECONNECT_SECONDS = 0.1
MAX_RECONNECT_SECONDS = 1.0
BATCH = 1000

Listener = Callable[[str, str, str], None]
"""Called with queue, event and job id, for every event of every job."""


class Changes:
    """One subscriber's bell. Several changes before a ``next`` ring once: only the newest state
    matters.
    """

    def __init__(self) -> None:
        self._bell = asyncio.Event()

    def ring(self) -> None:
        self._bell.set()

    async def next(self) -> None:
        """Return after the next change."""
        await self._bell.wait()
        self._bell.clear()


class EventFeed:
    """Reads the event streams while somebody listens, on a separate connection."""

    def __init__(
        self, address: RedisAddress, keys: Keys, queues: tuple[str, ...], *, name: str
    ) -> None:
        self._wire = RedisConnection(address, name=name, call_seconds=CALL_SECONDS)
        self._streams = {keys.queue(queue, "events"): queue for queue in queues}
        self._last: dict[str, str] = {}
        self._subscribers: defaultdict[str, set[Changes]] = defaultdict(set)
        self._listeners: set[Listener] = set()
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @asynccontextmanager
    async def subscribe(self, job_id: str) -> AsyncGenerator[Changes]:
        """Ring for each change of one job. On entry the feed is listening: what happens from now on
        rings.
        """
        changes = Changes()
        self._subscribers[job_id].add(changes)
        try:
            await self._listening()
            yield changes
        finally:
            self._subscribers[job_id].discard(changes)
            if not self._subscribers[job_id]:
                del self._subscribers[job_id]

    async def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event from now on; returns what ends that."""
        self._listeners.add(listener)
        await self._listening()
        return lambda: self._listeners.discard(listener)

    async def start(self) -> None:
        """Listen before anybody asks: a crowd that comes all at once must not wait for that as
        well.
        """
        with contextlib.suppress(EngineUnavailable):
            await self._listening()

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self._wire.close()

    async def _listening(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="event-feed")
        try:
            async with asyncio.timeout(2):
                await self._ready.wait()
        except TimeoutError:
            raise EngineUnavailable from None

    async def _read(self) -> None:
        pause = RECONNECT_SECONDS
        while True:
            try:
                await self._find_ends()
                self._ready.set()
                self._ring_all()
                pause = RECONNECT_SECONDS
                while True:
                    self._tell(await self._next())
            except (EngineUnavailable, ReplyError):
                self._ready.clear()
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_RECONNECT_SECONDS)

    async def _find_ends(self) -> None:
        """Where each stream ends now: a read from ``$`` would miss what comes between two reads."""
        asked = [
            self._wire.call("XREVRANGE", stream, "+", "-", "COUNT", 1) for stream in self._streams
        ]
        for stream, newest in zip(self._streams, await asyncio.gather(*asked), strict=True):
            self._last[stream] = newest[0][0] if newest else "0-0"

    async def _next(self) -> list[tuple[str, list[tuple[str, list[str]]]]]:
        streams = list(self._streams)
        positions = [self._last[stream] for stream in streams]
        return (
            await self._wire.call(
                "XREAD", "COUNT", BATCH, "BLOCK", BLOCK_MS, "STREAMS", *streams, *positions
            )
            or []
        )

    def _tell(self, batches: list[tuple[str, list[tuple[str, list[str]]]]]) -> None:
        for stream, entries in batches:
            queue = self._streams[stream]
            for entry_id, flat in entries:
                self._last[stream] = entry_id
                event = dict(zip(flat[::2], flat[1::2], strict=False))
                job_id = event.get("jobId")
                if job_id is None:
                    continue
                for changes in self._subscribers.get(job_id, ()):
                    changes.ring()
                for listener in tuple(self._listeners):
                    listener(queue, event.get("event", ""), job_id)

    def _ring_all(self) -> None:
        for group in self._subscribers.values():
            for changes in group:
                changes.ring()
