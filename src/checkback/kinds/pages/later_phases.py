"""The phases after the first: each collects what it needs from the browser, and returns how to make
its parts of the report.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from checkback.kinds.pages.analysis_run import AnalysisRun, user_agent
from checkback.kinds.pages.audits.accessibility import axe_source, axe_tier
from checkback.kinds.pages.capture.collector import Collector
from checkback.kinds.pages.capture.frame_motion import watch_frames
from checkback.kinds.pages.dom.snapshot import font_samples
from checkback.kinds.pages.jobs.args import NamedViewport

Fields = dict[str, Any]
#: Makes a phase's parts of the report from what was collected.
Read = Callable[[], Fields]
#: Collects what a phase needs from the browser.
Phase = Callable[[Collector], Awaitable[Read]]


class LaterPhases:
    """Layout, motion, quality and responsive."""

    def __init__(self, run: AnalysisRun) -> None:
        self._run = run
        self._args, self._ctx, self._bundle = run.args, run.ctx, run.bundle
        self._builder = run.builder

    async def layout(self, collector: Collector) -> Read:
        await collector.snapshot()
        tree = await self._run.reader.soon(lambda: self._builder.tree)
        if not self._run.keep_snapshot and collector.is_large:
            self._bundle.snapshot = None  # Hundreds of megabytes, and the tree has all of it.
        self._ctx.progress(42)
        if tree is not None:
            await collector.fonts(font_samples(tree))
        await self._run.collect_style_sheets(collector)
        await collector.globals()
        self._ctx.progress(55)
        return self._builder.layout

    async def motion(self, collector: Collector) -> Read:
        options = self._args.motionOptions
        await self._run.collect_style_sheets(collector)
        if options.detection_mode == "video" or options.enable_frame_capture:
            await collector.hold_animations(held=False)
            await watch_frames(collector.visit.devtools, self._bundle)
            await collector.hold_animations()
        await collector.animations(self._run.watch_seconds(), options.detect_webgl_animations)
        self._ctx.progress(65)
        return lambda: self._builder.motion(self._args)

    async def quality(self, collector: Collector) -> Read:
        await collector.snapshot()
        self._ctx.progress(68)
        tier, options = axe_tier((self._bundle.facts or {}).get("elements", 0))
        await collector.axe(axe_source(), options, tier)
        self._bundle.network = collector.visit.network.summary(self._bundle.final_url)
        self._ctx.progress(85)
        return self._builder.quality

    async def responsive(self, collector: Collector) -> Read:
        await collector.snapshot()
        await self._run.collect_style_sheets(collector)
        # What a further load requests is not the page's own weight.
        self._bundle.network = collector.visit.network.summary(self._bundle.final_url)
        viewports = self._args.responsiveOptions.viewports
        for number, viewport in enumerate(viewports, 1):
            self._run.check_cancelled()
            await self._measure_at(collector, number, viewport)
            self._ctx.progress(85 + 13 * number / len(viewports))
        return self._builder.responsive

    async def _measure_at(self, collector: Collector, number: int, viewport: NamedViewport) -> None:
        options = self._args.responsiveOptions
        if options.reload:
            await collector.reload(viewport, user_agent(self._run.session, phone=True))
        else:
            await collector.resize(viewport)
        self._run.reader.soon(self._builder.read_sizes)
        if options.include_screenshots:
            image = await collector.picture(viewport.width, whole=True, scale=0.5)
            self._run.artifacts.add_screenshot(f"viewport-{number}.jpg", image, viewport.name)
