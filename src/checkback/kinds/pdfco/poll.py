"""Waits for the end of a job at PDF.co, with few checks because each one costs credits, and fetches
its result.

The wait grows from one check to the next. A check without an answer is not a failure of the job.
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
from checkback.kinds.pdfco.client import NoAnswer, Remote, final, json_value, whole_number

CHECK_CREDITS = 2
MAX_BODY_BYTES = 24 * 1024
MAX_FILES = 1000
MAX_RETRY_AFTER = 600.0
MAX_LIST_BYTES = 1 << 20
_TEXT_ENDINGS = (".json", ".txt", ".csv", ".xml", ".html")


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """How often to check (spec section 7: first by the number of pages, then less and less
    often).
    """

    first_seconds: float = 2.0
    seconds_per_page: float = 0.15
    growth: float = 1.6
    longest_seconds: float = 30.0
    jitter: float = 0.1
    #: After so many checks, or so long, the last check is forced, to detect an unknown job.
    most_checks: int = 20
    most_seconds: float = 45 * 60.0


POLICY = PollPolicy()


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that succeeded at PDF.co."""

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
    ctx.phase("poll")
    schedule = _Schedule.for_pages(pages or 0, policy or POLICY)
    while True:
        schedule.pause()
        is_last = schedule.is_last
        answer = _try_check(remote, ctx, remote_id, schedule, force=is_last)
        if answer is None:
            continue
        status = answer.get("status")
        if status == "success":
            return Ended(remote_id, answer)
        if status != "working" or is_last:
            raise _failure(status, answer, remote.cost)
        ctx.progress(min(80, 10 + 4 * schedule.checks), remote.cost)


@dataclass(slots=True)
class _Schedule:
    """When the checks of one job are made."""

    policy: PollPolicy
    wait: float
    deadline: float
    checks: int = 0

    @classmethod
    def for_pages(cls, pages: int, policy: PollPolicy) -> _Schedule:
        wait = max(policy.first_seconds, policy.seconds_per_page * pages)
        return cls(policy, wait, time.monotonic() + policy.most_seconds)

    def pause(self) -> None:
        """Wait until the next check, and lengthen the next wait."""
        jitter = self.policy.jitter
        time.sleep(self.wait * random.uniform(1 - jitter, 1 + jitter))  # noqa: S311 - no secret
        self.wait = min(self.wait * self.policy.growth, self.policy.longest_seconds)

    def postpone(self, seconds: float) -> None:
        """Wait for at least so long before the next check, as the API requests it."""
        self.wait = max(self.wait, min(seconds, MAX_RETRY_AFTER))

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.deadline

    @property
    def is_last(self) -> bool:
        """Whether the next check is the last one."""
        return self.is_over or self.checks + 1 >= self.policy.most_checks


def _try_check(
    remote: Remote, ctx: JobContext, remote_id: str, schedule: _Schedule, *, force: bool
) -> dict[str, Any] | None:
    """The answer to a check; None without one. Raises a failure if the time is over."""
    try:
        answer = _check(remote, ctx, remote_id, force=force)
    except NoAnswer as error:
        if schedule.is_over:
            raise _no_answer(remote.cost) from None
        schedule.postpone(error.after_seconds or 0.0)
        return None
    schedule.checks += 1
    return answer


def fetch(remote: Remote, ctx: JobContext, ended: Ended, name: str) -> dict[str, Any]:
    """Download the files of the result, and report what the job has cost."""
    ctx.phase("fetch")
    ctx.progress(85)
    files = _result_files(ctx, _links(ended.answer))
    body = _body(ended.answer, files)
    is_single = len(files) == 1
    outputs = [
        _keep(ctx, file, name, number, single=is_single) for number, file in enumerate(files)
    ]
    result: dict[str, Any] = {
        "untrusted": True,
        "page_count": whole_number(ended.answer.get("pageCount")),
        "outputs": outputs,
        "provider": {"job_id": ended.job_id, **remote.spent()},
    }
    if body is not None and len(json.dumps(body)) <= MAX_BODY_BYTES:
        result["body"] = body
    return result


