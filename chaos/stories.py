"""A history sorted by job and by fault, as the checker reads it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from chaos.history import Event

HOLDS_SECONDS = 12.0
"""Shorter silence of a worker or the store is not a reason to start a job again."""
FINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(slots=True)
class Run:
    """One attempt, as the job itself saw it."""

    id: str
    began: float
    worker: int
    child: int
    last_sign: float
    ended: float | None = None


@dataclass(slots=True)
class Story:
    """Everything that was seen of one job."""

    id: str
    kind: str = ""
    deadline: float = 0.0
    accepted: float | None = None
    runs: list[Run] = field(default_factory=list[Run])
    answers: list[Event] = field(default_factory=list[Event])
    missing: list[Event] = field(default_factory=list[Event])
    files: list[Event] = field(default_factory=list[Event])
    #: When somebody was about to cancel it, and when that was confirmed.
    cancels: list[float] = field(default_factory=list[float])
    cancelled: float | None = None

    @property
    def end(self) -> Event | None:
        """The first answer that called it ended."""
        return next((answer for answer in self.answers if answer["state"] in FINAL), None)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that the nemesis did."""

    what: str
    began: float
    until: float
    #: The processes that it hit; None for all of them.
    hits: frozenset[int] | None

    @property
    def seconds(self) -> float:
        return self.until - self.began

    def may_end(self, run: Run, before: float) -> bool:
        """Whether this can be why a run ended other than by itself, before that time."""
        violent = self.what.startswith(("kill", "end")) and self.hits is not None
        hit = self.hits is None or run.worker in self.hits or run.child in self.hits
        in_time = self.began <= before and self.until >= run.began
        return hit and in_time and (violent or self.seconds > HOLDS_SECONDS)


def tell_stories(events: list[Event]) -> dict[str, Story]:
    """The story of each job that was accepted or ran."""
    stories: defaultdict[str, Story] = defaultdict(lambda: Story(""))
    runs: dict[str, Run] = {}
    for event in events:
        if "job" not in event:
            continue
        story, at = stories[event["job"]], event["at"]
        story.id = event["job"]
        match event["event"]:
            case "submitted":
                story.kind, story.deadline = event["kind"], event["deadline"]
                story.accepted = at if story.accepted is None else story.accepted
            case "start":
                run = Run(event["run"], at, event["worker"], event["child"], at)
                runs[run.id] = run
                story.runs.append(run)
            case "beat":
                runs[event["run"]].last_sign = at
            case "end":
                runs[event["run"]].last_sign = runs[event["run"]].ended = at
            case "answer":
                story.answers.append(event)
            case "missing":
                story.missing.append(event)
            case "file":
                story.files.append(event)
            case "cancel":
                story.cancels.append(at)
            case "cancelled" if event["state"] == "cancelled":
                story.cancelled = at if story.cancelled is None else story.cancelled
            case _:
                pass
    return dict(stories)


def find_faults(events: list[Event]) -> list[Fault]:
    """What the nemesis did, in order."""
    found = [event for event in events if event["event"] == "fault"]
    faults = [
        Fault(
            event["what"],
            event["began"],
            event["at"],
            None if event["hits"] is None else frozenset(event["hits"]),
        )
        for event in found
    ]
    return sorted(faults, key=lambda fault: fault.began)
