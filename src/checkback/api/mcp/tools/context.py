"""What the MCP tools share: the caller, the form of results and errors, and waiting.

A tool here is a schema and a function from raw arguments to a result. FastMCP would check the
arguments by the signature of a Python function; we do it ourselves, because the schemas of other
products' tools are fixed and their errors have their own envelopes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fastmcp.server.dependencies import get_context, get_http_request
from fastmcp.tools import Tool
from fastmcp.tools.base import ToolResult
from mcp_types import CallToolResult, Icon, TextContent, ToolAnnotations
from pydantic import BaseModel, PrivateAttr, TypeAdapter, ValidationError

from checkback.api.error_responses import mask_unexpected
from checkback.api.mcp.tools.schemas import portable
from checkback.api.mcp.tools.tool_names import Names, underscore
from checkback.api.service_source import ServiceSource
from checkback.api.signed_files import FileLinks, valid_until
from checkback.core.errors import CheckbackError, EngineUnavailable, InvalidInput, QuotaExceeded
from checkback.core.estimates import NO_ESTIMATE, Estimate
from checkback.core.job import JSON, Artifact, Job
from checkback.core.request_ids import resolve_request_id
from checkback.core.states import State
from checkback.core.trace_context import TraceContext
from checkback.dialects import human, native
from checkback.kinds.argument_errors import describe
from checkback.security import strict_json
from checkback.security.auth.callers import Caller

if TYPE_CHECKING:
    from checkback.service import Service

Arguments = dict[str, Any]
Answer = Callable[[Arguments], Awaitable[ToolResult]]
Begin = Callable[[Arguments], Awaitable[Job | ToolResult]]
"""Starts the job of a tool; returns a result if the job is refused."""
ResultRenderer = Callable[[Caller, Job], Awaitable[ToolResult]]
"""The whole result for an ended job, as its tool returns it."""
MAX_MESSAGE = 200
"""How many characters of a job's own message go into a progress notification."""
READS = {
    "readOnlyHint": True,
    "destructiveHint": False,
    "idempotentHint": True,
    "openWorldHint": False,
}
"""The hints of a tool that only reads."""
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class ApiTool(Tool):
    """A tool that is answered by one of our functions."""

    _answer: Answer = PrivateAttr()

    @classmethod
    def of(
        cls,
        name: str,
        answer: Answer,
        *,
        title: str,
        description: str,
        parameters: dict[str, Any],
        output_schema: dict[str, Any] | None,
        annotations: ToolAnnotations,
        icon: Icon | None = None,
    ) -> ApiTool:
        tool = cls(
            name=name,
            title=title,
            description=description,
            parameters=parameters,
            output_schema=output_schema,
            annotations=annotations,
            icons=[icon] if icon is not None else None,
        )
        tool._answer = answer
        return tool

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        from checkback.telemetry.measures import (
            tool_call,
        )  # imported late: listing tools needs no metrics

        with tool_call(self.name, trace_of_message()) as call:
            result = await self._answer(arguments)
            call.is_error = bool(result.is_error)
            return result


@dataclass(frozen=True, slots=True)
class JobTool:
    """A tool that starts a job. Clients with tasks get a task for it, all others its ``answer``."""

    tool: ApiTool
    begin: Begin

    async def begin_task(self, arguments: Arguments) -> Job | ToolResult:
        """``begin``, for a call that returns a task."""
        from checkback.telemetry.measures import tool_call

        with tool_call(self.tool.name, trace_of_message()) as call:
            begun = await self.begin(arguments)
            call.is_error = isinstance(begun, ToolResult) and bool(begun.is_error)
            return begun


