"""The job record that every API reads and every dialect translates."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from checkback.core.states import State

JSON = Any
"""A value that ``json.dumps(..., allow_nan=False)`` takes."""

MAX_PAGE = 100
MAX_RESULT_BYTES = 8 * 1024 * 1024
"""Largest result that a server parses: larger ones are downloaded unchanged."""
"""How many jobs one page of a list can have."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, as text that its owner may read."""

    code: str
    message: str
    retryable: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that an attempt has written."""

    id: str
    #: The plain file name that its kind gave it.
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    #: Which attempt wrote it; each attempt has its own folder.
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a job ran: ended attempts, started attempts (a lost worker's too), allowed
    attempts.
    """

    made: int = 0
    started: int = 0
    max: int = 1


@dataclass(frozen=True, slots=True)
class PhaseStart:
    """When an attempt entered a phase."""

    phase: str
    #: Seconds after the attempt's start: one clock, so that differences are durations.
    after_seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """One job at one moment: read in one step, so its fields are consistent."""

    id: str
    kind: str
    queue: str
    owner: str
    state: State
    created_at: datetime
    args: JSON = None
    phase: str | None = None
    #: 0 to 100; never falls within an attempt, 100 only at the end.
    progress: int = 0
    message: str | None = None
    attempts: Attempts = field(default_factory=Attempts)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    deadline_seconds: float | None = None
    result: JSON = None
    artifacts: tuple[Artifact, ...] = ()
    failure: Failure | None = None
    #: The phases of the latest attempt, in the order in which it entered them.
    phases: tuple[PhaseStart, ...] = ()
    #: Whether it has completed and nobody has read its result yet.
    unread: bool = False
