"""Rings for every change of any job of one owner: what makes a list of jobs live.

One listener on the event feed serves all subscribers of a process. An event names a job and not its
owner; the owner is looked up once for each job and remembered.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from checkback.core.errors import EngineUnavailable
from checkback.engine.redis.connection import RedisConnection, ReplyError
from checkback.engine.redis.event_feed import Changes, EventFeed
from checkback.engine.redis.keys import Keys
from checkback.security.auth.callers import LOCAL_OWNER

EVERYBODY = "*"
REMEMBERED_JOBS = 20_000
MAX_PENDING = 10_000


class OwnerFeed:
    """Subscriptions by owner."""

    def __init__(self, feed: EventFeed, wire: RedisConnection, keys: Keys) -> None:
        self._feed = feed
        self._wire = wire
        self._keys = keys
        self._subscribers: defaultdict[str, set[Changes]] = defaultdict(set)
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._pending: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._stop: Callable[[], None] | None = None
        self._resolving: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def subscribe(self, owner: str) -> AsyncGenerator[Changes]:
        """Ring for each change of an owner's jobs; ``*`` means everybody's. Raises
        EngineUnavailable.
        """
        changes = Changes()
        self._subscribers[owner].add(changes)
        try:
            if self._stop is None:
                self._stop = await self._feed.listen(self._hear)
                self._resolving = asyncio.create_task(self._resolve(), name="owner-feed")
            yield changes
        finally:
            self._subscribers[owner].discard(changes)
            if not self._subscribers[owner]:
                del self._subscribers[owner]
            if not self._subscribers:
                await self._end()

    async def _end(self) -> None:
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None
        self._pending.clear()

    def _hear(self, queue: str, event: str, job_id: str) -> None:
        # Too many to be looked up one by one: everybody looks once, which is the same for them.
        if len(self._pending) < MAX_PENDING:
            self._pending[job_id] = queue
        self._wake.set()

    async def _resolve(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            pending, self._pending = self._pending, {}
            unknown = {
                job_id: queue for job_id, queue in pending.items() if job_id not in self._owners
            }
            try:
                await self._look_up(unknown)
            except (EngineUnavailable, ReplyError):
                continue  # after the outage the feed wakes all waiters, and the list is read again
            for owner in {self._owners.get(job_id, LOCAL_OWNER) for job_id in pending} | {
                EVERYBODY
            }:
                for changes in self._subscribers.get(owner, ()):
                    changes.ring()

    async def _look_up(self, jobs: dict[str, str]) -> None:
        if not jobs:
            return
        commands = [
            ["HGET", self._keys.job(queue, job_id), "cb:owner"] for job_id, queue in jobs.items()
        ]
        owners = await self._wire.transaction(commands)
        for job_id, owner in zip(jobs, owners, strict=True):
            self._owners[job_id] = owner or LOCAL_OWNER
        while len(self._owners) > REMEMBERED_JOBS:
            self._owners.popitem(last=False)
