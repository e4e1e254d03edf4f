"""Job records as text and numbers for people: pure functions from a record to what the web page and
the card show.

All text is our own. Text from a page, a document or a job's code is passed on as a separate value,
and the code that shows it escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles

from checkback.core.estimates import Estimate, KindRun, typical_seconds
from checkback.core.job import Job
from checkback.core.states import State

ICONS = {
    State.WAITING: "○",
    State.DELAYED: "◔",
    State.ACTIVE: "◐",
    State.COMPLETED: "●",
    State.FAILED: "✕",
    State.CANCELLED: "⊘",
}
"""Shown in addition to word and color: no state is marked by one of them alone."""

QUEUE_PHASE = "in the queue"
BAR_WIDTH = 1000
_KIND_NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a job's bar, in thousandths of its width."""

    name: str
    x: float
    width: float
    seconds: float
    #: ``queue``, ``past`` or ``now``.
    role: str
    number: int


@dataclass(frozen=True, slots=True)
class KindFigures:
    """How long the last runs of a kind took."""

    kind: str
    median: str
    p95: str
    runs: int


def kind_name(job: Job) -> str:
    """The job's kind, for use in our own sentences: any BullMQ client can add a job with any
    name.
    """
    return job.kind if _KIND_NAME.fullmatch(job.kind) else "unknown"


def one_line(text: str, max_characters: int) -> str:
    """A text from a job's code on one line: no control characters or line
    breaks, cut to a length.
    """
    visible = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(visible.split())
    return line if len(line) <= max_characters else f"{line[: max_characters - 1]}…"


def duration(seconds: float | None) -> str:
    """A time for people: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 120:
        return _two_units(minutes, "min", rest, "s")
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return _two_units(hours, "h", minutes, "min")
    days, hours = divmod(hours, 24)
    return _two_units(days, "d", hours, "h")


def _two_units(amount: int, unit: str, rest: int, unit_of_rest: str) -> str:
    """A time in two units; a rest of 0 is left out."""
    return f"{amount} {unit} {rest} {unit_of_rest}" if rest else f"{amount} {unit}"


def size(count: int) -> str:
    """A number of bytes for people."""
    if count < 1000:
        return f"{count} bytes"
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def ordinal(number: int) -> str:
    ending = (
        "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{ending}"


def sentence(job: Job, estimate: Estimate, now: datetime, *, with_elapsed: bool = True) -> str:
    """A job's status in one line. ``with_elapsed`` adds for how long it has run when its end cannot
    be estimated.
    """
    match job.state:
        case State.WAITING:
            return _waiting_sentence(estimate)
        case State.DELAYED:
            return "Starts later" if job.attempts.made == 0 else "Waiting for the next attempt"
        case State.ACTIVE:
            return _running_sentence(job, estimate, now if with_elapsed else None)
        case State.COMPLETED:
            return f"Completed in {duration(run_seconds(job, now))}"
        case State.FAILED:
            return f"Failed after {duration(run_seconds(job, now))}"
        case State.CANCELLED:
            return "Cancelled"


def _waiting_sentence(estimate: Estimate) -> str:
    position = estimate.queue_position
    text = "Waiting" if position is None else f"{ordinal(position)} in the queue"
    if estimate.eta_seconds is None:
        return text
    return f"{text}, done in about {duration(estimate.eta_seconds)}"


def _running_sentence(job: Job, estimate: Estimate, now: datetime | None) -> str:
    parts = [job.phase or "Running"]
    if job.progress:
        parts.append(f"{job.progress} %")
    if estimate.eta_seconds is not None:
        parts.append(f"about {duration(estimate.eta_seconds)} left")
    elif job.started_at is not None and now is not None:
        parts.append(f"for {duration((now - job.started_at).total_seconds())}")
    return ", ".join(parts)


def run_seconds(job: Job, now: datetime) -> float | None:
    """For how long the latest attempt has run, or ran."""
    if job.started_at is None:
        return None
    return max(0.0, ((job.finished_at or now) - job.started_at).total_seconds())


def bar(job: Job, now: datetime) -> list[Segment]:
    """A job's time as segments: first what it spent in the queue, then its phases."""
    parts = [(QUEUE_PHASE, _queue_seconds(job, now), "queue"), *_phase_times(job, now)]
    total = sum(seconds for _, seconds, _ in parts) or 1.0
    segments: list[Segment] = []
    x = 0.0
    for number, (name, seconds, role) in enumerate(parts):
        width = BAR_WIDTH * seconds / total
        segments.append(Segment(name, round(x, 1), round(width, 1), seconds, role, number % 6))
        x += width
    return segments


def _queue_seconds(job: Job, now: datetime) -> float:
    left_queue_at = job.started_at or job.finished_at or now
    return max(0.0, (left_queue_at - job.created_at).total_seconds())


def _phase_times(job: Job, now: datetime) -> list[tuple[str, float, str]]:
    """Name, seconds and role of each phase of the latest attempt."""
    ran = run_seconds(job, now)
    if ran is None:
        return []
    starts = [(start.phase, min(start.after_seconds, ran)) for start in job.phases]
    if not starts:
        starts = [("running", 0.0)]
    elif starts[0][1] > 0:
        starts.insert(0, ("start", 0.0))
    ends = [start for _, start in starts[1:]] + [ran]
    times: list[tuple[str, float, str]] = []
    for (name, start), end in zip(starts, ends, strict=True):
        is_last = (name, start) == starts[-1]
        role = "now" if is_last and job.state is State.ACTIVE else "past"
        times.append((name, max(0.0, end - start), role))
    return times


def figures(kind: str, runs: Sequence[KindRun]) -> KindFigures | None:
    """Median and 95th percentile of a kind's last runs; None for too few."""
    middle = typical_seconds(runs)
    if middle is None:
        return None
    high = quantiles((run.seconds for run in runs), n=20, method="inclusive")[-1]
    return KindFigures(kind, duration(middle), duration(high), len(runs))
