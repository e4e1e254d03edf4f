"""The report and the screenshot of an earlier ``page.analyze`` job, for jobs that work on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field

from checkback.core import ids
from checkback.core.errors import JobFailed
from checkback.kinds.context import JobContext

REPORT = "report.json"
PICTURE = "screenshot.jpg"
PAGE_ANALYZE = "page.analyze"
SCHEMA = "checkback.page/1"
MAX_BYTES = 64 << 20
"""More than any report or screenshot that this program writes."""

Fields = dict[str, Any]


def file_of(job_id: str, name: str) -> str:
    """The name of a job's file as a source of another job. What is a source
    already is returned unchanged.
    """
    if job_id.startswith("artifact:"):
        return job_id
    return f"artifact:{ids.parse_job_id(job_id)}/{name}"


def _report_of(job_id: str) -> str:
    try:
        name = file_of(job_id, REPORT)
    except Exception as error:
        raise ValueError(str(error)) from None
    if not name.endswith(f"/{REPORT}"):
        raise ValueError("this is not the report of a page.analyze job")
    return name


#: The id of a completed page.analyze job. On the way to the job's process it becomes the name of
#: its report; whether the caller may read that is checked at submit, as for every source.
PageJob = Annotated[
    str,
    AfterValidator(_report_of),
    Field(
        max_length=300,
        description="Id of a completed page.analyze job.",
        json_schema_extra={"checkback": "source", "of_kind": PAGE_ANALYZE},
    ),
]


def read_file(reference: str, ctx: JobContext) -> bytes:
    """A file that the service has named. Raises JobFailed if it is gone or too large."""
    try:
        path = Path(ctx.files[reference].path)
        if path.stat().st_size > MAX_BYTES:
            raise not_a_report()
        return path.read_bytes()
    except (KeyError, OSError):
        raise JobFailed(
            "SOURCE_NOT_FOUND",
            "The page analysis has expired.",
            retryable=False,
            hint="Analyze the page again: results are kept for a day.",
        ) from None


def read_report(reference: str, ctx: JobContext) -> Fields:
    """A job's report. Raises JobFailed if the file is not one."""
    try:
        report: Any = json.loads(read_file(reference, ctx))
    except (ValueError, RecursionError):
        raise not_a_report() from None
    if not _is_report(report):
        raise not_a_report()
    return cast("Fields", report)


def _is_report(value: object) -> bool:
    return isinstance(value, dict) and cast("Fields", value).get("schema") == SCHEMA


def not_a_report() -> JobFailed:
    """The failure of a job that was given something else."""
    return JobFailed(
        "invalid_input",
        "One of the jobs is not a completed page analysis.",
        retryable=False,
        hint="Use the id of a completed page.analyze job.",
    )
