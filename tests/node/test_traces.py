"""Traces that begin in a Node program and go on here, and the other way, in BullMQ's own field for
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

from checkback.core import trace_context
from checkback.core.ids import new_job_id
from checkback.core.trace_context import TraceContext
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.telemetry import recording
from checkback.telemetry.opentelemetry import OpenTelemetry

pytestmark = [pytest.mark.node]

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Where the spans of this process go."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    recording.use(OpenTelemetry(provider.get_tracer("test"), MeterProvider().get_meter("test")))
    yield exporter
    recording.use(None)


async def test_a_trace_goes_on_in_both_directions(
    program: Any, service: Service, worker: Any, spans: InMemorySpanExporter
) -> None:
    # What BullMQ's package for OpenTelemetry, bullmq-otel, writes as a job's metadata.
    metadata = json.dumps({"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"})
    opts = {"jobId": new_job_id(), "telemetry": {"metadata": metadata}}
    job_id = await program.call(
        "add", queue="jobs", name="test.add", data={"a": 1, "b": 2}, opts=opts
    )
    assert (await program.call("finished", queue="jobs", id=job_id))["result"] == 3
    (run,) = [one for one in spans.get_finished_spans() if one.name == "run test.add"]
    assert run.context is not None and run.parent is not None
    assert format_trace_id(run.context.trace_id) == TRACE
    assert format_span_id(run.parent.span_id) == SPAN
    assert run.context.trace_state.to_header() == "vendor=1"

    # Where nobody records, a caller's trace is passed on as it came.
    recording.use(None)
    came = TraceContext(TRACE, SPAN, False, "vendor=2")
    token = trace_context.current.set(came)
    ours = (await service.submit(LOCAL, "test.add", {"a": 1, "b": 2})).job.id
    trace_context.current.reset(token)
    read = await program.call("telemetry", queue="jobs", id=ours)
    assert TraceContext.from_metadata(read["metadata"]) == came
