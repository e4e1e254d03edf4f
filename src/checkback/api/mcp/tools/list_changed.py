"""Notifies clients that the list of tools has changed, where it can change: over stdio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastmcp import FastMCP
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.shared.subscriptions import ServerEvent, ToolsListChanged
from mcp_types import NotificationParams

RequestContext = ServerRequestContext[Any, Any]
Send = Callable[[ServerEvent], Awaitable[None]]


class ToolListChanges:
    """Where a change is announced: to sessions with a handshake, and to the streams that asked for
    it.
    """

    def __init__(self) -> None:
        #: How often the list has changed.
        self.count = 0
        self._bell = asyncio.Event()
        self._sessions: dict[int, Connection] = {}

    async def announce(self) -> None:
        """Send the notification to all connected clients."""
        self.count += 1
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()
        for connection in tuple(self._sessions.values()):
            await connection.send_tool_list_changed()

    def add_to(self, server: FastMCP[Any]) -> None:
        """Register sessions with a handshake, which get every change without asking."""
        server._mcp_server.add_notification_handler(  # pyright: ignore[reportPrivateUsage]
            "notifications/initialized", NotificationParams, self._session_began
        )

    async def follow(self, count: int, send: Send) -> None:
        """Send each change after the first ``count``, until this is cancelled."""
        while True:
            while self.count == count:
                await self._bell.wait()
            count = self.count
            await send(ToolsListChanged())

    async def _session_began(self, ctx: RequestContext, _: NotificationParams) -> None:
        # It outlives the request; the SDK has no public attribute for it.
        connection = ctx.session._connection  # pyright: ignore[reportPrivateUsage]
        self._sessions[id(connection)] = connection
        connection.exit_stack.callback(self._sessions.pop, id(connection), None)
