"""Two analyses of one page side by side: which ones can be compared, and what a comparison
found.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from checkback.core.job import MAX_RESULT_BYTES, Job
from checkback.core.states import State
from checkback.security.auth.callers import Caller
from checkback.service import Service

ANALYSIS, COMPARISON = "page.analyze", "page.compare"
SCAN_LIMIT = 30


async def comparable(service: Service, caller: Caller, job: Job) -> list[Job]:
    """Other completed analyses of the same URL, newest first, among the newest ``SCAN_LIMIT``."""
    url = _url(job)
    if url is None or not is_finished_analysis(job):
        return []
    page = await service.list(
        caller, owner=job.owner, state=State.COMPLETED, kind=ANALYSIS, limit=SCAN_LIMIT
    )
    ids = [other.id for other in page.jobs if other.id != job.id]
    others = await asyncio.gather(*(service.get_with_args(caller, job_id) for job_id in ids))
    return [other for other in others if _url(other) == url]


def is_finished_analysis(job: Job) -> bool:
    """Whether there is a report on a page."""
    return job.kind == ANALYSIS and job.state is State.COMPLETED


async def comparison(service: Service, caller: Caller, job: Job) -> dict[str, Any] | None:
    """What a completed comparison found, as ``page.compare`` reports it."""
    if job.kind != COMPARISON or job.state is not State.COMPLETED:
        return None
    found: object = await service.result(caller, job.id, most_bytes=MAX_RESULT_BYTES)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _url(job: Job) -> str | None:
    args: object = job.args
    url = cast("dict[str, Any]", args).get("url") if isinstance(args, dict) else None
    return url if isinstance(url, str) else None
