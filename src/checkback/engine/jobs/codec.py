"""A job's hash in the engine -> our job record, and back for what is ours in it.

Jobs that another BullMQ client added lack our fields: they belong to ``local`` and get defaults for
the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast

from checkback.core.clean_text import MAX_DEPTH, clean, clean_json, is_too_deep
from checkback.core.errors import FailureCode
from checkback.core.job import JSON, Artifact, Attempts, Failure, Job, PhaseStart
from checkback.core.queue_codec import args_of, kind_of
from checkback.core.states import State
from checkback.security.auth.callers import LOCAL_OWNER
from checkback.storage.artifacts import plain_media_type

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


class JobFields(NamedTuple):
    """The fields of a job's hash that ``status.lua`` reads, in its order."""

    timestamp: str | None
    name: str | None
    progress: str | None
    returnvalue: str | None
    failed_reason: str | None
    processed_on: str | None
    finished_on: str | None
    attempts_made: str | None
    attempts_started: str | None
    stalled_count: str | None
    opts: str | None
    deferred_failure: str | None
    owner: str | None
    failure: str | None
    artifacts: str | None
    cancel_mark: str | None
    deadline: str | None
    args_hash: str | None
    #: Attempts that were given back without having run.
    returned: str | None
    #: The ``finished_on`` of the result that somebody was given.
    read: str | None
    #: Set when the arguments were dropped.
    args_gone: str | None
    data: str | None


def decode(
    queue: str, job_id: str, engine_state: str, values: list[str | None], retention: Retention
) -> StoredJob:
    """The record that ``status.lua`` read; ``values`` are in the order of that script."""
    fields = JobFields(*values)
    state = _state_of(fields, engine_state)
    failure = _failure(state, fields.failure, fields.failed_reason, int(fields.stalled_count or 0))
    created_at, started_at, finished_at = _times_of(fields, state)
    kind = clean(kind_of(fields.name or "", queue))
    phase, percent, message, phases = decode_progress(fields.progress)
    has_started = state is not State.WAITING
    is_completed = state is State.COMPLETED
    job = Job(
        id=job_id,
        kind=kind,
        queue=queue,
        owner=clean(fields.owner or LOCAL_OWNER),
        state=state,
        created_at=created_at,
        args=_args_of(fields, kind, queue),
        phase=phase if has_started else None,
        progress=_shown_percent(state, percent),
        message=message if state is State.ACTIVE else None,
        attempts=_attempts_of(fields),
        started_at=started_at,
        finished_at=finished_at,
        expires_at=finished_at + retention.of(state) if finished_at else None,
        deadline_seconds=float(fields.deadline) if fields.deadline else None,
        result=_json(fields.returnvalue) if is_completed else None,
        artifacts=_artifacts_of(fields, state, failure),
        failure=failure,
        phases=phases if has_started else (),
        unread=is_completed and fields.read != fields.finished_on,
    )
    return StoredJob(job, fields.args_hash, engine_state)


def _state_of(fields: JobFields, engine_state: str) -> State:
    state = _STATES[engine_state]
    mark = fields.cancel_mark
    if mark is None:
        return state
    made = int(fields.attempts_made or 0)
    if _is_cancelled(mark, made, state, fields.deferred_failure, fields.failed_reason):
        return State.CANCELLED
    return state


def _times_of(fields: JobFields, state: State) -> tuple[datetime, datetime | None, datetime | None]:
    """When the job was created, started and finished.

    Each was written by another process, and their clocks may differ: no time is before the one
    before it.
    """
    created_at = _time(fields.timestamp) or datetime.fromtimestamp(0, UTC)
    started_at = _not_before(created_at, _time(fields.processed_on))
    if not state.is_final:
        return created_at, started_at, None
    finished_at = _not_before(started_at or created_at, _time(fields.finished_on))
    return created_at, started_at, finished_at


def _attempts_of(fields: JobFields) -> Attempts:
    started = int(fields.attempts_started or 0) - int(fields.returned or 0)
    made = int(fields.attempts_made or 0)
    return Attempts(made=made, started=started, max=_max_attempts(fields.opts))


def _args_of(fields: JobFields, kind: str, queue: str) -> JSON:
    if fields.data is None or fields.args_gone is not None:
        return None
    return args_of(_json(fields.data), kind, queue)


def _artifacts_of(fields: JobFields, state: State, failure: Failure | None) -> tuple[Artifact, ...]:
    """The files of a job that has ended.

    When its worker was lost, no attempt has ended: files that one had left belong to no result.
    """
    if not state.is_final:
        return ()
    if failure is not None and failure.code == FailureCode.WORKER_LOST:
        return ()
    return decode_artifacts(fields.artifacts)


def _shown_percent(state: State, percent: int) -> int:
    if state is State.COMPLETED:
        return 100
    if state is State.WAITING:
        return 0
    return min(percent, 99)


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
        hint="The job may crash its worker: check the server's log before you retry it.",
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
