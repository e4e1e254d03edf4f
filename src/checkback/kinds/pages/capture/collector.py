"""From an open page to the raw bundle: what is asked of the browser in each phase, and in which
order.

The order is part of the measurement: performance is read before the scroll pass, because that and
all our own work makes long tasks and shifts; the window is resized last, because everything else
wants the first size.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from typing import Any, cast

from checkback.kinds.browser import failures
from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.browser.devtools import Refused, Unanswered, script
from checkback.kinds.browser.page_load import MAX_ELEMENTS, REST_SECONDS, PageLoad
from checkback.kinds.pages.audits.technology_fingerprints import GLOBAL_NAMES, VERSION_PATHS
from checkback.kinds.pages.dom.snapshot import LIGHT_STYLES, RESIZED_STYLES, STYLES
from checkback.kinds.pages.jobs.args import NamedViewport

Fields = dict[str, Any]

#: Chromium's textures end near 16,384 px, JPEG at 65,535.
PICTURE_HEIGHT = 16_000
PICTURE_QUALITY = 70
PICTURE_TRIES = 4
MAX_SHEETS = 80
MAX_SHEET_TEXT = 400_000
MAX_CSS = 3_000_000
SCROLL_STEPS = 40
#: How long the first frame of a complete page is waited for.
PAINT_MS = 500
MAX_ANIMATIONS = 300
MAX_CANVASES = 20
WATCH_MS = 60
#: How long the style rules may be held against the page. One with more to hold says nothing of
#: them.
RULES_MS = 1000
#: Windows narrower than this are phones.
PHONE_BELOW = 600
MIN_TAP = 24
MIN_TEXT = 12


class Collector:
    """Fills a bundle from a visit; each method is one phase's share of the work."""

    def __init__(self, visit: PageLoad, bundle: PageCapture) -> None:
        self.visit = visit
        self._devtools = visit.devtools
        self._budgets = visit.budgets
        self._bundle = bundle
        #: Headers of the style sheets that were asked for.
        self._sheets: list[Fields] = []
        self._usage_known = False
        self._snapshot: asyncio.Task[None] | None = None
        self._asked_for_globals = False

    @contextmanager
    def _timed(self, name: str) -> Generator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self._bundle.timings[name] = round((time.monotonic() - start) * 1000)

    # --- ingest ---

    async def measure(self) -> None:
        """Freeze the page's performance; whatever we do from here on must not count.

        A page may be complete before its first frame is drawn; without one there is nothing to
        measure.
        """
        if not self._devtools.scripts_stopped:
            with suppress(Unanswered, Refused):
                await self._devtools.evaluate(f"({script('painted')})({PAINT_MS})", promise=True)
        self._bundle.performance = await self._devtools.run("measure")

    async def scroll(self) -> None:
        """The scroll pass."""
        with self._timed("scroll"):
            await self._scroll()

    async def hold_animations(self, *, held: bool = True) -> None:
        """Stop the clock of the page's animations, or let it go on.

        One without an end has the browser draw sixty pictures a second, in full size while ours is
        taken.
        """
        with suppress(Unanswered, Refused):
            await self._devtools.call(
                "Animation.setPlaybackRate", {"playbackRate": 0 if held else 1}
            )

    async def frames(self, count: int) -> None:
        """Let the page draw that many frames."""
        await self._devtools.evaluate(f"({script('frames')})({count})", promise=True)

    async def facts(self) -> None:
        """What the document says about itself, while the last files that scrolling asked for
        arrive.
        """
        bundle = self._bundle
        bundle.facts, _ = await asyncio.gather(
            self._devtools.run("facts", seconds=self._budgets.snapshot),
            self.visit.network.quiet(seconds=0.15, at_most=self._budgets.settle),
        )
        if bundle.facts is not None and bundle.facts["elements"] > MAX_ELEMENTS:
            raise failures.too_large(f"more than {MAX_ELEMENTS:,} elements")
        self.visit.note_stopped(bundle)

    async def _scroll(self) -> None:
        if self._devtools.scripts_stopped:
            return
        argument = {
            "maxSteps": SCROLL_STEPS,
            "restMs": 1000 * REST_SECONDS,
            "maxMs": 1000 * self._budgets.scroll / 2,
        }
        expression = f"({script('scroll')})({json.dumps(argument)})"
        try:
            self._bundle.scroll = await self._devtools.evaluate(
                expression, seconds=self._budgets.scroll, promise=True
            )
        except Unanswered:
            self._bundle.warn("SCROLL_INCOMPLETE", "The page could not be scrolled to its end.")
            if not await self._devtools.responsive(2):
                await self._devtools.stop_scripts()
            return
        except Refused:
            self._bundle.warn("SCROLL_INCOMPLETE", "The page could not be scrolled to its end.")

    async def picture(self, width: int, *, whole: bool, scale: float = 1.0) -> bytes | None:
        """A JPEG of the page, or None with a warning when the browser does not
        deliver one in time.
        """
        height = await self.height(whole=whole)
        return await self.draw(width, height, scale=scale)

    async def height(self, *, whole: bool) -> float:
        """The height that a screenshot of the page, or of the window alone, would have."""
        metrics = await self._devtools.ask("Page.getLayoutMetrics")
        size: Fields = metrics["cssContentSize"]
        return float(size["height"] if whole else metrics["cssLayoutViewport"]["clientHeight"])

    async def draw(self, width: int, height: float, *, scale: float = 1.0) -> bytes | None:
        """A screenshot from the page's top down to ``height``; see ``picture``."""
        if height > PICTURE_HEIGHT:
            self._bundle.warn(
                "PICTURE_CUT", f"The screenshot ends {PICTURE_HEIGHT} px below the page's top."
            )
        params: Fields = {
            "format": "jpeg",
            "quality": PICTURE_QUALITY,
            "optimizeForSpeed": True,
            "captureBeyondViewport": True,
            "clip": {
                "x": 0,
                "y": 0,
                "width": width,
                "height": max(1, min(height, PICTURE_HEIGHT)),
                "scale": scale,
            },
        }
        for _ in range(PICTURE_TRIES):
            try:
                answer = await self._devtools.call(
                    "Page.captureScreenshot", params, seconds=self._budgets.picture
                )
                return base64.b64decode(answer["data"])
            except Refused:
                continue  # it could not copy what it had drawn; that passes
            except Unanswered:
                # A page that hangs draws nothing; without its scripts it does.
                if self._devtools.scripts_stopped or await self._devtools.responsive(2):
                    break
                await self._devtools.stop_scripts()
                self.visit.note_stopped(self._bundle)
        self._bundle.warn("PICTURE_MISSING", "The browser did not take the screenshot in time.")
        return None

    async def html(self) -> str:
        """The document as it stands, serialised in the isolated world."""
        text = await self._devtools.evaluate("document.documentElement.outerHTML.slice(0, 2000000)")
        return str(text)

    # --- layout ---

    @property
    def is_large(self) -> bool:
        """Whether the page has so many elements that only few styles of each are read."""
        return self._elements > self._budgets.elements_with_all_styles

    @property
    def _elements(self) -> int:
        return (self._bundle.facts or {}).get("elements", 0)

    async def snapshot(self) -> None:
        """Boxes and styles of every element. Read once, by the phase that needs it first."""
        if self._snapshot is None:
            self._snapshot = asyncio.create_task(self._take_snapshot())
        try:
            await self._snapshot
        except BaseException:
            # A later phase may succeed: a page without its scripts often answers.
            self._snapshot = None
            raise

    async def _take_snapshot(self) -> None:
        if self.is_large:
            self._bundle.warn(
                "SNAPSHOT_LIGHT", "The page is very large; colors and spacing were not measured."
            )
        styles = LIGHT_STYLES if self.is_large else STYLES
        with self._timed("snapshot"):
            self._bundle.snapshot = await self._capture(styles, paint_order=True)
        self._bundle.snapshot_styles = list(styles)

    async def _capture(self, styles: Sequence[str], *, paint_order: bool) -> Fields:
        params = {"computedStyles": list(styles), "includePaintOrder": paint_order}
        answer = await self._devtools.call(
            "DOMSnapshot.captureSnapshot", params, seconds=self._budgets.snapshot
        )
        # Frames are other documents; only the page itself is analyzed.
        return {"strings": answer["strings"], "documents": answer["documents"][:1]}

    async def style_sheets(self) -> bool:
        """The text of the style sheets that apply; whether any came since the last call.

        Asked for right after the load, so that they can be read while the browser is busy with
        other things, and once more after the scroll pass, which may bring further ones.
        """
        headers = self._applied_headers()
        wanted = headers[len(self._sheets) : MAX_SHEETS]
        if not wanted:
            return False
        fitting = self._fitting(wanted)
        added = await self._read_sheets(fitting)
        self._sheets += wanted
        self._bundle.sheets += added
        if len(headers) > MAX_SHEETS or len(fitting) < len(wanted):
            self._bundle.warn("CSS_CUT", "The page has more style sheets than are read.")
        return bool(added)

    def _applied_headers(self) -> list[Fields]:
        """The headers of the page's style sheets, without the browser's own."""
        headers = self.visit.sheet_headers
        return [header for header in headers if header.get("origin") == "regular"]

    async def _read_sheets(self, headers: list[Fields]) -> list[Fields]:
        """The style sheets whose text can be read."""
        with self._timed("styleSheets"):
            sheets = await asyncio.gather(*map(self._read_sheet, headers))
        return [sheet for sheet in sheets if sheet is not None]

    def _fitting(self, headers: list[Fields]) -> list[Fields]:
        """The style sheets that fit into what may still be read."""
        left = MAX_CSS - sum(len(sheet["text"]) for sheet in self._bundle.sheets)
        sizes = accumulate(int(header.get("length", 0)) for header in headers)
        return [header for header, size in zip(headers, sizes, strict=True) if size <= left]

    async def _read_sheet(self, header: Fields) -> Fields | None:
        """One style sheet with its text; None if that cannot be read."""
        text = await self._sheet_text(str(header["styleSheetId"]))
        return _sheet(header, text) if text else None

    async def rule_usage(self) -> None:
        """Count the style rules that match something on the page. Done once, at the end."""
        if self._usage_known:
            return
        self._usage_known = True
        with self._timed("ruleUsage"), suppress(Unanswered, Refused):
            self._bundle.rules_used = await self._count_used_rules()

    async def _count_used_rules(self) -> int | None:
        """How many rules match something; None if there was no time to try all."""
        own = await self._used_rules(None)
        # A script of the page cannot read style sheets of other hosts; their texts are known.
        texts = self._unread_sheets(set(own["read"]))
        others = await self._used_rules(texts) if texts else {"used": 0, "complete": True}
        is_complete = own["complete"] and others["complete"]
        return own["used"] + others["used"] if is_complete else None

    def _unread_sheets(self, read: set[str]) -> list[str]:
        """The texts of the style sheets that apply and are not among those that were read."""
        sheets = [sheet for sheet in self._bundle.sheets if not sheet["inline"]]
        return [
            sheet["text"] for sheet in sheets if not sheet["disabled"] and sheet["url"] not in read
        ]

    async def _used_rules(self, texts: list[str] | None) -> Fields:
        argument = {"texts": texts, "milliseconds": RULES_MS}
        answer: Fields = await self._devtools.evaluate(
            f"({script('rules')})({json.dumps(argument)})"
        )
        return answer

    async def _sheet_text(self, sheet_id: str) -> str:
        try:
            answer = await self._devtools.call(
                "CSS.getStyleSheetText", {"styleSheetId": sheet_id}, seconds=3
            )
        except (Unanswered, Refused):
            return ""
        return str(answer.get("text", ""))

    async def fonts(self, samples: list[tuple[str, int]]) -> None:
        """Which fonts the browser really used for the page's main families: declared is not
        rendered.
        """
        try:
            await self._devtools.call("DOM.getDocument", {"depth": 0})
            answer = await self._devtools.call(
                "DOM.pushNodesByBackendIdsToFrontend",
                {"backendNodeIds": [node for _, node in samples]},
            )
            calls = (
                self._devtools.call("CSS.getPlatformFontsForNode", {"nodeId": node}, seconds=2)
                for node in answer["nodeIds"]
            )
            for (family, _), answer in zip(samples, await asyncio.gather(*calls), strict=True):
                self._bundle.fonts.append(_font(family, answer["fonts"]))
        except (Unanswered, Refused):
            self._bundle.warn(
                "FONTS_UNKNOWN", "The fonts that were rendered could not be determined."
            )

    # --- motion ---

    async def animations(self, wait_seconds: float, canvases: bool = True) -> None:
        """What moves now and within ``wait_seconds``, and what still moves under reduced motion."""
        if wait_seconds:
            await self.hold_animations(held=False)
            await self._watch(wait_seconds)
            await self.hold_animations()
        elif canvases:
            await self.canvases()
        bundle, argument = self._bundle, {"most": MAX_ANIMATIONS}
        await self.globals()
        bundle.animations = await self._devtools.run("animations", argument)
        await self._emulate_reduced_motion("reduce")
        try:
            after = await self._devtools.run("animations", argument)
        finally:
            await self._emulate_reduced_motion("")
        if bundle.animations is not None and after is not None:
            bundle.reduced_motion = _reduced_motion(bundle.animations, after)

    async def canvases(self) -> None:
        """Which canvases are drawn on. Read once, by the phase that needs it first."""
        if self._bundle.watched is None and (self._bundle.facts or {}).get("canvases"):
            await self._watch(0)

    async def _watch(self, seconds: float) -> None:
        if self._devtools.scripts_stopped:
            return
        argument = {"milliseconds": round(1000 * seconds), "every": WATCH_MS, "most": MAX_CANVASES}
        with suppress(Unanswered, Refused):
            self._bundle.watched = await self._devtools.evaluate(
                f"({script('watch')})({json.dumps(argument)})", seconds=seconds + 5, promise=True
            )

    async def _emulate_reduced_motion(self, value: str) -> None:
        feature = {"name": "prefers-reduced-motion", "value": value}
        await self._devtools.call("Emulation.setEmulatedMedia", {"features": [feature]})

    async def globals(self) -> None:
        """Which well-known globals the page's own world has, and their versions. Read once.

        Nothing else is read from that world. The expressions have no side effects there, and no
        text from it is run.
        """
        if self._asked_for_globals:
            return
        self._asked_for_globals = True
        self._bundle.globals = await self._known_globals()
        self._bundle.versions = await self._all_versions(set(self._bundle.globals))

    async def _known_globals(self) -> list[str]:
        """The well-known globals that the page has."""
        names = [json.dumps(name) for name in GLOBAL_NAMES]
        tests = ",".join(f"{name}:{name} in window" for name in names)
        defined = await self._look_into_page(f"({{{tests}}})")
        return [name for name in GLOBAL_NAMES if defined.get(name) is True]

    async def _all_versions(self, known: set[str]) -> dict[str, str]:
        """The versions that the known globals report."""
        paths = {name: path for name, path in VERSION_PATHS.items() if path.split(".")[0] in known}
        versions = await self._versions(paths) if paths else {}
        # One that cannot be read makes the whole call fail; so each is read alone.
        return versions or await self._read_alone(dict(list(paths.items())[:20]))

    async def _read_alone(self, paths: dict[str, str]) -> dict[str, str]:
        versions: dict[str, str] = {}
        for name, path in paths.items():
            versions |= await self._versions({name: path})
        return versions

    async def _versions(self, paths: dict[str, str]) -> dict[str, str]:
        reads = ",".join(
            f"{json.dumps(name)}:window.{path.replace('.', '?.')}" for name, path in paths.items()
        )
        found = await self._look_into_page(f"({{{reads}}})")
        return {
            name: str(value)[:20] for name, value in found.items() if isinstance(value, str | int)
        }

    async def _look_into_page(self, expression: str) -> Fields:
        params = {
            "expression": expression,
            "returnByValue": True,
            "throwOnSideEffect": True,
            "timeout": 500,
        }
        try:
            answer = await self._devtools.call("Runtime.evaluate", params, seconds=2)
        except (Unanswered, Refused):
            return {}
        value: object = answer.get("result", {}).get("value")
        return cast("Fields", value) if isinstance(value, dict) else {}

    # --- quality ---

    async def axe(self, source: str, options: Fields, tier: str) -> None:
        """Run axe within its budget; a page that is too much for it loses this part only. Runs
        once.
        """
        if self._bundle.axe is not None:
            return
        argument = {"options": options, "mostNodes": 20}
        if self._devtools.scripts_stopped:
            self._bundle.axe = {"tier": tier, "stopped": True}
            return
        with self._timed("axe"):
            try:
                await self._devtools.evaluate(source + ";1", seconds=self._budgets.axe)
                result = await self._devtools.evaluate(
                    f"({script('axe-run')})({json.dumps(argument)})",
                    seconds=self._budgets.axe,
                    promise=True,
                )
                self._bundle.axe = {**result, "tier": tier}
            except (Unanswered, Refused):
                await self._devtools.terminate()
                self._bundle.axe = {"tier": tier, "stopped": True}
                self._bundle.warn("AXE_STOPPED", "The accessibility rules did not finish in time.")

    # --- responsive ---

    async def resize(self, viewport: NamedViewport) -> None:
        """Lay the page out at another size, without a reload, and measure what came of it."""
        await self._devtools.call("Emulation.setDeviceMetricsOverride", _metrics(viewport))
        await self._measure_resized(viewport, reloaded=False)

    async def reload(self, viewport: NamedViewport, user_agent: str) -> None:
        """Load the page again at another size; a narrow window is a phone's."""
        is_phone = viewport.width < PHONE_BELOW
        calls = self._devtools.call
        await calls("Emulation.setDeviceMetricsOverride", _metrics(viewport) | {"mobile": is_phone})
        await calls(
            "Emulation.setTouchEmulationEnabled", {"enabled": is_phone, "maxTouchPoints": 5}
        )
        if is_phone:
            await calls("Emulation.setUserAgentOverride", {"userAgent": user_agent})
        await self.visit.again(self._bundle)
        await self._measure_resized(viewport, reloaded=True)

    async def _measure_resized(self, viewport: NamedViewport, *, reloaded: bool) -> None:
        facts = await self._resized_facts()
        snapshot = None
        if self._elements <= self._budgets.elements_resized:
            snapshot = await self._capture(RESIZED_STYLES, paint_order=False)
        else:
            self._bundle.warn(
                "RESIZE_LIGHT",
                "The page is very large; at other window sizes only a few things were measured.",
            )
        self._bundle.resized.append(
            {
                "name": viewport.name,
                "width": viewport.width,
                "height": viewport.height,
                "reloaded": reloaded,
                "facts": facts,
                "snapshot": snapshot,
                "styles": list(RESIZED_STYLES),
            }
        )

    async def _resized_facts(self) -> Any:
        """What the window's size does to the page, two frames after it changed."""
        argument = json.dumps({"minTap": MIN_TAP, "minText": MIN_TEXT})
        if not self._devtools.scripts_stopped:
            drawn = (
                f"({script('frames')})(2).then({script('finish')})"
                f".then(() => ({script('resized')})({argument}))"
            )
            with suppress(Unanswered, Refused):  # a page that hangs is dealt with by the next call
                return await self._devtools.evaluate(drawn, promise=True)
        return await self._devtools.run("resized", json.loads(argument))


