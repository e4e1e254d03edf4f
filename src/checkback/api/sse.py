"""A job as a stream of server-sent events: its record at once, then again at each change, until its
end.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from checkback.api.operations import while_connected
from checkback.core.clean_text import clean_json
from checkback.core.errors import CheckbackError
from checkback.core.job import Job
from checkback.dialects import native
from checkback.security.auth.callers import Caller
from checkback.service import Service
from checkback.telemetry.measures import event_streams

HEARTBEAT_SECONDS = 15.0


def event_id(job: Job) -> str:
    """Identifies the content of a job's record: a client that saw this event last has missed
    nothing.
    """
    # The time of the request is not part of it, so that the same job always gives the same id.
    record = native.job(job, now=job.created_at)
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


class _LastEvent:
    """The last event of each job, so that all listeners that one change wakes share one encoding.

    They get the same record object (``JobStore.read_together``); another record is encoded again.
    """

    def __init__(self, max_jobs: int = 64) -> None:
        self._max_jobs = max_jobs
        self._last: OrderedDict[str, tuple[Job, str, bytes]] = OrderedDict()

    def of(self, job: Job) -> tuple[str, bytes]:
        """The id of a job's event, and the event."""
        job_before, name, text = self._last.get(job.id, (None, "", b""))
        if job_before is not job:
            name = event_id(job)
            text = _event("job", native.job(job, now=datetime.now(UTC)), name)
            self._last[job.id] = (job, name, text)
            self._last.move_to_end(job.id)
            if len(self._last) > self._max_jobs:
                self._last.popitem(last=False)
        return name, text


_last_event = _LastEvent()


async def events(
    service: Service,
    caller: Caller,
    job_id: str,
    *,
    last_seen: str | None = None,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[bytes, None]:
    """The stream's text, event by event. ``last_seen`` is the id of the event that the client saw
    last.
    """
    watch = service.watch(caller, job_id)

    async def next_job() -> Job | None:
        return await anext(watch, None)

    async with aclosing(watch):
        pending = asyncio.ensure_future(next_job())
        try:
            while True:
                await asyncio.wait({pending}, timeout=heartbeat_seconds)
                if not pending.done():
                    yield b": still here\n\n"
                    continue
                job = pending.result()
                if job is None:
                    return
                name, text = _last_event.of(job)
                if name != last_seen:
                    yield text
                pending = asyncio.ensure_future(next_job())
        finally:
            pending.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await pending


class EventStream:
    """The response that sends ``source``, as an ASGI application. Ends the source when the client
    disconnects.

    ``ended`` is called then, or when the source ends.
    """

    def __init__(
        self, source: AsyncGenerator[bytes, None], request_id: str, ended: Callable[[], None]
    ) -> None:
        self._ended = ended
        self._source = source
        self._request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._send(scope, receive, send)
        finally:
            self._ended()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx would hold the events back
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with event_streams.track_inprogress():
            async with aclosing(self._source):
                await while_connected(Request(scope, receive), self._pump(send))
        await send({"type": "http.response.body", "body": b""})

    async def _pump(self, send: Send) -> None:
        try:
            async for text in self._source:
                await send({"type": "http.response.body", "body": text, "more_body": True})
        except CheckbackError as error:
            # The status line has been sent; this is the only way left to report the error.
            text = _event("error", native.error(error, self._request_id))
            await send({"type": "http.response.body", "body": text, "more_body": True})


def _event(name: str, data: object, event_id: str | None = None) -> bytes:
    lines = [f"event: {name}", f"data: {_encoded(data)}"]
    if event_id is not None:
        lines.insert(0, f"id: {event_id}")
    return ("\n".join(lines) + "\n\n").encode()


def _encoded(data: object) -> str:
    try:
        return json.dumps(data, allow_nan=False)
    except ValueError:  # a number that JSON cannot write
        return json.dumps(clean_json(data), allow_nan=False)
