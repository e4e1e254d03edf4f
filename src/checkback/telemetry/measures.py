"""What this process counts for Prometheus: its own requests, calls and streams, since its start.

What belongs to the store is read from the store instead (``checkback.engine.jobs.statistics``), so
that it is right with any number of processes and after restarts.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from checkback.core import trace_context
from checkback.core.trace_context import TraceContext
from checkback.telemetry import recording
from checkback.telemetry.recording import SpanKind

disable_created_metrics()

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_requests = Counter(
    "checkback_http_requests",
    "HTTP requests that this server has answered.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
_request_seconds = Histogram(
    "checkback_http_request_seconds",
    "How long answers took, event streams left out.",
    ["route", "method"],
    buckets=SECONDS,
    registry=REGISTRY,
)
_calls = Counter(
    "checkback_mcp_calls",
    "Calls of MCP tools that this server has answered.",
    ["tool", "outcome"],
    registry=REGISTRY,
)
_call_seconds = Histogram(
    "checkback_mcp_call_seconds",
    "How long MCP tools took to answer, waits included.",
    ["tool"],
    buckets=SECONDS,
    registry=REGISTRY,
)
loop_lag = Histogram(
    "checkback_event_loop_lag_seconds",
    "How late the server's event loop was, measured ten times a second.",
    buckets=(0.001, 0.0025, *SECONDS[:10]),
    registry=REGISTRY,
)
event_streams = Gauge(
    "checkback_event_streams", "Streams of server-sent events that are open.", registry=REGISTRY
)


def answered(route: str, method: str, status: int, seconds: float | None) -> None:
    """Count an HTTP request; ``seconds`` is None for a stream, which lasts as long as its reader
    stays.
    """
    _requests.labels(route, method, status).inc()
    if seconds is not None:
        _request_seconds.labels(route, method).observe(seconds)
        attributes = {
            "http.route": route,
            "http.request.method": method,
            "http.response.status_code": status,
        }
        recording.measure("http.server.request.duration", seconds, attributes)


class ToolCall:
    """A call under way; set ``is_error`` to what its answer says."""

    is_error: bool = False


@contextmanager
def tool_call(tool: str, parent: TraceContext | None) -> Generator[ToolCall]:
    """Around the answer of an MCP tool: its span, a count, and how long it took.

    ``parent`` is the trace that the message names itself; it goes before the one of its HTTP
    request.
    """
    attributes = {"mcp.method.name": "tools/call", "gen_ai.tool.name": tool}
    call, began = ToolCall(), time.perf_counter()
    parent = parent or trace_context.current.get()
    with recording.span(
        f"tools/call {tool}", SpanKind.SERVER, parent=parent, attributes=attributes
    ) as span:
        try:
            yield call
        except BaseException:
            call.is_error = True
            raise
        finally:
            seconds = time.perf_counter() - began
            outcome = "ok"
            if call.is_error:
                outcome = "error"
                span.failed("tool_error")
            _calls.labels(tool, outcome).inc()
            _call_seconds.labels(tool).observe(seconds)
            recording.measure("mcp.server.operation.duration", seconds, attributes)
