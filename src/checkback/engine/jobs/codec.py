"""A job's hash in the engine -> our job record, and back for what is ours in it.

Jobs that another BullMQ client added lack our fields: they belong to ``local`` and get defaults for
the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from checkback.core.clean_text import MAX_DEPTH, clean, clean_json, is_too_deep
from checkback.core.errors import FailureCode
from checkback.core.job import JSON, Artifact, Attempts, Failure, Job, PhaseStart
from checkback.core.states import State
from checkback.dialects import reftrix
from checkback.engine.redis.keys import PAGES_QUEUE
from checkback.security.auth.callers import LOCAL_OWNER
from checkback.storage.artifacts import plain_media_type

PAGE_KIND: Final = "page.analyze"
PAGE_JOB_NAME: Final = "page-analyze"
"""What ReftrixMCP's queue calls the job (docs/reftrix.md); everywhere else the job's name is its
kind.
"""

CANCEL_REASON: Final = "cancelled: somebody asked for the end of this job"
"""BullMQ has no cancelled state: its own clients see a failed job with this reason."""

# Python writes and reads NaN, which no JSON has; 1e999 is read as an infinity.
_DECODER: Final = json.JSONDecoder(
    parse_constant=lambda _: None, parse_float=lambda text: _finite(float(text))
)
_parse = _DECODER.raw_decode
_STATES: Final = {state.value: state for state in State}

STALLED_REASON: Final = "job stalled more than allowable limit"
"""BullMQ's own words for a job whose worker was lost too often."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a finished job can be read."""

    completed: timedelta = timedelta(hours=24)
    failed: timedelta = timedelta(days=7)

    def of(self, state: State) -> timedelta:
        return self.completed if state is State.COMPLETED else self.failed


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as read, with what only the engine needs."""

    job: Job
    args_hash: str | None
    #: BullMQ's own word for where the job lies.
    engine_state: str


def job_name(kind: str, queue: str) -> str:
    """What BullMQ calls a job of this kind."""
    return PAGE_JOB_NAME if (kind, queue) == (PAGE_KIND, PAGES_QUEUE) else kind


def kind_of(name: str, queue: str) -> str:
    return PAGE_KIND if (name, queue) == (PAGE_JOB_NAME, PAGES_QUEUE) else name


def queue_data(
    kind: str, queue: str, job_id: str, args: Mapping[str, JSON], created: datetime
) -> JSON:
    """The job's data as BullMQ's other clients expect to find it in that queue."""
    if queue == PAGES_QUEUE and kind == PAGE_KIND:
        return reftrix.queue_data(job_id, args, created)
    return dict(args)


def args_of(data: JSON, kind: str, queue: str) -> JSON:
    if queue == PAGES_QUEUE and kind == PAGE_KIND:
        return reftrix.args_from_queue_data(data)
    return data


def decode(
    queue: str, job_id: str, engine_state: str, fields: list[str | None], retention: Retention
) -> StoredJob:
    """The record that ``status.lua`` read; ``fields`` are in the order of that script."""
    (
        timestamp, name, progress, returnvalue, failed_reason, processed, finished, made, started, stalled,
        opts, deferred, owner, failure, artifacts, cancel, deadline, args_hash, returned, read, gone, data,
    ) = fields  # fmt: skip
    kind = clean(kind_of(name or "", queue))
    made_count = int(made or 0)
    state = _STATES[engine_state]
    if cancel is not None and _is_cancelled(cancel, made_count, state, deferred, failed_reason):
        state = State.CANCELLED
    created_at = _time(timestamp) or datetime.fromtimestamp(0, UTC)
    # Each was written by another process, and their clocks may differ: no time is before the one
    # before it.
    started_at = _not_before(created_at, _time(processed))
    finished_at = _not_before(started_at or created_at, _time(finished)) if state.is_final else None
    phase, percent, message, phases = decode_progress(progress)
    started_count = int(started or 0) - int(returned or 0)
    failed = _failure(state, failure, failed_reason, int(stalled or 0))
    # The end is nobody's attempt then: files that one had left belong to no result.
    lost = failed is not None and failed.code == FailureCode.WORKER_LOST
    job = Job(
        id=job_id,
        kind=kind,
        queue=queue,
        owner=clean(owner or LOCAL_OWNER),
        state=state,
        created_at=created_at,
        args=args_of(_json(data), kind, queue) if data is not None and gone is None else None,
        phase=phase if state is not State.WAITING else None,
        progress=100
        if state is State.COMPLETED
        else (0 if state is State.WAITING else min(percent, 99)),
        message=message if state is State.ACTIVE else None,
        attempts=Attempts(made=made_count, started=started_count, max=_max_attempts(opts)),
        started_at=started_at,
        finished_at=finished_at,
        expires_at=finished_at + retention.of(state) if finished_at else None,
        deadline_seconds=float(deadline) if deadline else None,
        result=_json(returnvalue) if state is State.COMPLETED else None,
        artifacts=decode_artifacts(artifacts) if state.is_final and not lost else (),
        failure=failed,
        phases=phases if state is not State.WAITING else (),
        unread=state is State.COMPLETED and read != finished,
    )
    return StoredJob(job, args_hash, engine_state)


def decode_progress(text: str | None) -> tuple[str | None, int, str | None, tuple[PhaseStart, ...]]:
    """Phase, percentage, message and phases so far of a progress field: our object, another
    client's, or a plain number.
    """
    value = _json(text)
    if isinstance(value, bool) or value is None:
        return None, 0, None, ()
    if isinstance(value, int | float):
        return None, _percent(value), None, ()
    if not isinstance(value, dict):
        return None, 0, None, ()
    found = cast("dict[str, Any]", value)
    phase, message = found.get("currentPhase", found.get("phase")), found.get("message")
    percent = found.get("overallProgress", found.get("progress", 0))
    return (
        phase[:64] if isinstance(phase, str) else None,
        _percent(percent) if isinstance(percent, int | float) else 0,
        message[:200] if isinstance(message, str) else None,
        decode_phases(found.get("phases")),
    )


def decode_phases(value: JSON) -> tuple[PhaseStart, ...]:
    """Phases as ``encode_phases`` wrote them; of anything else none."""
    try:
        return tuple(PhaseStart(str(phase)[:64], int(after) / 1000) for phase, after in value or ())
    except (TypeError, ValueError):
        return ()


def encode_phases(phases: Sequence[PhaseStart]) -> JSON:
    return [[one.phase, round(one.after_seconds * 1000)] for one in phases]


def encode_progress(
    phase: str | None, percent: int, message: str | None, phases: Sequence[PhaseStart] = ()
) -> str:
    """The progress object that ReftrixMCP's own clients read, plus our message and phases."""
    value: dict[str, JSON] = {"overallProgress": percent}
    if phases:
        value["phases"] = encode_phases(phases)
    if phase is not None:
        value["currentPhase"] = phase
    if message is not None:
        value["message"] = message[:200]
    return json.dumps(value)


