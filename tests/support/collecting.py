"""A collector of OpenTelemetry's on loopback: it takes what real exporters send, and keeps it."""

from __future__ import annotations

import gzip
import http.server
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

T = TypeVar("T")
WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class Recorded:
    """A span as it was sent."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    process: str
    attributes: dict[str, Any]
    is_error: bool
    seconds: float


@dataclass
class Collector:
    """What has come so far."""

    port: int = 0
    spans: list[Recorded] = field(default_factory=list[Recorded])
    metrics: set[str] = field(default_factory=set[str])
    bodies: list[bytes] = field(default_factory=list[bytes])
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, find: Callable[[list[Recorded]], T | None]) -> T:
        """What ``find`` finds in the spans, as soon as it finds anything."""
        with self.arrived:
            found: T | None = None

            def seek() -> bool:
                nonlocal found
                found = find(self.spans)
                return bool(found)

            assert self.arrived.wait_for(seek, WAIT_SECONDS), sorted(
                {span.name for span in self.spans}
            )
            assert found is not None
            return found

    def span(self, name: str, trace_id: str) -> Recorded:
        """The one span of this name in a trace."""
        (found,) = self.wait(
            lambda spans: [s for s in spans if (s.name, s.trace_id) == (name, trace_id)]
        )
        return found

    def take(self, path: str, body: bytes) -> None:
        with self.arrived:
            self.bodies.append(body)
            if path == "/v1/traces":
                self.spans += _spans(ExportTraceServiceRequest.FromString(body))
            else:
                sent = ExportMetricsServiceRequest.FromString(body)
                for resource in sent.resource_metrics:
                    for scope in resource.scope_metrics:
                        self.metrics |= {metric.name for metric in scope.metrics}
            self.arrived.notify_all()


def _spans(sent: ExportTraceServiceRequest) -> list[Recorded]:
    return [
        Recorded(
            name=span.name,
            kind=span.kind,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            process=_values(resource.resource.attributes)["checkback.process"],
            attributes=_values(span.attributes),
            is_error=span.status.code == Status.STATUS_CODE_ERROR,
            seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        )
        for resource in sent.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting() -> Generator[Collector]:
    """A collector for as long as the ``with``."""
    collector = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def until(read: Callable[[], T], is_right: Callable[[T], bool]) -> T:
    """What ``read`` reads as soon as it is right; the last reading where it never is."""
    ends = time.monotonic() + WAIT_SECONDS
    while not is_right(found := read()) and time.monotonic() < ends:
        continue
    return found
