"""MCP's tasks extension ``io.modelcontextprotocol/tasks`` (SEP-2663): a job is a task, its id the
task's id.

A client opts in with each request. Then a tool that starts a job returns the task at once, and the
client polls it, cancels it, or listens to it; other clients never see tasks. The tool's whole
result is in the task when the job has ended, in the format of the job kind's own tool.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from fastmcp.server.context import Context
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.extensions import (
    MethodBinding,
    ServerExtension,
    ToolCallContinuation,
    ToolCallOutcome,
    read_client_extension_settings,
)
from fastmcp.tools.base import ToolResult
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    Notification,
    NotificationParams,
    RequestParams,
    SubscriptionFilter,
)
from mcp_types.jsonrpc import HEADER_MISMATCH, MISSING_REQUIRED_CLIENT_CAPABILITY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ConfigDict, Field

from checkback.api.mcp.tools.context import JobTool, ResultRenderer, ToolContext, call_result
from checkback.api.mcp.tools.list_changed import ToolListChanges
from checkback.api.mcp.tools.tool_list import speaks_tasks
from checkback.core.clean_text import clean_json
from checkback.core.error_text import quoted
from checkback.core.errors import CheckbackError, InvalidInput, NotFound
from checkback.core.job import Job
from checkback.core.states import State
from checkback.dialects import mcp_tasks
from checkback.security.auth.callers import Caller

if TYPE_CHECKING:
    from checkback.service import Service

MODERN = frozenset(MODERN_PROTOCOL_VERSIONS)
MAX_LISTENED = 100
"""How many tasks one stream can listen to."""

RequestContext = ServerRequestContext[Any, Any]


class TaskIdParams(RequestParams):
    """The parameters of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str


class TaskUpdateParams(TaskIdParams):
    """The parameters of ``tasks/update``."""

    input_responses: dict[str, Any] = Field(default_factory=dict)


class TaskNotificationParams(NotificationParams):
    """The fields of ``tasks/get``."""

    model_config = ConfigDict(extra="allow")


class TaskNotification(Notification[TaskNotificationParams, Literal["notifications/tasks"]]):
    """Sent to each listener of a task at each of its changes."""

    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: TaskNotificationParams


class _Wire(BaseModel):
    """A result that is sent unchanged."""

    model_config = ConfigDict(extra="allow")


