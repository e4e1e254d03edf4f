"""A job on its way into the engine, and what became of it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from checkback.core.job import JSON, Job
from checkback.core.trace_context import TraceContext


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that was checked and may be stored."""

    id: str
    kind: str
    queue: str
    owner: str
    args: Mapping[str, JSON]
    args_hash: str
    attempts: int = 1
    backoff_seconds: float = 2.0
    deadline_seconds: float | None = None
    delay_seconds: float = 0.0
    request_id: str | None = None
    #: ``{"url", "context"}``: who is notified of the end.
    callback: Mapping[str, JSON] | None = None
    #: The trace that the job belongs to.
    trace: TraceContext | None = None
    #: The job that this one is a part of: ``queue id``.
    parent: str | None = None
    #: Whether the owner may have only so many jobs that have not ended.
    has_quota: bool = False


@dataclass(frozen=True, slots=True)
class AddResult:
    job: Job
    existing: bool
    args_hash: str | None
