"""HTML, web pages and mails printed to PDF by the browser of the page jobs."""

from __future__ import annotations

import asyncio
import re
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
"""A proxy that is not there: for what needs no network."""

_PIXELS = {"px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "": 1.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(px|in|cm|mm|pt|)", re.IGNORECASE)
_FORMATS = ("Letter", "Legal", "Tabloid", "Ledger", *(f"A{number}" for number in range(7)))
_NO_TEMPLATE = "<span></span>"
"""Without a template of its own a header shows the date and the title, a footer the address."""


@dataclass(frozen=True, slots=True)
class PrintOptions:
    """How pages are printed, in the words that callers send."""

    margins: str = ""
    paper_size: str = ""
    orientation: str = ""
    media_type: Literal["print", "screen", "none", ""] = "print"
    header: str = ""
    footer: str = ""
    print_background: bool = True
    do_not_wait_full_load: bool = False

    def for_playwright(self) -> dict[str, Any]:
        """The arguments of ``Page.pdf``. Raises the failure invalid_option."""
        arguments: dict[str, Any] = {
            "margin": self._margins(),
            "print_background": self.print_background,
            "landscape": self._landscape(),
            **self._paper(),
        }
        if self.header or self.footer:
            arguments |= {
                "display_header_footer": True,
                "header_template": self.header or _NO_TEMPLATE,
                "footer_template": self.footer or _NO_TEMPLATE,
            }
        return arguments

    def _margins(self) -> PdfMargins:
        """One to four lengths, in the order of CSS."""
        parts = (
            re.split(r"[\s,]+", self.margins.strip()) if self.margins.strip() else [DEFAULT_MARGIN]
        )
        lengths = [_pixels(part) for part in parts]
        if len(lengths) > 4 or any(length is None or length > 2000 for length in lengths):
            raise failures.invalid_option("margins", "one to four lengths, as in 10mm 5mm")
        top, right, bottom, left = _four([f"{length}px" for length in lengths])
        return {"top": top, "right": right, "bottom": bottom, "left": left}

    def _landscape(self) -> bool:
        named = self.orientation.strip().lower()
        if named not in ("", "portrait", "landscape"):
            raise failures.invalid_option("orientation", "Portrait or Landscape")
        return named == "landscape"

    def _paper(self) -> dict[str, str]:
        size = self.paper_size.strip()
        for name in _FORMATS:
            if size.lower() == name.lower():
                return {"format": name}
        if not size:
            return {"format": "A4"}
        lengths = [_pixels(part) for part in re.split(r"[\s,x]+(?=[\d.])", size)]
        if len(lengths) == 2 and all(
            length is not None and 36 <= length <= 19_200 for length in lengths
        ):
            return {"width": f"{lengths[0]}px", "height": f"{lengths[1]}px"}
        raise failures.invalid_option(
            "paper_size", "A4, Letter and so on, or a width and height in mm"
        )


def _pixels(text: str) -> float | None:
    found = _LENGTH.fullmatch(text.strip())
    return round(float(found[1]) * _PIXELS[found[2].lower()], 3) if found else None


def _four(values: list[str]) -> tuple[str, str, str, str]:
    """One to four values as CSS spreads them: top, right, bottom, left."""
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
    """The PDF of a page on the web, reached through the egress proxy; fails as
    page analysis does.
    """
    arguments = options.for_playwright()
    extra: dict[str, Any] = {}
    if login is not None:
        extra["http_credentials"] = {
            "username": login[0],
            "password": login[1],
            "origin": _origin(url),
        }
    async with session.context(egress, **extra) as context:
        visit = await open_visit(
            context, Budgets(), silenced=lambda: False, held=lambda: session.held_by_dialog
        )
        bundle = PageCapture(url, datetime.now(UTC).isoformat(), (1440, 900))
        await visit.go(bundle)
        await visit.settle(
            bundle, "domcontentloaded" if options.do_not_wait_full_load else "networkidle"
        )
        return await _print(session, visit.page, options, arguments)


async def print_html(
    session: BrowserSession, html: str, options: PrintOptions, *, egress: Egress | None
) -> bytes:
    """The PDF of HTML. Without ``egress`` nothing is loaded and no script runs."""
    arguments = options.for_playwright()
    extra: dict[str, Any] = (
        {} if egress is not None else {"java_script_enabled": False, "offline": True}
    )
    async with session.context(egress or NOWHERE, **extra) as context:
        if egress is None:
            await context.route("**/*", _refuse)
        page = await context.new_page()
        await _show(context, page, html, options)
        return await _print(session, page, options, arguments)


async def _show(context: BrowserContext, page: Page, html: str, options: PrintOptions) -> None:
    wait: Literal["domcontentloaded", "networkidle"] = (
        "domcontentloaded" if options.do_not_wait_full_load else "networkidle"
    )
    try:
        async with asyncio.timeout(LOAD_SECONDS + 5):
            await page.set_content(html, wait_until=wait, timeout=LOAD_SECONDS * 1000)
    except (PlaywrightTimeout, TimeoutError):
        # A picture that never comes is no reason to print nothing.
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
            media: Literal["print", "screen", "null"] = (
                "screen" if options.media_type == "screen" else "print"
            )
            await page.emulate_media(media=media)
            return await page.pdf(**arguments)
    except (TimeoutError, PlaywrightTimeout) as error:
        await session.kill()
        raise page_failures.timed_out(PRINT_SECONDS) from error
    except PlaywrightError as error:
        raise failures.invalid_html() from error


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
