"""What the phases of one page analysis share: arguments, capture, deadline, files."""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from datetime import UTC, datetime

from checkback.kinds.browser import failures
from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.browser.page_load import Budgets
from checkback.kinds.browser.session import BrowserSession
from checkback.kinds.context import Egress, JobContext
from checkback.kinds.pages.artifacts import PageArtifacts
from checkback.kinds.pages.capture.background_reader import BackgroundReader
from checkback.kinds.pages.capture.collector import Collector
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs, unused_keys
from checkback.kinds.pages.report.builder import ReportBuilder

#: Reserved at the end of the job's time for assembling the report and closing the page.
RESERVE_SECONDS = 5.0


def user_agent(session: BrowserSession, *, phone: bool = False) -> str:
    """The browser's usual text, so that sites send their usual page, and the name of this program,
    so that they know what loads it.
    """
    version = session.version.split(".")[0]
    system, mobile = ("Linux; Android 10; K", "Mobile ") if phone else ("X11; Linux x86_64", "")
    return (
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{version}.0.0.0 {mobile}Safari/537.36 "
        f"checkback/{importlib.metadata.version('checkback')}"
    )


class AnalysisRun:
    """The state of one analysis."""

    def __init__(
        self,
        args: PageAnalyzeArgs,
        ctx: JobContext,
        session: BrowserSession,
        egress: Egress,
        budgets: Budgets,
        *,
        keep_snapshot: bool,
    ) -> None:
        self.args, self.ctx, self.session, self.egress = args, ctx, session, egress
        self.budgets = budgets
        self.keep_snapshot = keep_snapshot
        self.started = time.monotonic()
        seconds = min(args.timeout / 1000, max(5.0, ctx.deadline - RESERVE_SECONDS))
        self._deadline = self.started + seconds
        self.bundle = _new_capture(args, session)
        self.builder = ReportBuilder(self.bundle)
        self.reader = BackgroundReader()
        self.artifacts = PageArtifacts(ctx)
        #: Done as soon as the style sheets that were collected so far have been read.
        self.styles_read: asyncio.Future[None] | None = None

    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def check_cancelled(self) -> None:
        if self.ctx.cancelled:
            raise failures.cancelled()

    def read_style_sheets_soon(self) -> None:
        self.styles_read = self.reader.soon(self.builder.read_sheets)

    async def collect_style_sheets(self, collector: Collector) -> None:
        """Have all style sheets read, also those that came late or while the page was scrolled."""
        await collector.style_sheets()
        await collector.rule_usage()
        if self.builder.has_unread_sheets:
            self.read_style_sheets_soon()

    def watch_seconds(self) -> float:
        """How long to watch what moves: declared patterns need no watching, running ones do."""
        options = self.args.motionOptions
        animation = options.js_animation_options
        is_asked = "waitTime" in animation.model_fields_set
        if options.detection_mode == "css" and not is_asked:
            return 0.0
        return animation.waitTime / 1000


def _new_capture(args: PageAnalyzeArgs, session: BrowserSession) -> PageCapture:
    viewport = args.layoutOptions.viewport
    bundle = PageCapture(args.url, datetime.now(UTC).isoformat(), (viewport.width, viewport.height))
    bundle.environment = {
        "browser": f"{session.program.name} {session.version}",
        "sandbox": session.sandboxed,
        "userAgent": user_agent(session),
    }
    if session.environment_note:
        bundle.environment["note"] = session.environment_note
    for key in unused_keys(args):
        bundle.warnings.append({"code": "UNUSED_OPTION", "message": f"{key} has no effect here."})
    return bundle
