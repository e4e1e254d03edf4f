"""Every error that a user can meet, and the codes a failed job can carry.

    CheckbackError
    ├── InvalidInput            422
    │   ├── UnknownKind         422
    │   ├── TooLarge            413
    │   ├── AddressBlocked      422
    │   └── SettingsDiffer      409
    ├── Unauthorized            401
    ├── Forbidden               403
    ├── NotFound                404
    ├── Conflict                409
    │   ├── ArgumentsGone       409
    │   ├── KeyReused           409
    │   └── NotReady            409
    ├── QuotaExceeded           429
    └── EngineUnavailable       503
        ├── QueueFull           503
        └── StorageFull         503

    JobFailed                   raised inside a kind, becomes the job's failure

The docstring of a class is its default message. Each API translates these in one function.
"""

from __future__ import annotations

import inspect
from enum import StrEnum
from typing import ClassVar


class CheckbackError(Exception):
    """An unexpected error occurred in checkback."""

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    default_hint: ClassVar[str] = "Check the server's log for the time of the request."

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        self.message = message or self._default_message()
        self.hint = hint or self.default_hint
        #: When a retry makes sense, if known.
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.message)

    @classmethod
    def _default_message(cls) -> str:
        return inspect.getdoc(cls) or cls.__name__


class InvalidInput(CheckbackError):
    """The request is not valid."""

    code = "invalid_input"
    http_status = 422
    default_hint = "Correct what the message names, then send the request again."


class UnknownKind(InvalidInput):
    """Unknown kind of job."""

    code = "unknown_kind"
    default_hint = "List the kinds with `checkback kinds`."


class TooLarge(InvalidInput):
    """The request is larger than allowed."""

    code = "too_large"
    http_status = 413
    default_hint = (
        "Send less at once, or upload a file or name a URL instead of sending the content."
    )


class AddressBlocked(InvalidInput):
    """Jobs on this server may not reach this address."""

    code = "address_blocked"
    default_hint = (
        "Use a public http or https address. To allow a private host, start the server with "
        "CHECKBACK_ALLOW_HOSTS=host:port."
    )


class SettingsDiffer(InvalidInput):
    """The running server was started with other settings than this client asks for."""

    code = "settings_differ"
    http_status = 409
    default_hint = "Stop it with `checkback stop`; the next command starts it with these settings."


class Unauthorized(CheckbackError):
    """This request has no valid token."""

    code = "unauthorized"
    http_status = 401
    default_hint = "Send `Authorization: Bearer <token>`; `checkback token` shows the local one."


class Forbidden(CheckbackError):
    """This token may not do that."""

    code = "forbidden"
    http_status = 403
    default_hint = "Use a token with the scope that the message names."


class NotFound(CheckbackError):
    """This job does not exist, has expired, or is not yours."""

    code = "job_not_found"
    http_status = 404
    default_hint = (
        "Check the id. Completed jobs are kept for 24 hours; `checkback list` shows your jobs."
    )


class Conflict(CheckbackError):
    """The job is not in a state that allows this."""

    code = "conflict"
    http_status = 409
    default_hint = "Check the job's state first."


class KeyReused(Conflict):
    """This idempotency key was used before with other arguments."""

    code = "key_reused"
    default_hint = (
        "Use a new key for a new request, or send the arguments of the first request unchanged."
    )


class ArgumentsGone(Conflict):
    """The job's arguments were removed to make room in the job store."""

    code = "arguments_gone"
    default_hint = "Submit a new job with the same arguments; this one cannot be retried."


class NotReady(Conflict):
    """The job has no result yet."""

    code = "not_ready"
    default_hint = "Wait for the job to end, then read the result again."


class QuotaExceeded(CheckbackError):
    """You have reached a limit of this server."""

    code = "quota_exceeded"
    http_status = 429
    default_hint = "Wait for some of your jobs to end, then submit again."


class EngineUnavailable(CheckbackError):
    """The job store cannot be reached."""

    code = "engine_unavailable"
    http_status = 503
    default_hint = "Try again in a few seconds. If the error persists, run `checkback doctor`."


class QueueFull(EngineUnavailable):
    """The job store has no room for another job."""

    code = "queue_full"
    default_hint = (
        "Wait for some jobs to end. The operator can give the job store more memory, or "
        "raise CHECKBACK_QUEUE_JOBS."
    )


class StorageFull(EngineUnavailable):
    """The server's disk is full."""

    code = "storage_full"
    default_hint = "Free space on the server's disk, then try again. Accepted jobs are not lost."


class FailureCode(StrEnum):
    """Why a job failed, where checkback itself decides that. Kinds add their own codes through
    JobFailed.
    """

    ARGUMENTS_GONE = "arguments_gone"
    CANCELLED = "cancelled"
    CRASHED = "crashed"
    INTERNAL_ERROR = "internal_error"
    INVALID_INPUT = "invalid_input"
    INVALID_MESSAGE = "invalid_message"
    INVALID_RESULT = "invalid_result"
    OUT_OF_MEMORY = "out_of_memory"
    QUOTA_EXCEEDED = "quota_exceeded"
    SANDBOX_UNAVAILABLE = "sandbox_unavailable"
    STORAGE_FULL = "storage_full"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    TOO_MANY_PROCESSES = "too_many_processes"
    UNKNOWN_KIND = "unknown_kind"
    WORKER_LOST = "worker_lost"


class JobFailed(Exception):
    """Raise this inside a kind to end the attempt with a failure that its owner may read.

    ``message`` is shown unchanged: do not put anything into it that came from a page, a document or
    a secret. ``retryable=False`` ends the job at once, whatever attempts are left.
    """

    def __init__(
        self, code: str, message: str, *, retryable: bool = True, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.hint = hint
