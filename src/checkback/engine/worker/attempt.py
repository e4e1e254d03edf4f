"""One attempt of one job in this worker: from BullMQ's hand to a stored end.

Every write is fenced: BullMQ's lock token guards the end, our scripts check the same token for
progress and files. An attempt that lost its lock stores nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from checkback.core.estimates import REMEMBERED_RUNS
from checkback.core.job import JSON, Failure, PhaseStart
from checkback.core.trace_context import TraceContext
from checkback.engine.jobs.codec import (
    CANCEL_REASON,
    args_of,
    encode_artifacts,
    encode_failure,
    encode_phases,
    encode_progress,
    kind_of,
    worker_lost,
)
from checkback.engine.processes.child import Assignment
from checkback.engine.processes.disk_limit import Ledger
from checkback.engine.processes.runner import Runner, RunOutcome, Stop
from checkback.engine.redis import bullmq_scripts
from checkback.engine.redis.connection import RedisConnection, ReplyError, Script
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.instrumentation import process_of, record_phases
from checkback.engine.worker.slots import Slots
from checkback.engine.worker.subjobs import Subjobs
from checkback.kinds import registry
from checkback.kinds.registry import Kind
from checkback.security.auth.callers import LOCAL_OWNER
from checkback.security.egress.client import EgressProxy
from checkback.security.encryption import SecretCipher
from checkback.storage.artifacts import ArtifactStore
from checkback.telemetry.recording import Span

logger = logging.getLogger(__name__)

PROGRESS = Script.named("progress")
ENDING = Script.named("ending")
REMEMBER = Script.named("remember")
SAVE = Script.named("save")
RETURNED = Script.named("returned")
APART = Script.named("apart")

KEPT_LOG_LINES = 1000
KEPT_PHASES = 64
MAX_LOST_WORKERS = 2
"""Lost workers that a job survives; with the third it fails."""
LAST_CHANCE_SECONDS = 10.0
"""How long a job that lost two workers runs before another such job may begin: one that brings its
worker down does so soon, and a job may wait for its own subjobs that have lost as many.
"""
STORED, STORED_AND_CANCELLED, NO_JOB, NOT_OURS = 1, 2, -1, -2
END_RETRY_SECONDS = 0.25
PASSING_REFUSALS = (
    "OOM",
    "MISCONF",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "NOREPLICAS",
    "CLUSTERDOWN",
    "TRYAGAIN",
)
"""What a store says that will take the end of a job later: full, stuck, or changing its master."""


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
        self.queue = queue
        self._job = job
        self._token = token
        self._extras = extras
        self.job_id = job.id
        #: The job's name in BullMQ.
        self.name = job.name
        self.renewed_at = time.monotonic()
        self._stop: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._key = parts.keys.job(queue, self.job_id)
        self._sizes = parts.keys.sizes()
        self._events = parts.keys.queue(queue, "events")
        self._progress: str | None = None
        self._lines: list[str] = []
        self._writing = asyncio.Event()
        self._percent = 0
        self._phase: str | None = None
        self._phases: list[PhaseStart] = []
        self._began = time.monotonic()
        #: Why it failed, once that is known.
        self.failure_code: str | None = None

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
                self._heed(await self._store_said("", []))
                return
            except (EngineUnavailable, ReplyError):
                await asyncio.sleep(END_RETRY_SECONDS)

    async def run(self) -> Any:
        """The result of the job, as BullMQ stores it. Raises for every other end."""
        kind = registry.find(kind_of(self._job.name, self.queue))
        if kind is None:
            message = "No worker here knows this kind of job."
            await self._fail(
                Failure(FailureCode.UNKNOWN_KIND, message, hint="Start the server with its module.")
            )
            raise UnrecoverableError(message)
        if self._job.stalledCounter and not kind.safe_to_repeat:
            message = "The worker that ran this job was lost, and the job may not be repeated."
            await self._fail(
                Failure(FailureCode.WORKER_LOST, message, hint="Look what it did, then retry it.")
            )
            raise UnrecoverableError(message)
        if self._extras.arguments_gone:
            # Our doors refuse to retry such a job; another client did.
            await self._fail(
                Failure(
                    FailureCode.ARGUMENTS_GONE,
                    ArgumentsGone().message,
                    hint=ArgumentsGone.default_hint,
                )
            )
            raise UnrecoverableError(ArgumentsGone().message)
        await self._own_foreign_job()
        await self._end_with_parent()
        lost = self._lost_workers
        if lost > MAX_LOST_WORKERS:
            await self._fail_as_lost(lost)
        async with AsyncExitStack() as places:
            if kind.concurrency is not None:
                free = self._parts.semaphores.setdefault(
                    kind.name, asyncio.Semaphore(kind.concurrency)
                )
                await places.enter_async_context(self._place(free))
            if lost == MAX_LOST_WORKERS:
                await places.enter_async_context(
                    self._place(self._parts.last_chance, LAST_CHANCE_SECONDS)
                )
            return await self._run_kind(kind)

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

    async def _fail_as_lost(self, times: int) -> NoReturn:
        """End a job that may be what its workers died of."""
        failure = worker_lost(times)
        await self._fail(failure, forgiven=str(self._extras.forgiven + times))
        raise UnrecoverableError(failure.message)

    @asynccontextmanager
    async def _place(
        self, places: asyncio.Semaphore, seconds: float | None = None
    ) -> AsyncGenerator[None]:
        """Hold one of these places, for so long at most, unless the attempt is stopped before it
        has one.

        A job that waits has not been begun: should the worker die, it was not the job's doing.
        """
        noted, is_timed = False, False
        taking: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if places.locked():
            noted = await self._count_returned(1)
            taking = asyncio.create_task(places.acquire())
        else:
            # At once: of two that come in the same moment, the second is to see that it has to
            # wait.
            await places.acquire()
            taking.set_result(None)
        try:
            await asyncio.wait({taking, self._stop}, return_when=asyncio.FIRST_COMPLETED)
            if noted:
                await self._count_returned(-1)
            if seconds is not None and taking.done():
                asyncio.get_running_loop().call_later(seconds, places.release)
                is_timed = True
            yield
        finally:
            # One that was stopped while it waited may still have got its place a moment later.
            if not taking.cancel() and not is_timed:
                places.release()

    async def _count_returned(self, number: int) -> bool:
        """Whether that is stored; an outage only makes the count of lost workers too small."""
        try:
            return await self._parts.wire.script(RETURNED, [self._key], [number]) == STORED
        except (EngineUnavailable, ReplyError):
            return False

    async def _run_kind(self, kind: Kind) -> Any:
        if self._stop.done():
            outcome = RunOutcome(stopped=self._stop.result())
        else:
            outcome = await self._run_child(kind)
        if outcome.detail:
            logger.info("job %s (%s): %s", self.job_id, kind.name, outcome.detail)
        if outcome.stopped is Stop.HAND_BACK:
            await self._hand_back()
        if outcome.stopped is Stop.LOCK_LOST:
            raise WaitingChildrenError("The lock was lost; the job is another worker's.")
        if outcome.stopped is Stop.CANCELLED:
            # Who cancelled the job did the same; this is for parts that were started at that very
            # moment.
            await self._parts.started.cancel_all(self.queue, self.job_id)
            raise UnrecoverableError(CANCEL_REASON)
        if outcome.failure is not None:
            await self._fail(outcome.failure, outcome)
            await self._parts.started.cancel_all(self.queue, self.job_id)
            if outcome.failure.retryable:
                raise AttemptFailed(outcome.failure.message)
            raise UnrecoverableError(outcome.failure.message)
        seconds = time.monotonic() - self._began
        progress = encode_progress(self._phase, 100, None, self._phases)
        size = len(outcome.result or "")
        await self._store_end(encode_artifacts(outcome.artifacts), "", progress, "", size)
        await self._remember(kind.name, seconds)
        return json.loads(outcome.result or "null")

    async def _run_child(self, kind: Kind) -> RunOutcome:
        """Run the job's process, and tell of it."""
        with process_of(kind, self._job.attemptsStarted) as span:
            try:
                outcome = await self._run_process(kind, span)
            finally:
                record_phases(span, kind, self._phases, time.monotonic() - self._began)
            if outcome.failure is not None:
                span.failed(outcome.failure.code)
            return outcome

    async def _run_process(self, kind: Kind, span: Span) -> RunOutcome:
        args = args_of(self._job.data, kind.name, self.queue)
        try:
            secrets, args = self._parts.sealer.secrets(args), self._parts.sealer.open(args)
        except JobFailed as error:
            return RunOutcome(
                failure=Failure(error.code, error.message, error.retryable, error.hint or "")
            )
        grant = None
        if kind.network and self._parts.egress is not None:
            grant = await self._parts.egress.grant(self.job_id)
        if kind.waits:
            await self._set_apart()
        attempt = self._job.attemptsStarted
        assignment = Assignment(
            job_id=self.job_id,
            kind=kind.name,
            args=args,
            secrets=secrets,
            pdfco_key=self._parts.pdfco_key if kind.uses_pdfco else None,
            attempt=attempt,
            deadline_seconds=self._extras.deadline_seconds or kind.deadline_seconds,
            egress={
                "proxy_url": grant.proxy_url,
                "username": grant.username,
                "password": grant.password,
            }
            if grant
            else None,
            saved=json.loads(self._extras.saved) if self._extras.saved else None,
            trace=span.context.to_metadata() if span.context else None,
        )
        self._began = time.monotonic()
        if lost := self._job.stalledCounter:
            self._lines.append(
                f"worker_lost: this job is started again; {lost} of its workers died or hung"
            )
        self._say({"say": "progress", "phase": None, "percent": 0, "message": None, "entered": []})
        writing = asyncio.create_task(self._write_said())
        share = self._parts.ledger.begin(self._extras.owner or LOCAL_OWNER)
        try:
            answer = partial(self._answer, kind)
            return await self._parts.runner.run(
                kind, assignment, self._say, self._stop, answer, share
            )
        finally:
            share.end()
            writing.cancel()
            if grant is not None and self._parts.egress is not None:
                report = await self._parts.egress.revoke(grant)
                self._lines += [
                    f"blocked: {one.host}:{one.port} ({one.reason}), {one.count} times"
                    for one in report.blocked
                ]
            await self._write_once()

    def _say(self, message: dict[str, Any]) -> None:
        """Take what the child says; it is stored by the writer, newest progress only."""
        if message["say"] == "log":
            self._lines += message["lines"]
            del self._lines[:-KEPT_LOG_LINES]
        else:
            self._percent = max(self._percent, int(message["percent"]))
            now = time.monotonic()
            self._phases += [
                PhaseStart(phase, max(0.0, min(at, now) - self._began))
                for phase, at in message["entered"]
                if phase
            ]
            del self._phases[KEPT_PHASES:]
            self._phase = message["phase"]
            self._progress = encode_progress(
                self._phase, self._percent, message["message"], self._phases
            )
        self._writing.set()

    async def _answer(self, kind: Kind, message: dict[str, Any]) -> JSON:
        """The reply to a child that asks for something."""
        if message["say"] == "save":
            return {"stored": await self._save(message["value"])}
        owner = self._extras.owner or LOCAL_OWNER
        job = (self.queue, self.job_id)
        if message["say"] == "start":
            await self._set_apart()
            return await self._parts.started.start(job, self._token, owner, kind, message)
        return await self._parts.started.look(job, owner, message["ids"])

    async def _set_apart(self) -> None:
        """Give the slot back: this job waits for others. Where that cannot be stored, it keeps its
        slot.
        """
        if not self._slots.may_set_apart(self._job):
            return
        with contextlib.suppress(EngineUnavailable, ReplyError):
            if await self._parts.wire.script(APART, [self._key], [self._token]) == STORED:
                self._slots.set_apart(self._job)

    async def _save(self, text: str) -> bool:
        """Store what the job wants to keep for a later attempt, unless another attempt has the job
        by now.
        """
        try:
            listed = [self._key, self._sizes]
            return await self._parts.wire.script(SAVE, listed, [self._token, text]) == STORED
        except (EngineUnavailable, ReplyError):
            return False

    async def _write_said(self) -> None:
        while True:
            await self._writing.wait()
            self._writing.clear()
            await self._write_once()

    async def _write_once(self) -> None:
        """Store what was said since the last time."""
        progress, self._progress = self._progress, None
        lines, self._lines = self._lines, []
        if progress is None and not lines:
            return
        # Progress may be lost in an outage; it is only progress.
        with contextlib.suppress(EngineUnavailable, ReplyError):
            self._heed(await self._store_said(progress or "", lines))

    async def _store_said(self, progress: str, lines: list[str]) -> int:
        keys = [self._key, self._events, self._key + ":logs", self._sizes]
        share = self._parts.owner_store_bytes
        return await self._parts.wire.script(
            PROGRESS, keys, [self.job_id, self._token, progress, KEPT_LOG_LINES, share, *lines]
        )

    def _heed(self, reply: int) -> None:
        if reply == STORED_AND_CANCELLED:
            # The event that says so can be lost; this cannot.
            self.stop(Stop.CANCELLED)
        elif reply in (NOT_OURS, NO_JOB):
            self.stop(Stop.LOCK_LOST)

    async def _fail(
        self, failure: Failure, outcome: RunOutcome | None = None, *, forgiven: str = ""
    ) -> None:
        self.failure_code = failure.code
        artifacts = encode_artifacts(outcome.artifacts) if outcome and outcome.artifacts else ""
        await self._store_end(artifacts, encode_failure(failure), "", forgiven)

    async def _store_end(
        self, artifacts: str, failure: str, progress: str, forgiven: str = "", result_bytes: int = 0
    ) -> None:
        """Store what belongs to the end, waiting out an outage or a full store while the lock may
        live.
        """
        while True:
            try:
                reply = await self._parts.wire.script(
                    ENDING,
                    [self._key, self._sizes],
                    [self._token, artifacts, failure, progress, forgiven, result_bytes],
                )
                break
            except (EngineUnavailable, ReplyError) as error:
                if isinstance(error, ReplyError) and not str(error).startswith(PASSING_REFUSALS):
                    raise
                if self._stop.done() and self._stop.result() is Stop.LOCK_LOST:
                    raise WaitingChildrenError("The lock was lost in an outage.") from None
                await asyncio.sleep(END_RETRY_SECONDS)
        if reply in (NOT_OURS, NO_JOB):
            raise WaitingChildrenError("The lock was lost; nothing is stored.")
        if self._job.attemptsStarted > 1:
            # What earlier attempts left behind is nobody's now.
            await asyncio.to_thread(
                self._parts.artifacts.keep_only, self.job_id, self._job.attemptsStarted
            )
        if reply == STORED_AND_CANCELLED:
            raise UnrecoverableError(CANCEL_REASON)

    async def _remember(self, kind: str, seconds: float) -> None:
        """Note how long this took, for the estimates of later jobs; nothing depends on it."""
        run = json.dumps([round(seconds * 1000), encode_phases(self._phases)])
        try:
            await self._parts.wire.script(
                REMEMBER, [self._parts.keys.runs()], [kind, run, REMEMBERED_RUNS]
            )
        except (EngineUnavailable, ReplyError) as error:
            logger.info("how long job %s took was not noted: %s", self.job_id, error)

    async def _hand_back(self) -> None:
        """Put the job back to the front of its queue, with this attempt not counted."""
        keys = self._parts.keys
        names = (
            "active",
            "wait",
            "stalled",
            "paused",
            "meta",
            "limiter",
            "prioritized",
            "marker",
            "events",
        )
        listed = [keys.queue(self.queue, name) for name in names]
        script = bullmq_scripts.script("moveJobFromActiveToWait-9")
        reply = await self._parts.wire.script(script, listed, [self.job_id, self._token, self._key])
        if reply >= 0:
            await self._parts.wire.script(RETURNED, [self._key], [1])
        raise WaitingChildrenError("The job went back to its queue.")

    async def _end_with_parent(self) -> None:
        """End a part whose job was cancelled before it could begin. One that is retried by hand may
        run.
        """
        parent = self._extras.parent
        if parent is None or self._job.attemptsStarted > 1:
            return
        if await self._parts.started.belongs_to_cancelled(parent):
            await self._parts.started.cancel(self.job_id)
            raise UnrecoverableError(CANCEL_REASON)

    async def _own_foreign_job(self) -> None:
        """Give a job that another BullMQ client added its owner and its place in the index."""
        if self._extras.owner is not None:
            return
        await self._parts.wire.transaction(
            [
                ["HSETNX", self._key, "cb:owner", LOCAL_OWNER],
                [
                    "ZADD",
                    self._parts.keys.owner(LOCAL_OWNER),
                    "NX",
                    self._job.timestamp,
                    self.job_id,
                ],
            ]
        )
