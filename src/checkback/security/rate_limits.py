"""Who may ask for how much: rates for each owner, in memory, and the limits that the engine holds.

The owner ``local`` and admins have no rates and no quotas of their own: they could change them.
Limits of a queue and of the disk hold for everybody.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from checkback.core.errors import QuotaExceeded
from checkback.security.auth.callers import LOCAL_OWNER, Caller
from checkback.security.submit_limits import check_deadline

BURST_SECONDS = 10.0
"""How many seconds' worth of a rate may come at once."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What the engine holds, in the same step in which it stores a job; 0 means no limit."""

    #: Jobs of one owner that have not ended.
    owner_jobs: int = 0
    #: Jobs that wait in one queue, of all owners.
    queue_jobs: int = 0
    #: Bytes that the jobs of one owner may take in the store.
    owner_bytes: int = 0


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """What one process lets each owner do; 0 means no limit. Rates are by the second, over ten
    seconds.
    """

    #: Requests of any sort.
    requests: float = 0
    #: Jobs submitted or retried.
    submits: float = 0
    #: Questions about one and the same job.
    checks: float = 0
    #: Uploads under way at once.
    uploads: int = 0
    #: What an owner's uploads may take on the disk together.
    upload_bytes: int = 0
    #: How many uploads of an owner are kept.
    upload_files: int = 0
    #: Event streams, long waits and subscriptions that are open at once.
    streams: int = 0
    #: The longest ``deadline_seconds`` that a submit may name, unless the kind's own is longer.
    deadline_seconds: float = 0


def has_quota(caller: Caller) -> bool:
    """Whether limits for each owner hold for this caller."""
    return not (caller.is_admin or caller.owner == LOCAL_OWNER)


class Rate:
    """Token buckets by name: ``rate`` a second, ten seconds' worth at once. In memory, bounded."""

    def __init__(
        self,
        rate: float,
        *,
        burst: float | None = None,
        max_names: int = 50_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = max(1.0, rate * BURST_SECONDS if burst is None else burst)
        self._max_names = max_names
        self._clock = clock
        #: What is left, and when that was so; the least recently used first.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take one; returns 0, or the seconds until one is available. Asking too early costs
        nothing.
        """
        if self._rate <= 0:
            return 0.0
        now = self._clock()
        left, then = self._left.pop(name, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        wait = max(0.0, (1 - left) / self._rate)
        if wait == 0:
            left -= 1
        self._left[name] = (left, now)
        while len(self._left) > self._max_names:
            self._left.popitem(last=False)
        return wait


class Quotas:
    """The limits of each owner in one process. Methods raise QuotaExceeded, which says when to try
    again.
    """

    def __init__(self, limits: OwnerLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._requests = Rate(limits.requests, clock=clock)
        self._submits = Rate(limits.submits, clock=clock)
        self._checks = Rate(limits.checks, clock=clock)
        self._uploading: dict[str, int] = {}

    def request(self, caller: Caller) -> None:
        """Count a request of any sort."""
        if has_quota(caller):
            _hold(self._requests.take(caller.owner), "You send too many requests.")

    def submit(self, caller: Caller) -> None:
        """Count a job that is submitted or retried."""
        if has_quota(caller):
            _hold(self._submits.take(caller.owner), "You submit jobs too fast.")

    def deadline(self, caller: Caller, deadline_seconds: float | None, *, of_kind: float) -> None:
        """Raise InvalidInput for a running time that is longer than the caller may ask for."""
        if has_quota(caller):
            check_deadline(deadline_seconds, of_kind=of_kind, most=self.limits.deadline_seconds)

    def check(self, caller: Caller, job_id: str) -> None:
        """Count a question about one job."""
        if has_quota(caller):
            wait = self._checks.take(f"{caller.owner} {job_id}")
            _hold(
                wait,
                "You ask for this job too often.",
                "Wait for its end instead of asking again and again.",
            )

    def begin_upload(
        self, caller: Caller, kept_bytes: int, kept_files: int = 0
    ) -> Callable[[], None]:
        """Count an upload that begins; call what is returned once when it has
        ended, whichever way.
        """
        if not has_quota(caller):
            return lambda: None
        if 0 < self.limits.upload_bytes <= kept_bytes:
            raise QuotaExceeded(
                f"Your uploads take {kept_bytes >> 20} MB, which is all that you may have here.",
                hint="Delete some, or wait: each is removed a day after its last use.",
                retry_after_seconds=600,
            )
        under_way = self._uploading.get(caller.owner, 0)
        if 0 < self.limits.upload_files <= kept_files + under_way:
            raise QuotaExceeded(
                f"You have reached your limit of {self.limits.upload_files} uploads that are kept.",
                hint="Delete some, or wait: each is removed a day after its last use.",
                retry_after_seconds=600,
            )
        if 0 < self.limits.uploads <= under_way:
            raise QuotaExceeded(
                f"{under_way} uploads of yours are under way, which is all that you may have at "
                "once.",
                hint="Wait for one of them to end.",
                retry_after_seconds=5,
            )
        self._uploading[caller.owner] = under_way + 1
        ended = False

        def end() -> None:
            nonlocal ended
            if ended:
                return
            ended = True
            left = self._uploading[caller.owner] - 1
            if left:
                self._uploading[caller.owner] = left
            else:
                del self._uploading[caller.owner]

        return end


def _hold(wait_seconds: float, message: str, advice: str = "Send less at once.") -> None:
    if wait_seconds > 0:
        after = max(1, math.ceil(wait_seconds))
        raise QuotaExceeded(
            message, hint=f"{advice} Try again in {after} s.", retry_after_seconds=after
        )
