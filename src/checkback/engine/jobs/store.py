"""Jobs in the engine: add, read, list, cancel, retry. BullMQ is the only truth
about a job's state.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from checkback.core.errors import (
    ArgumentsGone,
    Conflict,
    EngineUnavailable,
    InvalidInput,
    NotFound,
    QueueFull,
    StorageFull,
)
from checkback.core.estimates import Backlog, KindRun
from checkback.core.job import Job
from checkback.core.states import State, may_move
from checkback.engine.jobs.admission import STORE_SHARE_FULL, TOO_MANY, no_room
from checkback.engine.jobs.backlog import read_backlog
from checkback.engine.jobs.codec import (
    CANCEL_REASON,
    Retention,
    StoredJob,
    decode,
    decode_phases,
    job_name,
    queue_data,
)
from checkback.engine.jobs.memory_limit import StoreMemory
from checkback.engine.jobs.new_job import AddResult, NewJob
from checkback.engine.jobs.owner_index import LIST_BATCH, OwnerIndex, parse_cursor
from checkback.engine.jobs.owner_usage import JOB_BYTES, OwnerUsage
from checkback.engine.redis import bullmq_scripts
from checkback.engine.redis.connection import RedisConnection, ReplyError, Script
from checkback.engine.redis.event_feed import Changes, EventFeed
from checkback.engine.redis.keys import PAGES_QUEUE, Keys
from checkback.engine.redis.owner_feed import OwnerFeed
from checkback.security.rate_limits import StoreLimits

STATUS = Script.named("status")
CANCEL = Script.named("cancel")
READ = Script.named("read")
REVIVE = Script.named("revive")
UNDO = Script.named("undo")
ADMIT = Script.named("admit")
KEEP = Script.named("keep")
PRUNE = Script.named("prune")
DELETE = Script.named("delete")
REFUSED = -1

PRUNE_SECONDS = 0.25
"""An owner at the limit costs the store a look through all of that owner's jobs: not more often
than this.
"""

PRIORITY = 10
"""ReftrixMCP's own priority in its queue. Ours are added with it, then get their turn (keep.lua).
"""

KEEP_GRACE_SECONDS = 3600
"""BullMQ removes finished jobs by itself, but only keys: our sweeper, which takes files too, must
come first.
"""

DISK_RESERVE_BYTES = 64 << 20
"""Below so much free disk no job is accepted: the rest is for what accepted jobs still have to
store. A store that syncs each write ends itself at the first one that finds the disk full.
"""


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
        self._feed = feed
        self._owner_feed = OwnerFeed(feed, wire, keys)
        self.keys = keys
        self._index = OwnerIndex(self._call, keys)
        #: The queues that are served.
        self.names = names
        #: How long finished jobs are kept.
        self.retention = retention
        #: A folder on the disk that must have room for another job.
        self._disk = disk
        self._limits = limits or StoreLimits()
        #: How full the store is.
        self.memory = StoreMemory(wire)
        #: What each owner's jobs take in the store.
        self.shares = OwnerUsage(wire, keys, names, share_bytes=self._limits.owner_bytes)
        self._together: dict[str, asyncio.Future[Job | None]] = {}
        #: When each owner's jobs were last looked through for ended ones, in vain.
        self._pruned_in_vain: dict[str, float] = {}

    async def add(self, new: NewJob) -> AddResult:
        """Store a job in one MULTI with its owner's index; on return a read by its id finds it.

        Adding an id that is there changes nothing and gives the first job, with ``existing`` set.
        Raises QuotaExceeded, QueueFull or StorageFull for a new one that has no room; then nothing
        is stored.
        """
        if new.queue not in self.names:
            raise InvalidInput(
                f"The queue {new.queue!r} is not served here.",
                hint="Add it to CHECKBACK_QUEUES and start again.",
            )
        if self._disk is not None and _free_bytes(self._disk) < DISK_RESERVE_BYTES:
            raise StorageFull
        scripts = [ADMIT, KEEP, STATUS, bullmq_scripts.add_script(new.delay_seconds > 0)]
        commands = self._add_commands(new)
        await self.memory.require(
            sum(
                len(part)
                for command in commands
                for part in command
                if isinstance(part, str | bytes)
            )
        )
        repair = self.keys.job(new.queue, new.id)
        verdict, _, kept, status = await self._transaction(commands, scripts, repair=repair)
        if kept == REFUSED and await self._made_room(verdict, new.owner):
            verdict, _, kept, status = await self._transaction(commands, scripts, repair=repair)
        if kept == REFUSED:
            raise no_room(verdict, self._limits, self.shares)
        stored = self._decode(new.id, status)
        if stored is None:
            raise EngineUnavailable(
                "The job store lost the job at once.", hint="Look into the server's log."
            )
        return AddResult(stored.job, existing=kept == 0, args_hash=stored.args_hash)

    async def read(
        self, job_id: str, *, with_args: bool = False, owner: str | None = None
    ) -> Job | None:
        """The job as it stands, or None: one round trip, one atomic step. Expired jobs are None,
        and so are those of others than ``owner``, where one is named.
        """
        arguments = [job_id, "1" if with_args else "0", owner or ""]
        reply = await self._run(STATUS, self._hashes(job_id), arguments)
        stored = self._decode(job_id, reply)
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
        found: list[Job] = []
        while len(found) < limit:
            size = LIST_BATCH if state or kind else min(LIST_BATCH, limit - len(found))
            entries = await self._index.entries(indexes, before, size)
            if not entries:
                return found, None
            jobs = await asyncio.gather(*(self.read(job_id) for job_id, _, _ in entries))
            await self._index.drop(
                [entry for entry, job in zip(entries, jobs, strict=True) if job is None]
            )
            for (job_id, score, _), job in zip(entries, jobs, strict=True):
                before = (score, job_id)
                if job is None or (state and job.state is not state) or (kind and job.kind != kind):
                    continue
                found.append(job)
                if len(found) == limit:
                    return found, f"{score}.{job_id}"
        return found, None

    async def cancel(self, job: Job) -> list[str]:
        """Mark the job; from now on a read says cancelled. A delayed one is promoted so that it
        ends soon.

        Returns the ids of its parts, which go on until somebody cancels them, too.
        """
        key, events = self.keys.job(job.queue, job.id), self.keys.queue(job.queue, "events")
        mark = ["EVALSHA", CANCEL.sha, 2, key, events, job.id, CANCEL_REASON]
        promote = bullmq_scripts.promote(self.keys, job.queue, job.id)
        listed = ["HGET", key, "cb:parts"]
        replies = await self._transaction(
            [mark, promote, listed], [CANCEL, bullmq_scripts.script("promote-9")]
        )
        if replies[0] == -1:
            raise NotFound
        self._pruned_in_vain.pop(job.owner, None)
        self.shares.look_again(job.owner)
        return str(replies[2] or "").split()

    async def parts(self, queue: str, job_id: str) -> list[str]:
        """The ids of the jobs that a job has started."""
        listed = await self._call("HGET", self.keys.job(queue, job_id), "cb:parts")
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
        verdict = await self._run(
            *self._admission(job.queue, job.id, job.owner, has_quota, again=True)
        )
        if verdict == TOO_MANY and await self._prune(job.owner):
            verdict = await self._run(
                *self._admission(job.queue, job.id, job.owner, has_quota, again=True)
            )
        if verdict < 0:
            raise no_room(verdict, self._limits, self.shares)
        key, events = self.keys.job(job.queue, job.id), self.keys.queue(job.queue, "events")
        revive = ["EVALSHA", REVIVE.sha, 2, key, events, job.id]
        # A cancelled job is in the failed set, in the completed one if it ended at that moment,
        # or still waits.
        back = [
            bullmq_scripts.reprocess(self.keys, job.queue, job.id, ended_as=ended_as)
            for ended_as in ("failed", "completed")
        ]
        made = int(job.created_at.timestamp() * 1000)
        keep = self._keep(job.queue, job.id, job.owner, made, counted=has_quota, again=True)
        replies = await self._transaction(
            [revive, *back, keep], [REVIVE, KEEP, bullmq_scripts.script("reprocessJob-9")]
        )
        if replies[0] == -1:
            raise NotFound
        if replies[0] == -2:
            raise Conflict("The job is still being stopped.", hint="Try again in a few seconds.")
        if replies[0] == -3:
            raise ArgumentsGone

    async def delete(self, job: Job) -> None:
        """Remove a job that does not run, with everything of it in the store. Raises Conflict or
        NotFound.
        """
        names = (
            "active",
            "events",
            "wait",
            "paused",
            "prioritized",
            "delayed",
            "completed",
            "failed",
        )
        parts = [self.keys.queue(job.queue, name) for name in names]
        listed = [self.keys.job(job.queue, job.id), *parts[:2], self.keys.owner(job.owner)]
        listed += [self.keys.open(job.owner), self.keys.callbacks(), self.keys.sizes(), *parts[2:]]
        reply = await self._run(DELETE, listed, [job.id, job.owner, f"{job.queue}:{job.id}"])
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
        return await self._call("LRANGE", self.keys.job(job.queue, job.id) + ":logs", 0, -1)

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
        try:
            replies = iter(await self.wire.transaction(commands))
        except ReplyError as error:
            raise _refused(error) from None
        result: dict[str, dict[str, int]] = {}
        for name in self.names:
            waiting = next(replies) + next(replies) + next(replies)
            rest = {state: next(replies) for state in ("active", "delayed", "completed", "failed")}
            result[name] = {"waiting": waiting, **rest}
        return result

    async def mark_read(self, job: Job) -> None:
        """Note that somebody was given the job's result."""
        await self._run(READ, [self.keys.job(job.queue, job.id)], [])

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
        try:
            length, place, rank = await self.wire.transaction(commands)
        except ReplyError as error:
            raise _refused(error) from None
        if place is not None:
            return length - place  # BullMQ takes from the list's right end
        return length + rank + 1 if rank is not None else None

    async def backlog(self, queue: str) -> Backlog:
        """What runs and waits in a queue."""
        return await read_backlog(self.wire, self.keys, queue)

    async def runs(self, kind: str) -> list[KindRun]:
        """The last completed runs of a kind, newest first."""
        kept: str | None = await self._call("HGET", self.keys.runs(), kind)
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
        await self._call("PING")

    def _add_commands(self, new: NewJob) -> list[list[Any]]:
        created = datetime.now(UTC)
        milliseconds = int(created.timestamp() * 1000)
        keep = {
            "removeOnComplete": {
                "age": int(self.retention.completed.total_seconds()) + KEEP_GRACE_SECONDS
            },
            "removeOnFail": {
                "age": int(self.retention.failed.total_seconds()) + KEEP_GRACE_SECONDS
            },
        }
        opts: dict[str, Any] = {
            "jobId": new.id,
            "attempts": new.attempts,
            "backoff": {"type": "exponential", "delay": int(new.backoff_seconds * 1000)},
            "delay": int(new.delay_seconds * 1000),
            "timestamp": milliseconds,
            "priority": PRIORITY,
            **keep,
        }
        if new.trace is not None:
            opts["tm"] = new.trace.to_metadata()  # BullMQ's own name for it
        data = queue_data(new.kind, new.queue, new.id, new.args, created)
        if new.queue == PAGES_QUEUE and new.request_id is not None:
            data["requestId"] = new.request_id
        name = job_name(new.kind, new.queue)
        ours: dict[str, Any] = {"cb:args": new.args_hash}
        if new.deadline_seconds is not None:
            ours["cb:deadline"] = new.deadline_seconds
        if new.request_id is not None:
            ours["cb:request"] = new.request_id
        if new.parent is not None:
            ours["cb:parent"] = new.parent
        due: str | float = ""
        if new.callback is not None:
            ours["cb:callback"] = json.dumps(dict(new.callback))
            due = created.timestamp() + new.delay_seconds
        add = list(bullmq_scripts.add(self.keys, new.queue, new.id, name, data, opts, milliseconds))
        size = JOB_BYTES + sum(
            len(part) for part in (*add, *ours.values()) if isinstance(part, str | bytes)
        )
        script, listed, args = self._admission(
            new.queue, new.id, new.owner, new.has_quota, size=size
        )
        kept = self._keep(
            new.queue,
            new.id,
            new.owner,
            milliseconds,
            counted=new.has_quota,
            due=due,
            size=size,
            fields=ours,
        )
        return [
            ["EVALSHA", script.sha, len(listed), *listed, *args],
            add,
            kept,
            ["EVALSHA", STATUS.sha, len(self.names), *self._hashes(new.id), new.id, "0"],
        ]

    def _admission(
        self,
        queue: str,
        job_id: str,
        owner: str,
        has_quota: bool,
        *,
        again: bool = False,
        size: int = 0,
    ) -> tuple[Script, list[str], list[Any]]:
        """The script that says whether there is room for a job, with its keys and arguments."""
        keys = [self.keys.job(queue, job_id)]
        keys += [self.keys.queue(queue, part) for part in ("wait", "prioritized", "delayed")]
        keys += [self.keys.open(owner), self.keys.disk_full(), self.keys.disk_full(owner)]
        keys += [self.keys.sizes()]
        owners = self._limits.owner_jobs if has_quota else 0
        share = self._limits.owner_bytes if has_quota and not again else 0
        flags = ["1" if again else "", "" if has_quota else "1"]
        return ADMIT, keys, [owners, self._limits.queue_jobs, *flags, owner, share, size]

    def _keep(
        self,
        queue: str,
        job_id: str,
        owner: str,
        made: int,
        *,
        counted: bool,
        due: str | float = "",
        size: int = 0,
        again: bool = False,
        fields: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        keys = [self.keys.job(queue, job_id), self.keys.queue(queue, "prioritized")]
        keys += [self.keys.turns(queue), self.keys.owner(owner), self.keys.open(owner)]
        keys += [self.keys.callbacks(), self.keys.sizes()]
        args: list[Any] = [
            job_id,
            owner,
            made,
            f"{queue}:{job_id}",
            "1" if counted and self._limits.owner_jobs else "",
        ]
        args += [due, "1" if again else "", size]
        for field, value in (fields or {}).items():
            args += [field, value]
        return ["EVALSHA", KEEP.sha, len(keys), *keys, *args]

    async def _made_room(self, verdict: int, owner: str) -> bool:
        """Whether an owner who was refused may be asked again."""
        if verdict == TOO_MANY:
            return await self._prune(owner)
        if verdict != STORE_SHARE_FULL:
            return False
        try:
            return await self.shares.relieve(owner)
        except ReplyError as error:
            raise _refused(error) from None

    async def _prune(self, owner: str) -> bool:
        """Whether some of an owner's jobs had ended, so that there may be room after all."""
        now = time.monotonic()
        if now - self._pruned_in_vain.get(owner, -PRUNE_SECONDS) < PRUNE_SECONDS:
            return False
        prefix = self.keys.queue("", "")[:-1]
        pruned = (
            await self._run(PRUNE, [self.keys.open(owner)], [prefix, self._limits.owner_jobs]) > 0
        )
        if pruned:
            self._pruned_in_vain.pop(owner, None)
        else:
            self._pruned_in_vain[owner] = now
        return pruned

    def _hashes(self, job_id: str) -> list[str]:
        return [self.keys.job(name, job_id) for name in self.names]

    def _decode(self, job_id: str, reply: Any) -> StoredJob | None:
        if not reply:
            return None
        place, engine_state, fields = cast("tuple[int, str, list[str | None]]", reply)
        stored = decode(self.names[place - 1], job_id, engine_state, fields, self.retention)
        expires = stored.job.expires_at
        return None if expires is not None and expires <= datetime.now(UTC) else stored

    async def _call(self, *parts: Any) -> Any:
        try:
            return await self.wire.call(*parts)
        except ReplyError as error:
            raise _refused(error) from None

    async def _run(self, script: Script, keys: list[str], args: list[Any]) -> Any:
        try:
            return await self.wire.script(script, keys, args)
        except ReplyError as error:
            raise _refused(error) from None

    async def _transaction(
        self, commands: list[list[Any]], scripts: list[Script], *, repair: str | None = None
    ) -> list[Any]:
        """One MULTI. Where the server was made to forget its scripts, whatever half of it was
        carried out is undone.
        """
        try:
            return await self.wire.transaction(commands, scripts)
        except ReplyError as error:
            if "NOSCRIPT" not in str(error):
                raise _refused(error) from None
        self.wire.forget_scripts()
        if repair is not None:
            await self._run(UNDO, [repair], [])
        try:
            return await self.wire.transaction(commands, scripts)
        except ReplyError as error:
            raise _refused(error) from None


def _free_bytes(folder: Path) -> float:
    try:
        state = os.statvfs(folder)
    except OSError:  # nothing has been stored there yet
        return math.inf
    return state.f_bavail * state.f_frsize


def _refused(error: ReplyError) -> EngineUnavailable:
    word = str(error).split(" ", 1)[0]
    if word == "OOM":
        return QueueFull()
    if word == "MISCONF":
        return StorageFull("The job store cannot write to its disk.")
    return EngineUnavailable(f"The job store refused the request ({word}).")
