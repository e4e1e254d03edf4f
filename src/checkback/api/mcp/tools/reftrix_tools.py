"""The tools ``page.analyze`` and ``page.getJobStatus``, as clients of ReftrixMCP call them.

Names, input schemas and envelopes are that wire format; ``checkback.dialects.reftrix`` writes the
answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from fastmcp.tools.base import ToolResult
from mcp_types import ToolAnnotations

from checkback.api.mcp import icons
from checkback.api.mcp.tools.context import (
    ApiTool,
    Arguments,
    JobTool,
    T,
    ToolContext,
    checked,
    current_request_id,
    reply,
)
from checkback.api.mcp.tools.job_tools import OneJob
from checkback.core.errors import (
    AddressBlocked,
    CheckbackError,
    EngineUnavailable,
    FailureCode,
    InvalidInput,
    NotFound,
)
from checkback.core.job import Job
from checkback.core.states import State
from checkback.dialects import human, reftrix
from checkback.kinds import registry
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs, listed_schema
from checkback.security import strict_json
from checkback.security.auth.callers import Caller

if TYPE_CHECKING:
    from checkback.service import Service

KIND = "page.analyze"
STATUS_TOOL = "page.getJobStatus"
REPORT = "report.json"
GONE = (
    "This job does not exist, has expired, or is not yours. Jobs are kept for 24 hours "
    "after they end."
)

_CODES: tuple[tuple[type[CheckbackError], str], ...] = (
    (AddressBlocked, "SSRF_BLOCKED"),
    (InvalidInput, "VALIDATION_ERROR"),
    (NotFound, "JOB_NOT_FOUND"),
    (EngineUnavailable, "REDIS_UNAVAILABLE"),
)
_OWN_FAILURES: dict[str, str] = {
    FailureCode.TIMEOUT: "TIMEOUT_ERROR",
    FailureCode.INVALID_INPUT: "VALIDATION_ERROR",
}
_KNOWN_FAILURES = frozenset(
    {
        "VALIDATION_ERROR",
        "SSRF_BLOCKED",
        "ROBOTS_TXT_BLOCKED",
        "NETWORK_ERROR",
        "TIMEOUT_ERROR",
        "HTTP_ERROR",
        "BROWSER_ERROR",
        "BROWSER_UNAVAILABLE",
        "LAYOUT_ANALYSIS_FAILED",
        "MOTION_DETECTION_FAILED",
        "QUALITY_EVALUATION_FAILED",
    }
)


class OtherKind(NotFound):
    """The job is the caller's own, but of a kind that this tool does not report on."""


class ReftrixTools:
    """The handlers of both tools. ``status_tool`` is the tool that reports on jobs of other kinds,
    if any.
    """

    def __init__(self, tool_context: ToolContext, *, status_tool: str | None = None) -> None:
        self._tool_context = tool_context
        self._status_tool = status_tool

    @property
    def _service(self) -> Service:
        return self._tool_context.service

    async def status(self, caller: Caller, arguments: Arguments, request_id: str) -> ToolResult:
        job = await self._service.get(caller, checked(OneJob, arguments).job_id)
        if job.queue != reftrix.QUEUE:
            raise self._other_kind(job)
        record = reftrix.status(job, request_id)
        self._add_files(record["data"], job)
        return reply(record)

    def _add_files(self, data: dict[str, Any], job: Job) -> None:
        """Name the job's files in its result, if that is an object."""
        result: object = data.get("result")
        if isinstance(result, dict) and job.artifacts:
            data["result"] = {**cast("dict[str, Any]", result), "artifacts": self._files(job)}

    def _files(self, job: Job) -> list[dict[str, Any]]:
        """The files of an analysis, each with a link that opens: an addition to the wire format."""
        return [
            {**reftrix.file(item), "url": self._tool_context.url_of(job, item)}
            for item in job.artifacts
        ]

    def _other_kind(self, job: Job) -> OtherKind:
        message = f"This is a job of kind {human.kind_name(job)}"
        if self._status_tool is None:
            return OtherKind(
                f"{message}; this tool reports only on {self._tool_context.names.shown(KIND)}."
            )
        return OtherKind(
            f"{message}; use {self._tool_context.names.shown(self._status_tool)} for it."
        )

    async def begin(self, caller: Caller, arguments: Arguments, request_id: str) -> Job:
        """Start an analysis."""
        checked(PageAnalyzeArgs, arguments)
        # How to answer concerns this call only; it is not an argument of the job.
        args = {key: value for key, value in arguments.items() if key not in ("async", "run_async")}
        return (await self._service.submit(caller, KIND, args, request_id=request_id)).job

    async def analyze(self, caller: Caller, arguments: Arguments, request_id: str) -> ToolResult:
        job = await self.begin(caller, arguments, request_id)
        if not checked(PageAnalyzeArgs, arguments).run_async:
            # The job is stored: during an outage its id is a better answer than an error.
            with suppress(EngineUnavailable):
                job = await self._tool_context.wait(caller, job.id, self._tool_context.wait_seconds)
        return await self.render_result(caller, job)

    async def render_result(self, caller: Caller, job: Job) -> ToolResult:
        """The answer about an analysis in its current state."""
        if job.state is State.COMPLETED:
            with suppress(
                NotFound
            ):  # another BullMQ worker ran it, which leaves no report: only a status
                return await self._finished(caller, job)
        elif job.state.is_final:
            code, message = _failure(job)
            return _problem(code, message, current_request_id())
        return reply(reftrix.queued(job.id, self._tool_context.names.shown(STATUS_TOOL)))

    async def _finished(self, caller: Caller, job: Job) -> ToolResult:
        given = (await self._service.get_with_args(caller, job.id)).args
        args = PageAnalyzeArgs.model_validate(given)
        _, path = await self._service.artifact(caller, job.id, REPORT)
        report = json.loads(await asyncio.to_thread(path.read_bytes))
        data = reftrix.sync_data(report, args.model_dump(mode="json", by_alias=True))
        return reply({"success": True, "data": {**data, "artifacts": self._files(job)}})

    def guarded(
        self, answer: Callable[[Caller, Arguments, str], Awaitable[T]]
    ) -> Callable[[Arguments], Awaitable[T | ToolResult]]:
        """``answer`` with a caller and a request id, and with every error in this wire format's
        envelope.
        """

        async def run(arguments: Arguments) -> T | ToolResult:
            request_id = current_request_id()
            try:
                strict_json.check(arguments)
                await self._tool_context.ready()
                return await answer(self._tool_context.caller(), arguments, request_id)
            except CheckbackError as error:
                return _problem(*_translated(error), request_id)
            except Exception as error:
                masked = self._tool_context.masked(error, request_id)
                return _problem("INTERNAL_ERROR", masked.message, request_id)

        return run


