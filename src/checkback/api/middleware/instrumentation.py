"""Stands around all HTTP doors: counts requests, and records a span for each where spans are
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
"""Asked all day long by programs: no span is worth it."""
EVENT_STREAM = b"text/event-stream"


class Instrumentation:
    """Pure ASGI middleware. ``fixed`` are paths that our routers do not serve."""

    def __init__(self, app: ASGIApp, *, fixed: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._fixed = fixed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else OTHER
        began = time.perf_counter()
        status, is_stream = 0, False

        async def watched(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = any(
                    name.lower() == b"content-type" and value.startswith(EVENT_STREAM)
                    for name, value in message.get("headers", ())
                )
            await send(message)

        # Each connection has one context for all its requests.
        request_ids.current.set(None)
        parent = _trace_of(scope)
        try:
            if not recording.is_recording() or scope["path"] in UNRECORDED:
                trace_context.current.set(parent)
                await self._app(scope, receive, watched)
                return
            attributes = {"http.request.method": method}
            with recording.span(
                method, SpanKind.SERVER, parent=parent, attributes=attributes
            ) as span:
                try:
                    await self._app(scope, receive, watched)
                finally:
                    route = self._route(scope)
                    span.rename(f"{method} {route}")
                    span.set({"http.route": route, "http.response.status_code": status})
                    if status >= 500:
                        span.failed(str(status))
        finally:
            seconds = None if is_stream else time.perf_counter() - began
            measures.answered(self._route(scope), method, status, seconds)

    def _route(self, scope: Scope) -> str:
        path = scope["path"].rstrip("/")
        if path in self._fixed:
            return path
        template: Any = getattr(scope.get("route"), "path", None)
        return template if isinstance(template, str) else OTHER


def _trace_of(scope: Scope) -> TraceContext | None:
    """Where the request says that it belongs to."""
    found = {
        name: value for name, value in scope["headers"] if name in (b"traceparent", b"tracestate")
    }
    if b"traceparent" not in found:
        return None
    return TraceContext.from_carrier(lambda name: found.get(name.encode(), b"").decode("latin-1"))
