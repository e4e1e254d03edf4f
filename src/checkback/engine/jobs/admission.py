"""Why a job gets no room in the store: the answers of ``admit.lua`` as errors."""

from __future__ import annotations

from enum import IntEnum

from checkback.core.errors import CheckbackError, QueueFull, QuotaExceeded, StorageFull
from checkback.engine.jobs.owner_usage import OwnerUsage
from checkback.security.rate_limits import StoreLimits


class Admission(IntEnum):
    """The answers of ``admit.lua``; those below 0 are refusals."""

    ADMITTED = 1
    EXISTS = 0
    TOO_MANY_JOBS = -1
    QUEUE_FULL = -2
    DISK_FULL = -3
    OWNER_DISK_FULL = -4
    OWNER_STORE_FULL = -5


def refusal(answer: int, limits: StoreLimits, usage: OwnerUsage) -> CheckbackError:
    """The error for a refused job."""
    if answer == Admission.TOO_MANY_JOBS:
        return QuotaExceeded(
            f"You have reached your limit of {limits.owner_jobs} unfinished jobs.",
            hint="Wait until some have ended, or cancel some.",
        )
    if answer == Admission.QUEUE_FULL:
        return QueueFull(f"This queue is full: {limits.queue_jobs} jobs are waiting.")
    if answer == Admission.OWNER_DISK_FULL:
        return QuotaExceeded(
            "Your job results have used up your share of the disk.",
            hint="Delete some jobs, or wait until some have expired.",
        )
    if answer == Admission.OWNER_STORE_FULL:
        return usage.refusal()
    return StorageFull("Results and uploads have used up the disk budget.")
