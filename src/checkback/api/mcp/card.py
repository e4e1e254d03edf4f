"""The card: a live view of a job in the chat, in hosts that support MCP Apps (SEP-1865).

One HTML resource, ``ui://checkback/job``, that loads nothing from outside. A host shows it next to
the result of a tool that starts or follows a job; it then calls ``job.card`` through the host,
which returns everything that the card shows and answers when something has changed. Clients without
MCP Apps get neither listed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastmcp import FastMCP
from fastmcp.apps import UI_MIME_TYPE
from fastmcp.resources import TextResource
from fastmcp.tools.base import ToolResult
from mcp_types import ToolAnnotations
from pydantic import AnyUrl, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from checkback.api.mcp.resources import MAX_READ_BYTES
from checkback.api.mcp.tools.context import (
    ApiTool,
    Arguments,
    JobTool,
    ToolContext,
    checked,
    reply,
    schema_of,
)
from checkback.api.mcp.tools.job_tools import JobId
from checkback.api.mcp.tools.tool_list import CARD, CARD_TOOL
from checkback.api.mcp.tools.tool_names import Names
from checkback.core.errors import NotFound, QuotaExceeded
from checkback.core.estimates import Estimate
from checkback.core.job import Artifact, Job
from checkback.core.states import State, may_move
from checkback.dialects import human, native
from checkback.security.auth.callers import Caller, Scope

HTML = Path(__file__).parent / "card.html"
SHOWN_BY = frozenset(
    {
        "job.status", "job.wait", "job.cancel", "job.retry",
        "page.getJobStatus", "get_job_check", "wait_job_completion",
    }
)  # fmt: skip
"""Tools that show the card, in addition to those that start a job."""

CALLED_BY_CARD = (CARD_TOOL, "job.status", "job.cancel")

MAX_HOLD_SECONDS = 20.0
MAX_REPORT_BYTES = 8 * 1024 * 1024
MAX_TEXT = 2_000
MAX_PALETTE = 8
REPORT = "report.json"
PICTURES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})


class CardInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    job_id: JobId
    seen: Annotated[
        str | None, Field(max_length=64, description="The `seen` of what the card shows now.")
    ] = None
    wait_seconds: Annotated[
        float, Field(ge=0, le=MAX_HOLD_SECONDS, description="Seconds to wait for a change.")
    ] = 0


class BarRecord(TypedDict):
    """A part of the time that a job has taken."""

    name: str
    seconds: float
    share: float
    role: str


class PictureRecord(TypedDict):
    """An image among the job's files, and where it can be read."""

    uri: str
    name: str
    media_type: str


class AxisRecord(TypedDict):
    name: str
    score: float


class PreviewRecord(TypedDict):
    """The result, small enough for a card. All of it may come from a page or a document."""

    title: str | None
    url: str | None
    score: float | None
    grade: str | None
    axes: list[AxisRecord]
    palette: list[str]
    picture: PictureRecord | None
    text: str | None
    text_name: str | None


class CardRecord(TypedDict):
    """What the card shows in addition to the job summary."""

    says: str
    icon: str
    bar: list[BarRecord]
    can_cancel: bool
    page_url: Annotated[
        str | None, Field(description="URL of the job's web page, if the server has one.")
    ]
    preview: PreviewRecord | None
    seen: str


class CardSummary(native.JobSummary):
    """A job summary, with what else the card shows."""

    card: CardRecord


