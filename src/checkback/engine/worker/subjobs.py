"""Jobs that a running job starts, its parts: made under its lock, ended with it.

A part's id comes from its job and a key, so that a later attempt of the job finds the same part
instead of making a second one. The job's hash lists its parts before they are added, so that
a cancel of the job sees all.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

from checkback.core import ids, request_ids, trace_context
from checkback.core.errors import (
    CheckbackError,
    Conflict,
    EngineUnavailable,
    InvalidInput,
    TooLarge,
)
from checkback.core.job import JSON, Job
from checkback.core.states import State
from checkback.engine.jobs.new_job import NewJob
from checkback.engine.jobs.store import JobStore
from checkback.engine.redis.connection import RedisConnection, ReplyError, Script
from checkback.engine.redis.keys import Keys
from checkback.kinds import registry
from checkback.kinds.registry import Kind
from checkback.security.encryption import SecretCipher, derive

MAX_ARGS_BYTES = 256 * 1024
ADD_SUBJOB = Script.named("add_subjob")
NOTED, CANCELLED = 1, 2
RETRY_SECONDS = 0.25
#: How long a part that ended before is waited for, when its last processes are still being stopped.
STOPPING_TRIES = 20
T = TypeVar("T")


class Subjobs:
    """The parts of any job, for the worker that runs it."""

    def __init__(self, wire: RedisConnection, keys: Keys, queues: JobStore, secret: bytes) -> None:
        self._wire = wire
        self._keys = keys
        self._queues = queues
        self._secret = derive(secret, "ids of parts")
        self._sealer = SecretCipher(secret)

    async def start(
        self, job: tuple[str, str], token: str, owner: str, starter: Kind, message: dict[str, Any]
    ) -> JSON:
        """Make a part of ``job`` (its queue and id), or find the one of this key; the answer to the
        child.

        One that had failed or was cancelled before runs again. Nothing that the child says is
        believed: its kind must be one that may start such a part, and the arguments are checked and
        sealed here.
        """
        queue, job_id = job
        try:
            kind = registry.get(message["kind"])
            args, args_hash = self._checked(starter, kind, message["args"])
        except CheckbackError as error:
            return {"error": error.message}
        part_id = ids.keyed_job_id(self._secret, job_id, message["key"])
        noted = await _patiently(
            lambda: self._wire.script(ADD_SUBJOB, [self._keys.job(queue, job_id)], [token, part_id])
        )
        if noted != NOTED:
            return {"error": "The job may start nothing more."}
        new = NewJob(
            id=part_id,
            kind=kind.name,
            queue=kind.queue,
            owner=owner,
            args=args,
            args_hash=args_hash,
            attempts=kind.attempts,
            backoff_seconds=kind.backoff_seconds,
            request_id=request_ids.current.get(),
            trace=trace_context.current.get(),
            parent=f"{queue} {job_id}",
        )
        try:
            added = await _patiently(lambda: self._queues.add(new))
        except InvalidInput as error:
            return {"error": error.message}
        if added.existing and added.job.state in (State.FAILED, State.CANCELLED):
            await self._again(added.job)
        return {"id": part_id}

    def _checked(self, starter: Kind, kind: Kind, args: dict[str, JSON]) -> tuple[JSON, str]:
        """The arguments of a part as they are stored, and their hash. Raises what keeps it from
        starting.
        """
        if not starter.may_start(kind.name) or kind.sources:
            raise InvalidInput(
                f"A job of the kind {starter.name} may not start one of {kind.name}."
            )
        given = kind.check_args(args).model_dump(mode="python", by_alias=True, exclude_unset=True)
        text = json.dumps([kind.name, self._sealer.fingerprint(given)], sort_keys=True)
        sealed = self._sealer.seal(given)
        if len(json.dumps(sealed)) > MAX_ARGS_BYTES:
            raise TooLarge(f"The arguments are larger than {MAX_ARGS_BYTES // 1024} KB.")
        return sealed, hashlib.sha256(text.encode()).hexdigest()

    async def look(self, job: tuple[str, str], owner: str, job_ids: list[str]) -> JSON:
        """How some of a job's parts stand; one that is gone, or is not a part of it, is null."""
        own = set(await _patiently(lambda: self._queues.parts(*job)))
        job_ids = [one if one in own else "" for one in job_ids]
        jobs = await asyncio.gather(*(self._read(one) for one in job_ids))
        return {
            "jobs": [
                _subjob_status(job) if job is not None and job.owner == owner else None
                for job in jobs
            ]
        }

    async def _read(self, job_id: str) -> Job | None:
        return await _patiently(lambda: self._queues.read(job_id)) if job_id else None

    async def cancel_all(self, queue: str, job_id: str) -> None:
        """Ask for the end of every part that has not ended."""
        await self._queues.cancel_parts(await self._queues.parts(queue, job_id))

    async def belongs_to_cancelled(self, parent: str) -> bool:
        """Whether the job that a part belongs to was cancelled; ``parent`` is its queue and id."""
        job = await _patiently(lambda: self._queues.read(parent.partition(" ")[2]))
        return job is not None and job.state is State.CANCELLED

    async def cancel(self, part_id: str) -> None:
        """Ask for the end of one part."""
        await self._queues.cancel_parts([part_id])

    async def _again(self, job: Job) -> None:
        for _ in range(STOPPING_TRIES):
            try:
                await _patiently(lambda: self._queues.retry(job))
                return
            except Conflict:
                await asyncio.sleep(RETRY_SECONDS)


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The outcome of a call that is made again until the engine answers."""
    while True:
        try:
            return await call()
        except (EngineUnavailable, ReplyError):
            await asyncio.sleep(RETRY_SECONDS)


def _subjob_status(job: Job) -> JSON:
    return {
        "id": job.id,
        "state": job.state.value,
        "progress": job.progress,
        "result": job.result,
        "failure": asdict(job.failure) if job.failure else None,
    }
