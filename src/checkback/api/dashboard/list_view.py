"""The list of jobs: search results, counts of states, and the state of the queues."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from checkback.api.dashboard.search import Search, parse
from checkback.core import ids
from checkback.core.errors import CheckbackError, InvalidInput, NotFound
from checkback.core.estimates import NO_ESTIMATE
from checkback.core.job import MAX_PAGE, Job
from checkback.core.states import State
from checkback.dialects import human
from checkback.security.auth.callers import Caller
from checkback.service import Service

SHOWN = 50
LOOKED_THROUGH = 1000
"""A search looks at this many of the newest jobs."""


async def collect(
    service: Service,
    caller: Caller,
    query: Mapping[str, str],
    workers: Callable[[], Awaitable[int]],
) -> dict[str, Any]:
    """Everything that the template shows. Raises Forbidden for an owner whose jobs the caller may
    not list.
    """
    search = parse(query.get("q", ""))
    owner = _owner(search, caller)
    matches, looked, more = await _search(service, caller, search, owner)
    now = datetime.now(UTC)
    return {
        "search": search,
        "rows": [_row(job, now) for job in matches[:SHOWN]],
        "counts": Counter(job.state for job in looked),
        "looked": len(looked),
        "more": more or len(matches) > SHOWN,
        **_queue(looked, now),
        "workers": await _alive(workers),
        "figures": await _figures(service, looked),
        "shows_owner": owner == "*",
        "changes": _changes_path(owner),
        "links": {state: _link(search, state) for state in State},
        "link_to_all": _link(search, None),
    }


def _changes_path(owner: str | None) -> str:
    return f"/changes?{urlencode({'owner': owner})}" if owner else "/changes"


def _row(job: Job, now: datetime) -> dict[str, Any]:
    return {
        "job": job,
        "says": human.sentence(job, NO_ESTIMATE, now),
        "took": human.run_seconds(job, now),
    }


def _queue(jobs: list[Job], now: datetime) -> dict[str, Any]:
    """How many of the jobs wait, and for how long the oldest of them has waited."""
    waiting = [job for job in jobs if job.state is State.WAITING]
    oldest = min((job.created_at for job in waiting), default=None)
    return {
        "depth": len(waiting),
        "oldest_wait": None if oldest is None else (now - oldest).total_seconds(),
    }


async def _figures(service: Service, jobs: list[Job]) -> list[human.KindFigures]:
    """How long the last runs of each kind took, where enough of them are known."""
    kinds = sorted({job.kind for job in jobs})
    runs_of_kinds = await asyncio.gather(*map(service.runs, kinds))
    figures = map(human.figures, kinds, runs_of_kinds)
    return [kind_figures for kind_figures in figures if kind_figures is not None]


def _owner(search: Search, caller: Caller) -> str | None:
    """Whose jobs are listed: an admin sees everyone's unless one is named."""
    everyone = "*" if caller.is_admin else None
    return search.owner or everyone


async def _search(
    service: Service, caller: Caller, search: Search, owner: str | None
) -> tuple[list[Job], list[Job], bool]:
    """The jobs that match, all jobs that were searched, and whether there are more.

    A whole id is found whatever its age.
    """
    looked: list[Job] = []
    cursor: str | None = None
    while len(looked) < LOOKED_THROUGH:
        page = await service.list(
            caller, owner=owner, kind=search.kind, limit=MAX_PAGE, cursor=cursor
        )
        looked += page.jobs
        cursor = page.cursor
        if cursor is None or _is_past(search.since, looked):
            break
    matches = [job for job in looked if search.finds(job) and search.state in (None, job.state)]
    if not matches and len(search.words) == 1:
        matches = await _by_id(service, caller, search.words[0])
    return matches, looked, cursor is not None


def _is_past(since: datetime | None, jobs: list[Job]) -> bool:
    """Whether the oldest of these jobs is older than the search goes back."""
    return since is not None and bool(jobs) and jobs[-1].created_at < since


async def _by_id(service: Service, caller: Caller, word: str) -> list[Job]:
    try:
        return [await service.get(caller, ids.parse_job_id(word))]
    except (InvalidInput, NotFound):
        return []


async def _alive(workers: Callable[[], Awaitable[int]]) -> int | None:
    try:
        return await workers()
    except CheckbackError:
        return None


def _link(search: Search, state: State | None) -> str:
    """The same search, for jobs in one state."""
    parts = [part for part in search.text.split() if not part.lower().startswith("state:")]
    parts += [f"state:{state.value}"] if state is not None else []
    return "/?" + urlencode({"q": " ".join(parts)})
