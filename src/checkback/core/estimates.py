"""How long a job will still take, estimated from the durations of the last jobs of its kind, and of
the kinds of the jobs before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from checkback.core.job import Job, PhaseStart
from checkback.core.states import State

REMEMBERED_RUNS = 50
"""How many completed runs of each kind are remembered."""

LEAST_RUNS = 5
"""No estimate is made from fewer runs."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known about the rest of a job that has not ended."""

    #: 1 for the next job of its queue; None once it runs.
    queue_position: int | None = None
    #: Until its end. None if too few jobs of its kind, or of the kind of a job before it, have
    #: ended.
    eta_seconds: int | None = None


NO_ESTIMATE = Estimate()


@dataclass(frozen=True, slots=True)
class KindRun:
    """A completed attempt: how long it took, and when its phases began."""

    seconds: float
    phases: tuple[PhaseStart, ...] = ()

    def left_after(self, phase: str | None) -> float | None:
        """How long it still took from the beginning of a phase on; None if it did not have this
        phase.
        """
        if phase is None:
            return self.seconds
        began = next((one.after_seconds for one in self.phases if one.phase == phase), None)
        return None if began is None else max(0.0, self.seconds - began)


@dataclass(frozen=True, slots=True)
class Ahead:
    """A running or waiting job."""

    job_id: str
    kind: str
    #: For how long it has run; 0 for a waiting job.
    elapsed_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """One queue at one moment: running jobs, waiting jobs (the next one first), and the capacity of
    its workers.
    """

    #: How many jobs the running workers run at a time.
    slots: int
    running: tuple[Ahead, ...] = ()
    waiting: tuple[Ahead, ...] = ()
    #: Whether other jobs go before all these: those of other BullMQ clients, or of a lost worker.
    others_first: bool = False

    def position(self, job_id: str) -> int | None:
        """How many jobs wait before a job; None if it is not among those that were looked at."""
        for position, ahead in enumerate(self.waiting):
            if ahead.job_id == job_id:
                return position
        return None

    def kinds(self, place: int) -> set[str]:
        """The kinds of the running jobs, and of those that wait up to a position."""
        return {one.kind for one in (*self.running, *self.waiting[: place + 1])}


def seconds_until_done(
    backlog: Backlog, place: int, typical: Mapping[str, float | None]
) -> int | None:
    """How long it will probably take until the job at a position of the backlog has ended, at least
    1.

    Each job takes the typical time of its kind, in the order in which they wait now, on all slots.
    None if no worker is running, or nothing is known about one of the kinds. The estimate ignores
    that other owners' later jobs may go first, and that a kind may have its own limit.
    """
    known = {kind: seconds for kind, seconds in typical.items() if seconds is not None}
    if backlog.slots == 0 or backlog.others_first or not backlog.kinds(place) <= known.keys():
        return None
    free = _free_slots(backlog, known)
    done = 0.0
    for one in backlog.waiting[: place + 1]:
        done = free[0] + known[one.kind]
        heapq.heapreplace(free, done)
    return max(1, round(done))


def _free_slots(backlog: Backlog, typical: Mapping[str, float]) -> list[float]:
    """In how many seconds each slot will be free, as a heap."""
    free = [max(1.0, typical[one.kind] - one.elapsed_seconds) for one in backlog.running]
    free += [0.0] * (backlog.slots - len(backlog.running))
    heapq.heapify(free)
    return free


def typical_seconds(runs: Sequence[KindRun]) -> float | None:
    """The median time of a whole run; None for fewer than ``LEAST_RUNS``."""
    return median(run.seconds for run in runs) if len(runs) >= LEAST_RUNS else None


def eta_seconds(job: Job, runs: Sequence[KindRun], now: datetime) -> int | None:
    """How long a running job will probably still take, at least 1; None if it is unknown.

    The median of what the runs took from the start of the job's present phase on, less the time
    that the job has spent in this phase.
    """
    if job.state is not State.ACTIVE or job.started_at is None:
        return None
    left = [seconds for run in runs if (seconds := run.left_after(job.phase)) is not None]
    if len(left) < LEAST_RUNS:
        return None
    elapsed = max(0.0, (now - job.started_at).total_seconds())
    in_phase = max(0.0, elapsed - _phase_start(job))
    return max(1, round(median(left) - in_phase))


def _phase_start(job: Job) -> float:
    """Seconds after the start of the attempt at which the present phase began."""
    for start in reversed(job.phases):
        if start.phase == job.phase:
            return start.after_seconds
    return 0.0
