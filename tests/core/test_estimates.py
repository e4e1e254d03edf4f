"""How long a job will still take, from the last runs of its kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from checkback.core.estimates import LEAST_RUNS, Run, eta_seconds, typical_seconds
from checkback.core.job import Job, PhaseStart
from checkback.core.states import State

START = datetime(2026, 11, 26, tzinfo=UTC)
PHASES = (PhaseStart("load", 0.0), PhaseStart("draw", 10.0), PhaseStart("tell", 30.0))
RUNS = [Run(seconds, PHASES) for seconds in (38.0, 39.0, 40.0, 41.0, 90.0)]


def running(phase: str | None, phases: tuple[PhaseStart, ...] = PHASES) -> Job:
    return Job("id", "k", "jobs", "ada", State.ACTIVE, START, phase=phase, started_at=START, phases=phases)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("phase", "elapsed", "left"),
    [
        ("load", 4.0, 36),
        ("draw", 10.0, 30),
        ("draw", 15.0, 25),
        ("tell", 31.0, 9),
        ("tell", 500.0, 1),  # longer than ever: about to end
        (None, 10.0, 30),
    ],
)
def test_what_is_left_is_the_median_of_the_last_runs(phase: str | None, elapsed: float, left: int) -> None:
    assert eta_seconds(running(phase), RUNS, after(elapsed)) == left


def test_a_phase_that_began_late_does_not_shorten_what_follows_it() -> None:
    late = (PhaseStart("load", 0.0), PhaseStart("draw", 60.0))
    assert eta_seconds(running("draw", late), RUNS, after(65.0)) == 25


def test_of_few_runs_nothing_is_concluded() -> None:
    few = RUNS[: LEAST_RUNS - 1]
    assert eta_seconds(running("draw"), few, after(12.0)) is None
    assert typical_seconds(few) is None
    assert typical_seconds(RUNS) == 40.0


def test_a_phase_that_no_run_had_tells_nothing() -> None:
    assert eta_seconds(running("unheard of"), RUNS, after(1.0)) is None


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_only_a_running_job_has_an_end_in_sight(state: State) -> None:
    job = Job("id", "k", "jobs", "ada", state, START, started_at=START)
    assert eta_seconds(job, RUNS, after(1.0)) is None
