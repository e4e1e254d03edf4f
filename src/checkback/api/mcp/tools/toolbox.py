"""The tools of an MCP server. Tools are added for kinds that are registered while it runs.

``checkback mcp`` lists its tools before it knows the folder's server; that may have further kinds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import mcp_types
from fastmcp import FastMCP
from fastmcp.exceptions import NotFoundError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult

from checkback.api.mcp.tools.context import (
    ApiTool,
    JobTool,
    ResultRenderer,
    current_request_id,
    problem,
)
from checkback.api.mcp.tools.tool_names import aliases
from checkback.core.errors import UnknownKind
from checkback.kinds import registry

Made = tuple[list[ApiTool | JobTool], dict[str, ResultRenderer]]
log = logging.getLogger(__name__)


class Toolbox:
    """The tools that ``make`` returns for the registered kinds. Raises ValueError for two with the
    same name.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        #: Tools that start a job, by name.
        self.starters: dict[str, JobTool] = {}
        #: By kind: the function that renders an ended job.
        self.renderers: dict[str, ResultRenderer] = {}
        #: Every tool, by each name that it can be called by.
        self.called: dict[str, ApiTool] = {}
        #: Every tool, by its own name.
        self.tools: dict[str, ApiTool] = {}
        self.grow()

    def grow(self) -> list[ApiTool]:
        """Add the tools of kinds that are new. Returns the tools that were added."""
        tools, renderers = self._make()
        fresh = {tool_of(one).name: one for one in tools if tool_of(one).name not in self.tools}
        names = aliases([*self.tools, *fresh])
        for name, one in fresh.items():
            self.tools[name] = tool_of(one)
            if isinstance(one, JobTool):
                self.starters[name] = one
        for kind, renderer in renderers.items():
            self.renderers.setdefault(kind, renderer)
        self.called |= {alias: self.tools[name] for alias, name in names.items()}
        return [self.tools[name] for name in fresh]


def tool_of(entry: ApiTool | JobTool) -> ApiTool:
    """The tool itself, of one that starts a job, too."""
    return entry.tool if isinstance(entry, JobTool) else entry


class JobServer(FastMCP[None]):
    """FastMCP's server with a toolbox, and without a store of session state until one is needed.

    FastMCP reads that store at every list, and imports for it what takes 0.2 s; none of our tools
    keeps any. If FastMCP no longer has the property that is overridden here, it makes its own store
    as usual.
    """

    toolbox: Toolbox
    _kept: bool = False

    @property
    def _state_store(self) -> Any:
        return super()._state_store if self._kept else _NothingKept(self)

    def keep_state(self) -> Any:
        """FastMCP's own store of session state, from now on."""
        self._kept = True
        return self._state_store

    def add_new_kinds(self) -> bool:
        """Add tools for the kinds that were registered since. Returns whether there are any."""
        try:
            fresh = self.toolbox.grow()
        except ValueError as error:
            log.error("The kinds of the server cannot be listed: %s", error)
            return False
        for tool in fresh:
            self.add_tool(tool)
        return bool(fresh)


class _NothingKept:
    """An empty store of session state; the first value goes to a real one."""

    def __init__(self, server: JobServer) -> None:
        self._server = server

    async def get(self, *_: Any, **__: Any) -> None:
        return None

    async def delete(self, *_: Any, **__: Any) -> bool:
        return False

    async def put(self, *args: Any, **options: Any) -> None:
        await self._server.keep_state().put(*args, **options)


class LeftOut(Middleware):
    """Reports in the error for an unknown tool which modules of kinds could not be imported."""

    def __init__(self, failed: Callable[[], Mapping[str, str]]) -> None:
        self._failed = failed

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        try:
            return await call_next(context)
        except NotFoundError:
            if not self._failed():
                raise
            name = context.message.name
            error: Any = registry.unknown(name)
            message = error.message.replace("Unknown kind", "Unknown tool", 1)
            return problem(UnknownKind(message, hint=IMPORT_HINT), current_request_id())


IMPORT_HINT = "Fix the module, then restart this server."
