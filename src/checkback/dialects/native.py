"""The native format: the job record as JSON, as the HTTP API, the client, the shell and the MCP
tools show it.

Pure functions. ``state``, ``phase``, ``next_step`` and hints come from enums, a kind's own
declarations and the templates below, never from a page, a document or a function's output; the
fields that contain such text are listed in ``untrusted``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import Field
from typing_extensions import TypedDict

from checkback.core.errors import CheckbackError
from checkback.core.estimates import NO_ESTIMATE, Estimate
from checkback.core.job import JSON, Artifact, Job
from checkback.core.states import State

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
StateName = Literal["waiting", "delayed", "active", "completed", "failed", "cancelled"]
RETRY_AFTER_SECONDS = {429: 30, 503: 5}
"""By HTTP status: when a retry makes sense, if the error itself does not say."""
MAX_INLINE_CHARACTERS = 8_000
"""A longer result is not part of an agent's tool result: it is read in parts."""

UNTRUSTED = ("message", "result", "artifacts", "failure.message")


class AttemptsRecord(TypedDict):
    """How often the job ran: ended attempts, started ones (a lost worker's too), allowed ones."""

    made: int
    started: int
    max: int


class ArtifactRecord(TypedDict):
    """A file that the job has written."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    url: Annotated[str, Field(description="Path of its content, relative to the server's address.")]


class FailureRecord(TypedDict):
    """Why the job failed."""

    code: str
    message: str
    retryable: bool
    hint: str


class JobRecord(TypedDict):
    """A job at one moment."""

    id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    kind: str
    queue: str
    owner: str
    state: StateName
    is_final: Annotated[
        bool, Field(description="Whether only an explicit retry can change the state.")
    ]
    phase: str | None
    progress: Annotated[int, Field(ge=0, le=100)]
    message: str | None
    attempts: AttemptsRecord
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Annotated[
        Time | None, Field(description="When the record and its files are deleted.")
    ]
    deadline_seconds: float | None
    result: Annotated[
        Any, Field(description="Result of a completed job, if it is small; else null.")
    ]
    artifacts: list[ArtifactRecord]
    failure: FailureRecord | None
    queue_position: Annotated[
        int | None,
        Field(description="Position in the queue, 1 for the next job; null once the job runs."),
    ]
    elapsed_seconds: Annotated[
        int | None, Field(description="Seconds since the job started; null before that.")
    ]
    eta_seconds: Annotated[
        int | None,
        Field(description="Estimated seconds until the job ends; null if unknown."),
    ]
    check_after_seconds: Annotated[
        int | None,
        Field(description="Seconds to wait before the next check; null once the job has ended."),
    ]
    next_step: str
    untrusted: Annotated[
        list[str],
        Field(description="Fields that may contain text from pages, documents or job code."),
    ]


class JobSummary(TypedDict):
    """A job as an agent needs it: enough to continue with, small enough to be read often."""

    job_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    kind: str
    state: StateName
    is_final: Annotated[
        bool, Field(description="Whether only an explicit retry can change the state.")
    ]
    phase: str | None
    progress: Annotated[int, Field(ge=0, le=100)]
    message: str | None
    attempts: AttemptsRecord
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Time | None
    result: Annotated[
        Any,
        Field(description="The job's result; null while the job runs, or if the result is long."),
    ]
    result_is_longer: Annotated[
        bool, Field(description="Whether the result was left out because it is long.")
    ]
    artifacts: list[ArtifactRecord]
    failure: FailureRecord | None
    summary: Annotated[
        str | None, Field(description="One sentence about how the job ended; null until then.")
    ]
    unread: Annotated[bool, Field(description="Whether the result has not been read yet.")]
    queue_position: int | None
    elapsed_seconds: int | None
    eta_seconds: int | None
    check_after_seconds: int | None
    next_step: str
    untrusted: list[str]


class JobRow(TypedDict):
    """A job in a list: what is needed to choose one. Empty fields are left out."""

    job_id: str
    kind: str
    state: StateName
    created_at: Time
    unread: Annotated[bool, Field(description="The result has not been read yet.")]
    phase: NotRequired[str]
    progress: NotRequired[int]
    failure: NotRequired[Annotated[str, Field(description="Error code of the failure.")]]
    files: NotRequired[Annotated[int, Field(description="Number of files.")]]


class ErrorBody(TypedDict):
    """What went wrong, and what to do about it."""

    code: str
    message: str
    hint: str


class ErrorRecord(TypedDict):
    """The body of every error response."""

    error: ErrorBody
    request_id: str


@dataclass(frozen=True, slots=True)
class NextSteps:
    """What to do next, as text for one API. ``{id}`` stands for the job's id."""

    wait: str
    read: str
    retry: str
    give_up: str
    cancelled: str