def _metrics(viewport: NamedViewport) -> Fields:
    return {
        "width": viewport.width,
        "height": viewport.height,
        "deviceScaleFactor": 1,
        "mobile": viewport.width < PHONE_BELOW,
    }


def _reduced_motion(before: Fields, after: Fields) -> Fields:
    """How many endless animations run before and after motion is reduced, and which still do."""
    running = [entry for entry in after["list"] if entry["state"] == "running"]
    names = {entry["name"] for entry in running if entry["infinite"]}
    return {
        "before": before["infinite"],
        "after": after["infinite"],
        "still": sorted(names)[:20],
    }


def _font(family: str, fonts: list[Fields]) -> Fields:
    """A declared family, and the fonts that were rendered for it."""
    return {
        "declared": family,
        "rendered": [str(font["familyName"])[:80] for font in fonts],
        "downloaded": any(font.get("isCustomFont") for font in fonts),
    }


def _sheet(header: Fields, text: str) -> Fields:
    return {
        "id": str(header["styleSheetId"]),
        "url": str(header.get("sourceURL", ""))[:500],
        "inline": bool(header.get("isInline")),
        "disabled": bool(header.get("disabled")),
        "bytes": int(header.get("length", len(text))),
        "text": text[:MAX_SHEET_TEXT],
    }
