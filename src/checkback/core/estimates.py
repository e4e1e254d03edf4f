"""How long a job will still take, from how long the last jobs of its kind took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from checkback.core.job import Job, PhaseStart
from checkback.core.states import State

REMEMBERED_RUNS = 50
"""So many completed runs of each kind are remembered."""

LEAST_RUNS = 5
"""Of fewer runs nothing is concluded."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of the future of a job that has not ended."""

    #: 1 for the next one of its queue; None once it runs.
    queue_position: int | None = None
    #: None where too few jobs of its kind have ended, or it waits.
    eta_seconds: int | None = None


NO_OUTLOOK = Outlook()


@dataclass(frozen=True, slots=True)
class Run:
    """A completed attempt: how long it took, and when its phases began."""

    seconds: float
    phases: tuple[PhaseStart, ...] = ()

    def left_after(self, phase: str | None) -> float | None:
        """How long it still took from the beginning of a phase on; None where it had no such phase."""
        if phase is None:
            return self.seconds
        began = next((one.after_seconds for one in self.phases if one.phase == phase), None)
        return None if began is None else max(0.0, self.seconds - began)


def typical_seconds(runs: Sequence[Run]) -> float | None:
    """The median time of a whole run; None for fewer than ``LEAST_RUNS``."""
    return median(run.seconds for run in runs) if len(runs) >= LEAST_RUNS else None


def eta_seconds(job: Job, runs: Sequence[Run], now: datetime) -> int | None:
    """How long a running job will probably still take, 1 at the least; None where there is no telling.

    What the runs took from the beginning of the job's present phase on, in the median, less the time that
    it has spent in it.
    """
    if job.state is not State.ACTIVE or job.started_at is None:
        return None
    left = [found for run in runs if (found := run.left_after(job.phase)) is not None]
    if len(left) < LEAST_RUNS:
        return None
    elapsed = max(0.0, (now - job.started_at).total_seconds())
    began = next((one.after_seconds for one in reversed(job.phases) if one.phase == job.phase), 0.0)
    return max(1, round(median(left) - max(0.0, elapsed - began)))