HTTP = NextSteps(
    wait="GET /api/jobs/{id}?wait=25 returns when the job ends, or after 25 seconds.",
    read="GET /api/jobs/{id}/result returns the whole result; each artifact has its own URL.",
    retry="POST /api/jobs/{id}/retry runs the job again.",
    give_up="Correct what the failure message names, then submit a new job.",
    cancelled="POST /api/jobs/{id}/retry runs the job again if it is still wanted.",
)


def job(
    job: Job, *, now: datetime, steps: NextSteps = HTTP, outlook: Estimate = NO_ESTIMATE
) -> JobRecord:
    """The record of one job. ``now`` is used for its duration and for when to check again."""
    return {
        "id": job.id,
        "kind": job.kind,
        "queue": job.queue,
        "owner": job.owner,
        "state": job.state.value,
        "is_final": job.state.is_final,
        "phase": job.phase,
        "progress": progress(job),
        "message": job.message,
        "attempts": attempts(job),
        "created_at": iso(job.created_at),
        "started_at": iso_or_none(job.started_at),
        "finished_at": iso_or_none(job.finished_at),
        "expires_at": iso_or_none(job.expires_at),
        "deadline_seconds": job.deadline_seconds,
        "result": job.result,
        "artifacts": [artifact(job, item) for item in job.artifacts],
        "failure": failure(job),
        "queue_position": outlook.queue_position,
        "elapsed_seconds": elapsed_seconds(job, now),
        "eta_seconds": outlook.eta_seconds,
        "check_after_seconds": check_after_seconds(job, now, outlook),
        "next_step": next_step(job, steps),
        "untrusted": list(UNTRUSTED),
    }


def ticket(
    job: Job,
    *,
    now: datetime,
    steps: NextSteps,
    outlook: Estimate = NO_ESTIMATE,
    max_result_characters: int = MAX_INLINE_CHARACTERS,
) -> JobSummary:
    """What an agent sees of one job. A result that was spilled to a file, or is long, is left
    out.
    """
    result = job.result
    longer = (isinstance(result, dict) and "spilled_to" in result) or (
        result is not None and len(json.dumps(result, ensure_ascii=False)) > max_result_characters
    )
    return {
        "job_id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "is_final": job.state.is_final,
        "phase": job.phase,
        "progress": progress(job),
        "message": job.message,
        "attempts": attempts(job),
        "created_at": iso(job.created_at),
        "started_at": iso_or_none(job.started_at),
        "finished_at": iso_or_none(job.finished_at),
        "expires_at": iso_or_none(job.expires_at),
        "result": None if longer else result,
        "result_is_longer": longer,
        "artifacts": [artifact(job, item) for item in job.artifacts],
        "failure": failure(job),
        "summary": summary(job),
        "unread": job.unread,
        "queue_position": outlook.queue_position,
        "elapsed_seconds": elapsed_seconds(job, now),
        "eta_seconds": outlook.eta_seconds,
        "check_after_seconds": check_after_seconds(job, now, outlook),
        "next_step": next_step(job, steps),
        "untrusted": list(UNTRUSTED),
    }


def row(job: Job) -> JobRow:
    """A job in a list for an agent, kept short: a list of twenty costs twenty of these."""
    record: JobRow = {
        "job_id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "created_at": job.created_at.astimezone(UTC)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z"),
        "unread": job.unread,
    }
    if job.state is State.ACTIVE:
        record["progress"] = progress(job)
        if job.phase:
            record["phase"] = job.phase
    if job.state is State.FAILED and job.failure is not None:
        record["failure"] = job.failure.code
    if job.artifacts:
        record["files"] = len(job.artifacts)
    return record


def headline(job: Job, steps: NextSteps, outlook: Estimate = NO_ESTIMATE) -> str:
    """One line on a job, made of our own text only: kind, state, phase, percentage, what to do
    next.
    """
    parts = [f"{job.kind} is {job.state.value}"]
    if not job.state.is_final:
        parts += _outlook_parts(job, outlook)
    elif job.failure is not None:
        parts.append(f"code {job.failure.code}")
    return f"{', '.join(parts)}. {next_step(job, steps)}"


def _outlook_parts(job: Job, outlook: Estimate) -> list[str]:
    parts: list[str] = []
    if outlook.queue_position is not None:
        parts.append(f"number {outlook.queue_position} in its queue")
    if job.phase:
        parts.append(f"phase {job.phase}")
    if job.state is State.ACTIVE:
        parts.append(f"{progress(job)} %")
    if outlook.eta_seconds is not None:
        parts.append(f"about {outlook.eta_seconds} s left")
    return parts


