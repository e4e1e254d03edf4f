"""Registers ``pdfco.run`` and ``pdfco.track``. Light: doors import it to list what there is."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from checkback.kinds.context import JobContext
from checkback.kinds.documents.args.common import MAX_SOURCES, SOURCE, Source
from checkback.kinds.registry import MemoryLimit, job

PHASES = ("submit", "poll", "fetch")
DEADLINE_SECONDS = 3000.0


class RunArgs(BaseModel):
    """What to run at PDF.co."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str = Field(pattern=r"^[a-z0-9/-]{1,80}$", description="Its path after /v1/.")
    params: dict[str, Any] = Field(default_factory=dict, description="The request's parameters.")
    files: list[Source] = Field(
        default_factory=list[Source],
        max_length=MAX_SOURCES,
        description="Files of this server that go there first: file:0 in params stands for the first.",
        json_schema_extra={**SOURCE},
    )
    secret_params: SecretStr | None = Field(
        None, description="Further parameters, as the text of a JSON object, that are never shown."
    )
    api_key: SecretStr | None = Field(
        None, description="A key of PDF.co's; the server's own if left out."
    )
    name: str = Field("", max_length=500, description="What the result is called.")


class TrackArgs(BaseModel):
    """Which job at PDF.co to follow."""

    model_config = ConfigDict(extra="forbid")

    job_id: str = Field(min_length=1, max_length=200, description="Its id there.")
    api_key: SecretStr | None = Field(
        None, description="A key of PDF.co's; the server's own if left out."
    )


@job(
    "pdfco.run",
    title="Run at PDF.co",
    args=RunArgs,
    deadline_seconds=DEADLINE_SECONDS,
    attempts=3,
    waits=True,
    network=True,
    memory_bytes=1 << 30,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    phases=PHASES,
)
def run(args: RunArgs, ctx: JobContext) -> dict[str, Any]:
    """Run a document job at PDF.co, follow it politely, and fetch its result before its link ends.

    It costs credits there. It is submitted once: when it is not known whether that succeeded, the
    job fails.
    """
    from checkback.kinds.pdfco.client import Remote
    from checkback.kinds.pdfco.submit import submit

    remote = Remote.of(ctx, args.api_key)
    hidden = args.secret_params.get_secret_value() if args.secret_params else "{}"
    secret: dict[str, Any] = json.loads(hidden)
    remote_id, pages = submit(remote, ctx, args.endpoint, {**args.params, **secret}, args.files)
    return _followed(remote, ctx, remote_id, pages, args.name)


@job(
    "pdfco.track",
    title="Follow a job at PDF.co",
    args=TrackArgs,
    deadline_seconds=DEADLINE_SECONDS,
    attempts=3,
    waits=True,
    network=True,
    memory_bytes=1 << 30,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    phases=PHASES,
)
def track(args: TrackArgs, ctx: JobContext) -> dict[str, Any]:
    """Follow a job that lives at PDF.co, and fetch its result before its link ends. Checks cost
    credits.
    """
    from checkback.kinds.pdfco.client import Remote

    return _followed(Remote.of(ctx, args.api_key), ctx, args.job_id, None, "")


def _followed(
    remote: Any, ctx: JobContext, remote_id: str, pages: int | None, name: str
) -> dict[str, Any]:
    from checkback.kinds.pdfco.poll import fetch, follow

    ended = follow(remote, ctx, remote_id, pages)
    return fetch(remote, ctx, ended, name)
