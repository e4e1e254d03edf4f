"""How long the HTTP APIs wait for a client: for the head of a request, and for its body.

uvicorn itself waits for both without limit. A client that is too slow gets 408, and its connection
is closed.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from checkback.api.error_responses import send_json
from checkback.api.middleware.authentication import header
from checkback.api.middleware.strict_heads import StrictBuffer
from checkback.api.operations import RequestTooSlow
from checkback.core.request_ids import resolve_request_id
from checkback.dialects import native

HEAD_SECONDS = 10.0
"""For a whole head, from the start of the connection or of its next request."""
BODY_SECONDS = 30.0
"""For a body of any size, and again for each ``BODY_BYTES`` that have arrived."""
BODY_BYTES = 512 * 1024
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
REST_SECONDS = 2.0
"""For a client to receive a response that was sent before its body was complete."""
STREAM = "checkback.stream"
"""Key in a request's scope: its response is a stream of events, which ends only when the client
disconnects.
"""


class TimeoutProtocol(H11Protocol):
    """uvicorn's protocol, which closes connections whose heads do not arrive, or whose bodies are
    not read.
    """

    head_seconds = HEAD_SECONDS
    _waiting: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn._receive_buffer = StrictBuffer()  # pyright: ignore[reportPrivateUsage]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(self.head_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            self._wait(None)
        elif self.conn.their_state is h11.IDLE:
            if self._waiting is None and self.conn.our_state is h11.IDLE:
                self._wait(self.head_seconds, self._too_slow)
        elif (
            cycle := cast("RequestResponseCycle | None", self.cycle)
        ) and not cycle.response_complete:
            self._wait(None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._wait(REST_SECONDS, self.transport.close)

    def shutdown(self) -> None:
        """Also disconnect clients of event streams: they reconnect by themselves, and would not end
        otherwise.
        """
        super().shutdown()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and STREAM in cycle.scope:
            self.transport.close()

    def _wait(self, seconds: float | None, then: Any = None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if seconds is not None:
            self._waiting = self.loop.call_later(seconds, then)

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(TOO_SLOW)
            self.transport.close()


class BodyTimeouts:
    """Answers requests whose bodies arrive too slowly with 408; their handlers see a disconnect."""

    def __init__(self, app: ASGIApp, *, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self._seconds, scope, receive, send)
        await self._app(scope, body.receive, body.send)


class _Body:
    """The body of one request while it arrives."""

    def __init__(self, seconds: float, scope: Scope, receive: Receive, send: Send) -> None:
        self._seconds, self._scope, self._receive, self._send = seconds, scope, receive, send
        self._began: float | None = None
        self._came = 0
        self._whole = False
        self._answered = False
        self._gave_up = False

    async def receive(self) -> Message:
        """The next piece, or a disconnect: after the body only a disconnect is awaited, without
        limit.
        """
        if self._gave_up:
            return {"type": "http.disconnect"}
        if self._whole:
            return await self._receive()
        now = time.monotonic()
        if self._began is None:
            self._began = now
        allowed = self._seconds * (1 + self._came // BODY_BYTES)
        try:
            async with asyncio.timeout(self._began + allowed - now):
                message = await self._receive()
        except TimeoutError:
            await self._give_up()
            return {"type": "http.disconnect"}
        self._came += len(message.get("body", b""))
        self._whole = not _has_more(message)
        return message

    async def send(self, message: Message) -> None:
        if not self._gave_up:
            self._answered = True
            if message["type"] == "http.response.start" and _is_stream(message):
                self._scope[STREAM] = True
            await self._send(message)

    async def _give_up(self) -> None:
        self._gave_up = True
        if self._answered:
            return
        request_id = resolve_request_id(header(self._scope, "x-request-id"))
        lines = [(b"connection", b"close"), (b"x-request-id", request_id.encode())]
        await send_json(self._send, 408, native.error(RequestTooSlow(), request_id), lines)


def _is_stream(start: Message) -> bool:
    headers: dict[bytes, bytes] = dict(start.get("headers", ()))
    return headers.get(b"content-type", b"").startswith(b"text/event-stream")


def _has_more(message: Message) -> bool:
    """Whether another piece of the body follows."""
    return message["type"] == "http.request" and message.get("more_body", False)
