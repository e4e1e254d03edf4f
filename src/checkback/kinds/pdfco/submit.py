"""Starts a job at PDF.co, once: its files go there first, and what may have succeeded is not
repeated.

What is saved before the request says that a submission may be under way: without an id after it,
nobody can know whether there is a job, and a second one could be charged, too.
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
from checkback.kinds.pdfco.client import NoAnswer, Remote, final
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
    """Start the job there and give its id; an attempt after the one that did goes on with that id.

    ``files`` are handed in there first, and their addresses take the place of ``file:N`` in the
    parameters.
    """
    saved = cast("dict[str, Any]", ctx.saved or {})
    if "job_id" in saved:
        return str(saved["job_id"]), saved.get("pages")
    if saved.get("submitting"):
        raise unknown_submission()
    ctx.phase("submit")
    urls = [_hand_in(remote, ctx, source, number) for number, source in enumerate(files)]
    request = {**cast("dict[str, Any]", _with_urls(parameters, urls)), "async": True}
    remote.save(ctx, submitting=True)
    try:
        answer = remote.call(endpoint, request)
    except NoAnswer as silence:
        if silence.refused:
            remote.save(ctx, submitting=False)
            raise busy() from None
        raise unknown_submission() from None
    except JobFailed:
        remote.save(ctx, submitting=False)
        raise
    remote_id = answer.get("jobId")
    if answer.get("error") or not isinstance(remote_id, str):
        remote.save(ctx, submitting=False)
        number = answer.get("errorCode", answer.get("status"))
        raise refused(number if isinstance(number, int) else None)
    remote.credits_used += _credits(answer)
    pages = answer.get("pageCount")
    pages = pages if isinstance(pages, int) else None
    remote.save(ctx, job_id=remote_id, pages=pages)
    return remote_id, pages


def _hand_in(remote: Remote, ctx: JobContext, source: str, number: int) -> str:
    """Put one of our files into PDF.co's own storage and give its address there."""
    found = fetch_source(source, ctx.folder / f"file-{number}", ctx, Login())
    query = urlencode({"name": found.name, "contenttype": "application/octet-stream"})
    try:
        answer = remote.call(f"file/upload/get-presigned-url?{query}", None)
    except NoAnswer:
        raise upload_failed() from None
    put, url = answer.get("presignedUrl"), answer.get("url")
    if not isinstance(put, str) or not isinstance(url, str):
        raise upload_failed()
    remote.credits_used += _credits(answer)
    _put(remote, put, found)
    return url


def _put(remote: Remote, url: str, found: SourceFile) -> None:
    # No key goes with it: the address is signed by itself, and may lead anywhere.
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(found.path.stat().st_size),
        "User-Agent": "checkback",
    }
    try:
        with (
            found.path.open("rb") as body,
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
    """The parameters with each ``file:N`` replaced by an address."""
    if isinstance(value, str):
        return (
            _FILE.sub(lambda match: urls[int(match[1])], value)
            if urls and "file:" in value
            else value
        )
    if isinstance(value, list):
        return [_with_urls(item, urls) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _with_urls(item, urls) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _credits(answer: dict[str, Any]) -> int:
    cost = answer.get("credits")
    return cost if isinstance(cost, int) else 0


def upload_failed() -> JobFailed:
    return JobFailed(
        "provider_unreachable",
        "PDF.co did not take the job's file.",
        hint="Try again, or run the job here.",
    )


def refused(number: int | None) -> JobFailed:
    code = f" with its error {number}" if number is not None else ""
    return final(
        "provider_refused",
        f"PDF.co refused the job{code}.",
        "Correct the parameters, or run the job here.",
    )


def unknown_submission() -> JobFailed:
    return final(
        "provider_unknown",
        "It is not known whether PDF.co took the job; it was not sent again, because that could cost twice.",
        "Look for the job in PDF.co's own log, then track it or submit a new one.",
    )


def busy() -> JobFailed:
    return JobFailed(
        "provider_busy",
        "PDF.co takes no more requests just now.",
        hint="The job is tried again later.",
    )
