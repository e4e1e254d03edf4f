"""What a tool is called: each one has a dotted name and an underscore name, and both can always be called.

Dots are legal in tool names and existing clients call ``page.getJobStatus``, but some hosts refuse a whole
chat when one listed name has a dot. So which form is listed depends on who asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import mcp_types
from fastmcp.apps import UI_EXTENSION_ID
from fastmcp.resources import Resource
from fastmcp.server.context import Context
from fastmcp.server.dependencies import get_context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool
from fastmcp.tools.base import ToolResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from checkback.dialects.mcp_tasks import EXTENSION

ToolNames = Literal["auto", "dotted", "underscore"]

TAKES_DOTS = frozenset(
    {
        "checkback",
        "claude-code",
        "fastmcp",
        "inspector-cli",  # the MCP Inspector: its command line, its terminal view, its web page
        "inspector-tui",
        "mcp-inspector",
        "mcp",  # the Python SDK and FastMCP, unless their user gives another name
        "mcp-client",
    }
)
"""Clients, by the name they give of themselves, that are known to take tool names with dots."""

POLL_TOOLS = frozenset(
    {"job.status", "job.wait", "page.getJobStatus", "get_job_check", "wait_job_completion"}
)
"""Tools that only ask how a job stands: not listed to clients that speak tasks, but they can call them."""

CARD = "ui://checkback/job"
CARD_TOOL = "job.card"
"""The card of ``checkback.doors.mcp_card``, listed only to clients that declare MCP Apps."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def underscore(name: str) -> str:
    """The form of a tool's name without dots: ``page.getJobStatus`` is ``page_get_job_status``."""
    return _CAMEL.sub("_", name.replace(".", "_")).lower()


def aliases(names: Iterable[str]) -> dict[str, str]:
    """Every name that can be called, and the tool it stands for. Raises ValueError when two share one."""
    found: dict[str, str] = {}
    for name in names:
        for alias in {name, underscore(name)}:
            if found.setdefault(alias, name) != name:
                raise ValueError(f"The tools {found[alias]!r} and {name!r} would both be called {alias!r}.")
    return found


class Names(Middleware):
    """Takes either form of a name, and lists the one that the client can take."""

    def __init__(self, tool_names: ToolNames) -> None:
        self._tool_names = tool_names
        self._aliases: dict[str, str] = {}

    def shows_dots(self) -> bool:
        """Whether the client of the current request is shown dotted names."""
        if self._tool_names != "auto":
            return self._tool_names == "dotted"
        return (_client_name(get_context()) or "").strip().lower() in TAKES_DOTS

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        name = context.message.name
        if name not in self._aliases and context.fastmcp_context is not None:
            # Tools may be added after the start; the map is made anew when a name is not in it.
            tools = await context.fastmcp_context.fastmcp.list_tools(run_middleware=False)
            self._aliases = aliases(tool.name for tool in tools)
        known = self._aliases.get(name, name)
        if known != name:
            context = context.copy(message=context.message.model_copy(update={"name": known}))
        return await call_next(context)

    async def on_list_tools(
        self,
        context: MiddlewareContext[mcp_types.ListToolsRequest],
        call_next: CallNext[mcp_types.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        tools = await call_next(context)
        if _speaks_tasks(context.fastmcp_context):
            # Such a client asks for a task by itself; its model needs no tools for that.
            tools = [tool for tool in tools if tool.name not in POLL_TOOLS]
        if not _shows_cards(context.fastmcp_context):
            tools = [tool for tool in tools if tool.name != CARD_TOOL]
        if self.shows_dots():
            return tools
        return [tool.model_copy(update={"name": underscore(tool.name)}) for tool in tools]

    async def on_list_resources(
        self,
        context: MiddlewareContext[mcp_types.ListResourcesRequest],
        call_next: CallNext[mcp_types.ListResourcesRequest, Sequence[Resource]],
    ) -> Sequence[Resource]:
        found = await call_next(context)
        if _shows_cards(context.fastmcp_context):
            return found
        return [one for one in found if str(one.uri) != CARD]


def _shows_cards(context: Context | None) -> bool:
    return context is not None and context.client_supports_extension(UI_EXTENSION_ID)


def _speaks_tasks(context: Context | None) -> bool:
    request = context.request_context if context is not None else None
    return (
        context is not None
        and request is not None
        and request.protocol_version in MODERN_PROTOCOL_VERSIONS
        and context.client_extension_settings(EXTENSION) is not None
    )


def _client_name(context: Context) -> str | None:
    try:
        params = context.session.client_params
    except RuntimeError:  # a call from inside the process, without a client
        return None
    return params.client_info.name if params is not None else None
