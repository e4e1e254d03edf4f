"""Why a job gets no room in the store: what ``admit.lua`` answers, as the
errors that callers see.
"""

from __future__ import annotations

from checkback.core.errors import CheckbackError, QueueFull, QuotaExceeded, StorageFull
from checkback.engine.jobs.owner_usage import OwnerUsage
from checkback.security.rate_limits import StoreLimits

TOO_MANY, QUEUE_FULL, DISK_SHARE_FULL, STORE_SHARE_FULL = -1, -2, -4, -5


def no_room(verdict: int, limits: StoreLimits, shares: OwnerUsage) -> CheckbackError:
    """The error for a refused job."""
    if verdict == TOO_MANY:
        return QuotaExceeded(
            f"You may have {limits.owner_jobs} jobs that have not ended, and have them.",
            hint="Wait for some to end, or cancel some.",
        )
    if verdict == QUEUE_FULL:
        return QueueFull(
            f"{limits.queue_jobs} jobs wait in this queue, which is all that it takes."
        )
    if verdict == DISK_SHARE_FULL:
        return QuotaExceeded(
            "The results of your jobs take all the disk that they may.",
            hint="Delete some, or wait until some have expired.",
        )
    if verdict == STORE_SHARE_FULL:
        return shares.refusal()
    return StorageFull("Results and uploads take all the disk that they may.")