def encode_artifacts(artifacts: tuple[Artifact, ...]) -> str:
    return json.dumps([asdict(artifact) for artifact in artifacts])


def decode_artifacts(text: str | None) -> tuple[Artifact, ...]:
    if text is None or text == "[]":
        return ()
    found = cast("list[dict[str, Any]] | None", _json(text))
    artifacts = tuple(Artifact(**item) for item in found or ())
    return tuple(replace(one, media_type=plain_media_type(one.media_type)) for one in artifacts)


def encode_failure(failure: Failure) -> str:
    return json.dumps(asdict(failure))


def _is_cancelled(
    cancel: str, made: int, state: State, deferred: str | None, failed_reason: str | None
) -> bool:
    """Whether the marker speaks of this attempt.

    It holds the number of attempts that had ended when the job was cancelled. Until the job has
    failed there is a deferred failure with it: a marker without one is left from before a retry by
    a Node client, which may have set the numbers back. A Node worker that knows nothing of the
    marker may end the attempt as failed while another one is due; then the deferred failure still
    shows the cancel.
    """
    if CANCEL_REASON in (deferred, failed_reason):
        return True
    current = made - 1 if state.is_final else made
    return int(cancel) == current and (deferred is not None or state is State.FAILED)


def _failure(state: State, stored: str | None, reason: str | None, stalled: int) -> Failure | None:
    if state is State.CANCELLED:
        return Failure(
            FailureCode.CANCELLED, "The job was cancelled.", hint="Retry it to run it again."
        )
    if state is not State.FAILED:
        return None
    if reason == STALLED_REASON:
        return worker_lost(max(stalled, 1))
    if stored is not None:
        return Failure(**cast("dict[str, Any]", _json(stored)))
    # Another BullMQ client's worker failed it: its words are not ours to vouch for.
    return Failure("failed", clean(reason or "The job failed.")[:500])


def worker_lost(times: int) -> Failure:
    """The failure of a job whose worker was lost too often."""
    return Failure(
        FailureCode.WORKER_LOST,
        f"The worker that ran this job was lost {times} times.",
        hint="The job may bring its worker down: look into the server's log before you retry it.",
    )


def _max_attempts(opts: str | None) -> int:
    found = _json(opts)
    value = cast("dict[str, Any]", found).get("attempts") if isinstance(found, dict) else None
    return value if isinstance(value, int) and value > 0 else 1


def _percent(value: float) -> int:
    return max(0, min(100, int(value))) if value == value else 0


def _json(text: str | None) -> JSON:
    """A stored value, so that every door can encode it. Other clients write what they like: what is
    not JSON, or nested too deeply, is taken as text.
    """
    if text is None:
        return None
    try:
        # Half the time of decode, which looks for white space around the value.
        value, end = _parse(text)
        if end != len(text):
            value = _DECODER.decode(text)
        # Only a text with such an escape can give half a surrogate pair.
        if "\\ud" in text or "\\uD" in text or not text.isascii():
            value = clean_json(value)
        elif text.count("[") + text.count("{") > MAX_DEPTH and is_too_deep(value):
            return text
        return value
    except (ValueError, RecursionError):
        return clean(text)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _time(milliseconds: str | None) -> datetime | None:
    if not milliseconds or milliseconds == "0":
        return None
    return datetime.fromtimestamp(int(float(milliseconds)) / 1000, UTC)


def _not_before(earlier: datetime, moment: datetime | None) -> datetime | None:
    return None if moment is None else max(earlier, moment)
