"""A job in the format of MCP's tasks extension (SEP-2663), where a task's id is the job's id.

Pure functions. Words come from our own enums and a kind's declared phases, never from a page or a
document.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from checkback.core.errors import FailureCode
from checkback.core.estimates import NO_ESTIMATE, Estimate
from checkback.core.job import Job
from checkback.core.states import State
from checkback.dialects import native

EXTENSION = "io.modelcontextprotocol/tasks"
PROGRESS_META = "checkback/progress"
"""This key of ``_meta`` has state, phase and percentage as data: tasks have no field for them."""

WORKING, COMPLETED, FAILED, CANCELLED = "working", "completed", "failed", "cancelled"

_LOST = frozenset({FailureCode.WORKER_LOST, FailureCode.UNKNOWN_KIND})
"""Failures of the system, not of the work: only these are a failed task."""


def status(job: Job) -> str:
    """A failed job is a *completed* task whose result is an error; ``failed`` is only for failures
    of the system.
    """
    if not job.state.is_final:
        return WORKING
    if job.state is State.CANCELLED:
        return CANCELLED
    return FAILED if _is_lost(job) else COMPLETED


def _is_lost(job: Job) -> bool:
    return job.state is State.FAILED and job.failure is not None and job.failure.code in _LOST


def task(
    job: Job, *, now: datetime, kept_until: datetime, outlook: Estimate = NO_ESTIMATE
) -> dict[str, Any]:
    """The fields that every response about a task has. ``ttlMs`` counts from ``createdAt``."""
    fields: dict[str, Any] = {
        "taskId": job.id,
        "status": status(job),
        "statusMessage": message(job, outlook),
        "createdAt": native.iso(job.created_at),
        "lastUpdatedAt": native.iso(native.changed_at(job)),
        "ttlMs": max(0, round((kept_until - job.created_at).total_seconds() * 1000)),
        "_meta": {
            PROGRESS_META: {
                "state": job.state.value,
                "phase": job.phase,
                "progress": native.progress(job),
                "queuePosition": outlook.queue_position,
                "etaSeconds": outlook.eta_seconds,
            }
        },
    }
    if (after := native.check_after_seconds(job, now, outlook)) is not None:
        fields["pollIntervalMs"] = after * 1000
    return fields


def message(job: Job, outlook: Estimate = NO_ESTIMATE) -> str:
    """State, phase, percentage and time left, in a few words."""
    words = [f"{job.kind}: {job.state.value}"]
    if outlook.queue_position is not None:
        words.append(f"number {outlook.queue_position} in its queue")
    if job.state is State.ACTIVE:
        words += [job.phase] if job.phase else []
        words.append(f"{native.progress(job)} %")
    if outlook.eta_seconds is not None:
        words.append(f"about {outlook.eta_seconds} s left")
    if job.failure is not None:
        words.append(job.failure.code)
    return ", ".join(words)
