"""Calls and lists of our own tools, without the parts of FastMCP and the SDK that our tools do not
use.

A tool call passes two chains of middleware, two look-ups among all providers, and three passes of
pydantic over its result; before that, in the newest protocol, the SDK lists all tools to see
whether a header repeats an argument. A job status took 18 ms of processor time instead of 1 ms.
Here a dictionary has the tools and their schemas, the answer is serialized once, and a list that
was made is kept.

A request that is out of the ordinary takes the libraries' own way, and so does every request if a
version of them no longer has what this hooks into (``install``). The answer is the same either way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from fastmcp import Context, FastMCP
from fastmcp.apps import UI_EXTENSION_ID
from fastmcp.server.dependencies import bind_request_context
from fastmcp.server.middleware import Middleware
from fastmcp.tools import Tool
from fastmcp.tools.base import ToolResult
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import SERVER_INFO_META_KEY
from mcp_types import methods as protocol
from mcp_types.version import (
    LATEST_HANDSHAKE_VERSION,
    LATEST_MODERN_VERSION,
    MODERN_PROTOCOL_VERSIONS,
)
from pydantic import ValidationError

from checkback.api.mcp.tools.context import ApiTool, call_result
from checkback.dialects.mcp_tasks import EXTENSION

CALL, LIST = "tools/call", "tools/list"
CALL_KEYS = frozenset({"name", "arguments", "_meta"})
"""A call with more than these keys continues an earlier one, which none of our tools supports."""

VERSION_KEY = "fastmcp"
"""With this, FastMCP's own clients request one of several versions of a tool."""

WRITTEN_HERE = frozenset({LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION})
"""Versions whose results have every field that ours have; for others the SDK shapes the result."""

RequestContext = ServerRequestContext[Any, Any]
MAX_LISTS = 32


@dataclass(slots=True)
class Ready:
    """A result that is JSON already. Its handler puts it here, and returns ``IN_ITS_PLACE`` to the
    SDK.
    """

    result: bytes | None = None


ready: ContextVar[Ready | None] = ContextVar("ready", default=None)
"""Where to put a ready result; None if the normal path must be used."""

IN_ITS_PLACE = "checkback.ready"


@dataclass(frozen=True, slots=True)
class _List:
    """A list as it was sent, and the tools in it."""

    tools: Sequence[Tool]
    result: dict[str, Any]
    written: bytes

    def answer(self) -> dict[str, Any]:
        """The list, or what says that its bytes are in the place for ready results."""
        place = ready.get()
        if place is None:
            return self.result
        place.result = self.written
        return {IN_ITS_PLACE: True}


