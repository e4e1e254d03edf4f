"""One attempt of one job in this worker: from BullMQ's hand to a stored end.

Every write is fenced: BullMQ's lock token guards the end, our scripts check the same token for
progress and files (``attempt_store``). An attempt that lost its lock stores nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from bullmq import Job as BullJob
from bullmq import UnrecoverableError
from bullmq.custom_errors import WaitingChildrenError

from checkback.core.errors import ArgumentsGone, EngineUnavailable, FailureCode, JobFailed
from checkback.core.job import JSON, Failure
from checkback.core.queue_codec import args_of, kind_of
from checkback.core.trace_context import TraceContext
from checkback.engine.jobs.codec import (
    CANCEL_REASON,
    encode_artifacts,
    encode_failure,
    worker_lost,
)
from checkback.engine.processes.child import Assignment
from checkback.engine.processes.disk_limit import Ledger
from checkback.engine.processes.runner import Runner, RunOutcome, Stop
from checkback.engine.redis.connection import RedisConnection, ReplyError
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.attempt_store import (
    END_RETRY_SECONDS,
    NO_JOB,
    NOT_OURS,
    STORED_AND_CANCELLED,
    AttemptStore,
    Finish,
)
from checkback.engine.worker.instrumentation import process_of, record_phases
from checkback.engine.worker.progress_buffer import ProgressBuffer
from checkback.engine.worker.slots import Slots
from checkback.engine.worker.subjobs import Subjobs
from checkback.kinds import registry
from checkback.kinds.registry import Kind
from checkback.security.auth.callers import LOCAL_OWNER
from checkback.security.egress.client import EgressGrant, EgressProxy
from checkback.security.encryption import SecretCipher
from checkback.storage.artifacts import ArtifactStore
from checkback.telemetry.recording import Span

logger = logging.getLogger(__name__)

MAX_LOST_WORKERS = 2
"""Lost workers that a job survives; with the third it fails."""
LAST_CHANCE_SECONDS = 10.0
"""How long a job that lost two workers runs before another such job may begin: one that brings its
worker down does so soon, and a job may wait for its own subjobs that have lost as many.
"""


class AttemptFailed(Exception):
    """Raised to BullMQ when an attempt failed and another may follow. Its text is the failure's
    message."""


@dataclass(slots=True)
class WorkerParts:
    """What all attempts of a worker share."""

    wire: RedisConnection
    keys: Keys
    runner: Runner
    egress: EgressProxy | None
    artifacts: ArtifactStore
    started: Subjobs
    #: Opens the secrets of a job's arguments: no process of a job has the key.
    sealer: SecretCipher
    ledger: Ledger
    #: The server's own key for PDF.co, for the jobs that run there.
    pdfco_key: str | None = field(default=None, repr=False)
    #: What the jobs of one owner may take in the store; 0 means no limit.
    owner_store_bytes: int = 0
    semaphores: dict[str, asyncio.Semaphore] = field(default_factory=dict[str, asyncio.Semaphore])
    #: For jobs whose next lost worker is their last: one at a time, or the one that brings workers
    #: down would take the others with it each time.
    last_chance: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


@dataclass(frozen=True, slots=True)
class JobExtras:
    """What is ours in a job's hash and BullMQ's own job object leaves out."""

    owner: str | None = None
    deadline_seconds: float | None = None
    saved: str | None = None
    #: The job that this one is a part of: ``queue id``.
    parent: str | None = None
    #: The request that the job came with, and the trace that it belongs to.
    request_id: str | None = None
    trace: TraceContext | None = None
    #: Attempts that were begun and are not to be counted: handed back, or before a retry by hand.
    returned: int = 0
    forgiven: int = 0
    #: Whether the arguments were removed, to make room.
    arguments_gone: bool = False


class Attempt:
    """One attempt. ``stop`` ends it from outside; ``run`` returns the result or raises what BullMQ
    understands."""

    def __init__(
        self,
        parts: WorkerParts,
        queue: str,
        job: BullJob,
        token: str,
        extras: JobExtras,
        slots: Slots,
    ) -> None:
        self._parts = parts
        self._slots = slots
        self._job = job
        self._extras = extras
        self._token = token
        self.queue = queue
        self.job_id = job.id
        #: The job's name in BullMQ.
        self.name = job.name
        self.renewed_at = time.monotonic()
        #: Why it failed, once that is known.
        self.failure_code: str | None = None
        self._stop: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._store = AttemptStore(
            parts.wire, parts.keys, queue, job, token, owner_store_bytes=parts.owner_store_bytes
        )
        self._buffer = ProgressBuffer(self._store, self._apply_store_reply)

    def stop(self, why: Stop) -> None:
        """End the attempt; the first reason counts."""
        if not self._stop.done():
            self._stop.set_result(why)

    async def stop_if_cancelled(self) -> None:
        """End the attempt if its job is cancelled now. Word of a cancel may come so late that the
        job was retried since.
        """
        while not self._stop.done():
            try:
                self._apply_store_reply(await self._store.write_progress("", []))
                return
            except (EngineUnavailable, ReplyError):
                await asyncio.sleep(END_RETRY_SECONDS)

    async def run(self) -> Any:
        """The result of the job, as BullMQ stores it. Raises for every other end."""
        kind = registry.find(kind_of(self._job.name, self.queue))
        refusal = self._refusal(kind)
        if kind is None or refusal is not None:
            await self._refuse(refusal)
        if self._extras.owner is None:
            await self._store.adopt()
        await self._end_with_parent()
        lost = self._lost_workers
        if lost > MAX_LOST_WORKERS:
            await self._refuse(worker_lost(lost), forgiven=str(self._extras.forgiven + lost))
        async with AsyncExitStack() as slots:
            if kind.concurrency is not None:
                semaphore = self._parts.semaphores.setdefault(
                    kind.name, asyncio.Semaphore(kind.concurrency)
                )
                await slots.enter_async_context(self._slot(semaphore))
            if lost == MAX_LOST_WORKERS:
                await slots.enter_async_context(
                    self._slot(self._parts.last_chance, LAST_CHANCE_SECONDS)
                )
            return await self._run_kind(kind)

    def _refusal(self, kind: Kind | None) -> Failure | None:
        """Why the job cannot be run at all."""
        if kind is None:
            return Failure(
                FailureCode.UNKNOWN_KIND,
                "No worker here knows this kind of job.",
                hint="Start the server with its module.",
            )
        if self._job.stalledCounter and not kind.safe_to_repeat:
            return Failure(
                FailureCode.WORKER_LOST,
                "The worker that ran this job was lost, and the job may not be repeated.",
                hint="Check what the job already did, then retry it.",
            )
        if self._extras.arguments_gone:
            # Our APIs refuse to retry such a job; another client did.
            return Failure(
                FailureCode.ARGUMENTS_GONE,
                ArgumentsGone().message,
                hint=ArgumentsGone.default_hint,
            )
        return None

    async def _refuse(self, failure: Failure | None, *, forgiven: str = "") -> NoReturn:
        """End a job that cannot be run, or that may be what its workers died of."""
        assert failure is not None
        await self._fail(failure, forgiven=forgiven)
        raise UnrecoverableError(failure.message)

    @property
    def _lost_workers(self) -> int:
        """How many workers died, or lost the job, while they ran it.

        BullMQ's own count has those too that only held the job; attempts that neither ended nor
        came back are also made by what another client's workers do.
        """
        open_ends = self._job.attemptsStarted - 1 - self._job.attemptsMade
        return min(
            self._job.stalledCounter, open_ends - self._extras.returned - self._extras.forgiven
        )

    @asynccontextmanager
    async def _slot(
        self, semaphore: asyncio.Semaphore, seconds: float | None = None
    ) -> AsyncGenerator[None]:
        """Hold a slot for at most ``seconds``. An attempt that is stopped while it waits
        continues without one, to its end.

        A job that waits has not begun: if the worker dies, it was not the job's doing.
        """
        was_counted, is_timed = False, False
        acquiring: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if semaphore.locked():
            was_counted = await self._store.count_returned(1)
            acquiring = asyncio.create_task(semaphore.acquire())
        else:
            # At once: of two that come in the same moment, the second must see that it has to
            # wait.
            await semaphore.acquire()
            acquiring.set_result(None)
        try:
            await asyncio.wait({acquiring, self._stop}, return_when=asyncio.FIRST_COMPLETED)
            if was_counted:
                await self._store.count_returned(-1)
            if seconds is not None and acquiring.done():
                asyncio.get_running_loop().call_later(seconds, semaphore.release)
                is_timed = True
            yield
        finally:
            # One that was stopped while it waited may still have got its slot a moment later.
            if not acquiring.cancel() and not is_timed:
                semaphore.release()

    async def _run_kind(self, kind: Kind) -> Any:
        if self._stop.done():
            outcome = RunOutcome(stopped=self._stop.result())
        else:
            outcome = await self._run_child(kind)
        if outcome.detail:
            logger.info("job %s (%s): %s", self.job_id, kind.name, outcome.detail)
        if outcome.stopped is not None:
            await self._end_stopped(outcome.stopped)
        if outcome.failure is not None:
            await self._end_failed(outcome, outcome.failure)
        return await self._end_completed(kind, outcome)

    async def _end_stopped(self, why: Stop) -> NoReturn:
        if why is Stop.HAND_BACK:
            await self._store.return_to_queue()
            raise WaitingChildrenError("The job went back to its queue.")
        if why is Stop.LOCK_LOST:
            raise WaitingChildrenError("The lock was lost; the job is another worker's.")
        # The cancel of the job cancelled its subjobs; this is for those that were started at that
        # very moment.
        await self._parts.started.cancel_all(self.queue, self.job_id)
        raise UnrecoverableError(CANCEL_REASON)

    async def _end_failed(self, outcome: RunOutcome, failure: Failure) -> NoReturn:
        artifacts = encode_artifacts(outcome.artifacts) if outcome.artifacts else ""
        await self._fail(failure, artifacts)
        await self._parts.started.cancel_all(self.queue, self.job_id)
        if failure.retryable:
            raise AttemptFailed(failure.message)
        raise UnrecoverableError(failure.message)

    async def _end_completed(self, kind: Kind, outcome: RunOutcome) -> Any:
        seconds = self._buffer.seconds()
        await self._finish(
            Finish(
                artifacts=encode_artifacts(outcome.artifacts),
                progress=self._buffer.completed(),
                result_bytes=len(outcome.result or ""),
            )
        )
        await self._store.record_run(kind.name, seconds, self._buffer.phases)
        return json.loads(outcome.result or "null")

    async def _run_child(self, kind: Kind) -> RunOutcome:
        """Run the job's process inside a span."""
        with process_of(kind, self._job.attemptsStarted) as span:
            try:
                outcome = await self._run_process(kind, span)
            finally:
                record_phases(span, kind, self._buffer.phases, self._buffer.seconds())
            if outcome.failure is not None:
                span.failed(outcome.failure.code)
            return outcome

    async def _run_process(self, kind: Kind, span: Span) -> RunOutcome:
        args = args_of(self._job.data, kind.name, self.queue)
        try:
            secrets, args = self._parts.sealer.secrets(args), self._parts.sealer.open(args)
        except JobFailed as error:
            failure = Failure(error.code, error.message, error.retryable, error.hint or "")
            return RunOutcome(failure=failure)
        if kind.waits:
            await self._leave_slot()
        grant = None
        egress = self._parts.egress if kind.network else None
        if egress is not None:
            grant = await egress.grant(self.job_id)
        assignment = self._assignment(kind, args, secrets, grant, span)
        self._buffer.start()
        if lost := self._job.stalledCounter:
            text = f"worker_lost: this job is started again; {lost} of its workers died or hung"
            self._buffer.add_lines([text])
        try:
            return await self._supervise(kind, assignment)
        finally:
            if egress is not None and grant is not None:
                report = await egress.revoke(grant)
                self._buffer.add_lines(
                    f"blocked: {incident.host}:{incident.port} ({incident.reason}), "
                    f"{incident.count} times"
                    for incident in report.blocked
                )
            await self._buffer.write()

    async def _supervise(self, kind: Kind, assignment: Assignment) -> RunOutcome:
        """Run the process while its progress is written and its files are counted."""
        writing = asyncio.create_task(self._buffer.write_forever())
        share = self._parts.ledger.begin(self._extras.owner or LOCAL_OWNER)
        try:
            return await self._parts.runner.run(
                kind,
                assignment,
                self._buffer.on_message,
                self._stop,
                partial(self._answer, kind),
                share,
            )
        finally:
            share.end()
            writing.cancel()

    def _assignment(
        self, kind: Kind, args: JSON, secrets: Any, grant: EgressGrant | None, span: Span
    ) -> Assignment:
        """What the process gets to know."""
        egress = None
        if grant is not None:
            egress = {
                "proxy_url": grant.proxy_url,
                "username": grant.username,
                "password": grant.password,
            }
        return Assignment(
            job_id=self.job_id,
            kind=kind.name,
            args=args,
            secrets=secrets,
            pdfco_key=self._parts.pdfco_key if kind.uses_pdfco else None,
            attempt=self._job.attemptsStarted,
            deadline_seconds=self._extras.deadline_seconds or kind.deadline_seconds,
            egress=egress,
            saved=json.loads(self._extras.saved) if self._extras.saved else None,
            trace=span.context.to_metadata() if span.context else None,
        )

    async def _answer(self, kind: Kind, message: dict[str, Any]) -> JSON:
        """The reply to a child that asks for something."""
        if message["say"] == "save":
            return {"stored": await self._store.save(message["value"])}
        owner = self._extras.owner or LOCAL_OWNER
        job = (self.queue, self.job_id)
        if message["say"] == "start":
            await self._leave_slot()
            return await self._parts.started.start(job, self._token, owner, kind, message)
        return await self._parts.started.look(job, owner, message["ids"])

    async def _leave_slot(self) -> None:
        """Give the worker's slot to another job while this one waits for others. Where that cannot
        be stored, it keeps its slot.
        """
        if self._slots.may_set_apart(self._job) and await self._store.mark_waiting():
            self._slots.set_apart(self._job)

    def _apply_store_reply(self, reply: int) -> None:
        if reply == STORED_AND_CANCELLED:
            # The event that says so can be lost; this cannot.
            self.stop(Stop.CANCELLED)
        elif reply in (NOT_OURS, NO_JOB):
            self.stop(Stop.LOCK_LOST)

    async def _fail(self, failure: Failure, artifacts: str = "", *, forgiven: str = "") -> None:
        self.failure_code = failure.code
        await self._finish(
            Finish(artifacts=artifacts, failure=encode_failure(failure), forgiven=forgiven)
        )

    async def _finish(self, end: Finish) -> None:
        """Store the end. Raises UnrecoverableError if the job was cancelled."""
        reply = await self._store.finish(end, self._has_lost_lock)
        if self._job.attemptsStarted > 1:
            # What earlier attempts left behind is nobody's now.
            await asyncio.to_thread(
                self._parts.artifacts.keep_only, self.job_id, self._job.attemptsStarted
            )
        if reply == STORED_AND_CANCELLED:
            raise UnrecoverableError(CANCEL_REASON)

    def _has_lost_lock(self) -> bool:
        return self._stop.done() and self._stop.result() is Stop.LOCK_LOST

    async def _end_with_parent(self) -> None:
        """End a subjob whose job was cancelled before it could begin. One that is retried by hand
        may run.
        """
        parent = self._extras.parent
        if parent is None or self._job.attemptsStarted > 1:
            return
        if await self._parts.started.belongs_to_cancelled(parent):
            await self._parts.started.cancel(self.job_id)
            raise UnrecoverableError(CANCEL_REASON)