def reftrix_tools(tools: ReftrixTools, wait_seconds: float) -> Iterable[ApiTool | JobTool]:
    """Both tools; ``page.analyze`` only where its kind is installed."""
    yield _status_tool(tools)
    kind = registry.find(KIND)
    if kind is not None:
        yield JobTool(_analyze_tool(tools, kind, wait_seconds), tools.guarded(tools.begin))


def _status_tool(tools: ReftrixTools) -> ApiTool:
    return ApiTool.of(
        STATUS_TOOL,
        tools.guarded(tools.status),
        title="Page Get Job Status",
        description=(
            "Check once on an analysis that page.analyze started in the background. Returns its "
            "state "
            "(waiting, active, completed, failed, delayed), progress from 0 to 100, a summary of "
            "the result "
            "or the reason of a failure. Jobs are kept for 24 hours after they end. For other "
            "kinds of job use job.status. To wait for the end use job.wait."
        ),
        parameters={
            "type": "object",
            "properties": {
                "job_id": {
                    "type": "string",
                    "format": "uuid",
                    "description": "The jobId that page.analyze returned.",
                }
            },
            "required": ["job_id"],
            "additionalProperties": False,
        },
        output_schema=_envelope(),
        annotations=ToolAnnotations(
            title="Page Get Job Status",
            read_only_hint=True,
            idempotent_hint=True,
            open_world_hint=False,
        ),
        icon=icons.PAGE,
    )


def _analyze_tool(tools: ReftrixTools, kind: registry.Kind, wait_seconds: float) -> ApiTool:
    return ApiTool.of(
        KIND,
        tools.guarded(tools.analyze),
        title="Page Analyze",
        description=(
            f"{kind.description} Use page.analyze_batch for several pages, webpage_to_pdf for a "
            "printout. "
            "With async true it returns a jobId at once, for page.getJobStatus; otherwise it "
            f"waits up to {wait_seconds:g} seconds for the report and then returns the jobId."
        ),
        parameters=listed_schema(PageAnalyzeArgs),
        output_schema=_analyze_answers(),
        annotations=ToolAnnotations(
            title="Page Analyze",
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=False,
            open_world_hint=True,
        ),
        icon=icons.PAGE,
    )


def _problem(code: str, message: str, request_id: str) -> ToolResult:
    return reply(reftrix.error(code, message, request_id), is_error=True)


def _translated(error: CheckbackError) -> tuple[str, str]:
    if isinstance(error, OtherKind):
        return "JOB_NOT_FOUND", error.message
    for form, code in _CODES:
        if isinstance(error, form):
            return code, GONE if code == "JOB_NOT_FOUND" else error.message
    # This wire format has no word for it; ours in its spelling is at least true.
    return error.code.upper(), f"{error.message} {error.hint}"


def _failure(job: Job) -> tuple[str, str]:
    if job.failure is None:
        return "INTERNAL_ERROR", f"The analysis is {job.state.value}."
    code: str = job.failure.code
    if code not in _KNOWN_FAILURES:
        code = _OWN_FAILURES.get(code, "INTERNAL_ERROR")
    return code, job.failure.message


def _envelope() -> dict[str, Any]:
    """The schema of an answer and of an error alike: some clients check errors against it, too."""
    return {
        "type": "object",
        "properties": {
            "success": {"type": "boolean"},
            "data": {"type": "object"},
            "metadata": {"type": "object", "properties": {"request_id": {"type": "string"}}},
            "error": {
                "type": "object",
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                "required": ["code", "message"],
            },
        },
    }


def _analyze_answers() -> dict[str, Any]:
    schema = _envelope()
    schema["properties"] |= {
        "async": {"type": "boolean"},
        "jobId": {"type": "string", "format": "uuid"},
        "status": {"type": "string"},
        "message": {"type": "string"},
        "polling": {"type": "object"},
    }
    return schema
