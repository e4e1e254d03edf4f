"""Requests and responses of the native API as models: checks and the OpenAPI document are made from
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from checkback.core.job import MAX_PAGE
from checkback.core.states import State
from checkback.dialects import native


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server can work, and if not why: one sentence for each reason, without
    internals.
    """

    reasons: tuple[str, ...] = ()
    workers: int = 0
    restarts: Mapping[str, int] = field(default_factory=dict[str, int])
    #: What will stop it from working if nothing is done, in sentences that name no owner.
    warnings: tuple[str, ...] = ()
    #: The longest time within the last minute in which the server did not answer.
    loop_lag_seconds: float = 0.0
    #: The sandbox on this machine for jobs that read untrusted files; None if it was not checked.
    sandbox: Mapping[str, Any] | None = None

    @property
    def ready(self) -> bool:
        return not self.reasons


class SubmitBody(BaseModel):
    """A job to run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: str = Field(max_length=64, description="Kind of job; GET /api/kinds lists all kinds.")
    args: dict[str, Any] = Field(default_factory=dict, description="Arguments of the kind.")
    key: str | None = Field(
        None,
        description="Idempotency key: requests with the same key return the same job.",
    )
    deadline_seconds: float | None = Field(
        None, description="Time limit of one attempt in seconds."
    )
    delay_seconds: float = Field(0.0, description="Seconds to wait before the job may start.")
    attempts: int | None = Field(None, description="Maximum number of attempts.")


class WaitQuery(BaseModel):
    """How long to wait for the job's end."""

    wait: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="Seconds to wait for the job's end, at most 50.",
        ),
    ] = 0.0


class ListQuery(BaseModel):
    """Which jobs to list."""

    state: State | None = Field(None, description="Only jobs in this state.")
    kind: str | None = Field(None, description="Only jobs of this kind.")
    owner: str | None = Field(
        None, description="List the jobs of another owner, or * for all; admin tokens only."
    )
    limit: int = Field(20, ge=1, le=MAX_PAGE, description="Maximum number of jobs.")
    cursor: str | None = Field(None, description="Cursor of the previous page.")


class SigninQuery(BaseModel):
    """The code to exchange."""

    code: str = Field(
        max_length=200,
        description="Code of a sign-in link: valid once, for ten minutes.",
    )


class JobList(TypedDict):
    """Some jobs, newest first."""

    jobs: list[native.JobRecord]
    cursor: str | None


class LogRecord(TypedDict):
    """What a job logged, oldest line first."""

    lines: list[str]


class KindRecord(TypedDict):
    """A kind of job."""

    name: str
    title: str
    description: str
    queue: str
    deadline_seconds: float
    attempts: int
    phases: list[str]
    args_schema: dict[str, Any]


class KindList(TypedDict):
    """Every kind that this server runs."""

    kinds: list[KindRecord]


class Health(TypedDict):
    """Whether the server is running and can work."""

    live: bool
    ready: bool
    reasons: list[str]
    #: How many workers are running.
    workers: int
    #: Restarts of the embedded store, of the server's worker, and of the loops of the running
    #: workers.
    restarts: dict[str, int]
    #: What is nearly used up.
    warnings: list[str]
    #: The longest time within the last minute in which the server did not answer.
    loop_lag_seconds: float
    #: The sandbox of this machine for jobs that read untrusted files, and whether it is enough.
    sandbox: NotRequired[dict[str, Any]]