def _body(answer: dict[str, Any], files: list[SourceFile]) -> Any:
    """The content of the result: that of the answer, else that of its only file."""
    body = answer.get("body")
    if body is None and len(files) == 1:
        return _small_content(files[0])
    return body


def _result_files(ctx: JobContext, urls: list[str]) -> list[SourceFile]:
    """The files at these URLs. One URL may also lead to a list of the files' URLs."""
    if len(urls) != 1:
        return _downloads(ctx, urls)
    file = _download(ctx, urls[0], 0)
    listed = _listed_urls(file)
    return _downloads(ctx, listed) if listed else [file]


def _downloads(ctx: JobContext, urls: list[str]) -> list[SourceFile]:
    return [_download(ctx, url, number) for number, url in enumerate(urls[:MAX_FILES])]


def _check(remote: Remote, ctx: JobContext, remote_id: str, *, force: bool) -> dict[str, Any]:
    parameters: dict[str, Any] = {"jobId": remote_id}
    if force:
        parameters["force"] = True
    answer = remote.call("job/check", parameters)
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
                "Correct the job, or run it on this server.",
            )
        case "aborted":
            return final(
                "provider_aborted",
                f"The job was aborted at PDF.co. {cost}",
                "Submit the job again if you still need it.",
            )
        case "unknown":
            return final(
                "provider_unknown_job",
                f"PDF.co does not know this job. {cost}",
                "Check the id. PDF.co keeps jobs for one hour.",
            )
        case "working":
            return final(
                "provider_timeout",
                f"The job was still working at PDF.co. {cost}",
                "Use pdfco.track with its id to continue.",
            )
        case _:
            return final(
                "provider_refused",
                f"PDF.co refused the check{code}. {cost}",
                "Check the id and the API key.",
            )


def _no_answer(cost: str) -> JobFailed:
    return JobFailed(
        "provider_unreachable",
        f"PDF.co does not respond. {cost}",
        hint="Use pdfco.track with the id of the job later.",
    )


def _links(answer: dict[str, Any]) -> list[str]:
    urls = answer.get("urls")
    if isinstance(urls, list):
        return [url for url in cast("list[Any]", urls) if isinstance(url, str)]
    url = answer.get("url")
    return [url] if isinstance(url, str) else []


def _download(ctx: JobContext, url: str, number: int) -> SourceFile:
    # The key is not sent: a link has its own signature, and may lead anywhere.
    return fetch_source(url, ctx.folder / f"remote-{number}", ctx, Login())


def _listed_urls(file: SourceFile) -> list[str]:
    """The URLs in a file that is a list of URLs; none in any other file."""
    if file.path.stat().st_size > MAX_LIST_BYTES:
        return []
    value = json_value(file.path.read_bytes())
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return items if all(map(_is_url, items)) else []


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _small_content(file: SourceFile) -> Any:
    """The content of a small text or JSON file, for the result; None for any other file."""
    if not _is_small_text(file):
        return None
    try:
        text = file.path.read_bytes().decode("utf-8")
        return json.loads(text) if file.name.endswith(".json") else text
    except ValueError:
        return None


def _is_small_text(file: SourceFile) -> bool:
    is_small = file.path.stat().st_size <= MAX_BODY_BYTES
    return is_small and file.name.endswith(_TEXT_ENDINGS)


def _keep(ctx: JobContext, file: SourceFile, name: str, number: int, *, single: bool) -> str:
    """Keep a result file and return its name; several files of one job are numbered."""
    extension = file.name.rpartition(".")[2] if "." in file.name else "bin"
    stem = result_stem(name, "") or file.stem
    unique = f"{stem}.{extension}" if single else f"{stem}_{number + 1}.{extension}"
    ctx.artifact(unique, file.path)
    return unique
