"""The web page and the card in Chromium: how tests open, photograph and check them.

Pictures go into ``build/screenshots``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Browser, BrowserContext, Frame, Page, expect

from checkback.kinds.pages.audits.accessibility import axe_source

PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desk": (1280, 900)}
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PROMPT_MS = 15_000

expect.set_options(timeout=PROMPT_MS)


@dataclass(frozen=True)
class Server:
    """A running server, and the file that lists its tokens."""

    url: str
    tokens: Path


class Site:
    """A running server, a browser, and a way to submit jobs beside the page."""

    def __init__(self, url: str, token: str, browser: Browser, http: httpx2.AsyncClient) -> None:
        self.url = url
        self.token = token
        self.browser = browser
        self._http = http

    async def submit(self, kind: str, /, **args: Any) -> str:
        response = await self._http.post("/api/jobs", json={"kind": kind, "args": args})
        return response.json()["id"]

    async def run(self, kind: str, /, **args: Any) -> str:
        """Run a job to its end."""
        job_id = await self.submit(kind, **args)
        while not (await self._http.get(f"/api/jobs/{job_id}?wait=50")).json()["is_final"]:
            pass
        return job_id

    async def job(self, job_id: str) -> dict[str, Any]:
        return (await self._http.get(f"/api/jobs/{job_id}")).json()

    @asynccontextmanager
    async def page(self, size: str = "desk", **options: Any) -> AsyncGenerator[Page]:
        """A page of somebody who is signed in. Any error on it, or policy that it breaks, fails the
        test.
        """
        width, height = SIZES[size]
        context = await self.browser.new_context(
            viewport={"width": width, "height": height}, **options
        )
        await self._sign_in(context)
        page = await context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda message: wrong.append(message.text) if message.type == "error" else None,
        )
        yield page
        await context.close()
        assert wrong == []

    async def _sign_in(self, context: BrowserContext) -> None:
        page = await context.new_page()
        await page.goto(f"{self.url}/")
        await page.get_by_label("Token").fill(self.token)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
        await page.close()


async def is_sound(page: Page, name: str, *, frame: Frame | None = None) -> None:
    """Photograph a page, and hold it, or one of its frames, to axe and to its own width."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    seen = frame or page
    wide = await seen.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, f"{name} is {wide} px wider than its window"
    # The page's own policy lets no script in; the protocol's evaluate is not bound by it.
    await seen.evaluate(axe_source())
    found = await seen.evaluate(
        "(tags) => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", AXE_TAGS
    )
    wrong = [
        (one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found["violations"]
    ]
    assert wrong == [], name
