"""One visit to one page: open it, wait until it stands, notice when it hangs, crashes or is no page."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Literal

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Response
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from checkback.core.errors import JobFailed
from checkback.kinds.pages import failures
from checkback.kinds.pages.bundle import Bundle
from checkback.kinds.pages.devtools import WORLD, Devtools, Unanswered, script
from checkback.kinds.pages.network import BLOCKED_HEADER, NetworkLog

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
MOST_ELEMENTS = 250_000
MOST_MESSAGES = 200
MESSAGE_LENGTH = 500

WaitUntil = Literal["load", "domcontentloaded", "networkidle"]


@dataclass(frozen=True, slots=True)
class Budgets:
    """Seconds that a step may take before it is given up; the phase and the job have limits of their own."""

    navigation: float = 20.0
    load_event: float = 10.0
    settle: float = 3.0
    #: How long the page's thread may be silent before its scripts are ended.
    hang: float = 5.0
    scroll: float = 8.0
    snapshot: float = 15.0
    picture: float = 10.0
    axe: float = 8.0


class Console:
    """What the page said on its console, counted in full and kept in part."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.exceptions: list[str] = []
        self.total = 0
        self.error_total = 0
        page.on("console", self._message)
        page.on("pageerror", self._exception)

    def _message(self, message: ConsoleMessage) -> None:
        self.total += 1
        if message.type == "error":
            self.error_total += 1
            if len(self.errors) < MOST_MESSAGES:
                self.errors.append(message.text[:MESSAGE_LENGTH])

    def _exception(self, error: PlaywrightError) -> None:
        self.error_total += 1
        if len(self.exceptions) < MOST_MESSAGES:
            self.exceptions.append(error.message[:MESSAGE_LENGTH])

    def summary(self) -> dict[str, Any]:
        """The console as facts for the bundle."""
        return {
            "errors": self.errors,
            "exceptions": self.exceptions,
            "errorTotal": self.error_total,
            "total": self.total,
        }


class Visit:
    """A page that is open, with everything attached that must be there before its first request."""

    def __init__(self, page: Page, devtools: Devtools, budgets: Budgets) -> None:
        self.page = page
        self.devtools = devtools
        self.budgets = budgets
        self.network = NetworkLog(devtools)
        self.console = Console(page)
        self.sheet_headers: list[dict[str, Any]] = []
        devtools.on("CSS.styleSheetAdded", lambda event: self.sheet_headers.append(event["header"]))
        self._content_loaded = asyncio.Event()
        self._loaded = asyncio.Event()
        page.on("domcontentloaded", lambda _: self._content_loaded.set())
        page.on("load", lambda _: self._loaded.set())

    async def go(self, bundle: Bundle, wait_until: WaitUntil) -> None:
        """Load ``bundle.requested_url`` and note how it was answered.

        Raises JobFailed for everything that is not the page itself: no answer, an error page, another medium,
        a blocked address. A page that hangs after its answer loses its scripts and is kept.
        """
        response = await self._commit(bundle.requested_url)
        bundle.final_url = self.page.url
        bundle.http_status = response.status
        bundle.redirects = await self.devtools.race(_redirects(response), 3)
        bundle.media_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
        _refuse_other_than_page(response, bundle.media_type)
        await self._wait_for_content()
        if self.devtools.scripts_stopped:
            bundle.warn("SCRIPTS_STOPPED", "The page's scripts did not come to an end and were stopped.")
        elif wait_until != "domcontentloaded" and not await self._wait_for_load():
            bundle.warn("LOAD_INCOMPLETE", "Some of the page's files had not arrived when it was looked at.")
        await self._settle(bundle, wait_until)

    async def _commit(self, url: str) -> Response:
        seconds = self.budgets.navigation
        try:
            response = await self.devtools.race(
                self.page.goto(url, wait_until="commit", timeout=seconds * 1000), seconds + 2
            )
        except (PlaywrightTimeout, Unanswered) as error:
            raise failures.timed_out(seconds) from error
        except PlaywrightError as error:
            raise self._why_no_page(url, error.message) from error
        if response is None:
            raise failures.not_html()
        return response

    def _why_no_page(self, url: str, text: str) -> JobFailed:
        media_type = self.network.document_type(url)
        downloading = "Download is starting" in text or "ERR_ABORTED" in text
        if downloading or (media_type and media_type not in HTML_TYPES):
            return failures.not_html()
        return failures.navigation_failed(text)

    async def _wait_for_content(self) -> None:
        """Wait for the parser's end; a thread that stays silent too long loses its scripts."""
        end = time.monotonic() + self.budgets.navigation
        silent_since: float | None = None
        while not self._content_loaded.is_set() and time.monotonic() < end:
            try:
                await self.devtools.race(self._content_loaded.wait(), 0.5)
                return
            except Unanswered:
                pass
            if await self.devtools.responsive(0.5):
                silent_since = None
                continue
            silent_since = silent_since or time.monotonic() - 1.0
            if time.monotonic() - silent_since >= self.budgets.hang:
                await self.devtools.stop_scripts()
                end = min(end, time.monotonic() + 3)

    async def _wait_for_load(self) -> bool:
        try:
            await self.devtools.race(self._loaded.wait(), self.budgets.load_event)
        except Unanswered:
            return False
        return True

    async def _settle(self, bundle: Bundle, wait_until: WaitUntil) -> None:
        quiet, at_most = (0.2, 1.0) if wait_until == "domcontentloaded" else (0.2, self.budgets.settle)
        if not await self.network.quiet(seconds=quiet, at_most=at_most) and wait_until == "networkidle":
            bundle.warn("NETWORK_BUSY", "The page was still loading when it was looked at.")
        if not self.devtools.scripts_stopped and not await self.devtools.responsive(self.budgets.hang):
            await self.devtools.stop_scripts()
            bundle.warn("SCRIPTS_STOPPED", "The page's scripts did not come to an end and were stopped.")
        bundle.final_url = self.page.url


async def open_visit(context: BrowserContext, budgets: Budgets) -> Visit:
    """A blank page with observers, network log and style sheet tracking in place."""
    page = await context.new_page()
    devtools = Devtools(await context.new_cdp_session(page), page)
    visit = Visit(page, devtools, budgets)
    await asyncio.gather(
        devtools.call("Network.enable"),
        devtools.call("DOM.enable"),
        devtools.call("Page.enable"),
        devtools.call(
            "Page.addScriptToEvaluateOnNewDocument", {"source": script("observe"), "worldName": WORLD}
        ),
    )
    await devtools.call("CSS.enable")
    await devtools.call("CSS.startRuleUsageTracking")
    return visit


def _refuse_other_than_page(response: Response, media_type: str) -> None:
    if BLOCKED_HEADER in response.headers:
        raise failures.blocked()
    if response.status >= 400:
        raise failures.http_error(response.status)
    if media_type and media_type not in HTML_TYPES:
        raise failures.not_html()


async def _redirects(response: Response) -> list[dict[str, Any]]:
    chain: list[dict[str, Any]] = []
    request = response.request.redirected_from
    while request is not None and len(chain) < 20:
        answer = await request.response()
        chain.append({"url": request.url[:2000], "status": answer.status if answer else 0})
        request = request.redirected_from
    return chain[::-1]
