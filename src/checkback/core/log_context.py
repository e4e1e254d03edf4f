"""What every log line says about the work that it was logged for: request, job, attempt, trace."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from checkback.core import request_ids, trace_context


@dataclass(frozen=True, slots=True)
class JobInHand:
    """The job that is being worked on here."""

    id: str
    kind: str
    attempt: int | None = None


job: ContextVar[JobInHand | None] = ContextVar("checkback_job", default=None)


@contextmanager
def working_on(found: JobInHand, *, request_id: str | None = None) -> Generator[None]:
    """Name the job, and the request that it came from, on every line that is logged inside."""
    job_before = job.set(found)
    request_before = request_ids.current.set(request_id)
    try:
        yield
    finally:
        request_ids.current.reset(request_before)
        job.reset(job_before)


def fields() -> dict[str, str | int]:
    """What is known here and now, by the names that the lines have for it."""
    values: dict[str, str | int] = {}
    if (request := request_ids.current.get()) is not None:
        values["request_id"] = request
    if (at := job.get()) is not None:
        values |= {"job_id": at.id, "kind": at.kind}
        if at.attempt is not None:
            values["attempt"] = at.attempt
    if (trace := trace_context.current.get()) is not None:
        values |= {"trace_id": trace.trace_id, "span_id": trace.span_id}
    return values
