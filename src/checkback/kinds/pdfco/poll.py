"""Follows a job at PDF.co to its end, politely, because each check costs credits; then fetches its
result.

Waits grow from one check to the next. An answer that does not come is not the job's failure.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import Any, cast

from checkback.core.errors import JobFailed
from checkback.kinds.context import JobContext
from checkback.kinds.documents.files.names import result_stem
from checkback.kinds.documents.files.source import Login, SourceFile, fetch_source
from checkback.kinds.pdfco.client import NoAnswer, Remote, final

CHECK_CREDITS = 2
MAX_BODY_BYTES = 24 * 1024
MAX_FILES = 1000


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """How often to ask (spec section 7: first guess by pages, then ever less often)."""

    first_seconds: float = 2.0
    seconds_per_page: float = 0.15
    growth: float = 1.6
    longest_seconds: float = 30.0
    jitter: float = 0.1
    #: After so many checks, or so long, one last check is forced to tell an unknown job.
    most_checks: int = 20
    most_seconds: float = 45 * 60.0


POLICY = PollPolicy()


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that succeeded there."""

    job_id: str
    answer: dict[str, Any]


def follow(
    remote: Remote,
    ctx: JobContext,
    remote_id: str,
    pages: int | None,
    policy: PollPolicy | None = None,
) -> Ended:
    """Wait for the job's success. Raises the failure of every other end."""
    policy = policy or POLICY
    ctx.phase("poll")
    begun, asked = time.monotonic(), 0
    wait = max(policy.first_seconds, policy.seconds_per_page * (pages or 0))
    while True:
        time.sleep(wait * random.uniform(1 - policy.jitter, 1 + policy.jitter))  # noqa: S311 - no secret
        last = asked + 1 >= policy.most_checks or time.monotonic() - begun > policy.most_seconds
        wait = min(wait * policy.growth, policy.longest_seconds)
        try:
            answer = _check(remote, ctx, remote_id, force=last)
        except NoAnswer as silence:
            wait = max(wait, min(silence.after_seconds or 0.0, 600.0))
            if time.monotonic() - begun > policy.most_seconds:
                raise _silent(remote.cost) from None
            continue
        asked += 1
        status = answer.get("status")
        if status == "success":
            return Ended(remote_id, answer)
        if status != "working" or last:
            raise _failure(status, answer, remote.cost)
        ctx.progress(min(80, 10 + 4 * asked), remote.cost)


def fetch(remote: Remote, ctx: JobContext, ended: Ended, name: str) -> dict[str, Any]:
    """Bring the result's files into our own store, and tell what all of it has cost."""
    ctx.phase("fetch")
    ctx.progress(85)
    urls = _links(ended.answer)
    first = _download(ctx, urls[0], 0) if urls else None
    if first is not None and len(urls) == 1 and (listed := _listed(first)):
        # Jobs that make several files lead to a list of their addresses.
        urls, first = listed, None
    outputs: list[str] = []
    body: Any = ended.answer.get("body")
    for number, url in enumerate(urls[:MAX_FILES]):
        found = first if number == 0 and first is not None else _download(ctx, url, number)
        if body is None and len(urls) == 1:
            body = _small_text(found)
        outputs.append(_keep(ctx, found, name, number, single=len(urls) == 1))
    pages = ended.answer.get("pageCount")
    result: dict[str, Any] = {
        "untrusted": True,
        "page_count": pages if isinstance(pages, int) else None,
        "outputs": outputs,
        "provider": {"job_id": ended.job_id, **remote.spent()},
    }
    if body is not None and len(json.dumps(body)) <= MAX_BODY_BYTES:
        result["body"] = body
    return result


def _check(remote: Remote, ctx: JobContext, remote_id: str, *, force: bool) -> dict[str, Any]:
    answer = remote.call("job/check", {"jobId": remote_id, **({"force": True} if force else {})})
    remote.checks += 1
    cost = answer.get("credits")
    spent = cost if isinstance(cost, int) else CHECK_CREDITS
    remote.credits_used += spent
    # The successful check also charges the job's own pages.
    remote.credits_on_checks += min(spent, CHECK_CREDITS)
    remote.save(ctx)
    return answer


def _failure(status: Any, answer: dict[str, Any], cost: str) -> JobFailed:
    number = answer.get("errorCode")
    code = f" with its error {number}" if isinstance(number, int) else ""
    match status:
        case "failed":
            return final(
                "provider_failed",
                f"The job failed at PDF.co{code}. {cost}",
                "Correct it, or run it here.",
            )
        case "aborted":
            return final(
                "provider_aborted",
                f"The job was aborted at PDF.co. {cost}",
                "Submit it again if it is wanted.",
            )
        case "unknown":
            return final(
                "provider_unknown_job",
                f"PDF.co knows no such job. {cost}",
                "Check the id; jobs are kept for an hour there.",
            )
        case "working":
            return final(
                "provider_timeout",
                f"The job was still working at PDF.co. {cost}",
                "Check its id again to follow it further.",
            )
        case _:
            return final(
                "provider_refused",
                f"PDF.co refused the check{code}. {cost}",
                "Check the id and the key.",
            )


def _silent(cost: str) -> JobFailed:
    return JobFailed(
        "provider_unreachable",
        f"PDF.co does not answer. {cost}",
        hint="Check the job's id later to follow it further.",
    )


def _links(answer: dict[str, Any]) -> list[str]:
    urls = answer.get("urls")
    if isinstance(urls, list):
        return [url for url in cast("list[Any]", urls) if isinstance(url, str)]
    url = answer.get("url")
    return [url] if isinstance(url, str) else []


def _download(ctx: JobContext, url: str, number: int) -> SourceFile:
    # No key goes with it: a link is signed by itself, and may lead anywhere.
    return fetch_source(url, ctx.folder / f"remote-{number}", ctx, Login())


def _listed(found: SourceFile) -> list[str] | None:
    """The addresses in a file that is a list of them, or None."""
    if found.path.stat().st_size > 1 << 20:
        return None
    try:
        value: Any = json.loads(found.path.read_bytes())
    except ValueError:
        return None
    items = cast("list[Any]", value) if isinstance(value, list) else []
    if items and all(
        isinstance(item, str) and item.startswith(("http://", "https://")) for item in items
    ):
        return [str(item) for item in items]
    return None


def _small_text(found: SourceFile) -> Any:
    if found.path.stat().st_size > MAX_BODY_BYTES:
        return None
    try:
        text = found.path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
    if found.name.endswith(".json"):
        try:
            return json.loads(text)
        except ValueError:
            return None
    return text if found.name.endswith((".txt", ".csv", ".xml", ".html")) else None


def _keep(ctx: JobContext, found: SourceFile, name: str, number: int, *, single: bool) -> str:
    ending = found.name.rpartition(".")[2] if "." in found.name else "bin"
    stem = result_stem(name, "") or found.stem
    wanted = f"{stem}.{ending}" if single else f"{stem}_{number + 1}.{ending}"
    ctx.artifact(wanted, found.path)
    return wanted
