"""One job: its status, where its time went, its results, and how to query it from code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from checkback.api.dashboard.comparison_view import comparable, comparison, is_finished_analysis
from checkback.api.dashboard.templating import shown
from checkback.core.errors import CheckbackError, NotFound
from checkback.core.job import Artifact, Job
from checkback.core.states import State, may_move
from checkback.dialects import human, mcp_tasks, native, reftrix
from checkback.dialects.pdfco import responses
from checkback.security.auth.callers import Caller, Scope
from checkback.service import Service

LOG_LINES = 200
MAX_TEXT = 4_000
MAX_REPORT_BYTES = 8 * 1024 * 1024
REPORT = "report.json"
PDF = "application/pdf"
MAX_PDFS = 5
MAX_PAGES = 12
PICTURES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})


async def collect(service: Service, caller: Caller, job_id: str, base_url: str) -> dict[str, Any]:
    """Everything that the template shows. Raises NotFound, InvalidInput."""
    job = await service.get_with_args(caller, job_id)
    outlook = await service.outlook(job)
    now = datetime.now(UTC)
    log = await service.log(caller, job.id)
    if job.state is State.COMPLETED:
        await service.mark_read(job)
    report = await _report(service, caller, job)
    may_write = caller.may(Scope.WRITE)
    return {
        "job": job,
        "says": human.sentence(job, outlook, now),
        "segments": human.bar(job, now),
        "log": log[-LOG_LINES:],
        "left_out": max(0, len(log) - LOG_LINES),
        "can_cancel": may_write and may_move(job.state, State.CANCELLED),
        "can_retry": may_write and _can_run_again(job),
        "can_delete": may_write and job.state is not State.ACTIVE,
        "summary": native.summary(job),
        "report": report,
        "pictures": _pictures(job, report),
        "pdfs": _pdfs(job) if may_write else [],
        "comparable": await comparable(service, caller, job) if may_write else [],
        "comparison": await comparison(service, caller, job),
        "text": await _text(service, caller, job) if report is None else None,
        "dialects": _dialects(service, job, now),
        "curl": f"curl -H 'Authorization: Bearer TOKEN' '{base_url}/api/jobs/{job.id}?wait=25'",
        "mcp_call": shown(
            {"name": "job.wait", "arguments": {"job_id": job.id, "wait_seconds": 50}}
        ),
        "next_step": native.next_step(job),
    }


def _can_run_again(job: Job) -> bool:
    return job.state.is_final and may_move(job.state, State.WAITING)


def _pictures(job: Job, report: Mapping[str, Any] | None) -> list[Artifact]:
    """The images of a job, without the one that its report shows."""
    pictures = [item for item in job.artifacts if item.media_type in PICTURES]
    if report is None:
        return pictures
    return [item for item in pictures if item.name != report["picture"]]


async def _report(service: Service, caller: Caller, job: Job) -> dict[str, Any] | None:
    """How a page analysis is shown: its screenshot with the sections drawn over it, palette and
    score.
    """
    if not is_finished_analysis(job):
        return None
    content = await _read(service, caller, job, REPORT, MAX_REPORT_BYTES)
    if content is None:
        return None
    report: dict[str, Any] = json.loads(content)
    return {
        "url": report.get("finalUrl") or report.get("url"),
        "title": report.get("title"),
        "summary": report.get("summary"),
        "palette": native.point(report, "/design/colors/palette") if "design" in report else [],
        "viewports": _viewports(report, job),
        **_layout(_section(report, "layout"), job),
        **_quality(_section(report, "quality")),
    }


def _section(report: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of a report; empty where it was not asked for."""
    return report.get(name) or {}


def _layout(layout: dict[str, Any], job: Job) -> dict[str, Any]:
    """The screenshot of the whole page, its size, and the sections on it."""
    width, height = layout.get("pageSize") or (1, 1)
    screenshot = layout.get("screenshot")
    picture = next((item for item in job.artifacts if item.name == screenshot), None)
    return {
        "picture": picture.name if picture else None,
        "picture_id": picture.id if picture else None,
        "width": width,
        "height": height,
        "sections": layout.get("sections") or [],
    }


def _quality(quality: dict[str, Any]) -> dict[str, Any]:
    """The scores, and what to fix first."""
    return {
        "score": quality.get("overallScore"),
        "grade": quality.get("grade"),
        "axes": quality.get("axes") or {},
        "recommendations": (quality.get("recommendations") or [])[:10],
    }


def _viewports(report: dict[str, Any], job: Job) -> list[dict[str, Any]]:
    """The screenshots at the other window sizes, side by side."""
    by_name = {item.name: item for item in job.artifacts}
    shots: list[dict[str, Any]] = []
    for entry in report.get("artifacts") or ():
        item = by_name.get(entry.get("name"))
        if item is not None and _is_other_size(entry):
            shots.append({"id": item.id, "name": str(entry.get("viewport"))})
    return shots


def _is_other_size(entry: dict[str, Any]) -> bool:
    return entry.get("kind") == "screenshot" and entry.get("viewport") != "base"


def _pdfs(job: Job) -> list[tuple[str, str]]:
    """Names of the job's PDFs, each with the pages to draw as a preview: only existing pages."""
    names = [item.name for item in job.artifacts if item.media_type == PDF][:MAX_PDFS]
    count = _page_count(job)
    if len(names) == 1 and count > 0:
        return [(names[0], f"0-{min(count, MAX_PAGES) - 1}")]
    return [(name, "0") for name in names]


def _page_count(job: Job) -> int:
    """The number of pages that the result names; 0 if it names none."""
    try:
        count = native.point(job.result, "/page_count")
    except LookupError:
        return 0
    return count if isinstance(count, int) else 0


async def _text(service: Service, caller: Caller, job: Job) -> dict[str, str] | None:
    """The beginning of the job's first text file."""
    for item in job.artifacts:
        if item.media_type.startswith("text/"):
            content = await _read(service, caller, job, item.name, MAX_REPORT_BYTES)
            if content is not None:
                return {
                    "name": item.name,
                    "text": content[: MAX_TEXT * 4].decode("utf-8", "replace")[:MAX_TEXT],
                }
    return None


async def _read(service: Service, caller: Caller, job: Job, name: str, limit: int) -> bytes | None:
    with suppress(NotFound, OSError):
        found: tuple[Artifact, Any] = await service.artifact(caller, job.id, name)
        if found[0].size_bytes <= limit:
            return await asyncio.to_thread(found[1].read_bytes)
    return None


def _dialects(service: Service, job: Job, now: datetime) -> list[tuple[str, str]]:
    """The record in the format of each API."""
    records: list[tuple[str, str]] = [("HTTP API", shown(native.job(job, now=now)))]
    with suppress(CheckbackError):
        task = mcp_tasks.task(job, now=now, kept_until=service.kept_until(job, now))
        records.append(("MCP task", shown(task)))
    records.append(_in_product_format(job, now))
    return records


def _in_product_format(job: Job, now: datetime) -> tuple[str, str]:
    if job.queue == reftrix.QUEUE:
        return "ReftrixMCP", shown(reftrix.status(job, "REQUEST-ID"))
    until = job.expires_at or now
    return "PDF.co", shown(responses.check(job, links={}, valid_till=until, duration_ms=0))
