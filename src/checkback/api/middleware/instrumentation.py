"""Middleware around all HTTP APIs: counts requests, and records a span for each if spans are
recorded.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checkback.api.middleware.authentication import METRICS_PATH
from checkback.core import request_ids, trace_context
from checkback.core.trace_context import TraceContext
from checkback.telemetry import measures, recording
from checkback.telemetry.recording import SpanKind

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
OTHER = "other"
"""Stands for every method and path that this server does not have: strangers can invent any number.
"""
UNRECORDED = frozenset({"/health", METRICS_PATH})
"""Polled by programs all day: not worth a span."""
EVENT_STREAM = b"text/event-stream"


class _ResponseWatcher:
    """Passes a response on, and notes its status and whether it is a stream of events."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.is_stream = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.is_stream = any(map(_is_event_stream, message.get("headers", ())))
        await self._send(message)


def _is_event_stream(header: tuple[bytes, bytes]) -> bool:
    name, value = header
    return name.lower() == b"content-type" and value.startswith(EVENT_STREAM)


def _known_method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else OTHER


def _is_recorded(scope: Scope) -> bool:
    return recording.is_recording() and scope["path"] not in UNRECORDED


class Instrumentation:
    """Pure ASGI middleware. ``fixed`` are paths that our routers do not serve."""

    def __init__(self, app: ASGIApp, *, fixed: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._fixed = fixed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = _known_method(scope)
        watcher = _ResponseWatcher(send)
        began = time.perf_counter()
        # Each connection has one context for all its requests.
        request_ids.current.set(None)
        try:
            if _is_recorded(scope):
                await self._record(method, watcher, scope, receive)
            else:
                trace_context.current.set(_trace_of(scope))
                await self._app(scope, receive, watcher.send)
        finally:
            seconds = None if watcher.is_stream else time.perf_counter() - began
            measures.answered(self._route(scope), method, watcher.status, seconds)

    async def _record(
        self, method: str, watcher: _ResponseWatcher, scope: Scope, receive: Receive
    ) -> None:
        """Answer inside a span."""
        parent = _trace_of(scope)
        attributes = {"http.request.method": method}
        with recording.span(method, SpanKind.SERVER, parent=parent, attributes=attributes) as span:
            try:
                await self._app(scope, receive, watcher.send)
            finally:
                route = self._route(scope)
                span.rename(f"{method} {route}")
                span.set({"http.route": route, "http.response.status_code": watcher.status})
                if watcher.status >= 500:
                    span.failed(str(watcher.status))

    def _route(self, scope: Scope) -> str:
        path = scope["path"].rstrip("/")
        if path in self._fixed:
            return path
        template: Any = getattr(scope.get("route"), "path", None)
        return template if isinstance(template, str) else OTHER


def _trace_of(scope: Scope) -> TraceContext | None:
    """The trace that the request belongs to."""
    found = {
        name: value for name, value in scope["headers"] if name in (b"traceparent", b"tracestate")
    }
    if b"traceparent" not in found:
        return None
    return TraceContext.from_carrier(lambda name: found.get(name.encode(), b"").decode("latin-1"))
