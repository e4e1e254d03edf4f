"""Starts a job at PDF.co once: its files are uploaded first, and a submission that may have
succeeded is not repeated.

Before the request, a note is saved that a submission may be under way. If no id is saved after it,
it is unknown whether the job exists, and a second job could be charged too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlencode

from checkback.core.errors import JobFailed
from checkback.kinds import proxy_client
from checkback.kinds.context import JobContext
from checkback.kinds.documents.files.source import Login, SourceFile, fetch_source
from checkback.kinds.pdfco.client import NoAnswer, Remote, final, saved_facts, whole_number
from checkback.kinds.proxy_client import FetchFailed

UPLOAD_SECONDS = 60.0
_FILE = re.compile(r"file:(\d{1,3})")


def submit(
    remote: Remote,
    ctx: JobContext,
    endpoint: str,
    parameters: dict[str, Any],
    files: Sequence[str] = (),
) -> tuple[str, int | None]:
    """Start the job and return its id and number of pages. A later attempt returns the same id.

    ``files`` are uploaded to PDF.co first. Their URLs replace ``file:N`` in the parameters.
    """
    saved = saved_facts(ctx)
    if "job_id" in saved:
        return str(saved["job_id"]), saved.get("pages")
    if saved.get("submitting"):
        raise unknown_submission()
    ctx.phase("submit")
    urls = [_upload(remote, ctx, source, number) for number, source in enumerate(files)]
    request = {**cast("dict[str, Any]", _with_urls(parameters, urls)), "async": True}
    answer = _submitted(remote, ctx, endpoint, request)
    remote_id = str(answer["jobId"])
    remote.credits_used += _credits(answer)
    pages = whole_number(answer.get("pageCount"))
    remote.save(ctx, job_id=remote_id, pages=pages)
    return remote_id, pages


def _submitted(
    remote: Remote, ctx: JobContext, endpoint: str, request: dict[str, Any]
) -> dict[str, Any]:
    """PDF.co's answer with the id of the new job.

    The note ``submitting`` is removed if the job certainly does not exist.
    """
    remote.save(ctx, submitting=True)
    try:
        answer = remote.call(endpoint, request)
    except NoAnswer as error:
        if not error.refused:
            raise unknown_submission() from None
        remote.save(ctx, submitting=False)
        raise busy() from None
    except JobFailed:
        remote.save(ctx, submitting=False)
        raise
    if not _names_job(answer):
        remote.save(ctx, submitting=False)
        raise refused(whole_number(answer.get("errorCode", answer.get("status"))))
    return answer


def _names_job(answer: dict[str, Any]) -> bool:
    return not answer.get("error") and isinstance(answer.get("jobId"), str)


def _upload(remote: Remote, ctx: JobContext, source: str, number: int) -> str:
    """Upload a file to PDF.co's storage and return its URL there."""
    file = fetch_source(source, ctx.folder / f"file-{number}", ctx, Login())
    query = urlencode({"name": file.name, "contenttype": "application/octet-stream"})
    try:
        answer = remote.call(f"file/upload/get-presigned-url?{query}", None)
    except NoAnswer:
        raise upload_failed() from None
    put, url = answer.get("presignedUrl"), answer.get("url")
    if not isinstance(put, str) or not isinstance(url, str):
        raise upload_failed()
    remote.credits_used += _credits(answer)
    _put(remote, put, file)
    return url


def _put(remote: Remote, url: str, file: SourceFile) -> None:
    # The key is not sent: the URL has its own signature, and may lead anywhere.
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(file.path.stat().st_size),
        "User-Agent": "checkback",
    }
    try:
        with (
            file.path.open("rb") as body,
            proxy_client.request(
                "PUT", url, remote.egress, seconds=UPLOAD_SECONDS, headers=headers, body=body
            ) as response,
        ):
            status = response.status
    except FetchFailed:
        raise upload_failed() from None
    if not 200 <= status < 300:
        raise upload_failed()


def _with_urls(value: Any, urls: Sequence[str]) -> Any:
    """The parameters with each ``file:N`` replaced by a URL."""
    if not urls:
        return value
    if isinstance(value, str):
        return _FILE.sub(lambda match: urls[int(match[1])], value)
    if isinstance(value, list):
        return [_with_urls(item, urls) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _with_urls(item, urls) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _credits(answer: dict[str, Any]) -> int:
    return whole_number(answer.get("credits")) or 0


def upload_failed() -> JobFailed:
    return JobFailed(
        "provider_unreachable",
        "The job's file could not be uploaded to PDF.co.",
        hint="Try again, or run the job on this server.",
    )


def refused(number: int | None) -> JobFailed:
    code = f" with its error {number}" if number is not None else ""
    return final(
        "provider_refused",
        f"PDF.co refused the job{code}.",
        "Correct `params`, or run the job on this server.",
    )


def unknown_submission() -> JobFailed:
    return final(
        "provider_unknown",
        "It is unknown whether PDF.co accepted the job. It was not sent again: that could cost "
        "twice.",
        "Look for the job in PDF.co's log. Then use pdfco.track with its id, or submit a new job.",
    )


def busy() -> JobFailed:
    return JobFailed(
        "provider_busy",
        "PDF.co does not accept more requests at the moment.",
        hint="Wait: the job is retried automatically.",
    )
