"""Registers ``pdfco.run`` and ``pdfco.track``. It stays light: the APIs import it to list the
kinds.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from checkback.kinds.context import JobContext
from checkback.kinds.documents.args.common import MAX_SOURCES, SOURCE, Source
from checkback.kinds.registry import MemoryLimit, job

PHASES = ("submit", "poll", "fetch")
DEADLINE_SECONDS = 3000.0

_pdfco_job = functools.partial(
    job,
    deadline_seconds=DEADLINE_SECONDS,
    attempts=3,
    waits=True,
    network=True,
    memory_bytes=1 << 30,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    phases=PHASES,
)


class RunArgs(BaseModel):
    """Arguments of ``pdfco.run``."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str = Field(
        pattern=r"^[a-z0-9/-]{1,80}$", description="Path of the endpoint after /v1/."
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Parameters of the request.")
    files: list[Source] = Field(
        default_factory=list[Source],
        max_length=MAX_SOURCES,
        description="Files to upload to PDF.co first. Refer to the first one as file:0 in "
        "`params`.",
        json_schema_extra={**SOURCE},
    )
    secret_params: SecretStr | None = Field(
        None, description="More parameters, as the text of a JSON object. They are never shown."
    )
    api_key: SecretStr | None = Field(
        None, description="API key of PDF.co. Default: the server's own key."
    )
    name: str = Field("", max_length=500, description="Name of the result.")


class TrackArgs(BaseModel):
    """Arguments of ``pdfco.track``."""

    model_config = ConfigDict(extra="forbid")

    job_id: str = Field(min_length=1, max_length=200, description="Id of the job at PDF.co.")
    api_key: SecretStr | None = Field(
        None, description="API key of PDF.co. Default: the server's own key."
    )


@_pdfco_job("pdfco.run", title="Run at PDF.co", args=RunArgs)
def run(args: RunArgs, ctx: JobContext) -> dict[str, Any]:
    """Run a document job at PDF.co, wait for it, and fetch its result before the link expires.

    It costs PDF.co credits. The job is submitted once: if it is unknown whether that succeeded, it
    fails.
    """
    from checkback.kinds.pdfco.client import Remote
    from checkback.kinds.pdfco.submit import submit

    remote = Remote.of(ctx, args.api_key)
    hidden = args.secret_params.get_secret_value() if args.secret_params else "{}"
    secret: dict[str, Any] = json.loads(hidden)
    remote_id, pages = submit(remote, ctx, args.endpoint, {**args.params, **secret}, args.files)
    return _result_of(remote, ctx, remote_id, pages, args.name)


@_pdfco_job("pdfco.track", title="Follow a job at PDF.co", args=TrackArgs)
def track(args: TrackArgs, ctx: JobContext) -> dict[str, Any]:
    """Wait for a job that runs at PDF.co, and fetch its result before the link expires.

    Each status check costs PDF.co credits.
    """
    from checkback.kinds.pdfco.client import Remote

    return _result_of(Remote.of(ctx, args.api_key), ctx, args.job_id, None, "")


def _result_of(
    remote: Any, ctx: JobContext, remote_id: str, pages: int | None, name: str
) -> dict[str, Any]:
    from checkback.kinds.pdfco.poll import fetch, follow

    finished = follow(remote, ctx, remote_id, pages)
    return fetch(remote, ctx, finished, name)
