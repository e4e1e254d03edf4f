"""Adding a job and running one again: the transactions, and what happens when there is no room."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checkback.core.errors import ArgumentsGone, Conflict, InvalidInput, NotFound, StorageFull
from checkback.core.job import Job
from checkback.core.queue_codec import job_name, queue_data
from checkback.engine.jobs.admission import Admission, refusal
from checkback.engine.jobs.codec import Retention
from checkback.engine.jobs.memory_limit import StoreMemory
from checkback.engine.jobs.new_job import NewJob
from checkback.engine.jobs.owner_usage import JOB_BYTES, OwnerUsage
from checkback.engine.jobs.scripts import ADMIT, INDEX_JOB, RETRY, STATUS, JobScripts, StoredAt
from checkback.engine.jobs.store_calls import StoreCalls, store_error
from checkback.engine.redis import bullmq_scripts
from checkback.engine.redis.connection import ReplyError
from checkback.engine.redis.keys import Keys
from checkback.security.rate_limits import StoreLimits

REFUSED = -1
NO_SUCH_JOB, STILL_STOPPING, ARGUMENTS_GONE = -1, -2, -3
"""Answers of ``retry.lua``."""

PRUNE_SECONDS = 0.25
"""For an owner at the limit, the store looks through all of that owner's jobs: at most this often.
"""

PRIORITY = 10
"""ReftrixMCP's own priority in its queue. Our jobs are added with it, then get their turn
(``index_job.lua``).
"""

KEEP_GRACE_SECONDS = 3600
"""BullMQ removes finished jobs by itself, but only keys: our sweeper, which removes files too, must
come first.
"""

DISK_RESERVE_BYTES = 64 << 20
"""With less free disk no job is accepted: the rest is for what accepted jobs still have to store. A
store that syncs each write ends itself at the first write that finds the disk full.
"""


class JobAdder:
    """Puts jobs into queues, if there is room."""

    def __init__(
        self,
        calls: StoreCalls,
        keys: Keys,
        scripts: JobScripts,
        retention: Retention,
        memory: StoreMemory,
        usage: OwnerUsage,
        *,
        limits: StoreLimits,
        disk: Path | None,
    ) -> None:
        self._calls = calls
        self._keys = keys
        self._scripts = scripts
        self._retention = retention
        self._memory = memory
        self._usage = usage
        self._limits = limits
        self._disk = disk
        #: When each owner's jobs were last looked through for ended ones, in vain.
        self._pruned_in_vain: dict[str, float] = {}

    async def add(self, new: NewJob) -> tuple[bool, Any]:
        """Add a job: whether it is new, and the reply of ``status.lua`` about it.

        Raises QuotaExceeded, QueueFull or StorageFull if there is no room; then nothing is stored.
        """
        if self._disk is not None and _free_bytes(self._disk) < DISK_RESERVE_BYTES:
            raise StorageFull
        commands = self._commands(new)
        await self._memory.require(sum(_text_bytes(command) for command in commands))
        answer, indexed, status = await self._send(new, commands)
        if indexed == REFUSED and await self._make_room(answer, new.owner):
            answer, indexed, status = await self._send(new, commands)
        if indexed == REFUSED:
            raise refusal(answer, self._limits, self._usage)
        return indexed != 0, status

    async def retry(self, job: Job, *, has_quota: bool) -> None:
        """Put a failed or cancelled job back into its queue.

        Raises Conflict while it is still being stopped, and as ``add`` if there is no room.
        """
        at = StoredAt(job.queue, job.id, job.owner)
        admit = self._scripts.admit(at, has_quota=has_quota, is_retry=True)
        answer = await self._calls.run(admit)
        if answer == Admission.TOO_MANY_JOBS and await self._prune(job.owner):
            answer = await self._calls.run(admit)
        if answer < 0:
            raise refusal(answer, self._limits, self._usage)
        created_ms = int(job.created_at.timestamp() * 1000)
        commands = [
            self._scripts.retry(at).command(),
            # A cancelled job is in the failed set, in the completed one if it ended at that
            # moment, or still waits.
            bullmq_scripts.reprocess(self._keys, job.queue, job.id, ended_as="failed"),
            bullmq_scripts.reprocess(self._keys, job.queue, job.id, ended_as="completed"),
            self._scripts.index_job(at, created_ms, has_quota=has_quota, is_retry=True).command(),
        ]
        scripts = [RETRY, INDEX_JOB, bullmq_scripts.script("reprocessJob-9")]
        outcome = (await self._calls.transaction(commands, scripts))[0]
        if outcome == NO_SUCH_JOB:
            raise NotFound
        if outcome == STILL_STOPPING:
            raise Conflict("The job is still being stopped.", hint="Try again in a few seconds.")
        if outcome == ARGUMENTS_GONE:
            raise ArgumentsGone

    def look_again(self, owner: str) -> None:
        """Note that one of an owner's jobs has ended, so that there may be room."""
        self._pruned_in_vain.pop(owner, None)
        self._usage.look_again(owner)

    async def _send(self, new: NewJob, commands: list[list[Any]]) -> tuple[int, int, Any]:
        scripts = [ADMIT, INDEX_JOB, STATUS, bullmq_scripts.add_script(new.delay_seconds > 0)]
        undo = self._scripts.undo(self._keys.job(new.queue, new.id))
        answer, _, indexed, status = await self._calls.transaction(commands, scripts, undo=undo)
        return answer, indexed, status

    def _commands(self, new: NewJob) -> list[list[Any]]:
        """Admit, add, index and read, as one transaction."""
        created = datetime.now(UTC)
        created_ms = int(created.timestamp() * 1000)
        add = self._bullmq_add(new, created, created_ms)
        fields = _own_fields(new)
        report_at = created.timestamp() + new.delay_seconds if new.callback is not None else None
        size = JOB_BYTES + _text_bytes(add) + _text_bytes(list(fields.values()))
        at = StoredAt(new.queue, new.id, new.owner)
        index = self._scripts.index_job(
            at, created_ms, has_quota=new.has_quota, report_at=report_at, size=size, fields=fields
        )
        return [
            self._scripts.admit(at, has_quota=new.has_quota, size=size).command(),
            add,
            index.command(),
            self._scripts.status(new.id).command(),
        ]

    def _bullmq_add(self, new: NewJob, created: datetime, created_ms: int) -> list[Any]:
        completed, failed = self._retention.completed, self._retention.failed
        options: dict[str, Any] = {
            "jobId": new.id,
            "attempts": new.attempts,
            "backoff": {"type": "exponential", "delay": int(new.backoff_seconds * 1000)},
            "delay": int(new.delay_seconds * 1000),
            "timestamp": created_ms,
            "priority": PRIORITY,
            "removeOnComplete": {"age": int(completed.total_seconds()) + KEEP_GRACE_SECONDS},
            "removeOnFail": {"age": int(failed.total_seconds()) + KEEP_GRACE_SECONDS},
        }
        if new.trace is not None:
            options["tm"] = new.trace.to_metadata()  # BullMQ's own name for it
        data = queue_data(new.kind, new.queue, new.id, new.args, created, new.request_id)
        name = job_name(new.kind, new.queue)
        return list(
            bullmq_scripts.add(self._keys, new.queue, new.id, name, data, options, created_ms)
        )

    async def _make_room(self, answer: int, owner: str) -> bool:
        """Whether there may be room now for an owner who was refused."""
        if answer == Admission.TOO_MANY_JOBS:
            return await self._prune(owner)
        if answer != Admission.OWNER_STORE_FULL:
            return False
        try:
            return await self._usage.relieve(owner)
        except ReplyError as error:
            raise store_error(error) from None

    async def _prune(self, owner: str) -> bool:
        """Whether some of an owner's jobs had ended, so that there may be room after all."""
        now = time.monotonic()
        if now - self._pruned_in_vain.get(owner, -PRUNE_SECONDS) < PRUNE_SECONDS:
            return False
        has_pruned = await self._calls.run(self._scripts.prune(owner)) > 0
        if has_pruned:
            self._pruned_in_vain.pop(owner, None)
        else:
            self._pruned_in_vain[owner] = now
        return has_pruned


def check_queue(queue: str, served: Sequence[str]) -> None:
    """Raise InvalidInput for a queue that is not served."""
    if queue not in served:
        raise InvalidInput(
            f"The queue {queue!r} is not served here.",
            hint="Add it to CHECKBACK_QUEUES and start the server again.",
        )


def _own_fields(new: NewJob) -> dict[str, Any]:
    """The fields of a job's hash that are ours."""
    fields: dict[str, Any] = {"cb:args": new.args_hash}
    if new.deadline_seconds is not None:
        fields["cb:deadline"] = new.deadline_seconds
    if new.request_id is not None:
        fields["cb:request"] = new.request_id
    if new.parent is not None:
        fields["cb:parent"] = new.parent
    if new.callback is not None:
        fields["cb:callback"] = json.dumps(dict(new.callback))
    return fields


def _text_bytes(parts: Sequence[Any]) -> int:
    return sum(len(part) for part in parts if isinstance(part, str | bytes))


def _free_bytes(folder: Path) -> float:
    try:
        state = os.statvfs(folder)
    except OSError:  # nothing has been stored there yet
        return math.inf
    return state.f_bavail * state.f_frsize
