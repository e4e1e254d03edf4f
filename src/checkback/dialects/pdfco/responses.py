"""The format of PDF.co's HTTP API: responses to submits, to ``/v1/job/check``, and errors.

Pure functions from our job record. Links are made by the API and passed in. Credits are whole
numbers, and always 0 here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from checkback.core.errors import (
    AddressBlocked,
    CheckbackError,
    EngineUnavailable,
    FailureCode,
    Forbidden,
    NotFound,
    QuotaExceeded,
    TooLarge,
    Unauthorized,
)
from checkback.core.job import JSON, Job
from checkback.core.states import State
from checkback.dialects.pdfco.profiles import InvalidProfiles

Fields = dict[str, Any]

WORKING, SUCCESS, FAILED, ABORTED, UNKNOWN = "working", "success", "failed", "aborted", "unknown"

SYNC_TIMEOUT = 445
"""Error number of a call with ``async: false`` whose job takes too long."""

REMOTE_KINDS = frozenset({"pdfco.run", "pdfco.track"})
"""Kinds whose jobs run or follow jobs at PDF.co itself."""

_STATUS = {
    State.WAITING: WORKING,
    State.DELAYED: WORKING,
    State.ACTIVE: WORKING,
    State.COMPLETED: SUCCESS,
    State.FAILED: FAILED,
    State.CANCELLED: ABORTED,
}

_NUMBERS: dict[str, int] = {
    "address_blocked": 403,
    "index_out_of_range": 449,
    "invalid_document": 442,
    "invalid_html": 448,
    "invalid_option": 454,
    "pattern_too_slow": 454,
    "invalid_pages": 450,
    "password_needed": 441,
    "permission_denied": 443,
    "program_failed": 500,
    "program_missing": 501,
    "source_forbidden": 403,
    "source_not_found": 404,
    "source_unreachable": 400,
    "unsupported": 415,
    "provider_credits": 402,
    "provider_key": 401,
    "provider_aborted": 410,
    "SSRF_BLOCKED": 403,
    "NETWORK_ERROR": 448,
    "HTTP_ERROR": 448,
    "TIMEOUT_ERROR": 445,
    "BROWSER_UNAVAILABLE": 501,
    FailureCode.TOO_LARGE: 413,
    FailureCode.INVALID_INPUT: 454,
    FailureCode.TIMEOUT: 445,
    # A hostile document ends its process, or uses up all the memory: the document is bad.
    FailureCode.CRASHED: 442,
    FailureCode.OUT_OF_MEMORY: 442,
    FailureCode.TOO_MANY_PROCESSES: 442,
}
"""The API's error number for each code of a failed job; 500 for the rest (spec: table of error
codes).
"""

_HTTP: tuple[tuple[type[CheckbackError], int], ...] = (
    (InvalidProfiles, 444),
    (Unauthorized, 401),
    (AddressBlocked, 403),
    (Forbidden, 403),
    (NotFound, 404),
    (TooLarge, 413),
    (QuotaExceeded, 429),
    (EngineUnavailable, 503),
)


_REMOTE_STATUS = {"provider_aborted": ABORTED, "provider_unknown_job": UNKNOWN}
"""Statuses of jobs at PDF.co, by the failure code of the job that followed them."""


def status(job: Job) -> str:
    """The job's status in this API."""
    code = job.failure.code if job.failure is not None else ""
    return _REMOTE_STATUS.get(code, _STATUS[job.state])


def number_of(code: str) -> int:
    """The API's error number for the code of a failure."""
    return _NUMBERS.get(code, 500)


def page_count(job: Job) -> int | None:
    """The number of pages in the job's result."""
    value = _result(job).get("page_count")
    return value if isinstance(value, int) else None


def outputs(job: Job) -> list[str]:
    """The names of the job's result files, as its kind listed them."""
    return [str(name) for name in cast("list[Any]", _result(job).get("outputs") or [])]


def submitted(job: Job, *, url: str, name: str, valid_till: datetime, duration_ms: int) -> Fields:
    """The answer to a submission with ``async: true``. ``url`` can be read once a check says
    success.
    """
    return {
        "url": url,
        "jobId": job.id,
        "error": False,
        "status": 200,
        "name": name,
        "credits": 0,
        "remainingCredits": 0,
        "duration": duration_ms,
        "outputLinkValidTill": moment(valid_till),
    }


