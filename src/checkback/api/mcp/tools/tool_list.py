"""Which tools and resources are listed to a client, and in which form.

The list is the same for everybody, except for two things that a client declares: with the tasks
extension it does not need the tools that only check a job's status, and only hosts of MCP Apps show
the card. Names and schemas are made portable (``mcp_names``, ``mcp_schemas``) once for each tool:
clients of the newest protocol cause a list with every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mcp_types
from fastmcp.apps import UI_EXTENSION_ID
from fastmcp.resources import Resource
from fastmcp.server.context import Context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from checkback.api.mcp.tools.schemas import Schema, portable, portable_text, with_texts
from checkback.api.mcp.tools.tool_names import Names
from checkback.dialects.mcp_tasks import EXTENSION

POLL_TOOLS = frozenset(
    {"job.status", "job.wait", "page.getJobStatus", "get_job_check", "wait_job_completion"}
)
"""Tools that only check a job: not listed to clients with tasks, which can still call them."""

CARD = "ui://checkback/job"
CARD_TOOL = "job.card"
"""The card of ``checkback.api.mcp.card``, listed only to clients that declare MCP Apps."""

MAX_DESCRIPTION_CHARACTERS = 1024
"""OpenAI's limit for the description of a function."""


class Listing(Middleware):
    """Lists tools under their listed names, with texts and schemas that every host accepts."""

    def __init__(self, names: Names) -> None:
        self._names = names
        #: By name: the tool, which is kept alive for the comparison, and how it is listed.
        self._known: dict[str, tuple[Tool, Tool]] = {}

    async def on_list_tools(
        self,
        context: MiddlewareContext[mcp_types.ListToolsRequest],
        call_next: CallNext[mcp_types.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        hidden = _hidden_tools(context.fastmcp_context)
        tools = await call_next(context)
        return [self.listed(tool) for tool in tools if tool.name not in hidden]

    async def on_list_resources(
        self,
        context: MiddlewareContext[mcp_types.ListResourcesRequest],
        call_next: CallNext[mcp_types.ListResourcesRequest, Sequence[Resource]],
    ) -> Sequence[Resource]:
        resources = await call_next(context)
        if shows_cards(context.fastmcp_context):
            return resources
        return [one for one in resources if str(one.uri) != CARD]

    def listed(self, tool: Tool) -> Tool:
        """A tool as it is listed."""
        known = self._known.get(tool.name)
        if known is None or known[0].parameters is not tool.parameters:
            known = self._known[tool.name] = (tool, self._rewritten(tool))
        return known[1]

    def _rewritten(self, tool: Tool) -> Tool:
        changes: dict[str, Any] = {
            "name": self._names.shown(tool.name),
            "title": portable_text(tool.title) if tool.title else None,
            "description": self._text(tool.description or "")[:MAX_DESCRIPTION_CHARACTERS],
            "parameters": self._schema(tool.parameters),
        }
        if tool.output_schema is not None:
            changes["output_schema"] = self._schema(tool.output_schema)
        return tool.model_copy(update=changes)

    def _schema(self, schema: Schema) -> Schema:
        try:
            return with_texts(portable(schema), self._text)
        except RecursionError:
            # A hand-written schema can be circular; the other tools must still be listed.
            return {"type": "object", "properties": {}}

    def _text(self, text: str) -> str:
        return self._names.text(portable_text(text))


def shows_cards(context: Context | None) -> bool:
    """Whether the client of the current request declares MCP Apps."""
    return context is not None and context.client_supports_extension(UI_EXTENSION_ID)


def _hidden_tools(context: Context | None) -> set[str]:
    """The tools that are no use to the client of the current request."""
    hidden: set[str] = set()
    if speaks_tasks(context):
        # Such a client polls tasks itself; its model needs no tools for that.
        hidden |= POLL_TOOLS
    if not shows_cards(context):
        hidden.add(CARD_TOOL)
    return hidden


def speaks_tasks(context: Context | None) -> bool:
    """Whether the client of the current request declares the tasks extension."""
    if context is None or context.request_context is None:
        return False
    if context.request_context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return False
    return context.client_extension_settings(EXTENSION) is not None
