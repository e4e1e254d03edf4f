"""One load of one page: open it, wait until it is ready, notice when it hangs, crashes or is not a
page.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Response
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from checkback.core.errors import JobFailed
from checkback.kinds.browser import failures
from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.browser.devtools import WORLD, Devtools, PageGone, Refused, Unanswered, script
from checkback.kinds.browser.network_log import (
    BLOCKED_HEADER,
    FAILED_HEADER,
    NetworkLog,
    is_seen_by_proxy,
)
from checkback.kinds.browser.proxy_auth import sign_in
from checkback.kinds.context import Egress

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
MAX_ELEMENTS = 250_000
MAX_MESSAGES = 200
#: Console messages after which the page's scripts are stopped.
MAX_COUNTED = 1000
MESSAGE_LENGTH = 500
#: Documents that a page may load one after the other before its scripts are stopped.
MAX_RELOADS = 3
MAX_FRAMES = 200
#: A page is ready when nothing was requested or answered for this long.
QUIET_SECONDS = 0.15
#: How long a page is watched at rest before it is scrolled; the last part of the silence.
REST_SECONDS = 0.1

WaitUntil = Literal["load", "domcontentloaded", "networkidle"]


@dataclass(frozen=True, slots=True)
class Budgets:
    """Seconds that each step may take, and how much of a large page is measured. The phase and the
    job have separate limits.
    """

    navigation: float = 20.0
    #: For the files of a page whose own document is complete.
    load: float = 8.0
    settle: float = 3.0
    #: How long the page's thread may be silent before its scripts are ended.
    hang: float = 5.0
    scroll: float = 8.0
    snapshot: float = 15.0
    picture: float = 10.0
    axe: float = 8.0
    #: Above this many elements the snapshot takes the light list of styles; it would be tens of
    #: megabytes.
    elements_with_all_styles: int = 30_000
    #: Above this many elements other window sizes are measured without a snapshot of their own.
    elements_resized: int = 20_000


class Console:
    """The page's console messages: all are counted, some are kept."""

    def __init__(self, page: Page, on_flood: Callable[[], None]) -> None:
        self._on_flood = on_flood
        self.errors: list[str] = []
        self.exceptions: list[str] = []
        self.total = 0
        self.error_total = 0
        page.on("console", self._message)
        page.on("pageerror", self._exception)

    def _message(self, message: ConsoleMessage) -> None:
        self.total += 1
        if message.type == "error":
            self._error(message.text)
        if self.total > MAX_COUNTED:
            self._on_flood()

    def _error(self, text: str) -> None:
        self.error_total += 1
        if len(self.errors) < MAX_MESSAGES:
            self.errors.append(text[:MESSAGE_LENGTH])

    def _exception(self, error: PlaywrightError) -> None:
        self.error_total += 1
        if len(self.exceptions) < MAX_MESSAGES:
            self.exceptions.append(error.message[:MESSAGE_LENGTH])

    def summary(self) -> dict[str, Any]:
        """The console as facts for the bundle."""
        return {
            "errors": self.errors,
            "exceptions": self.exceptions,
            "errorTotal": self.error_total,
            "total": self.total,
        }


