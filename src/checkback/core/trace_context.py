"""W3C trace context: which trace a request or a job belongs to, as it travels in headers and with
the job.

It is passed on even if nothing records spans here: a caller's trace reaches the next system that
does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_STATE = re.compile(r"[\x20-\x7e]{1,512}")
MAX_METADATA = 4096


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: what is started from here becomes a child of it."""

    trace_id: str
    span_id: str
    sampled: bool
    #: What the tracing systems on the way tell each other; it is passed on unchanged.
    tracestate: str | None = None

    @classmethod
    def parse(cls, traceparent: object, tracestate: object = None) -> TraceContext | None:
        """From the values of the two headers; None if they do not follow the specification."""
        match = _PARENT.fullmatch(traceparent.strip()) if isinstance(traceparent, str) else None
        if match is None or (match[4] and match[0].startswith("00")):
            return None
        state = tracestate if isinstance(tracestate, str) and _STATE.fullmatch(tracestate) else None
        return cls(match[1], match[2], bool(int(match[3], 16) & 1), state)

    @classmethod
    def from_carrier(cls, read: Callable[[str], object]) -> TraceContext | None:
        """From anything that returns values by name, such as the headers of a request."""
        return cls.parse(read("traceparent"), read("tracestate"))

    @classmethod
    def from_metadata(cls, text: object) -> TraceContext | None:
        """From a job's telemetry metadata as BullMQ's OpenTelemetry package
        writes it; else None.
        """
        if not isinstance(text, str) or len(text) > MAX_METADATA:
            return None
        try:
            metadata = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return (
            cls.from_carrier(cast("dict[str, Any]", metadata).get)
            if isinstance(metadata, dict)
            else None
        )

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"

    def to_metadata(self) -> str:
        """The same for BullMQ: its clients in Node.js continue this trace."""
        carrier = {"traceparent": self.traceparent}
        if self.tracestate is not None:
            carrier["tracestate"] = self.tracestate
        return json.dumps(carrier)


current: ContextVar[TraceContext | None] = ContextVar("checkback_trace", default=None)
"""The trace of the current work; None outside of every trace."""
