"""How long a job will still take, from the last runs of its kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from checkback.core.estimates import (
    LEAST_RUNS,
    Ahead,
    Backlog,
    KindRun,
    eta_seconds,
    seconds_until_done,
    typical_seconds,
)
from checkback.core.job import Job, PhaseStart
from checkback.core.states import State

START = datetime(2026, 11, 26, tzinfo=UTC)
PHASES = (PhaseStart("load", 0.0), PhaseStart("draw", 10.0), PhaseStart("tell", 30.0))
RUNS = [KindRun(seconds, PHASES) for seconds in (38.0, 39.0, 40.0, 41.0, 90.0)]


def running(phase: str | None, phases: tuple[PhaseStart, ...] = PHASES) -> Job:
    return Job(
        "id", "k", "jobs", "ada", State.ACTIVE, START, phase=phase, started_at=START, phases=phases
    )


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
def test_what_is_left_is_the_median_of_the_last_runs(
    phase: str | None, elapsed: float, left: int
) -> None:
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


LONG, SHORT = Ahead("r", "long", 4.0), Ahead("s", "short")
TYPICAL = {"long": 10.0, "short": 2.0}


@pytest.mark.parametrize(
    ("slots", "running", "before", "seconds"),
    [
        (1, (), (), 2),  # at once
        (1, (LONG,), (), 8),  # after the one that runs: 6 s are left of it
        (1, (LONG,), (SHORT, SHORT), 12),
        (2, (LONG,), (SHORT, SHORT), 6),  # on the other slot
        (2, (LONG, Ahead("r", "long", 60.0)), (), 3),  # longer than ever: about to end
        (1, (LONG, LONG), (), 8),  # somebody else's worker runs one, too
    ],
)
def test_a_waiting_job_waits_for_what_is_before_it_and_runs(
    slots: int, running: tuple[Ahead, ...], before: tuple[Ahead, ...], seconds: int
) -> None:
    backlog = Backlog(slots, running, (*before, Ahead("mine", "short"), LONG))
    assert backlog.position("mine") == len(before)
    assert seconds_until_done(backlog, len(before), TYPICAL) == seconds


@pytest.mark.parametrize(
    "backlog",
    [
        Backlog(0, (), (SHORT,)),  # no worker is alive
        Backlog(1, (), (SHORT,), others_first=True),
        Backlog(1, (Ahead("r", "new"),), (SHORT,)),  # nobody knows how long that takes
        Backlog(1, (), (Ahead("r", "new"), SHORT)),
    ],
)
def test_nothing_is_foretold_of_a_queue_that_cannot_be_foreseen(backlog: Backlog) -> None:
    assert seconds_until_done(backlog, len(backlog.waiting) - 1, TYPICAL) is None
