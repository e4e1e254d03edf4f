"""What a worker reports about its attempts: a span around each, its job's names on every log line,
the totals.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from weakref import WeakKeyDictionary

from bullmq import Job as BullJob
from bullmq import UnrecoverableError
from bullmq.custom_errors import DelayedError, WaitingChildrenError

from checkback.core import log_context
from checkback.core.job import PhaseStart
from checkback.core.queue_codec import kind_of
from checkback.core.trace_context import TraceContext
from checkback.engine.jobs.codec import CANCEL_REASON
from checkback.engine.worker.upkeep.totals import Tally
from checkback.kinds import registry
from checkback.kinds.registry import Kind
from checkback.telemetry import recording
from checkback.telemetry.recording import Span, SpanKind

logger = logging.getLogger(__name__)

OTHER_PHASE = "other"
"""Stands for every phase that its kind does not declare."""


class AttemptOutcome(StrEnum):
    """How a job or an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: The attempt failed, and another one follows.
    RETRIED = "retried"
    #: The attempt went back to its queue, or another worker has its job.
    GIVEN_UP = "given_up"


@dataclass(slots=True)
class Timing:
    """How long an attempt took, and how long its job had waited before."""

    run_seconds: float
    wait_seconds: float | None


class Observer:
    """Observes all attempts of one worker."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        #: Of attempts that have run, until BullMQ says that their end is stored.
        self._timings: WeakKeyDictionary[BullJob, Timing] = WeakKeyDictionary()

    @contextmanager
    def attempt(
        self, queue: str, job: BullJob, *, trace: TraceContext | None, request_id: str | None
    ) -> Generator[Span]:
        """Around one attempt: what it logs names the job, and its span continues the submitter's
        trace.

        Every attempt is a child of the submit, also one after a lost worker: which one it is, its
        number says. What passes as an exception says how it ended.
        """
        kind = known_kind(job.name, queue)
        wait = None
        if job.attemptsStarted <= 1:
            wait = max(0.0, time.time() - (job.timestamp + (job.opts.get("delay") or 0)) / 1000)
        problem: BaseException | None = None
        began = time.monotonic()
        in_hand = log_context.JobInHand(job.id, kind, job.attemptsStarted)
        attributes = recording.of_job("run", "process", kind, queue, job.id) | {
            "checkback.job.attempt": job.attemptsStarted
        }
        with (
            recording.span(
                f"run {kind}", SpanKind.CONSUMER, parent=trace, attributes=attributes
            ) as span,
            log_context.working_on(in_hand, request_id=request_id),
        ):
            try:
                yield span
            except BaseException as error:
                problem = error
            outcome, seconds = _outcome(problem), time.monotonic() - began
            span.set({"checkback.outcome": outcome.value})
            if outcome is AttemptOutcome.FAILED and span.error_type is None:
                span.failed(type(problem).__name__)
            if outcome is not AttemptOutcome.GIVEN_UP:
                self._timings[job] = Timing(seconds, wait)
            logger.info(
                "Attempt %d ended: %s, after %.3f s.", job.attemptsStarted, outcome, seconds
            )
        if problem is not None:
            raise problem

    def completed(self, queue: str, job: BullJob) -> None:
        """BullMQ has stored a completed job."""
        self._ended(queue, job, AttemptOutcome.COMPLETED)

    def failed(self, queue: str, job: BullJob, error: Exception) -> None:
        """BullMQ has stored a failed attempt."""
        if CANCEL_REASON in str(error):
            self._ended(queue, job, AttemptOutcome.CANCELLED)
        elif isinstance(error, UnrecoverableError) or job.attemptsMade >= job.opts.get(
            "attempts", 1
        ):
            self._ended(queue, job, AttemptOutcome.FAILED)
        else:
            self._ended(queue, job, AttemptOutcome.RETRIED)

    def _ended(self, queue: str, job: BullJob, outcome: AttemptOutcome) -> None:
        kind = known_kind(job.name, queue)
        timing = self._timings.pop(job, None)
        attributes = {"checkback.job.kind": kind, "checkback.outcome": outcome.value}
        recording.count("checkback.attempts.ended", attributes)
        if timing is not None:
            recording.measure("checkback.attempt.duration", timing.run_seconds, attributes)
            if timing.wait_seconds is not None:
                wait = {"checkback.job.kind": kind}
                recording.measure("checkback.job.wait.duration", timing.wait_seconds, wait)
        self._tally.ended(
            kind,
            outcome.value,
            timing.run_seconds if timing else None,
            timing.wait_seconds if timing else None,
        )


@contextmanager
def process_of(kind: Kind, attempt: int) -> Generator[Span]:
    """The span of a job's own process, recorded here: it holds also where the process is killed,
    and the process needs neither the network nor an exporter's thread for it.
    """
    attributes = {"checkback.job.kind": kind.name, "checkback.job.attempt": attempt}
    with recording.span(f"process {kind.name}", attributes=attributes) as span:
        yield span


def record_phases(span: Span, kind: Kind, phases: list[PhaseStart], seconds: float) -> None:
    """A span for each phase that a job reported; it ended just now after ``seconds``."""
    began_at = time.time() - seconds
    for place, phase in enumerate(phases):
        name = phase.phase if phase.phase in kind.phases else OTHER_PHASE
        end = phases[place + 1].after_seconds if place + 1 < len(phases) else seconds
        attributes = {"checkback.job.phase": name}
        span.part(f"phase {name}", began_at + phase.after_seconds, began_at + end, attributes)


def known_kind(name: str, queue: str) -> str:
    """The kind of a job, if it is one that is loaded here."""
    kind = kind_of(name, queue)
    return kind if registry.find(kind) is not None else recording.UNKNOWN_KIND


def _outcome(problem: BaseException | None) -> AttemptOutcome:
    if problem is None:
        return AttemptOutcome.COMPLETED
    if isinstance(problem, DelayedError | WaitingChildrenError) or not isinstance(
        problem, Exception
    ):
        return AttemptOutcome.GIVEN_UP
    if CANCEL_REASON in str(problem):
        return AttemptOutcome.CANCELLED
    return AttemptOutcome.FAILED
