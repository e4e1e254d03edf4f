"""``page.analyze_batch``: many pages, one job each, under one job that starts them and follows
them.

Each page is an ordinary ``page.analyze`` job of the same owner, with its own state, report and
retention. The batch's own process opens no page; it decides whose turn it is, so that no host is
asked for too much at once.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from checkback.core.errors import FailureCode, JobFailed
from checkback.core.states import State
from checkback.kinds.context import JobContext, StartedJob
from checkback.kinds.pages.jobs.args import PageOptions, PageUrl
from checkback.kinds.registry import job
from checkback.security.addresses import AddressPolicy, check_url

KIND = "page.analyze"
MAX_PAGES = 100
#: Pages that are started and not ended. More would only wait in the queue, before those of others.
MAX_AT_ONCE = 8
LOOK_SECONDS = 0.5
DEADLINE_SECONDS = 6 * 3600.0

Fields = dict[str, Any]


class PageBatchArgs(BaseModel):
    """Which pages, and how each is analyzed."""

    model_config = ConfigDict(extra="forbid")

    urls: list[PageUrl] = Field(
        min_length=1,
        max_length=MAX_PAGES,
        description="URLs of 1 to 100 pages; duplicates are analyzed once.",
    )
    options: PageOptions = Field(
        default=PageOptions(),
        description="Options for each page: any argument of page.analyze except url and async.",
        json_schema_extra={"listed": "brief"},
    )
    per_host: Annotated[
        int, Field(ge=1, le=8, description="Pages of one host open at the same time.")
    ] = 2
    pause_ms: Annotated[
        int, Field(ge=0, le=60_000, description="Milliseconds between two page loads on one host.")
    ] = 500


def admit(args: PageBatchArgs, policy: AddressPolicy) -> None:
    """Refuse the whole batch when it is submitted, if one of its URLs is not allowed."""
    for url in args.urls:
        check_url(url, policy)


@job(
    "page.analyze_batch",
    title="Analyze many web pages",
    read_only=True,
    open_world=True,
    deadline_seconds=DEADLINE_SECONDS,
    waits=True,
    admit=admit,
    phases=("pages",),
    starts=(KIND,),
    memory_bytes=512 << 20,
)
def analyze_batch(args: PageBatchArgs, ctx: JobContext) -> Fields:
    """Analyze up to 100 web pages, one job each. Use page.analyze for a single page.

    Returns job, state, score and grade of each page, or why it failed; each page's report belongs
    to its own job. A page that fails does not end the batch; cancelling the batch cancels the
    pages.
    """
    return PageBatch(args, ctx).run()


class PageBatch:
    """The pages of one batch: those that wait, that are open, and that have ended."""

    def __init__(
        self,
        args: PageBatchArgs,
        ctx: JobContext,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._args = args
        self._ctx = ctx
        self._options = args.options.model_dump(mode="json", by_alias=True, exclude_unset=True)
        self._waiting = deque(dict.fromkeys(args.urls))
        self._urls = list(self._waiting)
        #: Page -> the state of its job, in the order in which they were started.
        self._open: dict[str, StartedJob] = {}
        self._ended: dict[str, StartedJob] = {}
        self._last_start: dict[str, float] = {}

    def run(self) -> Fields:
        """Start pages and follow their jobs until all have ended."""
        self._ctx.phase("pages")
        while not self._is_done():
            self._check_cancelled()
            self._start_some()
            self._update()
            self._pause()
        return self._result()

    def _pause(self) -> None:
        """Wait before the next look, unless this was the last."""
        if not self._is_done():
            self._sleep(LOOK_SECONDS)

    def _is_done(self) -> bool:
        return not self._waiting and not self._open

    def _check_cancelled(self) -> None:
        if self._ctx.cancelled:
            raise JobFailed(FailureCode.CANCELLED, "The job was cancelled.", retryable=False)

    def _start_some(self) -> None:
        """Start every page whose turn it is."""
        for url in list(self._waiting):
            if len(self._open) >= MAX_AT_ONCE:
                return
            if self._may_ask(_host(url)):
                self._start(url)

    def _may_ask(self, host: str) -> bool:
        """Whether a host may be asked for one page more now."""
        busy = sum(_host(url) == host for url in self._open)
        return busy < self._args.per_host and self._is_pause_over(host)

    def _is_pause_over(self, host: str) -> bool:
        since_last = self._clock() - self._last_start.get(host, -1e9)
        return since_last >= self._args.pause_ms / 1000

    def _start(self, url: str) -> None:
        # The URL itself is the key: a later attempt of the batch finds the same job.
        job_id = self._ctx.start(KIND, {**self._options, "url": url}, key=url)
        self._ctx.log(f"page {self._urls.index(url) + 1}: job {job_id}")
        self._waiting.remove(url)
        self._open[url] = StartedJob(job_id, State.WAITING)
        self._last_start[_host(url)] = self._clock()

    def _update(self) -> None:
        """Read the state of the open pages' jobs, and report the progress."""
        urls = list(self._open)
        states = self._ctx.look([self._open[url].id for url in urls])
        for url, started in zip(urls, states, strict=True):
            self._open[url] = started
            if started.state.is_final:
                self._ended[url] = self._open.pop(url)
        self._report_progress()

    def _report_progress(self) -> None:
        total, ended = len(self._urls), len(self._ended)
        percent = 100 * ended + sum(started.progress for started in self._open.values())
        self._ctx.progress(percent / total, f"{ended} of {total} pages have ended")

    def _result(self) -> Fields:
        pages = [_page(url, self._ended[url]) for url in self._urls]
        states = Counter(page["state"] for page in pages)
        result: Fields = {"total": len(pages)}
        result |= {state.value: states[state.value] for state in _ENDS}
        return result | _median_score(pages) | {"pages": pages}


def _median_score(pages: list[Fields]) -> Fields:
    """The field with the median of the scores, if there are any."""
    scores = sorted(page["overallScore"] for page in pages if "overallScore" in page)
    return {"medianScore": scores[len(scores) // 2]} if scores else {}


_ENDS = (State.COMPLETED, State.FAILED, State.CANCELLED)


def _page(url: str, job: StartedJob) -> Fields:
    """One page of the result."""
    page: Fields = {"url": url, "job_id": job.id, "state": job.state.value}
    page |= _outcome(job.result or {})
    if job.failure is not None:
        page["failure"] = {"code": job.failure.code, "message": job.failure.message}
    return page


def _outcome(result: Fields) -> Fields:
    """What the result of one page's job says about its score, and what is missing."""
    quality: Fields = result.get("results", {}).get("quality", {})
    outcome = {name: quality[name] for name in ("overallScore", "grade") if name in quality}
    if result.get("partialSuccess"):
        outcome["failedPhases"] = result.get("failedPhases", [])
    return outcome


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()
