"""The first phase: robots.txt, the load of the page, the screenshot, and what later phases need
anyway.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from checkback.core.errors import JobFailed
from checkback.kinds.browser import failures
from checkback.kinds.browser.devtools import Refused, Unanswered
from checkback.kinds.browser.page_load import PageLoad
from checkback.kinds.browser.proxy_fetch import HostUnreachable, egress_report
from checkback.kinds.pages.analysis_run import AnalysisRun
from checkback.kinds.pages.audits.accessibility import axe_source, axe_tier
from checkback.kinds.pages.capture.collector import Collector
from checkback.kinds.pages.capture.robots import ask_robots


class IngestPhase:
    """Opens the page. Without it there is nothing to report, so each failure ends the job."""

    def __init__(self, run: AnalysisRun) -> None:
        self._run = run
        self._args, self._ctx, self._bundle = run.args, run.ctx, run.bundle

    async def check_robots(self, url: str) -> None:
        """Ask robots.txt before anything else is asked of the site."""
        self._ctx.phase("ingest")
        if not self._args.respect_robots_txt:
            return
        self._ctx.progress(1)
        try:
            answer = await ask_robots(url, self._run.egress)
        except HostUnreachable as error:
            raise failures.unreachable(str(error)) from error
        if answer.ground == "blocked":
            raise failures.blocked()
        self._bundle.robots = {
            "allowed": answer.allowed,
            "ground": answer.ground,
            "status": answer.status,
        }
        if not answer.allowed:
            raise failures.robots_forbid(reachable=answer.ground == "rules")

    async def collect(self, visit: PageLoad, collector: Collector) -> None:
        self._run.check_cancelled()
        self._ctx.progress(4)
        try:
            async with asyncio.timeout(self._run.seconds_left()):
                await self._collect(visit, collector)
        except TimeoutError as error:
            raise failures.timed_out(self._args.timeout / 1000) from error
        except (Unanswered, Refused) as error:
            raise JobFailed(
                "TIMEOUT_ERROR", "The page stopped answering while it was opened."
            ) from error
        self._ctx.progress(35)

    async def _collect(self, visit: PageLoad, collector: Collector) -> None:
        await self._open(visit, collector)
        self._ctx.progress(20)
        await collector.measure()
        await collector.scroll()
        await collector.hold_animations()
        self._ctx.progress(25)
        await collector.facts()
        self._ctx.progress(27)
        await self._take_screenshot(collector)
        if self._args.layoutOptions.include_html:
            await self._keep_html(collector)

    async def _open(self, visit: PageLoad, collector: Collector) -> None:
        await self._navigate(visit)
        self._ctx.progress(10)
        final_url = self._bundle.final_url
        has_moved = _origin(final_url) != _origin(self._args.url)
        if has_moved and final_url.startswith("http"):
            await self.check_robots(final_url)
        await asyncio.gather(
            visit.settle(self._bundle, self._args.waitUntil),
            self._start_style_sheets(visit, collector),
        )
        self._ctx.progress(15)
        self._run.check_cancelled()

    async def _navigate(self, visit: PageLoad) -> None:
        try:
            await visit.go(self._bundle)
        except JobFailed as failure:
            # A refused tunnel looks like any broken connection to the browser; the proxy knows
            # better.
            if failure.code == "NETWORK_ERROR" and await self._was_blocked():
                raise failures.blocked() from failure
            raise

    async def _was_blocked(self) -> bool:
        report = await asyncio.to_thread(egress_report, self._run.egress)
        return bool(report.get("blocked"))

    async def _start_style_sheets(self, visit: PageLoad, collector: Collector) -> None:
        """Fetch the style sheets and have them read in a thread, while the browser continues."""
        features = self._args.features
        is_needed = features.layout or features.motion or self._args.responsiveOptions.enabled
        if not is_needed or not await visit.loaded(self._run.budgets.settle):
            return
        if await collector.style_sheets():
            self._run.read_style_sheets_soon()

    async def _take_screenshot(self, collector: Collector) -> None:
        """Take the screenshot. The page's own thread is free while it is drawn."""
        height = await collector.height(whole=self._args.layoutOptions.fullPage)
        drawing = collector.draw(self._bundle.viewport[0], height)
        image, _ = await asyncio.gather(drawing, self._collect_early(collector))
        self._run.artifacts.add_screenshot("screenshot.jpg", image, "base")

    async def _keep_html(self, collector: Collector) -> None:
        try:
            html = await collector.html()
        except (Unanswered, Refused):
            self._bundle.warn("HTML_MISSING", "The page's HTML could not be read.")
        else:
            self._run.artifacts.add_text("page.html", html, "text/html")

    # --- collected early ---

    async def _collect_early(self, collector: Collector) -> None:
        """What later phases need anyway. A part that gets no answer is asked for again there,
        where a failure is reported.
        """
        if not collector.visit.devtools.scripts_stopped and not collector.is_large:
            with suppress(Unanswered, Refused):
                await self._collect_wanted(collector)

    async def _collect_wanted(self, collector: Collector) -> None:
        await collector.frames(1)  # Those of the drawing, which must not wait for ours.
        await self._collect_snapshot(collector)
        await self._collect_style_sheets(collector)
        await self._collect_globals(collector)
        await asyncio.gather(self._run_axe(collector), self._collect_canvases(collector))

    async def _collect_snapshot(self, collector: Collector) -> None:
        if self._args.features.layout or self._args.features.quality:
            await collector.snapshot()
            self._run.reader.soon(self._run.builder.prepare)

    async def _collect_style_sheets(self, collector: Collector) -> None:
        if self._run.styles_read is not None:
            await collector.style_sheets()
            await collector.rule_usage()

    async def _collect_globals(self, collector: Collector) -> None:
        if self._args.features.layout or self._args.features.motion:
            await collector.globals()

    async def _run_axe(self, collector: Collector) -> None:
        tier, options = axe_tier((self._bundle.facts or {}).get("elements", 0))
        # The rules of a large page would delay the screenshot.
        if self._args.features.quality and tier == "standard":
            await collector.axe(axe_source(), options, tier)
            await self._stop_if_axe_was(collector)

    async def _stop_if_axe_was(self, collector: Collector) -> None:
        """Stop the scripts of a page that axe did not finish on. For a page of standard size it
        takes a second: it is the page that hangs.
        """
        if self._bundle.axe and self._bundle.axe.get("stopped"):
            await collector.visit.devtools.stop_scripts()
            collector.visit.note_stopped(self._bundle)

    async def _collect_canvases(self, collector: Collector) -> None:
        is_wanted = self._args.motionOptions.detect_webgl_animations
        if is_wanted and self._args.features.motion and not self._run.watch_seconds():
            await collector.canvases()


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3]).lower()
