"""Typed calls of the Lua scripts about jobs.

Each method is one script; the header of ``engine/redis/lua/NAME.lua`` says what it does. Keys and
arguments are put into the script's order here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from checkback.engine.jobs.codec import CANCEL_REASON
from checkback.engine.redis.connection import Script
from checkback.engine.redis.keys import Keys
from checkback.security.rate_limits import StoreLimits

ADMIT = Script.named("admit")
CANCEL = Script.named("cancel")
DELETE = Script.named("delete")
INDEX_JOB = Script.named("index_job")
MARK_READ = Script.named("mark_read")
PRUNE = Script.named("prune")
RETRY = Script.named("retry")
STATUS = Script.named("status")
UNDO = Script.named("undo")


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """A script with the keys and arguments of one call, in the script's order."""

    script: Script
    keys: tuple[str, ...]
    args: tuple[Any, ...] = ()

    def command(self) -> list[Any]:
        """The call as a command, for a transaction."""
        return ["EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args]


@dataclass(frozen=True, slots=True)
class StoredAt:
    """Which job: its queue, id and owner."""

    queue: str
    id: str
    owner: str


class JobScripts:
    """The scripts, for the queues ``queues`` below one prefix."""

    def __init__(self, keys: Keys, queues: tuple[str, ...], limits: StoreLimits) -> None:
        self._keys = keys
        self._queues = queues
        self._limits = limits

    def status(
        self, job_id: str, *, with_args: bool = False, owner: str | None = None
    ) -> ScriptCall:
        """Read one job, wherever it is; only if it belongs to ``owner``, where one is named."""
        hashes = tuple(self._keys.job(queue, job_id) for queue in self._queues)
        return ScriptCall(STATUS, hashes, (job_id, _flag(with_args) or "0", owner or ""))

    def admit(
        self, job: StoredAt, *, has_quota: bool, is_retry: bool = False, size: int = 0
    ) -> ScriptCall:
        """Decide whether there is room for a job that takes ``size`` bytes of the store.

        ``has_quota`` is false for jobs that no limit of their owner holds, as a job's own subjobs.
        """
        keys = (
            self._keys.job(job.queue, job.id),
            self._keys.queue(job.queue, "wait"),
            self._keys.queue(job.queue, "prioritized"),
            self._keys.queue(job.queue, "delayed"),
            self._keys.open(job.owner),
            self._keys.disk_full(),
            self._keys.disk_full(job.owner),
            self._keys.sizes(),
        )
        limits = self._limits
        args = (
            limits.owner_jobs if has_quota else 0,
            limits.queue_jobs,
            _flag(is_retry),
            _flag(not has_quota),
            job.owner,
            limits.owner_bytes if has_quota and not is_retry else 0,
            size,
        )
        return ScriptCall(ADMIT, keys, args)

    def index_job(
        self,
        job: StoredAt,
        created_ms: int,
        *,
        has_quota: bool,
        report_at: float | None = None,
        size: int = 0,
        is_retry: bool = False,
        fields: Mapping[str, Any] | None = None,
    ) -> ScriptCall:
        """Write our fields, indexes and the job's turn, after BullMQ's own script has added it.

        ``report_at`` is when to look first whether its end can be reported to a webhook.
        """
        keys = (
            self._keys.job(job.queue, job.id),
            self._keys.queue(job.queue, "prioritized"),
            self._keys.turns(job.queue),
            self._keys.owner(job.owner),
            self._keys.open(job.owner),
            self._keys.callbacks(),
            self._keys.sizes(),
        )
        args: list[Any] = [
            job.id,
            job.owner,
            created_ms,
            f"{job.queue}:{job.id}",
            _flag(has_quota and self._limits.owner_jobs > 0),
            "" if report_at is None else report_at,
            _flag(is_retry),
            size,
        ]
        for name, value in (fields or {}).items():
            args += [name, value]
        return ScriptCall(INDEX_JOB, keys, tuple(args))

    def cancel(self, job: StoredAt) -> ScriptCall:
        """Set the cancel mark of the current attempt."""
        return ScriptCall(CANCEL, self._hash_and_events(job), (job.id, CANCEL_REASON))

    def retry(self, job: StoredAt) -> ScriptCall:
        """Make a failed or cancelled job ready to run again."""
        return ScriptCall(RETRY, self._hash_and_events(job), (job.id,))

    def mark_read(self, job: StoredAt) -> ScriptCall:
        """Note that somebody was given the result."""
        return ScriptCall(MARK_READ, (self._keys.job(job.queue, job.id),))

    def delete(self, job: StoredAt) -> ScriptCall:
        """Remove a job that does not run from all sets, with its keys."""
        keys = (
            self._keys.job(job.queue, job.id),
            self._keys.queue(job.queue, "active"),
            self._keys.queue(job.queue, "events"),
            self._keys.owner(job.owner),
            self._keys.open(job.owner),
            self._keys.callbacks(),
            self._keys.sizes(),
            self._keys.queue(job.queue, "wait"),
            self._keys.queue(job.queue, "paused"),
            self._keys.queue(job.queue, "prioritized"),
            self._keys.queue(job.queue, "delayed"),
            self._keys.queue(job.queue, "completed"),
            self._keys.queue(job.queue, "failed"),
        )
        return ScriptCall(DELETE, keys, (job.id, job.owner, f"{job.queue}:{job.id}"))

    def prune(self, owner: str) -> ScriptCall:
        """Drop ended jobs from the owner's set of jobs that have not ended."""
        prefix = self._keys.queue("", "")[:-1]
        return ScriptCall(PRUNE, (self._keys.open(owner),), (prefix, self._limits.owner_jobs))

    def undo(self, job_hash: str) -> ScriptCall:
        """Remove what half of a transaction left."""
        return ScriptCall(UNDO, (job_hash,))

    def _hash_and_events(self, job: StoredAt) -> tuple[str, str]:
        return self._keys.job(job.queue, job.id), self._keys.queue(job.queue, "events")


def _flag(value: bool) -> str:
    return "1" if value else ""
