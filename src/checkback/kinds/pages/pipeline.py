"""Runs one page job: the phases in their order, each with its own time, progress and failure.

The first phase must succeed, because without a page there is nothing to report. From then on
nothing that is known is lost: a phase that fails or runs out of time is named in the report, and
the others continue.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from playwright.async_api import BrowserContext
from playwright.async_api import Error as PlaywrightError

from checkback.core.errors import JobFailed
from checkback.kinds.browser import failures
from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.browser.devtools import PageGone, Refused
from checkback.kinds.browser.page_load import Budgets, PageLoad, open_visit
from checkback.kinds.browser.proxy_fetch import egress_report
from checkback.kinds.browser.session import MAX_POPUPS, BrowserSession
from checkback.kinds.context import JobContext
from checkback.kinds.pages.analysis_run import AnalysisRun, user_agent
from checkback.kinds.pages.capture.background_reader import timed
from checkback.kinds.pages.capture.collector import Collector
from checkback.kinds.pages.ingest_phase import IngestPhase
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs
from checkback.kinds.pages.later_phases import LaterPhases, Phase, Read
from checkback.kinds.pages.phases import Skipped, phase_failure
from checkback.kinds.pages.report.report import (
    AnalysisOutcome,
    add_score,
    assemble,
    job_result,
    measure_of,
)
from checkback.security.redaction import mask_keys

Fields = dict[str, Any]

RESPONSIVE_SECONDS = 120.0
#: Warnings that say that a part of the page was left out because the page is so large.
_TRUNCATING = frozenset({"PICTURE_CUT", "SNAPSHOT_LIGHT", "RESIZE_LIGHT", "AXE_STOPPED", "CSS_CUT"})


async def analyze_page(
    args: PageAnalyzeArgs,
    ctx: JobContext,
    session: BrowserSession,
    budgets: Budgets | None = None,
    *,
    keep: Callable[[PageCapture], object] | None = None,
) -> Fields:
    """Analyze one page; write report.json and screenshots, and return the job's result. Raises
    JobFailed.

    ``keep`` receives the raw capture, which can be analyzed again without a browser.
    """
    if ctx.egress is None:
        raise JobFailed("NETWORK_ERROR", "This job has no access to the network.")
    run = AnalysisRun(
        args, ctx, session, ctx.egress, budgets or Budgets(), keep_snapshot=keep is not None
    )
    pipeline = _Pipeline(run)
    viewport = args.layoutOptions.viewport
    # A blank page is prepared while robots.txt is asked for; the site itself is not touched before.
    allowed = asyncio.create_task(pipeline.ingest.check_robots(args.url))
    try:
        async with session.context(
            ctx.egress,
            width=viewport.width,
            height=viewport.height,
            with_key=False,
            user_agent=user_agent(session),
        ) as context:
            await pipeline.collect(context, allowed)
        await pipeline.read()
    except PageGone as error:
        raise failures.gone(error) from error
    except PlaywrightError as error:
        raise JobFailed("BROWSER_ERROR", "The browser failed while the page was open.") from error
    finally:
        await pipeline.close(allowed)
    if keep is not None:
        keep(run.bundle)
    return pipeline.finish()


class _Pipeline:
    """The phases of one analysis, and what each of them gave."""

    def __init__(self, run: AnalysisRun) -> None:
        self._run = run
        self._args, self._ctx, self._bundle = run.args, run.ctx, run.bundle
        self.ingest = IngestPhase(run)
        self._later = LaterPhases(run)
        #: What is being read of each phase, with the seconds that it may take.
        self._reads: list[tuple[str, float, asyncio.Future[tuple[Fields, int]]]] = []
        self._outcome = AnalysisOutcome()
        self._parts: Fields = {}

    async def close(self, allowed: asyncio.Task[None]) -> None:
        """Let nothing of this run continue after it."""
        self._run.reader.close()
        allowed.cancel()
        await asyncio.wait({allowed})
        if not allowed.cancelled():
            allowed.exception()  # Already raised, or no longer of interest.

    # --- in the browser ---

    async def collect(self, context: BrowserContext, allowed: asyncio.Task[None]) -> None:
        """All phases, on one page that is opened once, as soon as its site has ``allowed`` it."""
        session = self._run.session
        visit = await open_visit(
            context,
            self._run.budgets,
            key=self._run.egress,
            silenced=lambda: session.popups > MAX_POPUPS,
            held=lambda: session.held_by_dialog,
        )
        await allowed
        collector = Collector(visit, self._bundle)
        start = time.monotonic()
        await self.ingest.collect(visit, collector)
        self._outcome.took["ingest"] = _since(start)
        self._outcome.completed.append("ingest")
        for name, seconds, work in self._wanted_phases():
            await self._attempt(name, seconds, collector, work)
        await self._close_records(visit)

    def _wanted_phases(self) -> list[tuple[str, float, Phase]]:
        """Name, seconds and work of each later phase that the caller wants."""
        args, features, later = self._args, self._args.features, self._later
        phases: list[tuple[bool, str, float, Phase]] = [
            (features.layout, "layout", args.layoutTimeout / 1000, later.layout),
            (features.motion, "motion", args.motionTimeout / 1000, later.motion),
            (features.quality, "quality", args.qualityTimeout / 1000, later.quality),
            (args.responsiveOptions.enabled, "responsive", RESPONSIVE_SECONDS, later.responsive),
        ]
        return [(name, seconds, work) for is_wanted, name, seconds, work in phases if is_wanted]

    async def _close_records(self, visit: PageLoad) -> None:
        """Take what network, console and proxy recorded until the end."""
        bundle = self._bundle
        if bundle.network is None or not self._args.responsiveOptions.reload:
            bundle.network = visit.network.summary(bundle.final_url)
        visit.note_stopped(bundle)
        bundle.console = visit.console.summary()
        bundle.egress = await asyncio.to_thread(egress_report, self._run.egress)

    async def _attempt(self, name: str, seconds: float, collector: Collector, work: Phase) -> None:
        """Run one phase. However it ends, the phases before it stay."""
        self._run.check_cancelled()
        self._ctx.phase(name)
        start = time.monotonic()
        try:
            self._check_time()
            async with asyncio.timeout(min(seconds, self._run.seconds_left())):
                read = await self._twice(collector, work)
            self._reads.append((name, seconds, self._run.reader.soon(timed(read))))
        except JobFailed:
            raise
        except Exception as error:
            self._note_failure(name, error, min(seconds, time.monotonic() - start))
        finally:
            self._outcome.took[name] = _since(start)

    def _check_time(self) -> None:
        """Raise Skipped if an earlier phase ran out of time, and the caller is strict."""
        if self._args.timeout_strategy == "strict" and self._outcome.timed_out:
            raise Skipped

    async def _twice(self, collector: Collector, work: Phase) -> Read:
        """Run a phase; a page that navigates during it loses its scripts and gets a second
        chance.
        """
        try:
            return await work(collector)
        except Refused:
            if collector.visit.devtools.scripts_stopped:
                raise
            await collector.visit.devtools.stop_scripts()
            collector.visit.note_stopped(self._bundle)
            return await work(collector)

    # --- the report ---

    async def read(self) -> None:
        """Wait until the reading thread is done with each phase; only then is a phase complete."""
        for name, seconds, reading in self._reads:
            try:
                async with asyncio.timeout(min(seconds, max(1.0, self._run.seconds_left()))):
                    parts, took = await asyncio.shield(reading)
            except Exception as error:
                self._note_failure(name, error, seconds)
                continue
            self._parts |= parts
            self._outcome.took[name] += took
            self._outcome.completed.append(name)
        order = list(self._outcome.took)
        self._outcome.failed.sort(key=lambda failure: order.index(failure.phase))

    def _note_failure(self, name: str, error: Exception, seconds: float) -> None:
        failure = phase_failure(name, error, seconds)
        if not self._args.partial_results:
            raise JobFailed(failure.code, f"{name}: {failure.message}") from error
        self._ctx.log(f"{name} failed: {type(error).__name__}")
        self._outcome.failed.append(failure)

    def finish(self) -> Fields:
        """Compute the score, write the report, and return the job's result."""
        artifacts = self._run.artifacts
        self._complete_parts()
        artifacts.add_tokens(self._parts.get("design", {}))
        if "layout" in self._parts:
            self._name_files(self._parts["layout"])
        report = self._report()
        text = json.dumps(report, ensure_ascii=False, separators=(",", ":"))
        artifacts.add_text("report.json", text, "application/json")
        return job_result(self._ctx.job_id, report, artifacts.files)

    def _complete_parts(self) -> None:
        """Add the parts that are known only after the page is closed."""
        builder = self._run.builder
        self._parts |= builder.ingest()
        if "performance" in self._parts:
            self._parts["performance"] = builder.performance()
        self._warn_of_obstacles()
        if "quality" in self._outcome.completed:
            add_score(self._parts, measure_of(self._args))

    def _warn_of_obstacles(self) -> None:
        for code, message in self._run.builder.obstacles():
            self._bundle.warn(code, message)

    def _name_files(self, layout: Fields) -> None:
        layout["screenshot"] = "screenshot.jpg"
        if self._run.artifacts.has("page.html"):
            layout["html"] = "page.html"

    def _report(self) -> Fields:
        self._outcome.total_ms = _since(self._run.started)
        screenshots = self._run.artifacts.screenshots
        report = assemble(self._ctx.job_id, self._bundle, self._parts, self._outcome, screenshots)
        codes = {warning["code"] for warning in self._bundle.warnings}
        report["truncated"] = not codes.isdisjoint(_TRUNCATING)
        report["completedAt"] = datetime.now(UTC).isoformat()
        return mask_keys(report)


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)
