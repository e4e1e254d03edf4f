"""An MCP server on standard input and output with tools and a resource that answer what cannot be
encoded.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from fastmcp.exceptions import ResourceError, ToolError
from fastmcp.tools.base import ToolResult
from mcp_types import TextContent

from checkback.api.mcp.server import build_server
from checkback.security.auth.callers import LOCAL


def nested(levels: int) -> Any:
    value: Any = "middle"
    for _ in range(levels):
        value = [value]
    return value


def main() -> None:
    """Serve until standard input ends. No store is needed: these tools ask for none."""
    server = build_server(cast("Any", None), caller=lambda: LOCAL)

    @server.tool
    def half() -> ToolResult:
        """Answer half a surrogate pair."""
        structured = {"text": "half \udce9", "number": float("nan")}
        return ToolResult(
            content=[TextContent(type="text", text="half \udce9")], structured_content=structured
        )

    @server.tool
    def deep() -> ToolResult:
        """Answer far too many levels."""
        return ToolResult(content=[], structured_content={"deep": nested(300)})

    @server.tool
    def refuse() -> str:
        """Fail in words that cannot be encoded."""
        raise ToolError("refused \udce9")

    @server.resource("half://text")
    def text() -> str:
        """Half a surrogate pair."""
        return "half \udce9"

    @server.resource("half://error")
    def error() -> str:
        """Fail in words that cannot be encoded."""
        raise ResourceError("refused \udce9")

    asyncio.run(server.run_stdio_async(show_banner=False))


if __name__ == "__main__":
    main()
