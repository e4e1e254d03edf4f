"""Which responses over HTTP are one JSON object, and which an event stream.

MCP leaves it to the server. A stream carries progress and keeps a long wait alive on its way
through proxies; for an immediate response it costs six more tasks of the event loop, a third of the
whole cost of a status call. The SDK knows only one or the other for a whole server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checkback.api.mcp.tools.fast_path import IN_ITS_PLACE, Ready, ready
from checkback.api.mcp.tools.tool_names import underscore
from checkback.api.mcp.transport.jsonrpc import MESSAGE
from checkback.api.middleware.authentication import header

BRIEF_METHODS = frozenset(
    {"tools/list", "resources/list", "resources/templates/list", "prompts/list", "server/discover"}
)
BRIEF_TOOLS = frozenset(
    {
        "job_status",
        "job_result",
        "job_list",
        "job_cancel",
        "job_retry",
        "job_delete",
        "page_get_job_status",
    }
)
"""Tools, by their underscore names, that answer at once or within a few seconds."""

_brief: ContextVar[bool] = ContextVar("brief", default=False)


class _OnePiece:
    """Replaces the SDK's setting ``json_response``, whose truth value the SDK reads with each
    request.

    If a version of the SDK reads it only once, before there is a request, every answer is a stream.
    """

    def __bool__(self) -> bool:
        return _brief.get()


one_piece = cast("bool", _OnePiece())


class BriefAnswers:
    """ASGI middleware before the SDK: decides for each message, and sends ready results
    unchanged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = _brief_message(scope)
        if message is None:
            await self._app(scope, receive, send)
            return
        # A connection has one context for all its requests.
        holder = Ready()
        tokens = _brief.set(True), ready.set(holder)
        try:
            await self._app(scope, receive, _Sender(send, holder, message["id"]).send)
        finally:
            _brief.reset(tokens[0])
            ready.reset(tokens[1])


def _brief_message(scope: Scope) -> Mapping[str, Any] | None:
    """The request's message, if its answer comes soon and may have either form."""
    message: Any = scope.get(MESSAGE) if scope["type"] == "http" else None
    return message if is_brief(message) and _takes_both(scope) else None


class _Sender:
    """Passes a response on; a placeholder for a ready result is replaced by it."""

    def __init__(self, send: Send, holder: Ready, message_id: str | int) -> None:
        self._send = send
        self._holder = holder
        self._message_id = message_id
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message  # its length may change
            return
        if self._start is not None:
            start, self._start = self._start, None
            if self._holder.result is not None and IN_ITS_PLACE.encode() in message.get(
                "body", b""
            ):
                start, message = self._exchanged(start, self._holder.result)
            await self._send(start)
        await self._send(message)

    def _exchanged(self, start: Message, result: bytes) -> tuple[Message, Message]:
        message_id = json.dumps(self._message_id).encode()
        body = b'{"jsonrpc":"2.0","id":' + message_id + b',"result":' + result + b"}"
        kept = [
            (name, value) for name, value in start["headers"] if name.lower() != b"content-length"
        ]
        lines = [*kept, (b"content-length", str(len(body)).encode())]
        return {**start, "headers": lines}, {"type": "http.response.body", "body": body}


def is_brief(message: Mapping[str, Any] | None) -> bool:
    """Whether the answer to this message comes soon, and nothing comes before it."""
    if message is None or "id" not in message:
        return False
    params: Mapping[str, Any] = message.get("params") or {}
    return _is_fast(message.get("method"), params) and not _wants_progress(params)


def _is_fast(method: str | None, params: Mapping[str, Any]) -> bool:
    if method != "tools/call":
        return method in BRIEF_METHODS
    name: Any = params.get("name")
    return isinstance(name, str) and underscore(name) in BRIEF_TOOLS


def _wants_progress(params: Mapping[str, Any]) -> bool:
    meta: Any = params.get("_meta")
    return isinstance(meta, dict) and "progressToken" in meta


def _takes_both(scope: Scope) -> bool:
    """Whether the client also accepts a stream: else the SDK refuses it, as the protocol
    requires.
    """
    accepted = header(scope, "accept") or ""
    return "application/json" in accepted and "text/event-stream" in accepted
