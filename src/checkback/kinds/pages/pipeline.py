"""Runs one page job: the phases in their order, each with its own time, progress and failure.

The first phase must succeed, because without a page there is nothing to report. From then on
nothing that is known is lost: a phase that fails or runs out of time is named in the report, and
the others go on.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import io
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from PIL import Image
from playwright.async_api import BrowserContext
from playwright.async_api import Error as PlaywrightError

from checkback.core.errors import JobFailed
from checkback.core.job import Artifact
from checkback.kinds.browser import failures
from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.browser.devtools import PageGone, Refused, Unanswered
from checkback.kinds.browser.page_load import Budgets, PageLoad, open_visit
from checkback.kinds.browser.proxy_fetch import HostUnreachable, egress_report
from checkback.kinds.browser.session import MAX_POPUPS, BrowserSession
from checkback.kinds.context import Egress, JobContext
from checkback.kinds.pages.audits.accessibility import axe_source, axe_tier
from checkback.kinds.pages.audits.design_tokens import design_tokens, tokens_as_css
from checkback.kinds.pages.capture.background_reader import BackgroundReader, timed
from checkback.kinds.pages.capture.collector import Collector
from checkback.kinds.pages.capture.frame_motion import watch_frames
from checkback.kinds.pages.capture.robots import ask_robots
from checkback.kinds.pages.dom.snapshot import font_samples
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs, unused_keys
from checkback.kinds.pages.phases import Skipped, phase_failure
from checkback.kinds.pages.report.builder import ReportBuilder
from checkback.kinds.pages.report.report import (
    AnalysisOutcome,
    add_score,
    assemble,
    job_result,
    measure_of,
)
from checkback.security.redaction import mask_keys

Fields = dict[str, Any]

#: Makes a phase's parts of the report from what was collected.
Read = Callable[[], Fields]
#: Collects what a phase needs from the browser.
Phase = Callable[[Collector], Awaitable[Read]]

RESPONSIVE_SECONDS = 120.0
#: Kept back from the job's time for putting the report together and closing the page.
RESERVE_SECONDS = 5.0
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
    """Analyse one page and leave report.json, pictures and the job's result. Raises JobFailed.

    ``keep`` is given the raw bundle, for who wants to analyse it again without a browser.
    """
    if ctx.egress is None:
        raise JobFailed("NETWORK_ERROR", "This job was given no way to the network.")
    run = _Pipeline(
        args, ctx, session, ctx.egress, budgets or Budgets(), keep_snapshot=keep is not None
    )
    viewport = args.layoutOptions.viewport
    # A blank page is made ready while robots.txt is asked for; the site itself is not touched
    # before.
    allowed = asyncio.create_task(run.check_robots(args.url))
    try:
        async with session.context(
            ctx.egress,
            width=viewport.width,
            height=viewport.height,
            with_key=False,
            user_agent=_user_agent(session),
        ) as context:
            await run.collect(context, allowed)
        await run.read()
    except PageGone as error:
        raise failures.gone(error) from error
    except PlaywrightError as error:
        raise JobFailed("BROWSER_ERROR", "The browser failed while the page was open.") from error
    finally:
        await run.leave(allowed)
    if keep is not None:
        keep(run.bundle)
    return run.finish()


def _user_agent(session: BrowserSession, *, phone: bool = False) -> str:
    """A browser's own words, so that sites send their usual page, and ours, so that they know who
    asks.
    """
    version = session.version.split(".")[0]
    system, mobile = ("Linux; Android 10; K", "Mobile ") if phone else ("X11; Linux x86_64", "")
    return (
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{version}.0.0.0 {mobile}Safari/537.36 checkback/{importlib.metadata.version('checkback')}"
    )


class _Pipeline:
    """The state of one analysis."""

    def __init__(
        self,
        args: PageAnalyzeArgs,
        ctx: JobContext,
        session: BrowserSession,
        egress: Egress,
        budgets: Budgets,
        *,
        keep_snapshot: bool = False,
    ) -> None:
        self._args, self._ctx, self._session, self._egress = args, ctx, session, egress
        self._budgets = budgets
        self._keep_snapshot = keep_snapshot
        self._started = time.monotonic()
        self._ends_at = self._started + min(
            args.timeout / 1000, max(5.0, ctx.deadline - RESERVE_SECONDS)
        )
        viewport = args.layoutOptions.viewport
        self.bundle = PageCapture(
            args.url, datetime.now(UTC).isoformat(), (viewport.width, viewport.height)
        )
        self.bundle.environment = {
            "browser": f"{session.program.name} {session.version}",
            "sandbox": session.sandboxed,
            "userAgent": _user_agent(session),
        }
        if session.environment_note:
            self.bundle.environment["note"] = session.environment_note
        self._reading = ReportBuilder(self.bundle)
        self._desk = BackgroundReader()
        self._styles: asyncio.Future[None] | None = None
        #: What is being read of each phase, with the seconds that it may take.
        self._reads: list[tuple[str, float, asyncio.Future[tuple[Fields, int]]]] = []
        self._outcome = AnalysisOutcome()
        self._parts: Fields = {}
        self._artifacts: list[Artifact] = []
        self._pictures: list[Fields] = []
        for key in unused_keys(args):
            self.bundle.warnings.append(
                {"code": "UNUSED_OPTION", "message": f"{key} has no effect here."}
            )

    def _left(self) -> float:
        return max(0.0, self._ends_at - time.monotonic())

    def _check_cancelled(self) -> None:
        if self._ctx.cancelled:
            raise failures.cancelled()

    # --- phases ---

    async def check_robots(self, url: str) -> None:
        """Ask robots.txt before anything else is asked of the site."""
        self._ctx.phase("ingest")
        if not self._args.respect_robots_txt:
            return
        self._ctx.progress(1)
        try:
            answer = await ask_robots(url, self._egress)
        except HostUnreachable as error:
            raise failures.unreachable(str(error)) from error
        if answer.ground == "blocked":
            raise failures.blocked()
        self.bundle.robots = {
            "allowed": answer.allowed,
            "ground": answer.ground,
            "status": answer.status,
        }
        if not answer.allowed:
            raise failures.robots_forbid(reachable=answer.ground == "rules")

    async def leave(self, allowed: asyncio.Task[None]) -> None:
        """Let nothing of this run go on after it."""
        self._desk.close()
        allowed.cancel()
        await asyncio.wait({allowed})
        if not allowed.cancelled():
            allowed.exception()  # told already, or of no use any more

    async def collect(self, context: BrowserContext, allowed: asyncio.Task[None]) -> None:
        """All phases, on one page that is opened once, as soon as its site has ``allowed`` it."""
        visit = await open_visit(
            context,
            self._budgets,
            key=self._egress,
            silenced=self._was_silenced,
            held=lambda: self._session.held_by_dialog,
        )
        await allowed
        collector = Collector(visit, self.bundle)
        start = time.monotonic()
        await self._ingest(visit, collector)
        self._outcome.took["ingest"] = _since(start)
        self._outcome.completed.append("ingest")
        args, options = self._args, self._args.features
        phases: list[tuple[str, bool, float, Phase]] = [
            ("layout", options.layout, args.layoutTimeout / 1000, self._layout),
            ("motion", options.motion, args.motionTimeout / 1000, self._motion),
            ("quality", options.quality, args.qualityTimeout / 1000, self._quality),
            ("responsive", args.responsiveOptions.enabled, RESPONSIVE_SECONDS, self._responsive),
        ]
        for name, wanted, seconds, work in phases:
            if wanted:
                await self._attempt(name, seconds, collector, work)
        if self.bundle.network is None or not self._args.responsiveOptions.reload:
            self.bundle.network = visit.network.summary(self.bundle.final_url)
        visit.note_stopped(self.bundle)
        self.bundle.console = visit.console.summary()
        self.bundle.egress = await asyncio.to_thread(egress_report, self._egress)

    def _was_silenced(self) -> bool:
        return self._session.popups > MAX_POPUPS

    async def _ingest(self, visit: PageLoad, collector: Collector) -> None:
        self._check_cancelled()
        self._ctx.progress(4)
        try:
            async with asyncio.timeout(self._left()):
                await self._open(visit, collector)
                self._ctx.progress(20)
                await collector.measure()
                await collector.scroll()
                await collector.hold_animations()
                self._ctx.progress(25)
                await collector.facts()
                self._ctx.progress(27)
                await self._draw(collector)
        except TimeoutError as error:
            raise failures.timed_out(self._args.timeout / 1000) from error
        except (Unanswered, Refused) as error:
            raise JobFailed(
                "TIMEOUT_ERROR", "The page stopped answering while it was opened."
            ) from error
        self._ctx.progress(35)

    async def _open(self, visit: PageLoad, collector: Collector) -> None:
        try:
            await visit.go(self.bundle)
        except JobFailed as failure:
            # A refused tunnel looks like any broken connection to the browser; the proxy knows
            # better.
            if failure.code == "NETWORK_ERROR" and await self._was_blocked():
                raise failures.blocked() from failure
            raise
        self._ctx.progress(10)
        moved = _origin(self.bundle.final_url) != _origin(self._args.url)
        if moved and self.bundle.final_url.startswith("http"):
            await self.check_robots(self.bundle.final_url)
        await asyncio.gather(
            visit.settle(self.bundle, self._args.waitUntil), self._begin_styles(visit, collector)
        )
        self._ctx.progress(15)
        self._check_cancelled()

    async def _was_blocked(self) -> bool:
        report = await asyncio.to_thread(egress_report, self._egress)
        return bool(report.get("blocked"))

    async def _draw(self, collector: Collector) -> None:
        """Take the picture. Meanwhile, the page's own thread has time for what needs no picture."""
        whole = self._args.layoutOptions.fullPage
        height = await collector.height(whole=whole)
        drawing = collector.draw(self.bundle.viewport[0], height)
        picture, _ = await asyncio.gather(drawing, self._meanwhile(collector))
        self._keep_picture("screenshot.jpg", picture, "base")
        if self._args.layoutOptions.include_html:
            try:
                self._keep(
                    self._ctx.artifact("page.html", _encoded(await collector.html()), "text/html")
                )
            except (Unanswered, Refused):
                self.bundle.warn("HTML_MISSING", "The page's HTML could not be read.")

    async def _meanwhile(self, collector: Collector) -> None:
        """What later phases ask for anyway. One that gets no answer asks again, and tells."""
        if collector.visit.devtools.scripts_stopped or collector.is_large:
            return
        features = self._args.features
        with suppress(Unanswered, Refused):
            await collector.frames(1)  # the picture's own first, which would have to wait for ours
            if features.layout or features.quality:
                await collector.snapshot()
                self._desk.soon(self._reading.prepare)
            if self._styles is not None:
                await collector.style_sheets()
                await collector.rule_usage()
            if features.layout or features.motion:
                await collector.globals()
            await asyncio.gather(self._axe_early(collector), self._canvases_early(collector))

    async def _axe_early(self, collector: Collector) -> None:
        tier, options = axe_tier((self.bundle.facts or {}).get("elements", 0))
        if (
            self._args.features.quality and tier == "standard"
        ):  # the others' would keep the picture waiting
            await collector.axe(axe_source(), options, tier)
            if self.bundle.axe and self.bundle.axe.get("stopped"):
                # On a page of this size it takes a second: it is the page that hangs.
                await collector.visit.devtools.stop_scripts()
                collector.visit.note_stopped(self.bundle)

    async def _canvases_early(self, collector: Collector) -> None:
        options = self._args.motionOptions
        if (
            self._args.features.motion
            and options.detect_webgl_animations
            and not self._watch_seconds()
        ):
            await collector.canvases()

    async def _begin_styles(self, visit: PageLoad, collector: Collector) -> None:
        """Fetch the style sheets and have them read in a thread, while the browser goes on with the
        rest.
        """
        features = self._args.features
        wanted = features.layout or features.motion or self._args.responsiveOptions.enabled
        if wanted and await visit.loaded(self._budgets.settle) and await collector.style_sheets():
            self._styles = self._desk.soon(self._reading.read_sheets)

    async def _style_sheets(self, collector: Collector) -> None:
        """Have all style sheets read, those too that came late or while the page was scrolled."""
        await collector.style_sheets()
        await collector.rule_usage()
        if self._reading.has_unread_sheets:
            self._styles = self._desk.soon(self._reading.read_sheets)

    async def _layout(self, collector: Collector) -> Read:
        await collector.snapshot()
        tree = await self._desk.soon(lambda: self._reading.tree)
        if not self._keep_snapshot and collector.is_large:
            self.bundle.snapshot = None  # hundreds of megabytes, and the tree has it all
        self._ctx.progress(42)
        if tree is not None:
            await collector.fonts(font_samples(tree))
        await self._style_sheets(collector)
        await collector.globals()
        self._ctx.progress(55)
        return self._reading.layout

    async def _motion(self, collector: Collector) -> Read:
        options = self._args.motionOptions
        await self._style_sheets(collector)
        if options.detection_mode == "video" or options.enable_frame_capture:
            await collector.hold_animations(held=False)
            await watch_frames(collector.visit.devtools, self.bundle)
            await collector.hold_animations()
        await collector.animations(self._watch_seconds(), options.detect_webgl_animations)
        self._ctx.progress(65)
        return lambda: self._reading.motion(self._args)

    def _watch_seconds(self) -> float:
        """For how long to look at what moves: declared patterns need no
        watching, what runs does.
        """
        options = self._args.motionOptions
        asked = "waitTime" in options.js_animation_options.model_fields_set
        watch = asked or options.detection_mode != "css"
        return options.js_animation_options.waitTime / 1000 if watch else 0.0

    async def _quality(self, collector: Collector) -> Read:
        await collector.snapshot()
        self._ctx.progress(68)
        tier, options = axe_tier((self.bundle.facts or {}).get("elements", 0))
        await collector.axe(axe_source(), options, tier)
        self.bundle.network = collector.visit.network.summary(self.bundle.final_url)
        self._ctx.progress(85)
        return self._reading.quality

    async def _responsive(self, collector: Collector) -> Read:
        await collector.snapshot()
        await self._style_sheets(collector)
        # What a further load asks for is not the page's own weight.
        self.bundle.network = collector.visit.network.summary(self.bundle.final_url)
        viewports = self._args.responsiveOptions.viewports
        for number, viewport in enumerate(viewports, 1):
            self._check_cancelled()
            if self._args.responsiveOptions.reload:
                await collector.reload(viewport, _user_agent(self._session, phone=True))
            else:
                await collector.resize(viewport)
            self._desk.soon(self._reading.read_sizes)
            if self._args.responsiveOptions.include_screenshots:
                picture = await collector.picture(viewport.width, whole=True, scale=0.5)
                self._keep_picture(f"viewport-{number}.jpg", picture, viewport.name)
            self._ctx.progress(85 + 13 * number / len(viewports))
        return self._reading.responsive

    async def _attempt(self, name: str, seconds: float, collector: Collector, work: Phase) -> None:
        """Run one phase; whatever it ends with, the phases before it stay."""
        self._check_cancelled()
        self._ctx.phase(name)
        start = time.monotonic()
        try:
            if self._args.timeout_strategy == "strict" and self._outcome.timed_out:
                raise Skipped
            async with asyncio.timeout(min(seconds, self._left())):
                read = await self._twice(collector, work)
            self._reads.append((name, seconds, self._desk.soon(timed(read))))
        except JobFailed:
            raise
        except Exception as error:
            self._note_failure(name, error, min(seconds, time.monotonic() - start))
        finally:
            self._outcome.took[name] = _since(start)

    async def _twice(self, collector: Collector, work: Phase) -> Read:
        """Run a phase; a page that goes away under it loses its scripts and
        gets a second chance.
        """
        try:
            return await work(collector)
        except Refused:
            if collector.visit.devtools.scripts_stopped:
                raise
            await collector.visit.devtools.stop_scripts()
            collector.visit.note_stopped(self.bundle)
            return await work(collector)

    async def read(self) -> None:
        """Wait for what the reading thread makes of each phase; a phase is
        complete only with that.
        """
        for name, seconds, reading in self._reads:
            try:
                async with asyncio.timeout(min(seconds, max(1.0, self._left()))):
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

    # --- the end ---

    def finish(self) -> Fields:
        """Judge, write the report, and give the job's result."""
        self._parts |= self._reading.ingest()
        if "performance" in self._parts:
            self._parts["performance"] = self._reading.performance()
        for code, message in self._reading.obstacles():
            self.bundle.warn(code, message)
        if "quality" in self._outcome.completed:
            add_score(self._parts, measure_of(self._args))
        self._keep_tokens()
        if "layout" in self._parts:
            self._parts["layout"]["screenshot"] = "screenshot.jpg"
            if any(artifact.name == "page.html" for artifact in self._artifacts):
                self._parts["layout"]["html"] = "page.html"
        self._outcome.total_ms = _since(self._started)
        report = assemble(self._ctx.job_id, self.bundle, self._parts, self._outcome, self._pictures)
        report["truncated"] = any(
            warning["code"] in _TRUNCATING for warning in self.bundle.warnings
        )
        report["completedAt"] = datetime.now(UTC).isoformat()
        report = mask_keys(report)
        text = json.dumps(report, ensure_ascii=False, separators=(",", ":"))
        self._keep(self._ctx.artifact("report.json", _encoded(text), "application/json"))
        return job_result(self._ctx.job_id, report, self._artifacts)

    def _keep(self, artifact: Artifact) -> None:
        self._artifacts.append(artifact)

    def _keep_tokens(self) -> None:
        """The page's look for other tools: as design tokens and as CSS variables."""
        tokens = design_tokens(self._parts.get("design", {}))
        if tokens:
            text = json.dumps(tokens, ensure_ascii=False, indent=1)
            self._keep(self._ctx.artifact("tokens.json", _encoded(text), "application/json"))
            self._keep(
                self._ctx.artifact("tokens.css", _encoded(tokens_as_css(tokens)), "text/css")
            )

    def _keep_picture(self, name: str, picture: bytes | None, viewport: str) -> None:
        if picture is None:
            return
        artifact = self._ctx.artifact(name, picture, "image/jpeg")
        with Image.open(io.BytesIO(picture)) as image:
            size = image.size
        self._keep(artifact)
        self._pictures.append(
            {
                "id": artifact.id,
                "name": name,
                "kind": "screenshot",
                "viewport": viewport,
                "width": size[0],
                "height": size[1],
                "bytes": artifact.size_bytes,
            }
        )


def _encoded(text: str) -> bytes:
    """UTF-8, whatever the page wrote: half of a surrogate pair is legal in JavaScript and nowhere
    else.
    """
    return text.encode("utf-8", "replace")


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3]).lower()
