"""The MCP tools for jobs of any kind, ``job.status``, ``job.wait`` and so on, and one tool for each
kind.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NotRequired

from fastmcp.tools.base import ToolResult
from mcp_types import ToolAnnotations
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from checkback.api.mcp import icons
from checkback.api.mcp.tools.context import (
    READS,
    ApiTool,
    Arguments,
    JobTool,
    ResultRenderer,
    ToolContext,
    checked,
    reply,
    schema_of,
)
from checkback.api.mcp.tools.job_files import read_picture, save_file
from checkback.api.mcp.tools.tool_list import MAX_DESCRIPTION_CHARACTERS
from checkback.core import heavy
from checkback.core.error_text import quoted
from checkback.core.errors import InvalidInput, TooLarge
from checkback.core.job import MAX_PAGE, MAX_RESULT_BYTES, Artifact, Job
from checkback.core.states import State
from checkback.dialects import native
from checkback.kinds import registry
from checkback.security.auth.callers import Caller

if TYPE_CHECKING:
    from checkback.service import Service

SLICE_CHARACTERS = 20_000
MAX_TEXT_BYTES = 32 * 1024 * 1024

JobId = Annotated[
    str,
    Field(
        # An agent may copy the name of the field from another tool's result.
        validation_alias=AliasChoices("job_id", "jobId"),
        description="The job id returned when the job was started.",
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
        Field(ge=0, allow_inf_nan=False, description="Seconds to wait, at most 50. Default: 25."),
    ] = None


class ListInput(_Input):
    state: Annotated[State | None, Field(description="Only jobs in this state.")] = None
    kind: Annotated[str | None, Field(description="Only jobs of this kind.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, description="How many jobs at most.")] = 20
    cursor: Annotated[str | None, Field(description="The cursor of the previous page.")] = None


class ResultInput(_Input):
    job_id: JobId
    pointer: Annotated[
        str,
        Field(
            validation_alias=AliasChoices("pointer", "path"),
            description="JSON pointer to a part of the result, such as /sections/0.",
        ),
    ] = ""
    artifact: Annotated[
        str | None,
        Field(description="Name or id of one of the job's files, to read instead of the result."),
    ] = None
    offset: Annotated[
        int, Field(ge=0, description="Character offset to continue a long text from.")
    ] = 0


class SavingResultInput(ResultInput):
    save_as: Annotated[
        str | None,
        Field(
            description="Save the artifact under this new file name in the folder allowed for it."
        ),
    ] = None


class JobRows(TypedDict):
    """Some jobs, newest first."""

    jobs: list[native.JobRow]
    cursor: Annotated[str | None, Field(description="For the next page; null at the end.")]


class DeletedJob(TypedDict):
    """A deleted job."""

    job_id: str
    deleted: bool


class FileRecord(TypedDict):
    """One of a job's files."""

    name: str
    media_type: str
    size_bytes: int
    url: Annotated[str | None, Field(description="A link that downloads it, valid for an hour.")]


class ResultRecord(TypedDict):
    """A result, whole as JSON, or a slice of its text when it is long; or a file."""

    job_id: str
    result: Annotated[Any, Field(description="The whole value, when it is short enough.")]
    text: Annotated[str | None, Field(description="A slice of the text, when it is long.")]
    total_characters: int
    next_offset: Annotated[
        int | None, Field(description="Continue from this offset; null at the end.")
    ]
    file: NotRequired[FileRecord]
    saved_to: NotRequired[Annotated[str, Field(description="Where the file was saved.")]]
    next_step: str
    untrusted: list[str]


