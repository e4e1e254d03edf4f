"""Jobs in the engine: add, read, list, cancel, retry. BullMQ is the only truth
about a job's state.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from checkback.core.errors import Conflict, EngineUnavailable, NotFound
from checkback.core.estimates import Backlog, KindRun
from checkback.core.job import Job
from checkback.core.states import State, may_move
from checkback.engine.jobs.adding import JobAdder, check_queue
from checkback.engine.jobs.backlog import read_backlog
from checkback.engine.jobs.codec import Retention, StoredJob, decode, decode_phases
from checkback.engine.jobs.memory_limit import StoreMemory
from checkback.engine.jobs.new_job import AddResult, NewJob
from checkback.engine.jobs.owner_index import LIST_BATCH, Entry, OwnerIndex, parse_cursor
from checkback.engine.jobs.owner_usage import OwnerUsage
from checkback.engine.jobs.scripts import CANCEL, JobScripts, StoredAt
from checkback.engine.jobs.store_calls import StoreCalls
from checkback.engine.redis import bullmq_scripts
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.event_feed import Changes, EventFeed
from checkback.engine.redis.keys import Keys
from checkback.engine.redis.owner_feed import OwnerFeed
from checkback.security.rate_limits import StoreLimits


class JobStore:
    """All queues of one engine, for any number of callers in one event loop.

    Every call ends within 2 s; EngineUnavailable says that the engine could not be asked.
    """

    def __init__(
        self,
        wire: RedisConnection,
        feed: EventFeed,
        keys: Keys,
        names: tuple[str, ...],
        retention: Retention,
        *,
        disk: Path | None = None,
        limits: StoreLimits | None = None,
    ) -> None:
        self.wire = wire
        self.keys = keys
        #: The queues that are served.
        self.names = names
        #: How long finished jobs are kept.
        self.retention = retention
        #: How full the store is.
        self.memory = StoreMemory(wire)
        limits = limits or StoreLimits()
        #: What each owner's jobs take in the store.
        self.shares = OwnerUsage(wire, keys, names, share_bytes=limits.owner_bytes)
        self._feed = feed
        self._owner_feed = OwnerFeed(feed, wire, keys)
        self._calls = StoreCalls(wire)
        self._scripts = JobScripts(keys, names, limits)
        self._index = OwnerIndex(self._calls.call, keys)
        self._adder = JobAdder(
            self._calls,
            keys,
            self._scripts,
            retention,
            self.memory,
            self.shares,
            limits=limits,
            disk=disk,
        )
        self._together: dict[str, asyncio.Future[Job | None]] = {}

    async def add(self, new: NewJob) -> AddResult:
        """Store a job in one MULTI with its owner's index; on return a read by its id finds it.

        Adding an id that is there changes nothing and gives the first job, with ``existing`` set.
        Raises QuotaExceeded, QueueFull or StorageFull for a new one that has no room; then nothing
        is stored.
        """
        check_queue(new.queue, self.names)
        is_new, status = await self._adder.add(new)
        stored = self._decode(new.id, status)
        if stored is None:
            raise EngineUnavailable(
                "The job store lost the job at once.", hint="Check the server's log."
            )
        return AddResult(stored.job, existing=not is_new, args_hash=stored.args_hash)

    async def read(
        self, job_id: str, *, with_args: bool = False, owner: str | None = None
    ) -> Job | None:
        """The job as it stands, or None: one round trip, one atomic step. Expired jobs are None,
        and so are those of others than ``owner``, where one is named.
        """
        call = self._scripts.status(job_id, with_args=with_args, owner=owner)
        stored = self._decode(job_id, await self._calls.run(call))
        return stored.job if stored else None

    async def read_together(self, job_id: str) -> Job | None:
        """As ``read``, in one with all who ask for the same job in this turn of the event loop:
        those whom one change has woken.
        """
        reading = self._together.get(job_id)
        if reading is None:
            reading = self._together[job_id] = asyncio.ensure_future(self.read(job_id))
            # Nothing is sent before this turn is over, so what all of them get was read after they
            # asked.
            asyncio.get_running_loop().call_soon(self._together.pop, job_id)
        return await asyncio.shield(reading)

    async def list(
        self, owner: str, *, state: State | None, kind: str | None, limit: int, cursor: str | None
    ) -> tuple[list[Job], str | None]:
        """An owner's jobs, newest first, from ``cursor`` on; ``*`` means every owner.

        Index entries whose job is gone are dropped on the way.
        """
        indexes = await self._index.names(owner)
        before = parse_cursor(cursor)
        listed: list[Job] = []
        while True:
            size = LIST_BATCH if state or kind else min(LIST_BATCH, limit - len(listed))
            entries = await self._index.entries(indexes, before, size)
            if not entries:
                return listed, None
            for (job_id, score, _), job in await self._read_entries(entries):
                if not _matches(job, state, kind):
                    continue
                listed.append(job)
                if len(listed) == limit:
                    return listed, f"{score}.{job_id}"
            last_id, last_score, _ = entries[-1]
            before = (last_score, last_id)

    async def _read_entries(self, entries: Sequence[Entry]) -> Sequence[tuple[Entry, Job]]:
        """The jobs of an index's entries; entries without a job are dropped from the index."""
        jobs = await asyncio.gather(*(self.read(job_id) for job_id, _, _ in entries))
        present: list[tuple[Entry, Job]] = []
        stale: list[Entry] = []
        for entry, job in zip(entries, jobs, strict=True):
            if job is None:
                stale.append(entry)
            else:
                present.append((entry, job))
        await self._index.drop(stale)
        return present

    async def cancel(self, job: Job) -> list[str]:
        """Mark the job; from now on a read says cancelled. A delayed one is promoted so that it
        ends soon.

        Returns the ids of its parts, which go on until somebody cancels them, too.
        """
        mark = self._scripts.cancel(_at(job)).command()
        promote = bullmq_scripts.promote(self.keys, job.queue, job.id)
        subjobs = ["HGET", self.keys.job(job.queue, job.id), "cb:parts"]
        replies = await self._calls.transaction(
            [mark, promote, subjobs], [CANCEL, bullmq_scripts.script("promote-9")]
        )
        if replies[0] == -1:
            raise NotFound
        self._adder.look_again(job.owner)
        return str(replies[2] or "").split()

    async def parts(self, queue: str, job_id: str) -> list[str]:
        """The ids of the jobs that a job has started."""
        listed = await self._calls.call("HGET", self.keys.job(queue, job_id), "cb:parts")
        return str(listed or "").split()

    async def cancel_parts(self, job_ids: list[str]) -> None:
        """Cancel those that have not ended, and what they have started themselves."""
        for job_id in job_ids:
            job = await self.read(job_id)
            if job is not None and may_move(job.state, State.CANCELLED):
                await self.cancel_parts(await self.cancel(job))

    async def retry(self, job: Job, *, has_quota: bool = False) -> None:
        """Put a failed or cancelled job back into its queue. Raises Conflict while it is still
        being stopped, and as ``add`` where there is no room.
        """
        await self._adder.retry(job, has_quota=has_quota)

    async def delete(self, job: Job) -> None:
        """Remove a job that does not run, with everything of it in the store. Raises Conflict or
        NotFound.
        """
        reply = await self._calls.run(self._scripts.delete(_at(job)))
        if reply == -1:
            raise NotFound
        if reply == -2 and job.state is State.CANCELLED:
            raise Conflict("The job is still being stopped.", hint="Try again in a few seconds.")
        if reply == -2:
            raise Conflict(
                "A job that runs cannot be deleted.", hint="Cancel it first, then delete it."
            )

    async def log(self, job: Job) -> list[str]:
        """The log lines that are kept, oldest first."""
        return await self._calls.call("LRANGE", self.keys.job(job.queue, job.id) + ":logs", 0, -1)

    async def counts(self) -> dict[str, dict[str, int]]:
        """For each queue, how many jobs lie in which of BullMQ's sets: cancelled ones count as
        failed.
        """
        commands: list[list[Any]] = []
        for name in self.names:
            for part in ("wait", "prioritized", "paused", "active"):
                length = "ZCARD" if part == "prioritized" else "LLEN"
                commands.append([length, self.keys.queue(name, part)])
            commands.extend(
                ["ZCARD", self.keys.queue(name, part)]
                for part in ("delayed", "completed", "failed")
            )
        replies = iter(await self._calls.transaction(commands))
        result: dict[str, dict[str, int]] = {}
        for name in self.names:
            waiting = next(replies) + next(replies) + next(replies)
            rest = {state: next(replies) for state in ("active", "delayed", "completed", "failed")}
            result[name] = {"waiting": waiting, **rest}
        return result

    async def mark_read(self, job: Job) -> None:
        """Note that somebody was given the job's result."""
        await self._calls.run(self._scripts.mark_read(_at(job)))

    async def position(self, job: Job) -> int | None:
        """The job's place among those that wait in its queue, 1 for the next one; None if it is not
        there.
        """
        wait, prioritized = (self.keys.queue(job.queue, part) for part in ("wait", "prioritized"))
        commands: list[list[Any]] = [
            ["LLEN", wait],
            ["LPOS", wait, job.id, "RANK", -1],
            ["ZRANK", prioritized, job.id],
        ]
        length, index, rank = await self._calls.transaction(commands)
        if index is not None:
            return length - index  # BullMQ takes from the list's right end
        return length + rank + 1 if rank is not None else None

    async def backlog(self, queue: str) -> Backlog:
        """What runs and waits in a queue."""
        return await read_backlog(self.wire, self.keys, queue)

    async def runs(self, kind: str) -> list[KindRun]:
        """The last completed runs of a kind, newest first."""
        kept: str | None = await self._calls.call("HGET", self.keys.runs(), kind)
        found = [json.loads(line) for line in kept.splitlines()] if kept else []
        return [
            KindRun(milliseconds / 1000, decode_phases(phases)) for milliseconds, phases in found
        ]

    @asynccontextmanager
    async def changes(self, job_id: str) -> AsyncGenerator[Changes]:
        """Be woken by every change of a job. Subscribe before reading, so that none falls in
        between.
        """
        async with self._feed.subscribe(job_id) as changes:
            yield changes

    @asynccontextmanager
    async def changes_of(self, owner: str) -> AsyncGenerator[Changes]:
        """Be woken by every change of any job of an owner, or of everybody's (``*``)."""
        async with self._owner_feed.subscribe(owner) as changes:
            yield changes

    async def ping(self) -> None:
        """Raises EngineUnavailable when the engine does not answer within 2 s."""
        await self._calls.call("PING")

    def _decode(self, job_id: str, reply: Any) -> StoredJob | None:
        if not reply:
            return None
        place, engine_state, fields = cast("tuple[int, str, list[str | None]]", reply)
        stored = decode(self.names[place - 1], job_id, engine_state, fields, self.retention)
        expires = stored.job.expires_at
        return None if expires is not None and expires <= datetime.now(UTC) else stored


def _at(job: Job) -> StoredAt:
    return StoredAt(job.queue, job.id, job.owner)


def _matches(job: Job, state: State | None, kind: str | None) -> bool:
    """Whether a list that is filtered by state and kind has this job."""
    if state is not None and job.state is not state:
        return False
    return not kind or job.kind == kind