class Tasks(ServerExtension):
    """Handles tasks. ``tools`` are those that start jobs, by name; ``renderer_of`` returns what
    renders the result of a job.

    ``task_only`` names tools that refuse a client without tasks, with error -32021.
    """

    identifier = mcp_tasks.EXTENSION

    def __init__(
        self,
        tool_context: ToolContext,
        tools: Mapping[str, JobTool],
        renderer_of: Callable[[Job], ResultRenderer],
        *,
        task_only: Collection[str] = (),
        tool_changes: ToolListChanges | None = None,
    ) -> None:
        self._tool_context = tool_context
        self._tool_changes = tool_changes
        self._tools = tools
        self._renderer_of = renderer_of
        self._task_only = frozenset(task_only)

    @property
    def _service(self) -> Service:
        return self._tool_context.service

    def methods(self) -> list[MethodBinding]:
        return [
            MethodBinding("tasks/get", TaskIdParams, self._get, MODERN),
            MethodBinding("tasks/update", TaskUpdateParams, self._update, MODERN),
            MethodBinding("tasks/cancel", TaskIdParams, self._cancel, MODERN),
        ]

    def answers(self, context: Context, tool: str) -> bool:
        """Whether a call of this tool returns a task, or is refused because the client does not
        support tasks.
        """
        if tool not in self._tools:
            return False
        return speaks_tasks(context) or tool in self._task_only

    async def intercept_tool_call(
        self, params: CallToolRequestParams, context: Context, call_next: ToolCallContinuation
    ) -> ToolCallOutcome:
        tool = self._tools.get(params.name)
        if tool is None:
            return await call_next()
        if not speaks_tasks(context):
            if params.name in self._task_only:
                raise _missing_capability()
            return await call_next()
        job = await tool.begin_task(params.arguments or {})
        if isinstance(job, ToolResult):  # refused: an input error is a result of the tool
            return job
        return _Wire.model_validate({"resultType": "task", **await self._fields(job)})

    async def _get(self, ctx: RequestContext, params: TaskIdParams) -> dict[str, Any]:
        caller, job = await self._read(ctx, params.task_id)
        return {"resultType": "complete", **await self._detailed(caller, job)}

    async def _update(self, ctx: RequestContext, params: TaskUpdateParams) -> dict[str, Any]:
        # No job asks for input while it runs: what arrives here answers a question that was not
        # asked.
        await self._read(ctx, params.task_id)
        return {"resultType": "complete"}

    async def _cancel(self, ctx: RequestContext, params: TaskIdParams) -> dict[str, Any]:
        caller, job = await self._read(ctx, params.task_id)
        try:
            await self._service.cancel(caller, job.id)
        except CheckbackError as error:
            raise _refusal(error, job.id) from None
        return {"resultType": "complete"}

    async def listened(
        self, ctx: RequestContext, caller: Caller, asked: SubscriptionFilter
    ) -> list[str]:
        """Those of the tasks in ``subscriptions/listen`` that are the caller's; others are ignored
        silently.
        """
        if read_client_extension_settings(ctx, self.identifier) is None:
            return []
        task_ids: Any = (asked.model_extra or {}).get("taskIds") or []
        if not isinstance(task_ids, list) or len(task_ids) > MAX_LISTENED:  # pyright: ignore[reportUnknownArgumentType]
            raise MCPError(
                code=INVALID_PARAMS,
                message=f"`taskIds` must be a list of at most {MAX_LISTENED} ids.",
            )
        wanted: dict[str, None] = {}
        for task_id in task_ids:  # pyright: ignore[reportUnknownVariableType]
            try:
                wanted[(await self._service.get(caller, str(task_id))).id] = None  # pyright: ignore[reportUnknownArgumentType]
            except (NotFound, InvalidInput):
                continue
            except CheckbackError as error:
                raise _refusal(error, "") from None
        return list(wanted)

    async def follow(self, ctx: RequestContext, caller: Caller, job_id: str, meta: Any) -> None:
        """Send a listening client every change of a task until it has ended."""
        try:
            async with aclosing(self._service.watch(caller, job_id)) as watch:
                async for job in watch:
                    fields = await self._detailed(caller, job)
                    fields["_meta"] = {**fields["_meta"], **meta}
                    note = TaskNotification(params=TaskNotificationParams.model_validate(fields))
                    await ctx.session.send_notification(note, related_request_id=ctx.request_id)  # pyright: ignore[reportArgumentType]
        except NotFound:
            return  # it has expired

    async def _read(self, ctx: RequestContext, task_id: str) -> tuple[Caller, Job]:
        """The caller and the job. Raises the protocol's errors."""
        if read_client_extension_settings(ctx, self.identifier) is None:
            raise _missing_capability()
        _check_name_header(task_id)
        caller = await self._caller()
        try:
            return caller, await self._service.get(caller, task_id)
        except CheckbackError as error:
            raise _refusal(error, task_id) from None

    async def _detailed(self, caller: Caller, job: Job) -> dict[str, Any]:
        fields = await self._fields(job)
        match fields["status"]:
            case mcp_tasks.COMPLETED:
                fields["result"] = await self._result(caller, job)
                await self._service.mark_read(job)
            case mcp_tasks.FAILED:
                message = job.failure.message if job.failure is not None else "The job was lost."
                fields["error"] = {"code": INTERNAL_ERROR, "message": message}
            case _:
                pass
        return fields

    async def _result(self, caller: Caller, job: Job) -> dict[str, Any]:
        result = call_result(await self._renderer_of(job)(caller, job))
        if job.state is State.FAILED:
            result = result.model_copy(update={"is_error": True})
        return clean_json(result.model_dump(by_alias=True, mode="json", exclude_none=True))

    async def _fields(self, job: Job) -> dict[str, Any]:
        now = datetime.now(UTC)
        outlook = await self._tool_context.outlook(job)
        return mcp_tasks.task(
            job, now=now, kept_until=self._service.kept_until(job, now), outlook=outlook
        )

    async def _caller(self) -> Caller:
        try:
            await self._tool_context.ready()
            return self._tool_context.caller()
        except CheckbackError as error:
            raise _refusal(error, "") from None


def _check_name_header(task_id: str) -> None:
    """SEP-2663, routing headers: ``Mcp-Name``, if sent, must name the task. Raises MCPError."""
    try:
        named = get_http_request().headers.get(MCP_NAME_HEADER)
    except RuntimeError:  # not over HTTP
        return
    if named is not None and decode_header_value(named) != task_id:
        raise MCPError(code=HEADER_MISMATCH, message=f"{MCP_NAME_HEADER} does not name this task.")


def _refusal(error: CheckbackError, task_id: str) -> MCPError:
    if isinstance(error, NotFound | InvalidInput):
        return MCPError(code=INVALID_PARAMS, message=f"Unknown task {quoted(task_id)}.")
    return MCPError(code=INTERNAL_ERROR, message=f"{error.message} {error.hint}")


def _missing_capability() -> MCPError:
    return MCPError(
        code=MISSING_REQUIRED_CLIENT_CAPABILITY,
        message=(
            f"This method requires a client that declares the extension {mcp_tasks.EXTENSION}."
        ),
        data={"requiredCapabilities": {"extensions": {mcp_tasks.EXTENSION: {}}}},
    )