def finished(
    job: Job,
    *,
    name: str,
    links: Mapping[str, JSON],
    body: JSON,
    valid_till: datetime,
    duration_ms: int,
) -> Fields:
    """The answer to a submission with ``async: false`` whose job has completed."""
    answer: Fields = {**links, "error": False, "status": 200, "name": name}
    if body is not None:
        answer["body"] = body
        if isinstance(body, dict):
            # info, find and tables return their content in addition to the link.
            answer |= {
                key: value
                for key, value in cast("Fields", body).items()
                if key in ("info", "tables")
            }
    if (count := page_count(job)) is not None:
        answer["pageCount"] = count
    answer |= {"credits": 0, "remainingCredits": 0, "duration": duration_ms}
    answer["outputLinkValidTill"] = moment(valid_till)
    return answer


def check(job: Job, *, links: Mapping[str, JSON], valid_till: datetime, duration_ms: int) -> Fields:
    """The answer of ``/v1/job/check`` about one job.

    A failed job has no ``error: true``: clients take that for a failed check (spec section 1.1).
    """
    job_status = status(job)
    answer: Fields = {"status": job_status, "jobId": job.id, "remainingCredits": 0}
    if job_status == WORKING:
        return answer | _progress(job)
    answer |= {"credits": 0, "duration": duration_ms, **_job_duration(job)}
    if job_status != SUCCESS:
        return answer | _failure(job, job_status)
    answer |= {"message": "Success", **links, "outputLinkValidTill": moment(valid_till)}
    return answer | _known({"pageCount": page_count(job), "body": _result(job).get("body")})


def _known(optional: Fields) -> Fields:
    return {name: value for name, value in optional.items() if value is not None}


def _job_duration(job: Job) -> Fields:
    if job.started_at is None or job.finished_at is None:
        return {}
    # A clock that was set back between start and end must not show.
    took = (job.finished_at - job.started_at).total_seconds()
    return {"jobDuration": max(0, round(took * 1000))}


def no_such_job(job_id: str, *, force: bool) -> Fields:
    """What a check returns for an id that does not exist, has expired, or is another owner's.

    The API itself answers ``working`` unless it is forced (spec section 0, 6); the message says
    more.
    """
    return {
        "status": UNKNOWN if force else WORKING,
        "message": (
            "This job does not exist, has expired, or is not yours. With `force` set "
            "to true a check returns the status unknown instead."
        ),
        "jobId": job_id,
        "remainingCredits": 0,
    }


def error(number: int, message: str) -> Fields:
    """An answer that says why a request was refused."""
    return {"error": True, "status": number, "errorCode": number, "message": message}


def refusal(problem: CheckbackError) -> tuple[int, Fields]:
    """HTTP status and response for one of our errors; the number in the body is the same."""
    number = next((number for form, number in _HTTP if isinstance(problem, form)), None)
    if number is None:
        number = 500 if problem.http_status >= 500 else 400
    return number, error(number, f"{problem.message} {problem.hint}".strip())


def _progress(job: Job) -> Fields:
    progress: Fields = {"progress": job.progress, "phase": job.phase}
    # A job that runs at PDF.co says what the checks there have cost so far.
    if job.message and job.kind in REMOTE_KINDS:
        progress["message"] = job.message
    return progress


def failure_answer(job: Job) -> tuple[int, Fields]:
    """HTTP status and answer to a submission with ``async: false`` whose job did not complete."""
    if job.failure is None or not job.state.is_final:
        return SYNC_TIMEOUT, error(
            SYNC_TIMEOUT,
            "The job takes longer than one call may wait. Send `async`: true, then check the job.",
        ) | {"jobId": job.id}
    number = number_of(job.failure.code)
    return number, error(number, _sentence(job))


def moment(value: datetime) -> str:
    """A time as this API writes it: ISO 8601 with microseconds and offset."""
    return value.isoformat(timespec="microseconds")


def _failure(job: Job, job_status: str) -> Fields:
    if job_status == ABORTED:
        return {"message": _sentence(job) or "The job was aborted."}
    code = job.failure.code if job.failure is not None else ""
    return {"message": _sentence(job) or "The job failed.", "errorCode": number_of(code)}


def _sentence(job: Job) -> str:
    return f"{job.failure.message} {job.failure.hint}".strip() if job.failure is not None else ""


def _result(job: Job) -> Mapping[str, Any]:
    result: object = job.result
    return cast("Mapping[str, Any]", result) if isinstance(result, dict) else {}


def links_of(urls: Sequence[str], list_url: str | None) -> Fields:
    """The ``url`` of one file; for several files the URL of their list, and the list itself."""
    if list_url is not None:
        return {"url": list_url, "urls": list(urls)}
    return {"url": urls[0]} if urls else {}
