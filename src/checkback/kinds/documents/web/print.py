"""Prints HTML, web pages and e-mails to PDF, by the browser of the page jobs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from playwright.async_api import BrowserContext, Page, PdfMargins, Route
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from checkback.kinds.browser import failures as page_failures
from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.browser.page_load import Budgets, open_visit
from checkback.kinds.browser.session import BrowserSession
from checkback.kinds.context import Egress
from checkback.kinds.documents import failures

LOAD_SECONDS = 30.0
PRINT_SECONDS = 60.0
DEFAULT_MARGIN = "10mm"
NOWHERE = Egress("http://127.0.0.1:1", "nobody", "nothing")
"""A proxy that does not exist: for printing without a network."""

_PIXELS = {"px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "": 1.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(px|in|cm|mm|pt|)", re.IGNORECASE)
_FORMATS = {
    name.lower(): name
    for name in ("Letter", "Legal", "Tabloid", "Ledger", *(f"A{number}" for number in range(7)))
}


@dataclass(frozen=True, slots=True)
class PrintOptions:
    """How pages are printed, with the values that callers send."""

    margins: str = ""
    paper_size: str = ""
    orientation: str = ""
    media_type: Literal["print", "screen", "none", ""] = "print"
    header: str = ""
    footer: str = ""
    print_background: bool = True
    do_not_wait_full_load: bool = False

    def for_playwright(self) -> dict[str, Any]:
        """The arguments of ``Page.pdf``. Raises the failure ``invalid_option``."""
        return {
            "margin": self._margins(),
            "print_background": self.print_background,
            "landscape": self._landscape(),
            **self._paper(),
            **self._templates(),
        }

    def _templates(self) -> dict[str, Any]:
        """The header and the footer of the pages."""
        if not self.header and not self.footer:
            return {}
        return {
            "display_header_footer": True,
            "header_template": _template(self.header),
            "footer_template": _template(self.footer),
        }

    def _margins(self) -> PdfMargins:
        """One to four lengths, in the order of CSS."""
        text = self.margins.strip() or DEFAULT_MARGIN
        lengths = _lengths(re.split(r"[\s,]+", text), 0, 2000)
        if not 1 <= len(lengths) <= 4:
            raise failures.invalid_option(
                "margins", "one to four lengths, as in 10mm 5mm", self.margins
            )
        top, right, bottom, left = _four(lengths)
        return {"top": top, "right": right, "bottom": bottom, "left": left}

    @property
    def load_state(self) -> Literal["domcontentloaded", "networkidle"]:
        """How far a page must be loaded before it is printed."""
        return "domcontentloaded" if self.do_not_wait_full_load else "networkidle"

    @property
    def media(self) -> Literal["print", "screen"]:
        """The media whose styles apply."""
        return "screen" if self.media_type == "screen" else "print"

    def _landscape(self) -> bool:
        orientation = self.orientation.strip().lower()
        if orientation not in ("", "portrait", "landscape"):
            raise failures.invalid_option("orientation", "Portrait or Landscape", self.orientation)
        return orientation == "landscape"

    def _paper(self) -> dict[str, str]:
        size = self.paper_size.strip() or "A4"
        if size.lower() in _FORMATS:
            return {"format": _FORMATS[size.lower()]}
        return self._custom_paper(size)

    def _custom_paper(self, size: str) -> dict[str, str]:
        lengths = _lengths(re.split(r"[\s,x]+(?=[\d.])", size), 36, 19_200)
        if len(lengths) != 2:
            raise failures.invalid_option(
                "paper_size", "A4, Letter and so on, or a width and height in mm", self.paper_size
            )
        width, height = lengths
        return {"width": width, "height": height}


def _template(text: str) -> str:
    """A template, also for an empty text: else a header shows the date, and a footer the URL."""
    return text or "<span></span>"


def _lengths(texts: list[str], minimum: float, maximum: float) -> list[str]:
    """The lengths in pixels; empty if one is not a length or is out of bounds."""
    lengths = list(map(_pixels, texts))
    is_valid = all(_is_between(length, minimum, maximum) for length in lengths)
    return [f"{length}px" for length in lengths] if is_valid else []


def _pixels(text: str) -> float | None:
    match = _LENGTH.fullmatch(text.strip())
    return round(float(match[1]) * _PIXELS[match[2].lower()], 3) if match else None


def _is_between(length: float | None, minimum: float, maximum: float) -> bool:
    return length is not None and minimum <= length <= maximum


def _four(values: list[str]) -> tuple[str, str, str, str]:
    """One to four values in the order of CSS: top, right, bottom, left."""
    top = values[0]
    right = values[1] if len(values) > 1 else top
    bottom = values[2] if len(values) > 2 else top
    return top, right, bottom, values[3] if len(values) > 3 else right


async def print_page(
    session: BrowserSession,
    egress: Egress,
    url: str,
    options: PrintOptions,
    *,
    login: tuple[str, str] | None = None,
) -> bytes:
    """The PDF of a web page, loaded through the egress proxy. It fails as page analysis does."""
    arguments = options.for_playwright()
    async with session.context(egress, **_credentials(login, url)) as context:
        visit = await open_visit(
            context, Budgets(), silenced=lambda: False, held=lambda: session.held_by_dialog
        )
        bundle = PageCapture(url, datetime.now(UTC).isoformat(), (1440, 900))
        await visit.go(bundle)
        await visit.settle(bundle, options.load_state)
        return await _print(session, visit.page, options, arguments)


def _credentials(login: tuple[str, str] | None, url: str) -> dict[str, Any]:
    if login is None:
        return {}
    username, password = login
    credentials = {"username": username, "password": password, "origin": _origin(url)}
    return {"http_credentials": credentials}


async def print_html(
    session: BrowserSession, html: str, options: PrintOptions, *, egress: Egress | None
) -> bytes:
    """The PDF of HTML. Without ``egress`` nothing is loaded and no script runs."""
    arguments = options.for_playwright()
    async with _html_context(session, egress) as context:
        page = await context.new_page()
        await _show(page, html, options)
        return await _print(session, page, options, arguments)


def _html_context(
    session: BrowserSession, egress: Egress | None
) -> AbstractAsyncContextManager[BrowserContext]:
    if egress is None:
        return _offline_context(session)
    return session.context(egress)


@asynccontextmanager
async def _offline_context(session: BrowserSession) -> AsyncGenerator[BrowserContext]:
    """A context in which nothing is loaded and no script runs."""
    async with session.context(NOWHERE, java_script_enabled=False, offline=True) as context:
        await context.route("**/*", _refuse)
        yield context


async def _show(page: Page, html: str, options: PrintOptions) -> None:
    try:
        async with asyncio.timeout(LOAD_SECONDS + 5):
            await page.set_content(html, wait_until=options.load_state, timeout=LOAD_SECONDS * 1000)
    except (PlaywrightTimeout, TimeoutError):
        # The page is printed even if an image never loads.
        return
    except PlaywrightError as error:
        raise failures.invalid_html() from error


async def _refuse(route: Route) -> None:
    await route.abort()


async def _print(
    session: BrowserSession, page: Page, options: PrintOptions, arguments: dict[str, Any]
) -> bytes:
    try:
        async with asyncio.timeout(PRINT_SECONDS):
            await page.emulate_media(media=options.media)
            return await page.pdf(**arguments)
    except (TimeoutError, PlaywrightTimeout) as error:
        await session.kill()
        raise page_failures.timed_out(PRINT_SECONDS) from error
    except PlaywrightError as error:
        raise failures.invalid_html() from error


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