def error(problem: CheckbackError, request_id: str) -> ErrorRecord:
    """The body of an error response."""
    return {
        "error": {"code": problem.code, "message": problem.message, "hint": problem.hint},
        "request_id": request_id,
    }


def retry_after(problem: CheckbackError) -> int | None:
    """After how many seconds a retry makes sense; None if it never does."""
    return problem.retry_after_seconds or RETRY_AFTER_SECONDS.get(problem.http_status)


def progress(job: Job) -> int:
    """0 to 100; 100 only for a completed job."""
    if job.state is State.COMPLETED:
        return 100
    return max(0, min(99, int(job.progress)))


def attempts(job: Job) -> AttemptsRecord:
    return {"made": job.attempts.made, "started": job.attempts.started, "max": job.attempts.max}


def artifact(job: Job, item: Artifact) -> ArtifactRecord:
    # The id, not the name, is in the URL: it needs no escaping.
    return {
        "id": item.id,
        "name": item.name,
        "media_type": item.media_type,
        "size_bytes": item.size_bytes,
        "sha256": item.sha256,
        "url": f"/api/jobs/{job.id}/artifacts/{item.id}",
    }


def failure(job: Job) -> FailureRecord | None:
    if job.failure is None:
        return None
    return {
        "code": job.failure.code,
        "message": job.failure.message,
        "retryable": job.failure.retryable,
        "hint": job.failure.hint,
    }


def summary(job: Job) -> str | None:
    """How a job ended, as one sentence; None until it has."""
    if not job.state.is_final:
        return None
    text = f"{job.kind} {job.state.value}{_duration(job)}"
    if job.failure is not None and job.state is State.FAILED:
        text += f" with code {job.failure.code}"
    return f"{text}{_files(job)}."


def _duration(job: Job) -> str:
    if job.started_at is None or job.finished_at is None:
        return ""
    return f" after {max(0.0, (job.finished_at - job.started_at).total_seconds()):.1f} s"


def _files(job: Job) -> str:
    if not job.artifacts:
        return ""
    size = sum(item.size_bytes for item in job.artifacts)
    types = sorted({item.media_type for item in job.artifacts})
    count = "1 file" if len(job.artifacts) == 1 else f"{len(job.artifacts)} files"
    return f"; {count} ({', '.join(types)[:300]}), {size:,} bytes in all"


def elapsed_seconds(job: Job, now: datetime) -> int | None:
    """For how long the job has been running, or ran; None before its start."""
    if job.started_at is None or job.state in (State.WAITING, State.DELAYED):
        return None
    return max(0, round(((job.finished_at or now) - job.started_at).total_seconds()))


def check_after_seconds(job: Job, now: datetime, outlook: Estimate = NO_ESTIMATE) -> int | None:
    """When the next check can report something new: after a third of the estimated rest, 2 to 60
    seconds.
    """
    if job.state.is_final:
        return None
    left = outlook.eta_seconds
    if left is None:
        left = _guess_left(job, now)
    return max(2, min(60, round(left / 3)))


def _guess_left(job: Job, now: datetime) -> float:
    """Seconds that a job may still take, from its progress alone."""
    runs = job.state is State.ACTIVE
    since = (job.started_at if runs else None) or job.created_at
    elapsed = max(0.0, (now - since).total_seconds())
    done = progress(job) if runs else 0
    # Without a percentage, expect the job to take as long again as it took so far.
    return elapsed * (100 - done) / done if done else elapsed


def next_step(job: Job, steps: NextSteps = HTTP) -> str:
    """One sentence on what to do with a job in this state."""
    if not job.state.is_final:
        template = steps.wait
    elif job.state is State.COMPLETED:
        template = steps.read
    elif job.state is State.CANCELLED:
        template = steps.cancelled
    elif job.failure is not None and job.failure.retryable:
        template = steps.retry
    else:
        template = steps.give_up
    return template.format(id=job.id)


def changed_at(job: Job) -> datetime:
    """When the job was created, started or finished, whichever was last."""
    return job.finished_at or job.started_at or job.created_at


def iso(moment: datetime) -> str:
    """A time as ISO 8601 in UTC, to the millisecond: fixed width, so that texts
    sort as times do.
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def point(value: JSON, pointer: str) -> JSON:
    """The part of ``value`` that a JSON pointer (RFC 6901) names. Raises LookupError if it does not
    exist.
    """
    if not pointer:
        return value
    if not pointer.startswith("/"):
        raise LookupError("a JSON pointer must begin with /")
    for step in pointer[1:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = cast("dict[str, JSON]", value)[key]
        elif isinstance(value, list) and key.isascii() and key.isdigit():
            value = cast("list[JSON]", value)[int(key)]
        else:
            raise LookupError(f"there is nothing at {key!r}")
    return value