class JobTools:
    """The handlers of the tools for jobs of any kind."""

    def __init__(self, tool_context: ToolContext) -> None:
        self._tool_context = tool_context

    @property
    def _service(self) -> Service:
        return self._tool_context.service

    async def status(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        job_id = checked(OneJob, arguments).job_id.lower()
        held = self._tool_context.early.hold_seconds(caller.owner, job_id)
        job = await self._service.wait(caller, job_id, held)
        self._tool_context.early.note(caller.owner, job, await self._tool_context.outlook(job))
        return await self._tool_context.ticket(job)

    async def wait(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        wanted = checked(WaitInput, arguments)
        seconds = (
            self._tool_context.wait_seconds if wanted.wait_seconds is None else wanted.wait_seconds
        )
        seconds = min(seconds, self._tool_context.max_wait_seconds)
        return await self._tool_context.ticket(
            await self._tool_context.wait(caller, wanted.job_id, seconds, or_refuse=True)
        )

    async def cancel(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        return await self._tool_context.ticket(
            await self._service.cancel(caller, checked(OneJob, arguments).job_id)
        )

    async def retry(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        return await self._tool_context.ticket(
            await self._service.retry(caller, checked(OneJob, arguments).job_id)
        )

    async def delete(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        job_id = checked(OneJob, arguments).job_id.lower()
        await self._service.delete(caller, job_id)
        return reply({"job_id": job_id, "deleted": True})

    async def list(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        page = await self._service.list(caller, **checked(ListInput, arguments).model_dump())
        return reply({"jobs": [native.row(job) for job in page.jobs], "cursor": page.cursor})

    async def result(self, caller: Caller, arguments: Arguments, _: str) -> ToolResult:
        form = ResultInput if self._tool_context.save_folder is None else SavingResultInput
        wanted = checked(form, arguments)
        if isinstance(wanted, SavingResultInput) and wanted.save_as is not None:
            return await self._save(caller, wanted, wanted.save_as)
        if wanted.artifact is not None:
            return await self._artifact(caller, wanted, wanted.artifact)
        value = await self._service.result(caller, wanted.job_id, most_bytes=MAX_RESULT_BYTES)
        record = _part(wanted, value)
        if record["next_offset"] is None:
            await self._service.mark_read(await self._service.get(caller, wanted.job_id))
        return reply(record)

    async def _artifact(self, caller: Caller, wanted: ResultInput, name: str) -> ToolResult:
        """One of the job's files: an image to look at, text to read, or else a link to download
        it.
        """
        item, path = await self._service.artifact(caller, wanted.job_id, name)
        file = await self._file(caller, wanted.job_id, item)
        if item.media_type.startswith("image/") and item.media_type != "image/svg+xml":
            return await _shown(wanted, path, file)
        if item.size_bytes > MAX_TEXT_BYTES:
            return _fetched(wanted, file, "This file is too large to be read here")
        try:
            text = (await asyncio.to_thread(path.read_bytes)).decode("utf-8")
        except UnicodeDecodeError:
            return _fetched(wanted, file, "This file is not text")
        value = await _parsed(text, item.media_type)
        return reply({**_part(wanted, value), "file": file})

    async def _save(self, caller: Caller, wanted: ResultInput, name: str) -> ToolResult:
        folder = self._tool_context.save_folder
        if wanted.artifact is None or folder is None:
            raise InvalidInput(
                "`save_as` requires `artifact`.", hint="Name the file to save in `artifact`."
            )
        item, path = await self._service.artifact(caller, wanted.job_id, wanted.artifact)
        saved = await asyncio.to_thread(save_file, path, folder, name)
        record = _without_text(
            wanted, await self._file(caller, wanted.job_id, item), "The file was saved."
        )
        record["saved_to"] = str(saved)
        return reply(record)

    async def _file(self, caller: Caller, job_id: str, item: Artifact) -> FileRecord:
        job = await self._service.get(caller, job_id)
        return {
            "name": item.name,
            "media_type": item.media_type,
            "size_bytes": item.size_bytes,
            "url": self._tool_context.url_of(job, item),
        }


_SAVES = {
    "readOnlyHint": False,
    "destructiveHint": False,
    "idempotentHint": False,
    "openWorldHint": False,
}
_CANCELS = {
    "readOnlyHint": False,
    "destructiveHint": True,
    "idempotentHint": True,
    "openWorldHint": False,
}
_DELETES = _CANCELS
_STARTS = {
    "readOnlyHint": False,
    "destructiveHint": False,
    "idempotentHint": False,
    "openWorldHint": False,
}


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    title: str
    description: str
    answer: str
    takes: type[BaseModel]
    gives: Any
    hints: Mapping[str, bool]


_STATUS = (
    "Report the state, phase and progress of a job of any kind, and its result or failure "
    "once it has ended. Use it to check once; to wait for the end use job.wait. A call that "
    "comes too early is answered a few seconds later."
)
_WAITING = (
    "Wait on the server until a job of any kind ends, and return its state and result. A "
    "timeout is not an error: the tool returns the progress so far, and you call it again. "
    "Use this instead of polling."
)
_RESULT = (
    "Read the result of a completed job of any kind, or one of its files: long text in "
    "parts, images as images, any other file as a download link. Short results are already "
    "in the result of job.wait."
)
_LIST = (
    "List your jobs, newest first, including those of earlier sessions. Use it to find a job "
    "id; use job.status for the details of one job."
)
_CANCEL = (
    "Stop a job in any state; its processes end and its unfinished work is lost. A job that has "
    "already ended is returned unchanged."
)
_RETRY = (
    "Run a failed or cancelled job again under the same id and with the same arguments. To change "
    "arguments, start a new job."
)

_DELETE = (
    "Delete an ended or waiting job for good, with its result, log and files. This cannot be "
    "undone. To delete a running job, first stop it with job.cancel."
)

_TOOLS = (
    _Row("job.status", "Job status", _STATUS, "status", OneJob, native.JobSummary, READS),
    _Row("job.wait", "Wait for a job", _WAITING, "wait", WaitInput, native.JobSummary, READS),
    _Row("job.result", "Job result", _RESULT, "result", ResultInput, ResultRecord, READS),
    _Row("job.list", "List jobs", _LIST, "list", ListInput, JobRows, READS),
    _Row("job.cancel", "Cancel a job", _CANCEL, "cancel", OneJob, native.JobSummary, _CANCELS),
    _Row("job.delete", "Delete a job", _DELETE, "delete", OneJob, DeletedJob, _DELETES),
    _Row("job.retry", "Retry a job", _RETRY, "retry", OneJob, native.JobSummary, _STARTS),
)


def _input_of(row: _Row, tool_context: ToolContext) -> tuple[type[BaseModel], Mapping[str, bool]]:
    """What a tool takes, and what it changes: results can be saved where there is a folder."""
    if row.takes is ResultInput and tool_context.save_folder is not None:
        return SavingResultInput, _SAVES
    return row.takes, row.hints


def job_tools(tool_context: ToolContext, names: Collection[str] = ()) -> Iterable[ApiTool]:
    """The tools for jobs of any kind, or only those in ``names``."""
    tools = JobTools(tool_context)
    for row in _TOOLS:
        if names and row.name not in names:
            continue
        takes, hints = _input_of(row, tool_context)
        yield ApiTool.of(
            row.name,
            tool_context.guarded(getattr(tools, row.answer)),
            title=row.title,
            description=row.description,
            parameters=takes.model_json_schema(),
            output_schema=schema_of(row.gives),
            annotations=ToolAnnotations.model_validate({"title": row.title, **hints}),
            icon=icons.JOB,
        )


def kind_tools(tool_context: ToolContext, kinds: Iterable[registry.Kind]) -> Iterable[JobTool]:
    """One tool for each kind: it starts a job, waits a moment, and returns the result or else a job
    summary.
    """
    output = schema_of(native.JobSummary)
    for kind in kinds:
        begin = _beginner(tool_context, kind)
        tool = ApiTool.of(
            kind.name,
            tool_context.guarded(starter(tool_context, begin)),
            title=kind.title,
            description=kind_description(kind, tool_context.kind_wait_seconds),
            parameters=kind.args_schema(),
            output_schema=output,
            annotations=ToolAnnotations(
                title=kind.title,
                read_only_hint=kind.read_only,
                destructive_hint=kind.destructive,
                idempotent_hint=kind.idempotent,
                open_world_hint=kind.network if kind.open_world is None else kind.open_world,
            ),
            icon=icons.PAGE if kind.name.startswith("page.") else icons.JOB,
        )
        yield JobTool(tool, tool_context.guarded(begin))


def kind_description(kind: registry.Kind, wait_seconds: float) -> str:
    """The description of a kind's tool; its last sentence is the same for all, so a long text is
    cut before it.
    """
    end = (
        f"Runs as a background job: returns the result if it is ready within {wait_seconds:g} "
        "seconds, otherwise a job_id for job.wait."
    )
    about = kind.description or f"Run a job of the kind {kind.name}."
    room = MAX_DESCRIPTION_CHARACTERS - len(end) - 1
    return f"{_shortened(about, room)} {end}"


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def job_renderer(tool_context: ToolContext) -> ResultRenderer:
    """The summary of a job that has ended."""

    async def render(_: Caller, job: Job) -> ToolResult:
        return await tool_context.ticket(job, is_error=job.state in (State.FAILED, State.CANCELLED))

    return render


def _beginner(
    tool_context: ToolContext, kind: registry.Kind
) -> Callable[[Caller, Arguments, str], Awaitable[Job]]:
    async def begin(caller: Caller, arguments: Arguments, request_id: str) -> Job:
        return (
            await tool_context.service.submit(caller, kind.name, arguments, request_id=request_id)
        ).job

    return begin


def starter(
    tool_context: ToolContext, begin: Callable[[Caller, Arguments, str], Awaitable[Job]]
) -> Callable[[Caller, Arguments, str], Awaitable[ToolResult]]:
    render = job_renderer(tool_context)

    async def start(caller: Caller, arguments: Arguments, request_id: str) -> ToolResult:
        job = await begin(caller, arguments, request_id)
        job = await tool_context.wait(caller, job.id, tool_context.kind_wait_seconds)
        return await render(caller, job)

    return start


def _part(wanted: ResultInput, value: Any) -> ResultRecord:
    try:
        value = native.point(value, wanted.pointer)
    except LookupError:
        raise InvalidInput(
            f"`pointer`: the result has no part {quoted(wanted.pointer)}.",
            hint="Read the result without `pointer` to see its parts.",
        ) from None
    return _slice(wanted, value)


async def _parsed(text: str, media_type: str) -> Any:
    """The value of a JSON file, else its text."""
    if media_type == "application/json":
        with suppress(ValueError):
            return await heavy.run(json.loads, text, light=len(text) <= heavy.SMALL_BYTES)
    return text


def _slice(wanted: ResultInput, value: Any) -> ResultRecord:
    """The whole value if its text is short, else what there is of the text from an offset on."""
    text = (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
    )
    end = wanted.offset + SLICE_CHARACTERS
    next_offset = end if end < len(text) else None
    record: ResultRecord = {
        "job_id": wanted.job_id,
        "result": None,
        "text": text[wanted.offset : end],
        "total_characters": len(text),
        "next_offset": next_offset,
        "next_step": _next_step(next_offset),
        "untrusted": ["result", "text"],
    }
    is_whole = wanted.offset == 0 and next_offset is None
    if is_whole:
        record["result"], record["text"] = value, None
    return record


def _next_step(next_offset: int | None) -> str:
    if next_offset is None:
        return "This is the whole text."
    return f"Call again with offset {next_offset}, or with a pointer to the part that you need."


def _without_text(wanted: ResultInput, file: FileRecord, next_step: str) -> ResultRecord:
    return {
        "job_id": wanted.job_id,
        "result": None,
        "text": None,
        "total_characters": 0,
        "next_offset": None,
        "file": file,
        "next_step": next_step,
        "untrusted": ["result", "text", "file.name"],
    }


def _fetched(wanted: ResultInput, file: FileRecord, reason: str) -> ToolResult:
    where = (
        "Download the file from file.url."
        if file["url"]
        else "Get the file with `checkback artifact`."
    )
    return reply(_without_text(wanted, file, f"{reason}. {where}"))


async def _shown(wanted: ResultInput, path: Path, file: FileRecord) -> ToolResult:
    try:
        picture = await read_picture(path)
    except (InvalidInput, TooLarge) as error:
        return _fetched(wanted, file, error.message.rstrip("."))
    next_step = "The image follows."
    if picture.is_scaled:
        next_step = (
            f"The image follows, scaled from {picture.original_width} x "
            f"{picture.original_height} to {picture.width} x {picture.height} pixels; "
            "file.url has it in full size."
        )
    if picture.pages > 1:
        next_step += f" Only the first of {picture.pages} pages is shown; file.url has all pages."
    made = reply(_without_text(wanted, file, next_step))
    made.content.append(picture.block)
    return made