class Shortcut:
    """A middleware of the SDK's, before those of FastMCP. ``install`` puts it there.

    ``tools`` are those that can be called, by every name they have. ``starts_task`` says whether a
    call of a tool is answered with a task, which is FastMCP's extensions' to do. ``variant`` is
    what lists vary by besides the version of the protocol and the extensions that the client of the
    current request declares.
    """

    def __init__(
        self,
        server: FastMCP[None],
        tools: Mapping[str, ApiTool],
        *,
        starts_task: Callable[[Context, str], bool],
        variant: Callable[[], Hashable],
    ) -> None:
        self._server = server
        self._tools = tools
        self._starts_task = starts_task
        self._variant = variant
        self._lists: dict[Hashable, _List] = {}

    def schema(self, name: str) -> Mapping[str, Any] | None:
        """The input schema of a tool, which the SDK checks ``Mcp-Param-*`` headers by."""
        tool = self._tools.get(name) or self._added(name)
        return None if tool is None else tool.parameters

    def _added(self, name: str) -> Tool | None:
        """A tool that somebody added to the server besides ours, which the SDK
        must not pass over.
        """
        provider = getattr(self._server, "_local_provider", None)
        components: Mapping[str, object] = getattr(provider, "_components", {})
        for component in components.values():
            if isinstance(component, Tool) and component.name == name:
                return component
        return None

    async def __call__(self, ctx: RequestContext, call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None or ctx.method not in (CALL, LIST) or not _is_plain(ctx):
            return await call_next(ctx)
        if ctx.method == LIST:
            return await self._list(ctx, call_next)
        return await self._call(ctx, call_next)

    async def _call(self, ctx: RequestContext, call_next: CallNext) -> HandlerResult:
        params = ctx.params or {}
        tool = self._tools.get(params["name"])
        if tool is None:
            return await call_next(ctx)
        with bind_request_context(ctx):
            async with Context(fastmcp=self._server, session=ctx.session) as context:
                if not self._starts_task(context, tool.name):
                    result = await tool.run(params.get("arguments") or {})
                    return self._finished(ctx, _wire(result, ctx.protocol_version))
        return await call_next(ctx)

    async def _list(self, ctx: RequestContext, call_next: CallNext) -> HandlerResult:
        key, tools = await self._current_tools(ctx)
        known = self._lists.get(key)
        if known is not None and _same(known.tools, tools):
            return known.answer()
        result = await call_next(ctx)
        if isinstance(result, dict):
            self._remember(key, tools, result)
        return result

    async def _current_tools(self, ctx: RequestContext) -> tuple[Hashable, Sequence[Tool]]:
        """What a list varies by, and the tools that are in it now."""
        with bind_request_context(ctx):
            async with Context(fastmcp=self._server, session=ctx.session) as context:
                key = (ctx.protocol_version, _declared(context), self._variant())
                return key, await self._server.list_tools(run_middleware=False)

    def _remember(self, key: Hashable, tools: Sequence[Tool], result: dict[str, Any]) -> None:
        while len(self._lists) >= MAX_LISTS:
            del self._lists[next(iter(self._lists))]
        written = json.dumps(result, separators=(",", ":")).encode()
        self._lists[key] = _List(tools, result, written)

    def _finished(self, ctx: RequestContext, result: dict[str, Any]) -> dict[str, Any]:
        """Adds what the newest protocol has in every result."""
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            result["resultType"] = "complete"
            stamp = self._server._mcp_server.server_info_stamp  # pyright: ignore[reportPrivateUsage]
            result["_meta"] = {**(result.get("_meta") or {}), SERVER_INFO_META_KEY: stamp}
        return result


def install(
    server: FastMCP[None],
    tools: Mapping[str, ApiTool],
    *,
    unneeded: Sequence[type[Middleware]],
    starts_task: Callable[[Context, str], bool],
    variant: Callable[[], Hashable],
) -> bool:
    """Put a shortcut before everything else. Returns whether there is one now.

    There is no shortcut if one of FastMCP's middlewares hooks into calls (except the ``unneeded``
    ones, which do nothing for a call by a known name), or if the SDK has no place for it.
    """
    if _is_hooked(server, unneeded):
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


def _is_hooked(server: FastMCP[None], unneeded: Sequence[type[Middleware]]) -> bool:
    """Whether a middleware that is needed would have to see each call."""
    needed = [one for one in server.middleware if not isinstance(one, tuple(unneeded))]
    return any(map(_sees_calls, needed))


def _sees_calls(middleware: Middleware) -> bool:
    hooks = ("__call__", "on_message", "on_request", "on_call_tool")
    return any(getattr(type(middleware), hook) is not getattr(Middleware, hook) for hook in hooks)


def _declared(context: Context) -> tuple[bool, bool]:
    """Which of the extensions that lists depend on this client supports."""
    return (
        context.client_supports_extension(UI_EXTENSION_ID),
        context.client_extension_settings(EXTENSION) is not None,
    )


def _is_plain(ctx: RequestContext) -> bool:
    """Whether this is a request that the SDK would pass on unchanged."""
    is_known = ctx.protocol_version in WRITTEN_HERE
    return is_known and _is_open(ctx) and _is_valid(ctx) and _has_plain_params(ctx)


def _is_open(ctx: RequestContext) -> bool:
    """Whether requests are answered already: older versions begin with a handshake."""
    is_modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
    return is_modern or ctx.session.client_params is not None


def _is_valid(ctx: RequestContext) -> bool:
    try:
        protocol.validate_client_request(ctx.method, ctx.protocol_version, ctx.params)
    except (KeyError, ValueError, ValidationError):
        return False
    return True


def _has_plain_params(ctx: RequestContext) -> bool:
    """Whether nothing is asked for but the tool or the first page of the list."""
    params = ctx.params or {}
    if VERSION_KEY in (params.get("_meta") or {}):
        return False
    if ctx.method == CALL:
        return params.keys() <= CALL_KEYS
    return params.get("cursor") is None


def _wire(result: ToolResult, version: str) -> dict[str, Any]:
    """A tool's result as the SDK would write it."""
    if result.meta is not None or type(result) is not ToolResult:
        return protocol.serialize_server_result(CALL, version, _dumped(result))
    written: dict[str, Any] = {
        "content": [
            one.model_dump(by_alias=True, mode="json", exclude_none=True) for one in result.content
        ],
        "isError": result.is_error,
    }
    if result.structured_content is not None:
        written["structuredContent"] = result.structured_content
    return written


def _dumped(result: ToolResult) -> dict[str, Any]:
    return call_result(result).model_dump(by_alias=True, mode="json", exclude_none=True)


def _same(before: Sequence[Tool], now: Sequence[Tool]) -> bool:
    return len(before) == len(now) and all(
        one is other for one, other in zip(before, now, strict=True)
    )
