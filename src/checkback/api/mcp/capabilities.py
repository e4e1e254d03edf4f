"""The capabilities that the server declares: only what it really does.

FastMCP and the SDK declare ``listChanged`` for everything, prompts although there are not any, and
logging. The lists' ``ttlMs`` is set here as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import mcp_types
from fastmcp import FastMCP
from fastmcp.apps import UI_EXTENSION_ID
from fastmcp.prompts import Prompt
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError
from mcp_types import (
    METHOD_NOT_FOUND,
    PromptsCapability,
    ResourcesCapability,
    ServerCapabilities,
    ToolsCapability,
)

LIST_TTL_MS: Final = 5 * 60 * 1000

_OWN = CacheHint(ttl_ms=LIST_TTL_MS, scope="private")
_SAME_FOR_ALL = CacheHint(ttl_ms=LIST_TTL_MS, scope="public")
CACHE_HINTS: Mapping[str, CacheHint] = {
    # Which tools and resources are listed depends on the client's capabilities, and on whose jobs
    # they are.
    "tools/list": _OWN,
    "resources/list": _OWN,
    "resources/templates/list": _SAME_FOR_ALL,
    "prompts/list": _SAME_FOR_ALL,
}


class Capabilities(Middleware):
    """Corrects the declaration for both versions of the protocol. ``tools_change``:
    ``tools/list_changed`` is sent; ``has_card``: hosts with MCP Apps can show the card.
    """

    def __init__(self, *, tools_change: bool, has_card: bool) -> None:
        self._tools_change = tools_change
        self._has_card = has_card

    async def on_initialize(
        self,
        context: MiddlewareContext[mcp_types.InitializeRequest],
        call_next: CallNext[mcp_types.InitializeRequest, mcp_types.InitializeResult | None],
    ) -> mcp_types.InitializeResult | None:
        result = await call_next(context)
        if result is None:
            return None
        declared = await self._declared(context, result.capabilities, resources_change=False)
        return result.model_copy(update={"capabilities": declared})

    async def on_discover(
        self,
        context: MiddlewareContext[mcp_types.DiscoverRequest],
        call_next: CallNext[mcp_types.DiscoverRequest, mcp_types.DiscoverResult | dict[str, Any]],
    ) -> mcp_types.DiscoverResult | dict[str, Any]:
        result = await call_next(context)
        if isinstance(result, dict):  # the shape of an extension that nothing here adds
            return result
        declared = await self._declared(context, result.capabilities, resources_change=True)
        return result.model_copy(update={"capabilities": declared})

    async def on_list_prompts(
        self,
        context: MiddlewareContext[mcp_types.ListPromptsRequest],
        call_next: CallNext[mcp_types.ListPromptsRequest, Sequence[Prompt]],
    ) -> Sequence[Prompt]:
        """What is not declared is not served."""
        found = await call_next(context)
        if not found:
            raise MCPError(code=METHOD_NOT_FOUND, message="Method not found", data="prompts/list")
        return found

    async def _declared(
        self,
        context: MiddlewareContext[Any],
        declared: ServerCapabilities,
        *,
        resources_change: bool,
    ) -> ServerCapabilities:
        has_prompts = await _has_prompts(context)
        return declared.model_copy(
            update={
                "tools": ToolsCapability(list_changed=self._tools_change),
                "prompts": PromptsCapability(list_changed=False) if has_prompts else None,
                "resources": ResourcesCapability(subscribe=True, list_changed=resources_change),
                "logging": None,
                "extensions": self._extensions(declared),
            }
        )

    def _extensions(self, declared: ServerCapabilities) -> dict[str, dict[str, Any]] | None:
        """FastMCP's, but the one for cards only where there is a card."""
        extensions = dict(declared.extensions or {})
        if not self._has_card:
            extensions.pop(UI_EXTENSION_ID, None)
        return extensions or None


async def _has_prompts(context: MiddlewareContext[Any]) -> bool:
    if context.fastmcp_context is None:
        return False
    return bool(await context.fastmcp_context.fastmcp.list_prompts(run_middleware=False))


def hint_caches(server: FastMCP[Any]) -> None:
    """Declare for how long lists may be cached; FastMCP's own setting would apply to resources as
    well.
    """
    server._mcp_server.cache_hints |= CACHE_HINTS  # pyright: ignore[reportPrivateUsage]