@dataclass(frozen=True, slots=True)
class Card:
    """The handler of ``job.card``. ``base_url`` returns the URL of the web page, if there is
    one.
    """

    tool_context: ToolContext
    base_url: Callable[[], str] | None = None

    async def answer(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        """The job as the card shows it: at once if it is not what the card has seen, else at the
        next change.

        It never counts as reading the result: a person sees the card, but the agent has not read
        it.
        """
        wanted = checked(CardInput, arguments)
        job = await self.tool_context.service.get(caller, wanted.job_id)
        if wanted.seen == _seen(job) and not job.state.is_final:
            job = await self._news(caller, job, wanted.wait_seconds)
        outlook = await self.tool_context.outlook(job)
        card = await self._card(caller, job, outlook, datetime.now(UTC))
        headline = native.headline(job, self.tool_context.steps, outlook)
        return reply({**self.tool_context.record(job, outlook), "card": card}, headline=headline)

    async def _news(self, caller: Caller, job: Job, seconds: float) -> Job:
        before = _seen(job)
        service = self.tool_context.service
        with suppress(TimeoutError, QuotaExceeded):
            async with (
                service.stream(caller),
                asyncio.timeout(seconds),
                aclosing(service.watch(caller, job.id)) as watch,
            ):
                async for job in watch:
                    if _seen(job) != before:
                        break
        return job

    async def _card(self, caller: Caller, job: Job, outlook: Estimate, now: datetime) -> CardRecord:
        return {
            "says": human.sentence(job, outlook, now, with_elapsed=False),
            "icon": human.ICONS[job.state],
            "bar": [_segment(segment) for segment in human.bar(job, now)],
            "can_cancel": caller.may(Scope.WRITE) and may_move(job.state, State.CANCELLED),
            "page_url": None if self.base_url is None else f"{self.base_url()}/jobs/{job.id}",
            "preview": await self._preview(caller, job) if job.state is State.COMPLETED else None,
            "seen": _seen(job),
        }

    async def _preview(self, caller: Caller, job: Job) -> PreviewRecord:
        preview: PreviewRecord = {
            "title": None, "url": None, "score": None, "grade": None, "axes": [], "palette": [],
            "picture": _picture(job, None), "text": None, "text_name": None,
        }  # fmt: skip
        if job.kind == "page.analyze" and (report := await self._report(caller, job)) is not None:
            return preview | _of_report(job, report)  # pyright: ignore[reportReturnType]
        if preview["picture"] is None:
            return preview | await self._first_text(caller, job)  # pyright: ignore[reportReturnType]
        return preview

    async def _first_text(self, caller: Caller, job: Job) -> dict[str, Any]:
        """The beginning of the first text file, if there is one."""
        for item in job.artifacts:
            if item.media_type.startswith("text/"):
                content = await self._read(caller, job, item)
                text = content[: MAX_TEXT * 4].decode("utf-8", "replace")[:MAX_TEXT]
                return {"text": text, "text_name": item.name}
        return {}

    async def _report(self, caller: Caller, job: Job) -> dict[str, Any] | None:
        for item in job.artifacts:
            if item.name == REPORT and (content := await self._read(caller, job, item)):
                return json.loads(content)
        return None

    async def _read(self, caller: Caller, job: Job, item: Artifact) -> bytes:
        with suppress(NotFound, OSError):
            if item.size_bytes <= MAX_REPORT_BYTES:
                _, path = await self.tool_context.service.artifact(caller, job.id, item.name)
                return await asyncio.to_thread(path.read_bytes)
        return b""


def card_tool(tool_context: ToolContext, base_url: Callable[[], str] | None) -> ApiTool:
    """The tool that the card calls: for apps only, and listed only to hosts that support them."""
    return ApiTool.of(
        CARD_TOOL,
        tool_context.guarded(Card(tool_context, base_url).answer),
        title="Job card",
        description=(
            "Report a job to the card that shows it in the chat. Agents use job.status instead."
        ),
        parameters=CardInput.model_json_schema(),
        output_schema=schema_of(CardSummary),
        annotations=ToolAnnotations(
            title="Job card", read_only_hint=True, idempotent_hint=True, open_world_hint=False
        ),
    )


def show_card(tools: Iterable[ApiTool | JobTool]) -> None:
    """Mark every tool whose result is about one job: the card shows it.

    It is metadata next to the tool's schema, which hosts without MCP Apps ignore: no result
    changes.
    """
    for one in tools:
        tool = one.tool if isinstance(one, JobTool) else one
        if tool.name == CARD_TOOL:
            tool.meta = {"ui": {"resourceUri": CARD, "visibility": ["app"]}}
        elif isinstance(one, JobTool) or tool.name in SHOWN_BY:
            tool.meta = {"ui": {"resourceUri": CARD}}


def add_card(server: FastMCP[None], names: Names) -> None:
    """Add the resource. It must not load anything: images come through the host, as data.

    It calls tools by their listed names: a host may refuse calls of other names.
    """
    html = HTML.read_text("utf-8")
    for name in CALLED_BY_CARD:
        html = html.replace(f'"{name}"', f'"{names.shown(name)}"')
    policy: dict[str, list[str]] = {"connectDomains": [], "resourceDomains": [], "frameDomains": []}
    server.add_resource(
        TextResource(
            uri=AnyUrl(CARD),
            name="job-card",
            title="Job card",
            description="A live view of a job in the chat.",
            mime_type=UI_MIME_TYPE,
            meta={"ui": {"csp": policy, "prefersBorder": True}},
            text=html,
        )
    )


def _segment(segment: human.Segment) -> BarRecord:
    return {
        "name": segment.name,
        "seconds": segment.seconds,
        "share": segment.width / human.BAR_WIDTH,
        "role": segment.role,
    }


def _seen(job: Job) -> str:
    """Names what a card shows of a job, except what changes by itself, such as elapsed time."""
    shown = (job.state, job.phase, job.progress, job.message, job.attempts.started, job.finished_at)
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def _picture(job: Job, name: str | None) -> PictureRecord | None:
    """An image of the job that a host can read: the one with that name, or the first."""
    for item in job.artifacts:
        if name in (None, item.name) and _can_be_shown(item):
            uri = f"job://{job.id}/artifacts/{item.id}"
            return {"uri": uri, "name": item.name, "media_type": item.media_type}
    return None


def _can_be_shown(item: Artifact) -> bool:
    return item.media_type in PICTURES and item.size_bytes <= MAX_READ_BYTES


def _section(report: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of a report; empty where it was not asked for."""
    return report.get(name) or {}


def _scores(axes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": name, "score": axis["score"]} for name, axis in axes.items()]


def _of_report(job: Job, report: dict[str, Any]) -> dict[str, Any]:
    quality, layout = _section(report, "quality"), _section(report, "layout")
    return {
        "title": report.get("title"),
        "url": report.get("finalUrl") or report.get("url"),
        "score": quality.get("overallScore"),
        "grade": quality.get("grade"),
        "axes": _scores(_section(quality, "axes")),
        "palette": _palette(report),
        "picture": _picture(job, layout.get("screenshot") or ""),
    }


def _palette(report: dict[str, Any]) -> list[str]:
    """The most used colors."""
    if "colors" not in (report.get("design") or {}):
        return []
    palette: list[tuple[str, float]] = native.point(report, "/design/colors/palette")
    return [color for color, _ in palette[:MAX_PALETTE]]
