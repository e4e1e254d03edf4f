"""Middleware around MCP's application: a session belongs to the owner who opened it, and answers
each id once at a time.

MCP's own application knows neither owners nor what to do with an id that is in flight already: the
second request would get the first one's response, and the first would wait forever.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checkback.api.mcp.transport.jsonrpc import INVALID_REQUEST, MESSAGE, BadJsonRpcMessage, refuse
from checkback.api.mcp.transport.session_limit import SESSION
from checkback.api.middleware.authentication import header
from checkback.security.auth.callers import caller_of

NO_SESSION = "none"
"""Replaces the id of a session that is not the caller's: for the application it does not exist."""

ENDING_SECONDS = 1.0


class SessionOwners:
    """Adds to the id of each session a signature for its owner, and lets only that owner use it.

    The key is this process's own: sessions end with it anyway.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._key = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        owner = caller_of(scope).owner

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._signed(message.get("headers", ()), owner)}
            await send(message)

        session = header(scope, SESSION)
        if session is not None:
            scope = _with_session(scope, self._opened(session, owner))
        await self._app(scope, receive, signed)

    def _signed(self, lines: Any, owner: str) -> list[tuple[bytes, bytes]]:
        made: list[tuple[bytes, bytes]] = []
        for name, value in lines:
            if name.lower() == SESSION.encode():
                value = value + b"." + self._sign(value.decode(), owner).encode()
            made.append((name, value))
        return made

    def _opened(self, signed: str, owner: str) -> str:
        """The id as the application knows it, or an unknown one."""
        session_id, _, signature = signed.rpartition(".")
        expected = self._sign(session_id, owner)
        return (
            session_id
            if hmac.compare_digest(expected.encode(), signature.encode("latin-1"))
            else NO_SESSION
        )

    def _sign(self, session_id: str, owner: str) -> str:
        text = f"{owner}\0{session_id}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:32]


def _with_session(scope: Scope, session: str) -> Scope:
    """The scope with another session in its headers."""
    others = [line for line in scope["headers"] if line[0] != SESSION.encode()]
    return {**scope, "headers": [*others, (SESSION.encode(), session.encode())]}


class OneAtATime:
    """Refuses a request whose id is that of another request of its session
    which is being answered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._in_flight: dict[tuple[str, str], asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _request_key(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        if not await self._is_free(key):
            reason = "Invalid request: a request with this id is still being answered."
            await refuse(BadJsonRpcMessage(INVALID_REQUEST, reason, scope[MESSAGE]["id"]), send)
            return
        ended = self._in_flight[key] = asyncio.Event()
        try:
            await self._app(scope, receive, send)
        finally:
            del self._in_flight[key]
            ended.set()

    async def _is_free(self, key: tuple[str, str]) -> bool:
        """Whether no request has this id now; waits a moment for one that was just answered."""
        before = self._in_flight.get(key)
        if before is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ENDING_SECONDS):
                    await before.wait()
        return key not in self._in_flight


def _request_key(scope: Scope) -> tuple[str, str] | None:
    """The session and the id of a request in a session; None for anything else."""
    session = header(scope, SESSION) if scope["type"] == "http" else None
    message: dict[str, Any] = scope.get(MESSAGE, {})
    if session is None or "method" not in message or "id" not in message:
        return None
    return session, str(message["id"])  # the application takes 7 and "7" for one id
