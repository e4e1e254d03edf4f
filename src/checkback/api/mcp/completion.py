"""``completion/complete``: ids of the caller's recent jobs, and names of kinds, by what was typed
so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmcp import FastMCP
from fastmcp.server.completions import CompletionReference
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    Completion,
    CompletionArgument,
    CompletionContext,
    ResourceTemplateReference,
)

from checkback.api.mcp.resources import JOB_TEMPLATES, KIND_TEMPLATE
from checkback.api.mcp.tools.context import ToolContext
from checkback.core.errors import CheckbackError, InvalidInput, NotFound
from checkback.core.job import MAX_PAGE
from checkback.kinds import registry
from checkback.security.auth.callers import Caller

if TYPE_CHECKING:
    from checkback.service import Service

MAX_VALUES = 100
SCAN_LIMIT = 500
"""How many of the newest jobs are searched for ids with that prefix."""
NOTHING = Completion(values=[], total=0, has_more=False)


class Completions:
    """Completes the arguments of the resource templates."""

    def __init__(self, tool_context: ToolContext) -> None:
        self._tool_context = tool_context

    @property
    def _service(self) -> Service:
        return self._tool_context.service

    def add_to(self, server: FastMCP[None]) -> None:
        server.add_completion_handler(self.complete)

    async def complete(
        self,
        ref: CompletionReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        """The values that begin with what was typed; none for arguments without completion."""
        if not isinstance(ref, ResourceTemplateReference):
            return NOTHING
        typed = argument.value.lower()
        if ref.uri == KIND_TEMPLATE and argument.name == "name":
            return _kind_names(typed)
        if ref.uri not in JOB_TEMPLATES:
            return NOTHING
        try:
            await self._tool_context.ready()
            return await self._of_job(ref.uri, argument.name, typed, _job_id(context))
        except (NotFound, InvalidInput):
            return NOTHING
        except CheckbackError as error:
            raise MCPError(code=INTERNAL_ERROR, message=f"{error.message} {error.hint}") from None

    async def _of_job(self, uri: str, name: str, typed: str, job_id: str) -> Completion:
        """The values for an argument of a job's resource."""
        caller = self._tool_context.caller()
        if name == "job_id":
            return await self._jobs(caller, typed)
        if name == "artifact_id" and "artifact_id" in uri:
            return await self._artifacts(caller, job_id, typed)
        return NOTHING

    async def _jobs(self, caller: Caller, typed: str) -> Completion:
        ids: list[str] = []
        cursor: str | None = None
        for _ in range(SCAN_LIMIT // MAX_PAGE):
            page = await self._service.list(caller, limit=MAX_PAGE, cursor=cursor)
            ids += [job.id for job in page.jobs if job.id.startswith(typed)]
            cursor = page.cursor
            if cursor is None or len(ids) > MAX_VALUES:
                break
        return Completion(
            values=ids[:MAX_VALUES],
            total=len(ids) if cursor is None else None,
            has_more=cursor is not None or len(ids) > MAX_VALUES,
        )

    async def _artifacts(self, caller: Caller, job_id: str, typed: str) -> Completion:
        job = await self._service.get(caller, job_id)
        return _completion([item.id for item in job.artifacts if item.id.startswith(typed)])


def _job_id(context: CompletionContext | None) -> str:
    """The job that was chosen before, for what is completed after it."""
    arguments = context.arguments if context is not None else None
    return (arguments or {}).get("job_id", "")


def _kind_names(typed: str) -> Completion:
    return _completion([kind.name for kind in registry.all_kinds() if kind.name.startswith(typed)])


def _completion(values: list[str]) -> Completion:
    return Completion(
        values=values[:MAX_VALUES], total=len(values), has_more=len(values) > MAX_VALUES
    )
