"""What the native API takes and gives, as models: the checks and the OpenAPI document are made from
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
    """Whether the server can do its work, and if not why: one sentence for each reason, free of
    internals.
    """

    reasons: tuple[str, ...] = ()
    workers: int = 0
    restarts: Mapping[str, int] = field(default_factory=dict[str, int])
    #: What will keep it from working if nobody does anything, in sentences that name no owner.
    warnings: tuple[str, ...] = ()
    #: The longest time within the last minute that the server answered nobody.
    loop_lag_seconds: float = 0.0
    #: The walls around jobs that read strangers' bytes, on this machine; None where nobody looked.
    sandbox: Mapping[str, Any] | None = None

    @property
    def ready(self) -> bool:
        return not self.reasons


class SubmitBody(BaseModel):
    """A job to be run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: str = Field(max_length=64, description="What kind of job; GET /api/kinds lists them.")
    args: dict[str, Any] = Field(default_factory=dict, description="The kind's arguments.")
    key: str | None = Field(
        None,
        description="Idempotency key: the same key gives the same job, however often it is sent.",
    )
    deadline_seconds: float | None = Field(None, description="Running time of one attempt.")
    delay_seconds: float = Field(0.0, description="Start that much later.")
    attempts: int | None = Field(None, description="How often the job may be tried in all.")


class WaitQuery(BaseModel):
    """How long to wait."""

    wait: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="Wait for the end up to so many seconds, at most 50.",
        ),
    ] = 0.0


class ListQuery(BaseModel):
    """Which jobs to list."""

    state: State | None = Field(None, description="Only jobs in this state.")
    kind: str | None = Field(None, description="Only jobs of this kind.")
    owner: str | None = Field(
        None, description="Another owner's jobs, or * for all: admin tokens only."
    )
    limit: int = Field(20, ge=1, le=MAX_PAGE, description="How many at most.")
    cursor: str | None = Field(None, description="Where to go on: the cursor of the page before.")


class SigninQuery(BaseModel):
    """The code to exchange."""

    code: str = Field(
        max_length=200,
        description="The code of the link that serve printed: good once, for ten minutes.",
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
    """Whether the server lives and can work."""

    live: bool
    ready: bool
    reasons: list[str]
    #: How many workers are alive.
    workers: int
    #: How often what had ended was started again: the embedded store, the server's worker, and the
    #: loops of the workers that are alive.
    restarts: dict[str, int]
    #: What is nearly used up.
    warnings: list[str]
    #: The longest time within the last minute that the server answered nobody.
    loop_lag_seconds: float
    #: Which walls this machine puts around jobs that read strangers' bytes, and whether they are
    #: enough.
    sandbox: NotRequired[dict[str, Any]]
