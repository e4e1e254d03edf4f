"""Spans and figures for OpenTelemetry, where somebody wants them; otherwise this costs next to
nothing.

OpenTelemetry itself is imported here only by a process that records
(``checkback.telemetry.opentelemetry``): the shell commands never load it. A trace that comes with a
request is passed on in either case.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Protocol

from checkback.core import trace_context
from checkback.core.trace_context import TraceContext

logger = logging.getLogger(__name__)

Attributes = Mapping[str, str | int | float | bool]

UNKNOWN_KIND = "unknown"
"""Stands for every kind that is not loaded here: its name is another client's words."""
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""The standard's own variables: where one of them is set, spans are sent there."""


class SpanKind(StrEnum):
    """OpenTelemetry's kinds of spans that are used here."""

    SERVER = "server"
    PRODUCER = "producer"
    CONSUMER = "consumer"
    INTERNAL = "internal"


class Span:
    """A piece of work. This one is recorded nowhere; its ``context`` still says where the work
    belongs to.
    """

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context
        #: Why it failed, if it did.
        self.error_type: str | None = None

    def rename(self, name: str) -> None:
        """Give it the name that is known only now."""

    def set(self, attributes: Attributes) -> None:
        """Add attributes, or replace them."""

    def failed(self, error_type: str) -> None:
        """Mark it as failed; ``error_type`` is one of our codes or the name of a class."""
        self.error_type = error_type

    def part(
        self, name: str, began: float, ended: float, attributes: Attributes | None = None
    ) -> None:
        """Record a part of it that is over. The times are seconds since 1970."""


class Recorder(Protocol):
    """Who records."""

    def span(
        self, name: str, kind: SpanKind, parent: TraceContext | None, attributes: Attributes
    ) -> AbstractContextManager[Span]: ...

    def count(self, name: str, attributes: Attributes) -> None: ...
    def measure(self, name: str, seconds: float, attributes: Attributes) -> None: ...
    def stop(self) -> None: ...


_recorder: Recorder | None = None


def is_recording() -> bool:
    """Whether this process records spans."""
    return _recorder is not None


def use(recorder: Recorder | None) -> None:
    """Record with this from now on, or not at all."""
    global _recorder
    _recorder = recorder


def start(process: str, version: str) -> None:
    """Record from now on, if the environment names a collector or a provider was set up before us.

    ``process`` is which one this is: serve, worker, mcp. Never before a fork: the exporter has a
    thread.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    wanted = any(map(os.environ.get, ENDPOINTS))
    if not wanted and "opentelemetry.sdk.trace" not in sys.modules:
        return
    from checkback.telemetry.opentelemetry import make_recorder

    try:
        use(make_recorder(process, version, export=wanted))
    except ImportError:
        logger.warning(
            "A collector is named, but OpenTelemetry's SDK is not installed: nothing is sent "
            "there. Install checkback[telemetry]."
        )


def stop() -> None:
    """Send what is left, for a few seconds at most."""
    if _recorder is not None:
        _recorder.stop()
        use(None)


@contextmanager
def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    parent: TraceContext | None = None,
    attributes: Attributes | None = None,
) -> Generator[Span]:
    """A piece of work, from here to the end of the ``with``; what happens inside belongs to it.

    Without a ``parent`` it is a part of what is being done, or begins a trace. An exception that
    passes marks it as failed, with the name of its class and not its text.
    """
    if _recorder is None:
        token = trace_context.current.set(parent or trace_context.current.get())
        try:
            yield Span(trace_context.current.get())
        finally:
            trace_context.current.reset(token)
        return
    with _recorder.span(name, kind, parent, attributes or {}) as recorded:
        token = trace_context.current.set(recorded.context)
        try:
            yield recorded
        finally:
            trace_context.current.reset(token)


def count(name: str, attributes: Attributes) -> None:
    """Count one more."""
    if _recorder is not None:
        _recorder.count(name, attributes)


def measure(name: str, seconds: float, attributes: Attributes) -> None:
    """Note how long something took."""
    if _recorder is not None:
        _recorder.measure(name, seconds, attributes)


def of_job(
    operation: str, operation_type: str, kind: str | None, queue: str, job_id: str
) -> dict[str, str | int]:
    """What every span about a job says, with the names of OpenTelemetry's conventions for
    messaging. ``kind`` is None where nobody has looked whether it is one of those that are loaded.
    """
    found: dict[str, str | int] = {
        "messaging.system": "bullmq",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation_type,
        "messaging.destination.name": queue,
        "messaging.message.id": job_id,
    }
    return found if kind is None else found | {"checkback.job.kind": kind}


def for_children(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what is set for OpenTelemetry: a job's process must not find the
    collector, nor the keys to it, and no thread of an exporter may be where processes are forked.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("OTEL_")}
    return kept | {"OTEL_SDK_DISABLED": "true"}
