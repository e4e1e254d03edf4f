"""The names of tools: each has a dotted name and an underscore name, and both can always be called.

Dots are legal in MCP and clients of ReftrixMCP call ``page.getJobStatus``. But the model APIs of
OpenAI and Anthropic refuse a whole request when one name has a dot, and every agent framework
passes names on as they are listed. So the underscore form is listed, to everybody: the name that a
client sends says nothing, since frameworks send their SDK's default. A setting lists the dotted
form instead.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Literal

import mcp_types
from fastmcp import Context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult

from checkback.core.tool_names import underscore as underscore

ToolNames = Literal["underscore", "dotted", "auto"]
"""``auto`` was the default of earlier versions; it means ``underscore``."""

log = logging.getLogger(__name__)


def aliases(names: Iterable[str]) -> dict[str, str]:
    """Every name that can be called, and the tool it stands for. Raises ValueError when two share
    one.
    """
    names_by_alias: dict[str, str] = {}
    for name in names:
        for alias in {name, underscore(name)}:
            if names_by_alias.setdefault(alias, name) != name:
                raise ValueError(
                    f"The tools {names_by_alias[alias]!r} and {name!r} would both be called "
                    f"{alias!r}."
                )
    return names_by_alias


class Names(Middleware):
    """Accepts either form of a name in a call, and knows the form that is listed."""

    def __init__(self, tool_names: ToolNames) -> None:
        if tool_names == "auto":
            log.warning(
                "CHECKBACK_TOOL_NAMES=auto is deprecated and means underscore. Remove the setting."
            )
        self.dotted = tool_names == "dotted"
        self._aliases: dict[str, str] = {}
        self._in_texts: re.Pattern[str] | None = None

    def learn(self, names: Iterable[str]) -> None:
        """Set the existing tools. Raises ValueError when two would share a name."""
        self._aliases = aliases(names)
        dotted = sorted(
            {name for name in self._aliases.values() if "." in name}, key=len, reverse=True
        )
        # A name ends where no letter follows, with or without a dot: `job.wait.` ends a sentence.
        alternatives = "|".join(re.escape(name) for name in dotted)
        self._in_texts = re.compile(rf"(?<![\w.])(?:{alternatives})(?!\w|\.\w)") if dotted else None

    def shown(self, name: str) -> str:
        """A tool's name as it is listed."""
        return name if self.dotted else underscore(name)

    def text(self, text: str) -> str:
        """A text with the names of tools as they are listed."""
        if self.dotted or self._in_texts is None:
            return text
        return self._in_texts.sub(lambda found: underscore(found.group()), text)

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        name = context.message.name
        known = await self._known_name(name, context.fastmcp_context)
        if known != name:
            context = context.copy(message=context.message.model_copy(update={"name": known}))
        return await call_next(context)

    async def _known_name(self, name: str, context: Context | None) -> str:
        """The tool that a name stands for; a name that is new to us is looked for first."""
        if name not in self._aliases and context is not None:
            # Tools may be added after the start; the map is rebuilt when a name is missing.
            tools = await context.fastmcp.list_tools(run_middleware=False)
            self._aliases = aliases(tool.name for tool in tools)
        return self._aliases.get(name, name)
