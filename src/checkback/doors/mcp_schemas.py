"""Tools are listed with schemas that have no ``$ref``, which some clients cannot follow.

FastMCP would write them out for every listing, and clients of the newest protocol cause one with every call:
a fifth of a second of the server's time each. Here each schema is written out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mcp_types
from fastmcp.server.middleware import Middleware, MiddlewareContext
from fastmcp.server.middleware.middleware import CallNext
from fastmcp.tools.base import Tool
from fastmcp.utilities.json_schema import dereference_refs

Schema = dict[str, Any]


class WrittenOut(Middleware):
    """Takes the place of ``FastMCP(dereference_schemas=True)``; what is listed is the same."""

    def __init__(self) -> None:
        #: By a schema's own identity: the schema itself, which so stays alive, and how it is listed.
        self._known: dict[int, tuple[Schema, Schema]] = {}

    async def on_list_tools(
        self,
        context: MiddlewareContext[mcp_types.ListToolsRequest],
        call_next: CallNext[mcp_types.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        return [self._listed(tool) for tool in await call_next(context)]

    def _listed(self, tool: Tool) -> Tool:
        output = None if tool.output_schema is None else self._written_out(tool.output_schema)
        return tool.model_copy(
            update={"parameters": self._written_out(tool.parameters), "output_schema": output}
        )

    def _written_out(self, schema: Schema) -> Schema:
        if id(schema) not in self._known:
            self._known[id(schema)] = (schema, dereference_refs(schema) if _refers(schema) else schema)
        return self._known[id(schema)][1]


def _refers(value: object) -> bool:
    """Whether any part of a schema is named rather than written out."""
    if isinstance(value, dict):
        found: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return "$ref" in found or "$defs" in found or any(_refers(part) for part in found.values())
    if isinstance(value, list):
        parts: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return any(_refers(part) for part in parts)
    return False