@dataclass(slots=True)
class ToolContext:
    """What every tool needs from its server."""

    source: ServiceSource
    #: The caller of the current request. Raises Unauthorized.
    caller: Callable[[], Caller]
    names: Names
    production: bool = True
    wait_seconds: float = 25.0
    max_wait_seconds: float = 50.0
    #: How long a kind's own tool waits for the end before it returns a job summary.
    kind_wait_seconds: float = 2.0
    early: EarlyPolls = field(default_factory=lambda: EarlyPolls())
    #: The URL at which the current client reaches this server's files; None if no server listens.
    base_url: Callable[[], str] | None = None
    #: Whether there is a tool that retries a job.
    has_retry: bool = True
    #: The folder that job.result may save files in, or None.
    save_folder: Path | None = None

    @property
    def service(self) -> Service:
        """The use cases. Every handler of a request awaits ``ready`` first."""
        return self.source.service

    async def ready(self) -> None:
        """Return when there is a service. Raises a CheckbackError that says why there is not."""
        await self.source.ready()

    @property
    def steps(self) -> native.NextSteps:
        """What to do next, with the names of tools as they are listed."""
        return _steps(self.names.dotted, self.has_retry)

    def url_of(self, job: Job, item: Artifact) -> str | None:
        """A signed link to a file of a job, valid for an hour; it opens without a token."""
        if self.base_url is None:
            return None
        return FileLinks(self.service.links, self.base_url()).result(
            job.id, item.name, valid_until(None)
        )

    def record(self, job: Job, outlook: Estimate = NO_ESTIMATE) -> native.JobSummary:
        """What an agent sees of a job, with links that it can open."""
        record = native.ticket(job, now=datetime.now(UTC), steps=self.steps, outlook=outlook)
        for file, item in zip(record["artifacts"], job.artifacts, strict=True):
            file["url"] = self.url_of(job, item) or file["url"]
        return record

    async def wait(
        self, caller: Caller, job_id: str, seconds: float, *, or_refuse: bool = False
    ) -> Job:
        """The job at its end or after ``seconds``, with progress notifications on the way.

        Only this wait ends when the client disconnects; the job continues. ``or_refuse`` is as in
        the service.
        """
        job = await self.service.get(caller, job_id)
        if job.state.is_final or seconds <= 0:
            return job
        last_progress = -1.0
        try:
            async with (
                self.service.stream(caller),
                asyncio.timeout(seconds),
                aclosing(self.service.watch(caller, job_id)) as watch,
            ):
                async for job in watch:
                    last_progress = await _send_progress(job, last_progress)
        except QuotaExceeded:
            if or_refuse:
                raise
        except TimeoutError:
            return await self.service.get(caller, job_id)
        return job

    async def outlook(self, job: Job) -> Estimate:
        """The service's estimate; an outage costs the estimate, not the result."""
        try:
            return await self.service.outlook(job)
        except EngineUnavailable:
            return NO_ESTIMATE

    async def ticket(self, job: Job, *, is_error: bool = False) -> ToolResult:
        """The result that shows one job: one line of our own text, then the record.

        Files are named in the record, with links that open. They are not separate blocks of the
        result: LangChain makes a file of each such block, and the model's API then refuses the
        request.
        """
        outlook = await self.outlook(job)
        record = self.record(job, outlook)
        headline = native.headline(job, self.steps, outlook)
        result = reply(record, headline=headline, is_error=is_error)
        if job.state is State.COMPLETED and not record["result_is_longer"]:
            await self.service.mark_read(job)
        return result

    def guarded(
        self, answer: Callable[[Caller, Arguments, str], Awaitable[T]]
    ) -> Callable[[Arguments], Awaitable[T | ToolResult]]:
        """``answer`` with a caller and a request id, and with every error in our own format."""

        async def run(arguments: Arguments) -> T | ToolResult:
            request_id = current_request_id()
            try:
                strict_json.check(arguments)
                await self.ready()
                return await answer(self.caller(), arguments, request_id)
            except CheckbackError as error:
                return problem(error, request_id)
            except Exception as error:
                return problem(self.masked(error, request_id), request_id)

        return run

    def masked(self, error: Exception, request_id: str) -> CheckbackError:
        """An unexpected error as callers may see it; the log has the rest."""
        return mask_unexpected(error, request_id, production=self.production)