class PageLoad:
    """An open page, with everything attached that must be there before its first request."""

    def __init__(self, page: Page, devtools: Devtools, budgets: Budgets) -> None:
        self.page = page
        self.devtools = devtools
        self.budgets = budgets
        self.network = NetworkLog(devtools)
        self.console = Console(page, self._silence)
        self._silencing: asyncio.Task[None] | None = None
        self.sheet_headers: list[dict[str, Any]] = []
        devtools.on("CSS.styleSheetAdded", lambda event: self.sheet_headers.append(event["header"]))
        self._documents = 0
        self._frames = 0
        devtools.on("Page.frameNavigated", self._navigated)
        devtools.on("Page.frameAttached", self._framed)
        self._content_loaded = asyncio.Event()
        self._loaded = asyncio.Event()
        page.on("domcontentloaded", lambda _: self._content_loaded.set())
        page.on("load", lambda _: self._loaded.set())

    def _navigated(self, event: dict[str, Any]) -> None:
        self._documents += "parentId" not in event["frame"]
        if self._documents > 1 + MAX_RELOADS:
            self._silence()

    def _framed(self, event: dict[str, Any]) -> None:
        self._frames += 1
        if self._frames > MAX_FRAMES:
            self._silence()

    def _silence(self) -> None:
        """Stop the scripts of a page that floods the browser."""
        if self._silencing is None:
            self._silencing = asyncio.create_task(self._take_scripts())

    async def _take_scripts(self) -> None:
        # A page that is gone needs no silencing; the next call to it fails.
        with suppress(PageGone):
            await self.devtools.stop_scripts()

    async def go(self, bundle: PageCapture) -> None:
        """Load ``bundle.requested_url`` and record the response.

        Raises JobFailed for everything that is not the page itself: no answer, an error page,
        another media type, a blocked address.
        """
        response = await self._commit(bundle.requested_url)
        bundle.final_url = self.page.url
        bundle.http_status = response.status
        bundle.redirects = await self.devtools.race(_redirects(response), 3)
        bundle.media_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
        _refuse_other_than_page(response, bundle.media_type)

    async def settle(self, bundle: PageCapture, wait_until: WaitUntil) -> None:
        """Wait until the page is ready. If it hangs after its response, its scripts are stopped."""
        if not await self._wait_for_content():
            bundle.warn("LOAD_INCOMPLETE", "The page had not fully arrived when it was measured.")
        elif not self.devtools.scripts_stopped:
            await self._settle(bundle, wait_until)
        await self._calm(bundle)
        bundle.final_url = self.page.url

    async def again(self, bundle: PageCapture) -> None:
        """Load the page once more and wait until it is ready; its documents count from zero."""
        self._documents = 0
        self._content_loaded.clear()
        self._loaded.clear()
        await self._commit(bundle.final_url)
        await self.settle(bundle, "load")

    async def loaded(self, seconds: float) -> bool:
        """Whether the page reports within this time that it has loaded completely."""
        return await self._happens(self._loaded, seconds)

    async def _happens(self, event: asyncio.Event, seconds: float) -> bool:
        try:
            await self.devtools.race(event.wait(), seconds)
        except Unanswered:
            return False
        return True

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

    async def _wait_for_content(self) -> bool:
        """Wait until the document is parsed; the scripts of a page that hangs are stopped."""
        end = time.monotonic() + self.budgets.navigation
        silent_since = time.monotonic()
        while time.monotonic() < end:
            if await self._happens(self._content_loaded, 0.5):
                return True
            self._refuse_dialogs()
            if await self.devtools.responsive(0.5):
                silent_since = time.monotonic()
                if self.devtools.scripts_stopped:
                    return True
            elif time.monotonic() - silent_since >= self.budgets.hang:
                await self.devtools.stop_scripts()
        return False

    def _refuse_dialogs(self) -> None:
        """Raise JobFailed if a dialog that cannot be closed blocks the page."""
        if self.devtools.held():
            raise failures.held_by_dialogs()

    async def _settle(self, bundle: PageCapture, wait_until: WaitUntil) -> None:
        """Wait for the rest of the page's files, as long as they keep coming."""
        if wait_until == "domcontentloaded":
            await self.network.quiet(seconds=0.2, at_most=1.0)
            return
        end = time.monotonic() + self.budgets.load
        complete = await self.network.quiet(
            seconds=QUIET_SECONDS - REST_SECONDS, at_most=self.budgets.load
        )
        await self._begin_rest()
        if complete:
            left = max(0.0, end - time.monotonic())
            complete = await self.network.quiet(seconds=QUIET_SECONDS, at_most=left)
        if not complete:
            self._warn_of_missing_files(bundle, wait_until)

    def _warn_of_missing_files(self, bundle: PageCapture, wait_until: WaitUntil) -> None:
        if not self._loaded.is_set():
            bundle.warn(
                "LOAD_INCOMPLETE", "Some of the page's files had not arrived when it was measured."
            )
        elif wait_until == "networkidle":
            bundle.warn("NETWORK_BUSY", "The page was still loading when it was measured.")

    async def _begin_rest(self) -> None:
        """Record from now on what changes without scrolling, for the scroll pass."""
        with suppress(Unanswered, Refused):  # The scroll pass works without it.
            await self.devtools.evaluate(f"({script('rest')})()", seconds=0.5)

    async def _calm(self, bundle: PageCapture) -> None:
        """Stop the scripts of a page that does not respond."""
        self._refuse_dialogs()
        if self._silencing is not None:
            await self._silencing
        elif await self._hangs():
            await self.devtools.stop_scripts()
        self.note_stopped(bundle)

    async def _hangs(self) -> bool:
        """Whether the page still has its scripts and does not respond."""
        if self.devtools.scripts_stopped:
            return False
        return not await self.devtools.responsive(self.budgets.hang)

    def note_stopped(self, bundle: PageCapture) -> None:
        """Warn in the capture if the page's scripts were stopped."""
        if self.devtools.scripts_stopped:
            bundle.warn("SCRIPTS_STOPPED", "The page's scripts did not stop and were ended.")


async def open_visit(
    context: BrowserContext,
    budgets: Budgets,
    *,
    key: Egress | None = None,
    silenced: Callable[[], bool] = lambda: False,
    held: Callable[[], bool] = lambda: False,
) -> PageLoad:
    """A blank page with observers, network log and style sheet tracking in place.

    ``key`` is what the page shows to the proxy, where its context was made without.

    ``silenced`` says whether the page's scripts were stopped elsewhere, ``held`` whether a dialog
    blocks the page.
    """
    page = context.pages[0] if context.pages else await context.new_page()
    devtools = Devtools(await context.new_cdp_session(page), page, silenced=silenced, held=held)
    if key is not None:
        await sign_in(devtools, key)
    visit = PageLoad(page, devtools, budgets)
    await asyncio.gather(
        devtools.call("Network.enable"),
        devtools.call("DOM.enable"),
        devtools.call("Page.enable"),
        devtools.call(
            "Page.addScriptToEvaluateOnNewDocument",
            {"source": script("observe"), "worldName": WORLD},
        ),
    )
    await devtools.call("CSS.enable")
    return visit


def _refuse_other_than_page(response: Response, media_type: str) -> None:
    if is_seen_by_proxy(response.url):
        _refuse_proxy_answer(response.headers)
    if response.status >= 400:
        raise failures.http_error(response.status)
    if media_type and media_type not in HTML_TYPES:
        raise failures.not_html()


def _refuse_proxy_answer(headers: dict[str, str]) -> None:
    """Raise JobFailed if the egress proxy says that it did not forward the request."""
    if BLOCKED_HEADER in headers:
        raise failures.blocked()
    if FAILED_HEADER in headers:
        raise failures.unreachable(headers[FAILED_HEADER])


async def _redirects(response: Response) -> list[dict[str, Any]]:
    chain: list[dict[str, Any]] = []
    request = response.request.redirected_from
    while request is not None and len(chain) < 20:
        answer = await request.response()
        chain.append({"url": request.url[:2000], "status": answer.status if answer else 0})
        request = request.redirected_from
    return chain[::-1]
