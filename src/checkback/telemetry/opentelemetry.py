"""Recording with OpenTelemetry: with the providers that somebody has set up, or with our own."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager

from opentelemetry import context as ambient
from opentelemetry import metrics, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from checkback.core import trace_context
from checkback.core.trace_context import TraceContext
from checkback.telemetry.recording import Attributes, Recorder, Span, SpanKind

logger = logging.getLogger(__name__)

STOP_SECONDS = 3.0
_KINDS = {kind: trace.SpanKind[kind.name] for kind in SpanKind}


class _Span(Span):
    """A span of OpenTelemetry's."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        super().__init__(_context_of(span))
        self._tracer = tracer
        self._span = span

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def failed(self, error_type: str) -> None:
        super().failed(error_type)
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(trace.StatusCode.ERROR)

    def part(
        self, name: str, began: float, ended: float, attributes: Attributes | None = None
    ) -> None:
        made = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(self._span),
            attributes=dict(attributes or {}),
            start_time=_nanoseconds(began),
        )
        made.end(_nanoseconds(max(began, ended)))


class OpenTelemetry(Recorder):
    """Records with a tracer and a meter. ``shut_down`` are what ends the
    providers that are ours.
    """

    def __init__(
        self,
        tracer: trace.Tracer,
        meter: metrics.Meter,
        shut_down: list[Callable[[], object]] | None = None,
    ) -> None:
        self._tracer = tracer
        self._meter = meter
        self._shut_down = shut_down or []
        self._counters: dict[str, metrics.Counter] = {}
        self._histograms: dict[str, metrics.Histogram] = {}

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, parent: TraceContext | None, attributes: Attributes
    ) -> Generator[Span]:
        if parent is None and not trace.get_current_span().get_span_context().is_valid:
            parent = trace_context.current.get()
        with self._tracer.start_as_current_span(
            name,
            context=_below(parent),
            kind=_KINDS[kind],
            attributes=dict(attributes),
            # Their texts could hold anything.
            record_exception=False,
            set_status_on_exception=False,
        ) as made:
            recorded = _Span(self._tracer, made)
            try:
                yield recorded
            except Exception as error:
                recorded.failed(type(error).__name__)
                raise

    def count(self, name: str, attributes: Attributes) -> None:
        if name not in self._counters:
            self._counters[name] = self._meter.create_counter(name)
        self._counters[name].add(1, dict(attributes))

    def measure(self, name: str, seconds: float, attributes: Attributes) -> None:
        if name not in self._histograms:
            self._histograms[name] = self._meter.create_histogram(name, unit="s")
        self._histograms[name].record(seconds, dict(attributes))

    def stop(self) -> None:
        """Ends our providers. A collector that does not answer must not hold the process."""
        ending = [threading.Thread(target=shut_down, daemon=True) for shut_down in self._shut_down]
        for one in ending:
            one.start()
        deadline = time.monotonic() + STOP_SECONDS
        for one in ending:
            one.join(max(0.0, deadline - time.monotonic()))


def make_recorder(process: str, version: str, *, export: bool) -> OpenTelemetry | None:
    """A recorder on the providers that are there, else on ones that send to where the environment
    says, if ``export``. Raises ImportError where the SDK or the exporter is not installed.
    """
    shut_down: list[Callable[[], object]] = []
    if export and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        shut_down = _set_up(process, version)
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    return OpenTelemetry(
        trace.get_tracer("checkback", version), metrics.get_meter("checkback", version), shut_down
    )


def _set_up(process: str, version: str) -> list[Callable[[], object]]:
    """Providers of our own, by the standard's variables; returns what ends them."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if "grpc" in os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", ""):
        logger.warning(
            "OTEL_EXPORTER_OTLP_PROTOCOL: checkback speaks http/protobuf, usually on port 4318."
        )
    resource = Resource.create(
        {"service.version": version, "service.instance.id": str(uuid.uuid4())}
    )
    if resource.attributes.get("service.name", "").startswith("unknown_service"):  # type: ignore[union-attr]
        resource = resource.merge(Resource({"service.name": "checkback"}))
    resource = resource.merge(Resource({"checkback.process": process}))
    shut_down: list[Callable[[], object]] = []
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none":
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(tracers)
        shut_down.append(tracers.shutdown)
    where = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    if os.environ.get("OTEL_METRICS_EXPORTER", "otlp") != "none" and any(
        map(os.environ.get, where)
    ):
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        metrics.set_meter_provider(meters)
        shut_down.append(meters.shutdown)
    return shut_down


def _below(parent: TraceContext | None) -> ambient.Context:
    """The context in which a span becomes a child of ``parent``, which another process may have
    made; without one, of the span that is current here.
    """
    if parent is None:
        return ambient.get_current()
    state = TraceState.from_header([parent.tracestate]) if parent.tracestate else None
    remote = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(parent.sampled)),
        trace_state=state,
    )
    return trace.set_span_in_context(NonRecordingSpan(remote))


def _context_of(span: trace.Span) -> TraceContext | None:
    found = span.get_span_context()
    if not found.is_valid:
        return None
    return TraceContext(
        trace.format_trace_id(found.trace_id),
        trace.format_span_id(found.span_id),
        found.trace_flags.sampled,
        found.trace_state.to_header() or None,
    )


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
