"""The query in the search box, such as ``kind:page.analyze state:failed since:2h 01a2``, and the
list that it selects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from checkback.core.error_text import listed, quoted
from checkback.core.job import Job
from checkback.core.states import State

MAX_QUERY = 200
_SINCE = re.compile(r"(\d{1,4})(m|h|d)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search. ``problems`` names the parts that could not be understood."""

    text: str = ""
    kind: str | None = None
    state: State | None = None
    #: ``*`` for all owners; for admins only.
    owner: str | None = None
    since: datetime | None = None
    #: Other words: each must be in the job's id, kind or failure's code.
    words: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def finds(self, job: Job) -> bool:
        """Whether a job matches."""
        if self.since is not None and job.created_at < self.since:
            return False
        code = job.failure.code if job.failure is not None else ""
        return all(
            job.id.startswith(word) or word in job.kind or word == code for word in self.words
        )


def parse(text: str, *, now: datetime | None = None) -> Search:
    """Parse a search. No input is an error: invalid parts are listed in ``problems``."""
    search = Search(text.strip()[:MAX_QUERY])
    words: list[str] = []
    problems: list[str] = []
    for part in search.text.split():
        name, colon, value = part.partition(":")
        if not colon or not value:
            words.append(part.lower())
            continue
        try:
            search = replace(search, **_field(name.lower(), value, now or datetime.now(UTC)))
        except ValueError as error:
            problems.append(str(error))
    return replace(search, words=tuple(words), problems=tuple(problems))


def _field(name: str, value: str, now: datetime) -> Mapping[str, object]:
    match name:
        case "kind" | "owner":
            return {name: value}
        case "state":
            return {"state": _state(value)}
        case "since":
            return {"since": _moment(value, now)}
        case _:
            raise ValueError(f"Unknown filter {quoted(name)}: use kind, state, owner or since.")


def _state(value: str) -> State:
    try:
        return State(value.lower())
    except ValueError:
        raise ValueError(f"Unknown state {quoted(value)}: use {listed(State)}.") from None


def _moment(value: str, now: datetime) -> datetime:
    if (match := _SINCE.fullmatch(value.lower())) is not None:
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(
            f"Invalid time {quoted(value)}: use since:30m, since:2h, since:3d or a date."
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
