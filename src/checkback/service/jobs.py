"""What can be done with jobs: submit, read, wait, cancel, retry, delete, and read results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from checkback.core import estimates, heavy, ids
from checkback.core.error_text import quoted
from checkback.core.errors import (
    Conflict,
    EngineUnavailable,
    Forbidden,
    InvalidInput,
    KeyReused,
    NotFound,
    NotReady,
    QuotaExceeded,
    TooLarge,
)
from checkback.core.job import JSON, MAX_PAGE, Artifact, Job
from checkback.core.states import State, may_move
from checkback.engine.jobs.estimator import Estimator
from checkback.engine.jobs.new_job import AddResult, NewJob
from checkback.engine.jobs.open_streams import OpenStreams
from checkback.engine.jobs.statistics import Statistics, read_figures
from checkback.engine.jobs.store import JobStore
from checkback.engine.redis.event_feed import Changes
from checkback.security.addresses import AddressPolicy
from checkback.security.auth.callers import LOCAL_OWNER, Caller, Scope
from checkback.security.encryption import SecretCipher
from checkback.security.rate_limits import OwnerLimits, Quotas, has_quota
from checkback.security.signed_urls import LinkSigner
from checkback.security.submit_limits import check_options
from checkback.service.access import listed_owner, require, visible
from checkback.service.sources import Sources
from checkback.service.submissions import Submissions
from checkback.service.uploads import Uploads
from checkback.storage.artifacts import ArtifactStore, read_json
from checkback.storage.uploads import UploadStore
from checkback.telemetry import recording
from checkback.telemetry.recording import SpanKind


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """The result of a submit. ``existing`` says that the idempotency key had already created this
    job.
    """

    job: Job
    existing: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and where the next page begins (None on the last one)."""

    jobs: list[Job]
    cursor: str | None


