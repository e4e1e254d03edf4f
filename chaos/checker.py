"""Proves promises 1 to 4 from a history alone, or says where they were broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from chaos.history import Event
from chaos.stories import FINAL, Fault, Run, Story, find_faults, tell_stories

RESCUE_SECONDS = 45.0
CANCEL_SECONDS = 5.0
LOST_WORKERS = 3
"""So many lost workers fail a job."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a history shows: broken promises as text, and figures."""

    problems: list[str]
    figures: dict[str, float]


def check(events: list[Event]) -> Verdict:
    """Judge a whole run: every accepted job must have ended when its history does."""
    faults, stories = find_faults(events), list(tell_stories(events).values())
    accepted = [story for story in stories if story.accepted is not None]
    lost = [
        *(problem for story in accepted for problem in _lost(story)),
        *_twins(events),
        *_unknown(stories),
    ]
    stuck = [problem for story in accepted for problem in _stuck(story, faults)]
    replaced = [problem for story in stories for problem in _replaced(story)]
    alive = [problem for story in stories for problem in _alive(story, faults)]
    unexplained = [problem for story in stories for problem in _unexplained(story, faults)]
    pairs = [pair for story in stories for pair in pairwise(story.runs)]
    figures: dict[str, float] = {
        "jobs accepted": len(accepted),
        "checks answered": sum(len(story.answers) for story in stories),
        "faults": len(faults),
        "jobs lost": _count_jobs(lost),
        "jobs stuck": _count_jobs(stuck),
        "results replaced": _count_jobs(replaced),
        "alive after cancel": _count_jobs(alive),
        "ended or started again without cause": _count_jobs(unexplained),
        "jobs cancelled": sum(story.cancelled is not None for story in stories),
        "jobs started again": sum(len(story.runs) > 1 for story in stories),
        "jobs ended twice": sum(
            sum(run.ended is not None for run in story.runs) > 1 for story in stories
        ),
        "attempts of one job at once": sum(later.began < first.last_sign for first, later in pairs),
        "longest rescue, s": round(max((_rescue(*pair, faults) for pair in pairs), default=0), 1),
    }
    return Verdict([*lost, *stuck, *replaced, *alive, *unexplained], figures)


def _count_jobs(problems: list[str]) -> int:
    return len({problem.partition(":")[0] for problem in problems})


def _lost(story: Story) -> Iterator[str]:
    """Promise 1: an id that was handed out is known for ever (nothing expires within a run)."""
    if any(event["asked"] >= (story.accepted or 0) for event in story.missing):
        yield f"{story.id}: accepted, then said not to exist"
    elif not story.answers:
        yield f"{story.id}: accepted, and never heard of again"


def _twins(events: list[Event]) -> Iterator[str]:
    """Promise 1, too: one key is one job, also when the first answer was lost."""
    first: dict[str, str] = {}
    for event in events:
        if (
            event["event"] == "submitted"
            and first.setdefault(event["key"], event["job"]) != event["job"]
        ):
            yield f"{event['job']}: the second job of the key {event['key']}"


def _unknown(stories: list[Story]) -> Iterator[str]:
    """The same where only the second answer came: each submit was repeated until it was
    acknowledged, so a job that ran and that nobody was notified of is the first of two.
    """
    for story in stories:
        if story.runs and story.accepted is None:
            yield f"{story.id}: it ran, and no submit was answered with it"


def _stuck(story: Story, faults: list[Fault]) -> Iterator[str]:
    """Promise 2: it ends, and each attempt is followed by the end or the next
    one within its limit.
    """
    end = story.end
    if end is None:
        if story.answers:
            yield f"{story.id}: still {story.answers[-1]['state']} at the end"
        return
    for began, then in pairwise([*(run.began for run in story.runs), end["finished"] or end["at"]]):
        if then - began > story.deadline + RESCUE_SECONDS + _away(faults, began, then):
            yield f"{story.id}: {then - began:.1f} s from a start to what followed"


def _replaced(story: Story) -> Iterator[str]:
    """Promise 3: a result is seen only when complete, is the same for ever, and so is the state."""
    end = story.end
    if end is None:
        return
    later = [answer for answer in story.answers if answer["asked"] >= end["at"]]
    if any((answer["state"], answer["run"]) != (end["state"], end["run"]) for answer in later):
        yield f"{story.id}: said {end['state']}, and something else later"
    if end["state"] != "completed":
        return
    done = [run for run in story.runs if run.id == end["run"] and run.ended is not None]
    if not done or (done[0].ended or 0) > end["at"]:
        yield f"{story.id}: completed before an attempt had made this result"
    if any(file["run"] != end["run"] for file in story.files):
        yield f"{story.id}: the file and the result are of different attempts"


def _alive(story: Story, faults: list[Fault]) -> Iterator[str]:
    """Promise 4: cancelled once, cancelled for ever, and soon dead (a fault in between adds its
    time).
    """
    if story.cancelled is None:
        return
    limit = story.cancelled + CANCEL_SECONDS
    for fault in faults:
        if fault.began < limit and fault.until > story.cancelled:
            limit += fault.until - max(fault.began, story.cancelled)
    signs = [run.last_sign for run in story.runs]
    if max(signs, default=0) > limit:
        yield f"{story.id}: alive {max(signs) - story.cancelled:.1f} s after it was cancelled"
    if any(
        answer["asked"] >= story.cancelled and answer["state"] != "cancelled"
        for answer in story.answers
    ):
        yield f"{story.id}: cancelled, and said to be something else"


def _unexplained(story: Story, faults: list[Fault]) -> Iterator[str]:
    """Promise 2, from its other side: nothing is taken for lost that was not."""
    for run, later in pairwise(story.runs):
        if not _touched(run, later.began, faults):
            seconds = later.began - run.began
            yield f"{story.id}: started again after {seconds:.1f} s, and nothing had happened"
    end = story.end
    if end is None or end["state"] == "completed":
        return
    finished = end["finished"] or end["at"]
    last = story.runs[-1] if story.runs else None
    match end["code"]:
        case "cancelled":
            fine = bool(story.cancels)
        case "worker_lost":
            # An attempt can die before it says its first word.
            silent = max(0, end["started"] - len(story.runs))
            lost = sum(_touched(run, finished, faults) for run in story.runs) + silent
            fine = lost >= (1 if story.kind == "chaos.once" else LOST_WORKERS)
        case "crashed" | "timeout":
            hit = [fault for fault in faults if fault.hits and last and last.child in fault.hits]
            fine = any(fault.began <= finished for fault in hit)
        case _:
            fine = False
    if not fine:
        yield f"{story.id}: {end['state']} ({end['code']}) without a cause"


def _rescue(run: Run, later: Run, faults: list[Fault]) -> float:
    """From the last sign of life to the next start, less the time without a store."""
    return later.began - run.last_sign - _away(faults, run.last_sign, later.began)


def _away(faults: list[Fault], begin: float, end: float) -> float:
    return sum(_overlap(fault, begin, end) for fault in faults if fault.hits is None)


def _touched(run: Run, before: float, faults: list[Fault]) -> bool:
    return any(fault.may_end(run, before) for fault in faults)


def _overlap(fault: Fault, begin: float, end: float) -> float:
    return max(0.0, min(fault.until, end) - max(fault.began, begin))


def is_final(state: str) -> bool:
    """Whether a job in this state has ended."""
    return state in FINAL
