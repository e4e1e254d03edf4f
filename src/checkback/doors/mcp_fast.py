"""Calls and lists of our own tools, without the parts of FastMCP and the SDK that no tool of ours uses.

A call of a tool walks through two chains of middleware, two look-ups among all providers, and three passes of
pydantic over its answer; before that, in the newest protocol, the SDK lists all tools to see whether a header
repeats an argument. For a status of a job that was 18 ms of processor time in place of 1. Here a dictionary
has the tools and their schemas, the answer is serialized once, and a list that was made is kept.

Whatever is out of the ordinary goes the way it always went, and so does everything should the libraries no
longer have the seams that this hooks into: what is answered is the same either way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastmcp import Context, FastMCP
from fastmcp.server.dependencies import bind_request_context
from fastmcp.server.middleware import Middleware
from fastmcp.tools import Tool
from fastmcp.tools.base import ToolResult
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import SERVER_INFO_META_KEY
from mcp_types import methods as protocol
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from checkback.doors.mcp_brief import IN_ITS_PLACE, ready
from checkback.doors.mcp_tools import DoorTool

CALL, LIST = "tools/call", "tools/list"
CALL_KEYS = frozenset({"name", "arguments", "_meta"})
"""A call with more than these continues an earlier one, which no tool of ours asks for."""

WRITTEN_HERE = frozenset({LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION})
"""Versions whose answers have every field that ours have; others are shaped by the SDK."""

RequestContext = ServerRequestContext[Any, Any]
MAX_LISTS = 32


@dataclass(frozen=True, slots=True)
class _List:
    """A list as it was answered, and the tools that it was made of."""

    tools: Sequence[Tool]
    result: dict[str, Any]
    written: bytes


class Shortcut:
    """One of the SDK's own middlewares, the outermost one. ``install`` puts it there.

    ``tools`` are those that can be called, by every name they have. ``starts_task`` says whether a call of a
    tool is answered with a task, which is FastMCP's extensions' to do. ``variant`` is all that a list varies
    by besides the version of the protocol, for the client of the current request.
    """

    def __init__(
        self,
        server: FastMCP[None],
        tools: Mapping[str, DoorTool],
        *,
        starts_task: Callable[[Context, str], bool],
        variant: Callable[[Context], Hashable],
    ) -> None:
        self._server = server
        self._tools = tools
        self._starts_task = starts_task
        self._variant = variant
        self._lists: dict[Hashable, _List] = {}

    def schema(self, name: str) -> Mapping[str, Any] | None:
        """The input schema of a tool, which the SDK checks ``Mcp-Param-*`` headers by."""
        tool = self._tools.get(name)
        return None if tool is None else tool.parameters

    async def __call__(self, ctx: RequestContext, call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None or ctx.method not in (CALL, LIST) or not _is_plain(ctx):
            return await call_next(ctx)
        if ctx.method == LIST:
            return await self._list(ctx, call_next)
        params = ctx.params or {}
        tool = self._tools.get(params["name"])
        if tool is None:
            return await call_next(ctx)
        with bind_request_context(ctx):
            async with Context(fastmcp=self._server, session=ctx.session) as context:
                starts_task = self._starts_task(context, tool.name)
                if not starts_task:
                    result = await tool.run(params.get("arguments") or {})
                    return self._finished(ctx, _wire(result, ctx.protocol_version))
        return await call_next(ctx)

    async def _list(self, ctx: RequestContext, call_next: CallNext) -> HandlerResult:
        with bind_request_context(ctx):
            async with Context(fastmcp=self._server, session=ctx.session) as context:
                key = (ctx.protocol_version, self._variant(context))
                tools = await self._server.list_tools(run_middleware=False)
        known = self._lists.get(key)
        if known is not None and _same(known.tools, tools):
            if (place := ready.get()) is not None:
                place.result = known.written
                return {IN_ITS_PLACE: True}
            return known.result
        result = await call_next(ctx)
        if isinstance(result, dict):
            while len(self._lists) >= MAX_LISTS:
                del self._lists[next(iter(self._lists))]
            written = json.dumps(result, separators=(",", ":")).encode()
            self._lists[key] = _List(tools, result, written)
        return result

    def _finished(self, ctx: RequestContext, result: dict[str, Any]) -> dict[str, Any]:
        """What the newest protocol has in every answer."""
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            result["resultType"] = "complete"
            stamp = self._server._mcp_server.server_info_stamp  # pyright: ignore[reportPrivateUsage]
            result["_meta"] = {**(result.get("_meta") or {}), SERVER_INFO_META_KEY: stamp}
        return result


def install(
    server: FastMCP[None],
    tools: Mapping[str, DoorTool],
    *,
    passive: Sequence[type[Middleware]],
    starts_task: Callable[[Context, str], bool],
    variant: Callable[[Context], Hashable],
) -> bool:
    """Put a shortcut before everything else. Returns whether there is one now.

    There is none where a middleware of FastMCP's that is not ``passive`` wants to see calls, and none where
    the SDK has no place for it.
    """
    if not all(isinstance(one, tuple(passive)) for one in server.middleware):
        return False
    low_level: Any = getattr(server, "_mcp_server", None)
    chain: Any = getattr(low_level, "middleware", None)
    if not isinstance(chain, list) or not hasattr(low_level, "server_info_stamp"):
        return False
    shortcut = Shortcut(server, tools, starts_task=starts_task, variant=variant)
    cast("list[Any]", chain).insert(0, shortcut)
    if getattr(low_level, "get_tool_input_schema", "absent") is None:
        low_level.get_tool_input_schema = shortcut.schema
    return True


def _is_plain(ctx: RequestContext) -> bool:
    """Whether this is a request that the SDK would hand on as it is, without asking for anything more."""
    params = ctx.params or {}
    if ctx.protocol_version not in WRITTEN_HERE:
        return False
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS and ctx.session.client_params is None:
        return False  # no handshake yet
    if ctx.method == CALL and not (params.keys() <= CALL_KEYS and isinstance(params.get("name"), str)):
        return False
    if ctx.method == LIST and params.get("cursor") is not None:
        return False
    try:
        protocol.validate_client_request(ctx.method, ctx.protocol_version, ctx.params)
    except (KeyError, ValueError, ValidationError):
        return False
    return True


def _wire(result: ToolResult, version: str) -> dict[str, Any]:
    """A tool's result as the SDK would write it."""
    if result.meta is not None or type(result) is not ToolResult:
        found = result.to_mcp_result()
        assert not isinstance(found, list | tuple)
        dumped = found.model_dump(by_alias=True, mode="json", exclude_none=True)
        return protocol.serialize_server_result(CALL, version, dumped)
    written: dict[str, Any] = {
        "content": [block.model_dump(by_alias=True, mode="json", exclude_none=True) for block in result.content],
        "isError": result.is_error,
    }
    if result.structured_content is not None:
        written["structuredContent"] = result.structured_content
    return written


def _same(before: Sequence[Tool], now: Sequence[Tool]) -> bool:
    return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))