class Service:
    """What can be done with jobs, for any caller. One instance serves a whole process.

    Every method raises EngineUnavailable within 2 s when the engine cannot be reached, InvalidInput
    for an id that is not a UUID, and NotFound for a job that does not exist, has expired, or is
    another owner's.
    """

    def __init__(
        self,
        queues: JobStore,
        artifacts: ArtifactStore,
        *,
        sealer: SecretCipher,
        addresses: AddressPolicy,
        key_secret: bytes,
        uploads: UploadStore,
        links: LinkSigner,
        quotas: Quotas | None = None,
        disk_budget_bytes: int = 0,
        pdfco_key_owners: Iterable[str] = (LOCAL_OWNER,),
    ) -> None:
        """``pdfco_key_owners`` may use the server's own PDF.co key, in addition to admins."""
        self._queues = queues
        self._artifacts = artifacts
        #: Signs and checks the links to results and uploads that the APIs return.
        self.links = links
        self._sealer = sealer
        self._key_secret = key_secret
        self._streams = OpenStreams(queues.wire, queues.keys)
        #: How long jobs will take.
        self.estimator = Estimator(queues)
        #: The limits of each owner; the authentication middleware also counts requests by them.
        self.quotas = quotas or Quotas(OwnerLimits())
        #: The files that callers upload for later jobs.
        self.uploads = Uploads(uploads, self.quotas, disk_budget_bytes)
        sources = Sources(uploads, links, addresses, self.get, self._find)
        self._submissions = Submissions(sealer, addresses, sources, pdfco_key_owners)

    async def submit(
        self,
        caller: Caller,
        kind: str,
        args: Mapping[str, Any],
        *,
        key: str | None = None,
        deadline_seconds: float | None = None,
        delay_seconds: float = 0.0,
        attempts: int | None = None,
        request_id: str | None = None,
        callback: Mapping[str, Any] | None = None,
    ) -> SubmitResult:
        """Accept a job and return it once a check by its id would find it, on disk if the engine
        says so.

        The id is created here, before BullMQ sees it, so a lost reply can be retried without a
        second job. The same owner and key return the first job; the same key with other args raises
        KeyReused. Raises UnknownKind, InvalidInput, TooLarge, QuotaExceeded, QueueFull or
        StorageFull; then nothing is stored.

        ``callback`` has a ``url`` that receives a POST at the end, and the ``context`` that its API
        needs for the body.
        """
        require(caller, Scope.WRITE)
        self.quotas.submit(caller)
        check_options(key, deadline_seconds, delay_seconds, attempts)
        stored_callback = self._submissions.check_callback(callback)
        found, sealed, args_hash = await self._submissions.admit(caller, kind, args, delay_seconds)
        self.quotas.deadline(caller, deadline_seconds, of_kind=found.deadline_seconds)
        new = NewJob(
            id=ids.keyed_job_id(self._key_secret, caller.owner, key) if key else ids.new_job_id(),
            kind=found.name,
            queue=found.queue,
            owner=caller.owner,
            args=sealed,
            args_hash=args_hash,
            attempts=attempts or found.attempts, backoff_seconds=found.backoff_seconds,
            deadline_seconds=deadline_seconds, delay_seconds=delay_seconds,
            request_id=request_id,
            callback=stored_callback,
            has_quota=has_quota(caller),
        )  # fmt: skip
        added = await self._add(new)
        if added.args_hash != new.args_hash or added.job.owner != caller.owner:
            raise KeyReused
        return SubmitResult(added.job, existing=added.existing)

    async def _add(self, new: NewJob) -> AddResult:
        attributes = recording.of_job("submit", "send", new.kind, new.queue, new.id)
        with recording.span(f"submit {new.kind}", SpanKind.PRODUCER, attributes=attributes) as span:
            return await self._queues.add(replace(new, trace=span.context) if span.context else new)

    async def get(self, caller: Caller, job_id: str) -> Job:
        """The job in its current state, in one round trip to the engine. Its ``args`` are not read.

        Raises QuotaExceeded for an owner who checks one job far too often; so do the methods that
        begin with this check.
        """
        self.quotas.check(caller, ids.parse_job_id(job_id))
        return await self._get(caller, job_id)

    async def _get(self, caller: Caller, job_id: str) -> Job:
        job = await self._queues.read(ids.parse_job_id(job_id), owner=caller.bound_to)
        return visible(caller, job)

    async def get_with_args(self, caller: Caller, job_id: str) -> Job:
        """As ``get``, with the arguments; secret ones show as ``***``."""
        self.quotas.check(caller, ids.parse_job_id(job_id))
        found = await self._queues.read(
            ids.parse_job_id(job_id), with_args=True, owner=caller.bound_to
        )
        job = visible(caller, found)
        return replace(job, args=self._sealer.mask(job.args))

    async def wait(
        self, caller: Caller, job_id: str, timeout_seconds: float, *, or_refuse: bool = False
    ) -> Job:
        """The job once it has ended, or its state after ``timeout_seconds``: a timeout is not an
        error.

        An owner who has too many waits and streams open gets the job in its current state, or with
        ``or_refuse`` QuotaExceeded.
        """
        job = await self.get(caller, job_id)
        if job.state.is_final or timeout_seconds <= 0:
            return job
        try:
            async with self.stream(caller), asyncio.timeout(timeout_seconds):
                async for latest in self.watch(caller, job_id):
                    job = latest
        except QuotaExceeded:
            if or_refuse:
                raise
        except TimeoutError:
            return await self._get(caller, job_id)
        return job

    @asynccontextmanager
    async def stream(self, caller: Caller) -> AsyncGenerator[None]:
        """Count an event stream, a long wait or a subscription for as long as the ``with``. Raises
        as ``open_stream``.
        """
        ended = await self.open_stream(caller)
        try:
            yield
        finally:
            ended()

    async def open_stream(self, caller: Caller) -> Callable[[], None]:
        """Count one that begins; call what is returned once when it has ended. Raises QuotaExceeded
        for an owner who has too many open, on this server and others of the same store.
        """
        limit = self.quotas.limits.streams
        if not has_quota(caller) or not limit:
            return _nothing
        stream_id = await self._streams.begin(caller.owner, limit)
        if stream_id is None:
            raise QuotaExceeded(
                f"You have reached your limit of {limit} open event streams, waits and "
                "subscriptions.",
                hint="Close some of them, or wait until some have ended.",
                retry_after_seconds=5,
            )
        return partial(self._streams.end, caller.owner, stream_id)

    async def watch(
        self, caller: Caller, job_id: str, *, past_end: bool = False
    ) -> AsyncGenerator[Job]:
        """The job now, then again after each change, ending with its final state. Woken by events.

        With ``past_end`` it continues, as the job can be retried, until NotFound is raised.
        """
        canonical = ids.parse_job_id(job_id)
        async with self._queues.changes(canonical) as changes:
            before: Job | None = None
            while True:
                job = visible(caller, await self._queues.read_together(canonical))
                if job != before:
                    yield job
                    before = job
                if job.state.is_final and not past_end:
                    return
                await changes.next()

    def kept_until(self, job: Job, now: datetime) -> datetime:
        """Until when a job can be read at least: the retention of an unfinished job starts at its
        end.
        """
        return job.expires_at or now + self._queues.retention.completed

    async def cancel(self, caller: Caller, job_id: str) -> Job:
        """Cancel a job. From now on every response says cancelled; a running job is ended within 5
        s.

        The jobs that it started are cancelled as well. Cancelling again changes nothing. A job that
        has ended otherwise is returned unchanged.
        """
        require(caller, Scope.WRITE)
        job = await self.get(caller, job_id)
        if not may_move(job.state, State.CANCELLED):
            return job
        await self._queues.cancel_parts(await self._queues.cancel(job))
        return await self._get(caller, job_id)

    async def retry(self, caller: Caller, job_id: str) -> Job:
        """Run a failed or cancelled job again, under the same id. Raises Conflict in every other
        state.
        """
        require(caller, Scope.WRITE)
        self.quotas.submit(caller)
        job = await self.get(caller, job_id)
        if not job.state.is_final or not may_move(job.state, State.WAITING):
            raise Conflict(
                f"Only a failed or cancelled job can be retried; this job is {job.state}."
            )
        attributes = recording.of_job("retry", "send", None, job.queue, job.id)
        with recording.span("retry", SpanKind.PRODUCER, attributes=attributes):
            await self._queues.retry(job, has_quota=has_quota(caller))
        return await self._get(caller, job_id)

    async def delete(self, caller: Caller, job_id: str) -> None:
        """Delete an ended or waiting job with its result and files, at once and for good.

        Jobs that it had started stay. No callback is sent for its end. Raises Conflict for a
        running job.
        """
        require(caller, Scope.WRITE)
        job = await self.get(caller, job_id)
        await self._queues.delete(job)
        await asyncio.to_thread(self._artifacts.remove, job.id)

    async def list(
        self,
        caller: Caller,
        *,
        state: State | None = None,
        kind: str | None = None,
        owner: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """The caller's jobs, newest first. An admin may name another ``owner``,
        or ``*`` for all.
        """
        listed = listed_owner(caller, owner)
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidInput(f"`limit` must be a number from 1 to {MAX_PAGE}; got {limit}.")
        jobs, after = await self._queues.list(
            listed, state=state, kind=kind, limit=limit, cursor=cursor
        )
        return Page(jobs, after)

    async def result(self, caller: Caller, job_id: str, *, most_bytes: int | None = None) -> JSON:
        """The whole result, also when it was too large for the record. Raises as ``stored_result``
        does, and TooLarge past ``most_bytes``.
        """
        result = await self.stored_result(caller, job_id)
        if not isinstance(result, Path):
            return result
        if most_bytes is not None and result.stat().st_size > most_bytes:
            raise TooLarge(
                "The result is too large to be returned here.",
                hint="Download the result as an artifact.",
            )
        return await heavy.run(read_json, result)

    async def stored_result(self, caller: Caller, job_id: str) -> JSON | Path:
        """The result, or the path of its file if it was too large for the record. Raises NotReady
        or Conflict.
        """
        job = await self.get(caller, job_id)
        if not job.state.is_final:
            raise NotReady(f"The job has no result yet; it is {job.state}.")
        if job.state is not State.COMPLETED:
            reason = f": {job.failure.message}" if job.failure else "."
            raise Conflict(f"The job has no result; it is {job.state}{reason}")
        result: JSON = job.result
        if isinstance(result, dict) and "spilled_to" in result:
            _, path = self._find(job, str(cast("dict[str, JSON]", result)["spilled_to"]))
            return path
        return cast("JSON", result)

    async def artifact(self, caller: Caller, job_id: str, name: str) -> tuple[Artifact, Path]:
        """One of the job's files by its name or id, and its path. Raises NotFound."""
        return self._find(await self.get(caller, job_id), name)

    def _find(self, job: Job, name: str) -> tuple[Artifact, Path]:
        for artifact in job.artifacts:
            if name in (artifact.name, artifact.id):
                path = self._artifacts.path(job.id, artifact)
                if path.is_file():
                    return artifact, path
        raise NotFound(
            f"This job has no artifact {quoted(name)}.",
            hint="The job's record lists its artifacts.",
        )

    async def remove_artifact(self, caller: Caller, job_id: str, name: str) -> None:
        """Remove the content of one of the job's files; the record still lists it."""
        require(caller, Scope.WRITE)
        _, path = await self.artifact(caller, job_id, name)
        path.unlink(missing_ok=True)

    @asynccontextmanager
    async def changes(self, caller: Caller, owner: str | None = None) -> AsyncGenerator[Changes]:
        """Be woken by every change of any of the caller's jobs; an admin may name an ``owner``, or
        ``*``.
        """
        async with self._queues.changes_of(listed_owner(caller, owner)) as changes:
            yield changes

    async def runs(self, kind: str) -> Sequence[estimates.KindRun]:
        """How long the last completed runs of a kind took, newest first; a few seconds old."""
        return await self.estimator.runs(kind)

    async def outlook(self, job: Job) -> estimates.Estimate:
        """The job's position in its queue, and how long it will take, if known."""
        return await self.estimator.of(job)

    async def mark_read(self, job: Job) -> None:
        """Note that the caller has read a job's result. The note is optional: an outage is not an
        error here.
        """
        if job.unread:
            with suppress(EngineUnavailable):
                await self._queues.mark_read(job)

    async def log(self, caller: Caller, job_id: str) -> list[str]:
        """The lines that the job logged, oldest first; of very many only the newest are kept."""
        job = await self.get(caller, job_id)
        return await self._queues.log(job)

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many jobs of each state every queue holds."""
        return await self._queues.counts()

    async def figures(self, caller: Caller) -> Statistics:
        """Statistics of the whole store. Raises Forbidden for a token without the scope ``metrics``
        or ``admin``.
        """
        if not caller.may(Scope.METRICS):
            raise Forbidden(
                "This token may not read metrics; it lacks the `metrics` scope.",
                hint="Create one that may with `checkback token add prometheus --scope metrics`.",
            )
        return await read_figures(self._queues)

    def may_use_pdfco_key(self, caller: Caller) -> bool:
        """Whether this caller's jobs may run at PDF.co with the server's own key, which costs its
        credits.
        """
        return self._submissions.may_use_pdfco_key(caller)


def _nothing() -> None:
    """The end of a stream that is not counted."""