class EarlyPolls:
    """Remembers when each job should be checked again, so that an earlier check is held back.

    An agent cannot sleep: when asked to check later, it checks at once. In memory and bounded;
    losing it is harmless.
    """

    def __init__(
        self,
        *,
        max_jobs: int = 10_000,
        max_hold_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_jobs = max_jobs
        self._max_hold = max_hold_seconds
        self._clock = clock
        self._due: OrderedDict[tuple[str, str], float] = OrderedDict()

    def hold_seconds(self, owner: str, job_id: str) -> float:
        """For how long to hold this check; 0 for the first one and for one that comes in time."""
        due = self._due.get((owner, job_id))
        return 0.0 if due is None else max(0.0, min(self._max_hold, due - self._clock()))

    def note(self, owner: str, job: Job, outlook: Estimate = NO_ESTIMATE) -> None:
        """Note that an owner has just checked a job."""
        after = native.check_after_seconds(job, datetime.now(UTC), outlook)
        self._due.pop((owner, job.id), None)
        if after is not None:
            self._due[owner, job.id] = self._clock() + after
            while len(self._due) > self._max_jobs:
                self._due.popitem(last=False)


def call_result(result: ToolResult) -> CallToolResult:
    """A tool's result as the protocol has it."""
    written = result.to_mcp_result()
    if isinstance(written, CallToolResult):
        return written
    content, structured = written if isinstance(written, tuple) else (written, None)
    return CallToolResult(content=list(content), structured_content=structured)


def reply(
    record: Mapping[str, Any], *, headline: str | None = None, is_error: bool = False
) -> ToolResult:
    """A result: the record as structured content, and as JSON text for clients
    that read only text.
    """
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    content = [TextContent(type="text", text=text)]
    if headline is not None:
        content.insert(0, TextContent(type="text", text=headline))
    return ToolResult(content=content, structured_content=dict(record), is_error=is_error)


def problem(error: CheckbackError, request_id: str) -> ToolResult:
    """A tool result for an error: the one place where our own tools translate errors."""
    text = f"{error.code}: {error.message} {error.hint}"
    return reply(native.error(error, request_id), headline=text, is_error=True)


def checked(model: type[M], arguments: Mapping[str, JSON]) -> M:
    """The arguments as a checked model. Raises InvalidInput that names each wrong one."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        raise InvalidInput(describe(error, model)) from None


def current_request_id() -> str:
    """The request id that the caller sent, in ``_meta`` or as X-Request-Id, or a new one."""
    meta = _meta()
    sent = meta.get("request_id") or meta.get("requestId")
    if sent is None:
        sent = _request_id_header()
    return resolve_request_id(sent)


def _request_id_header() -> str | None:
    with suppress(RuntimeError):  # not over HTTP
        return get_http_request().headers.get("x-request-id")
    return None


def trace_of_message() -> TraceContext | None:
    """The trace that the message names in its ``_meta``, as the protocol defines it (SEP-414)."""
    return TraceContext.from_carrier(_meta().get)


def _meta() -> Mapping[str, Any]:
    context = get_context().request_context
    return (context.meta if context is not None else None) or {}


def schema_of(form: Any) -> dict[str, Any]:
    """The JSON schema of a tool's result, errors included: some clients also check errors against
    it.

    So nothing is required, and ``error`` and ``request_id`` are there.
    """
    schema = portable(TypeAdapter[Any](form).json_schema(mode="serialization"))
    schema["properties"] |= _ERROR_PROPERTIES
    schema.pop("required", None)
    return schema


_ERROR_PROPERTIES: dict[str, Any] = {
    "error": {
        "type": "object",
        "description": "Present only in an error: what is wrong, and what to do about it.",
        "properties": {name: {"type": "string"} for name in ("code", "message", "hint")},
    },
    "request_id": {"type": "string"},
}


async def _send_progress(job: Job, last_progress: float) -> float:
    """Send a progress notification; returns its number, which must be higher than the last one."""
    number = max(float(native.progress(job)), last_progress + 0.01)
    await get_context().report_progress(min(number, 100.0), 100.0, progress_message(job))
    return number


def progress_message(job: Job) -> str:
    """State and phase, then the job's own message, which may be text of a page or document."""
    ours = f"{job.state.value}, {job.phase}" if job.phase else job.state.value
    said = human.one_line(job.message or "", MAX_MESSAGE)
    return f"{ours}: {said}" if said else ours


@cache
def _steps(dotted: bool, has_retry: bool) -> native.NextSteps:
    shown = str if dotted else underscore
    wait, result = shown("job.wait"), shown("job.result")
    again = (
        f"Call {shown('job.retry')} with this job_id"
        if has_retry
        else f"Call {shown('job.submit')}"
    )
    return native.NextSteps(
        wait=f"Call {wait} with this job_id and wait_seconds 50; it returns when the job ends.",
        read=f"The job has completed. Call {result} to read a long result or a file.",
        retry=f"{again} to run it again.",
        give_up="Correct what the failure names, then start a new job, or ask the user.",
        cancelled=f"Nothing is left to do. {again} only if the job is still wanted.",
    )
