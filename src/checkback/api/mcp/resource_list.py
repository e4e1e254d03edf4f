"""The caller's recent jobs in ``resources/list``, newest first, after the resources that everybody
has.

A job is listed by its kind and state only: a list goes into an agent's context without being asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastmcp import FastMCP
from fastmcp.server.dependencies import bind_request_context
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    Annotations,
    ListResourcesResult,
    PaginatedRequestParams,
    Resource,
)

from checkback.api.mcp.resources import JSON_TYPE
from checkback.api.mcp.tools.context import ToolContext
from checkback.core.errors import CheckbackError, InvalidInput
from checkback.core.job import Job
from checkback.dialects import human, native
from checkback.security.auth.callers import Caller

if TYPE_CHECKING:
    from checkback.service import Service

JOBS_ON_A_PAGE = 50
MAX_PAGES = 10
"""Many clients read all pages at once; older jobs are found with the tool that lists jobs."""
LATER_PAGES = frozenset(map(str, range(2, MAX_PAGES + 1)))

Listed = tuple[tuple[str, str], ...]
"""URIs and names of the newest jobs: a change of these changes a client's list."""


class JobListing:
    """Answers ``resources/list``."""

    def __init__(self, server: FastMCP[Any], tool_context: ToolContext) -> None:
        self._server = server
        self._tool_context = tool_context

    @property
    def _service(self) -> Service:
        return self._tool_context.service

    def add_to(self, server: FastMCP[Any]) -> None:
        """Replaces FastMCP's own handler, which lists only what is the same for all callers."""
        server._mcp_server.add_request_handler(  # pyright: ignore[reportPrivateUsage]
            "resources/list", PaginatedRequestParams, self._list
        )

    async def newest(self, caller: Caller) -> Listed:
        """The first page of jobs, to be compared with a later one."""
        page = await self._service.list(caller, limit=JOBS_ON_A_PAGE)
        return tuple((job.id, job_resource(job).name) for job in page.jobs)

    async def _list(
        self, ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams
    ) -> ListResourcesResult:
        with bind_request_context(ctx):
            try:
                await self._tool_context.ready()
                return await self._page(params.cursor)
            except InvalidInput as error:
                raise MCPError(
                    code=INVALID_PARAMS, message=f"{error.message} {error.hint}"
                ) from None
            except CheckbackError as error:
                raise MCPError(
                    code=INTERNAL_ERROR, message=f"{error.message} {error.hint}"
                ) from None

    async def _page(self, cursor: str | None) -> ListResourcesResult:
        number, after = _parsed(cursor)
        page = await self._service.list(
            self._tool_context.caller(), limit=JOBS_ON_A_PAGE, cursor=after
        )
        resources = [job_resource(job) for job in page.jobs]
        if cursor is None:
            fixed = await self._server.list_resources()
            resources = [one.to_mcp_resource(uri=str(one.uri)) for one in fixed] + resources
        more = page.cursor is not None and number < MAX_PAGES
        return ListResourcesResult(
            resources=resources, next_cursor=f"{number + 1}:{page.cursor}" if more else None
        )


def job_resource(job: Job) -> Resource:
    """A job as it is listed."""
    return Resource(
        uri=f"job://{job.id}",
        name=f"{human.kind_name(job)}, {job.state.value}",
        mime_type=JSON_TYPE,
        annotations=Annotations(last_modified=native.iso(native.changed_at(job))),
    )


def _parsed(cursor: str | None) -> tuple[int, str | None]:
    """The number of the requested page, and where it begins."""
    if cursor is None:
        return 1, None
    number, _, after = cursor.partition(":")
    if not after or number not in LATER_PAGES:
        raise InvalidInput(
            "`cursor` was not returned by this list.", hint="List again without a cursor."
        )
    return int(number), after
