"""The MCP tools for jobs of any kind, ``job.status``, ``job.wait`` and so on, and one tool for each kind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastmcp.tools.base import ToolResult
from mcp_types import ToolAnnotations
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from checkback.core.errors import InvalidInput, TooLarge
from checkback.core.job import MAX_PAGE, Job
from checkback.core.states import State
from checkback.dialects import native
from checkback.doors.mcp_tools import Arguments, Desk, DoorTool, JobTool, Told, checked, reply, schema_of
from checkback.guard.access import Caller
from checkback.kinds import registry

if TYPE_CHECKING:
    from checkback.service import Service

SLICE_CHARACTERS = 20_000
MAX_TEXT_BYTES = 32 * 1024 * 1024

JobId = Annotated[
    str,
    Field(
        # An agent may copy the name of the field out of another tool's answer.
        validation_alias=AliasChoices("job_id", "jobId"),
        description="The id that starting the job gave.",
        json_schema_extra={"format": "uuid"},
    ),
]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OneJob(_Input):
    job_id: JobId


class WaitInput(_Input):
    job_id: JobId
    wait_seconds: Annotated[
        float | None,
        Field(ge=0, allow_inf_nan=False, description="How long to wait at most: 25 if left out, 50 at most."),
    ] = None


class ListInput(_Input):
    state: Annotated[State | None, Field(description="Only jobs in this state.")] = None
    kind: Annotated[str | None, Field(description="Only jobs of this kind.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, description="How many at most.")] = 20
    cursor: Annotated[str | None, Field(description="The cursor of the page before, to go on.")] = None


class ResultInput(_Input):
    job_id: JobId
    pointer: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("pointer", "path"),
            description="JSON pointer to a part of the result, as /sections/0; empty for all of it.",
        ),
    ] = ""
    artifact: Annotated[
        str | None, Field(description="Read this text or JSON artifact instead of the result.")
    ] = None
    offset: Annotated[int, Field(ge=0, description="Where in a long text to go on.")] = 0


class TicketList(TypedDict):
    """Some jobs, newest first."""

    jobs: list[native.Ticket]
    cursor: str | None


class ResultRecord(TypedDict):
    """A result, whole as JSON, or a slice of its text when it is long."""

    job_id: str
    result: Annotated[Any, Field(description="The whole value, when it is short enough.")]
    text: Annotated[str | None, Field(description="A slice of the text, when it is long.")]
    total_characters: int
    next_offset: Annotated[int | None, Field(description="Ask again with this offset; null at the end.")]
    next_step: str
    untrusted: list[str]


class JobTools:
    """The handlers of the tools for jobs of any kind."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def _service(self) -> Service:
        return self._desk.service

    async def status(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        job_id = checked(OneJob, arguments).job_id.lower()
        held = self._desk.early.hold_seconds(caller.owner, job_id)
        job = await self._service.wait(caller, job_id, held)
        self._desk.early.told(caller.owner, job, await self._desk.outlook(job))
        return await self._desk.ticket(job)

    async def wait(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        wanted = checked(WaitInput, arguments)
        seconds = self._desk.wait_seconds if wanted.wait_seconds is None else wanted.wait_seconds
        seconds = min(seconds, self._desk.max_wait_seconds)
        return await self._desk.ticket(await self._desk.wait(caller, wanted.job_id, seconds))

    async def cancel(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        return await self._desk.ticket(await self._service.cancel(caller, checked(OneJob, arguments).job_id))

    async def retry(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        return await self._desk.ticket(await self._service.retry(caller, checked(OneJob, arguments).job_id))

    async def list(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        page = await self._service.list(caller, **checked(ListInput, arguments).model_dump())
        now, steps = datetime.now(UTC), self._desk.steps
        jobs = [native.ticket(job, now=now, steps=steps, max_result_characters=500) for job in page.jobs]
        return reply({"jobs": jobs, "cursor": page.cursor})

    async def result(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        wanted = checked(ResultInput, arguments)
        if wanted.artifact is not None:
            value = await self._artifact(caller, wanted.job_id, wanted.artifact)
        else:
            value = await self._service.result(caller, wanted.job_id)
        try:
            value = native.point(value, wanted.pointer)
        except LookupError:
            raise InvalidInput("The pointer names nothing in this result.") from None
        record = _slice(wanted, value)
        if wanted.artifact is None and record["next_offset"] is None:
            await self._service.mark_read(await self._service.get(caller, wanted.job_id))
        return reply(record)

    async def _artifact(self, caller: Caller, job_id: str, name: str) -> Any:
        found, path = await self._service.artifact(caller, job_id, name)
        if found.size_bytes > MAX_TEXT_BYTES:
            raise TooLarge("This artifact is too large to be read here.", hint="Fetch it from its url.")
        try:
            text = (await asyncio.to_thread(path.read_bytes)).decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput("This artifact is not text.", hint="Fetch it from its url.") from None
        if found.media_type == "application/json":
            with suppress(ValueError):
                return json.loads(text)
        return text


_WAITING = (
    "Wait on the server until a job ends and tell how it ended. Running out of time is no error: the answer "
    "then shows how far the job is, and you call again."
)
_READS = {"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False}
_CANCELS = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True, "openWorldHint": False}
_STARTS = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False}


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    title: str
    description: str
    answer: str
    takes: type[BaseModel]
    gives: Any
    hints: Mapping[str, bool]


_STATUS = "How a job stands now: state, phase, progress, and its result or failure once it has ended."
_RESULT = "Read a completed job's result, or a text artifact of it, whole or in parts."
_LIST = "Your jobs, newest first, also those of earlier sessions."
_CANCEL = "Stop a job in any state. A job that has already ended stays as it is."
_RETRY = "Run a failed or cancelled job again, under the same id."

_TOOLS = (
    _Row("job.status", "Job status", _STATUS, "status", OneJob, native.Ticket, _READS),
    _Row("job.wait", "Wait for a job", _WAITING, "wait", WaitInput, native.Ticket, _READS),
    _Row("job.result", "Job result", _RESULT, "result", ResultInput, ResultRecord, _READS),
    _Row("job.list", "List jobs", _LIST, "list", ListInput, TicketList, _READS),
    _Row("job.cancel", "Cancel a job", _CANCEL, "cancel", OneJob, native.Ticket, _CANCELS),
    _Row("job.retry", "Retry a job", _RETRY, "retry", OneJob, native.Ticket, _STARTS),
)


def job_tools(desk: Desk) -> Iterable[DoorTool]:
    """The tools for jobs of any kind."""
    tools = JobTools(desk)
    for row in _TOOLS:
        yield DoorTool.of(
            row.name,
            desk.guarded(getattr(tools, row.answer)),
            title=row.title,
            description=row.description,
            parameters=row.takes.model_json_schema(),
            output_schema=schema_of(row.gives),
            annotations=ToolAnnotations.model_validate({"title": row.title, **row.hints}),
        )


def kind_tools(desk: Desk, kinds: Iterable[registry.Kind]) -> Iterable[JobTool]:
    """One tool for each kind: it starts a job and waits a moment, for the result or else for a ticket."""
    output = schema_of(native.Ticket)
    for kind in kinds:
        about = f"{kind.description}\n\n" if kind.description else ""
        begin = _beginner(desk, kind)
        tool = DoorTool.of(
            kind.name,
            desk.guarded(_starter(desk, begin)),
            title=kind.title,
            description=f"{about}Runs as a background job: the answer holds the result if it is there within "
            f"{desk.kind_wait_seconds:g} seconds, else a job_id to wait for.",
            parameters=kind.args_model.model_json_schema(),
            output_schema=output,
            annotations=ToolAnnotations(
                title=kind.title, read_only_hint=False, idempotent_hint=False, open_world_hint=kind.network
            ),
        )
        yield JobTool(tool, desk.guarded(begin))


def job_told(desk: Desk) -> Told:
    """The ticket of a job that has ended."""

    async def told(_: Caller, job: Job) -> ToolResult:
        return await desk.ticket(job, is_error=job.state in (State.FAILED, State.CANCELLED))

    return told


def _beginner(desk: Desk, kind: registry.Kind) -> Callable[[Caller, Arguments, str], Awaitable[Job]]:
    async def begin(caller: Caller, arguments: Arguments, identity: str) -> Job:
        return (await desk.service.submit(caller, kind.name, arguments, request_id=identity)).job

    return begin


def _starter(
    desk: Desk, begin: Callable[[Caller, Arguments, str], Awaitable[Job]]
) -> Callable[[Caller, Arguments, str], Awaitable[ToolResult]]:
    told = job_told(desk)

    async def start(caller: Caller, arguments: Arguments, identity: str) -> ToolResult:
        job = await begin(caller, arguments, identity)
        job = await desk.wait(caller, job.id, desk.kind_wait_seconds)
        return await told(caller, job)

    return start


def _slice(wanted: ResultInput, value: Any) -> ResultRecord:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
    whole = wanted.offset == 0 and len(text) <= SLICE_CHARACTERS
    end = min(len(text), wanted.offset + SLICE_CHARACTERS)
    more = None if whole or end >= len(text) else end
    go_on = f"Call again with offset {more}, or with a pointer to the part that you need."
    return {
        "job_id": wanted.job_id,
        "result": value if whole else None,
        "text": None if whole else text[wanted.offset : end],
        "total_characters": len(text),
        "next_offset": more,
        "next_step": "This is all of it." if more is None else go_on,
        "untrusted": ["result", "text"],
    }
