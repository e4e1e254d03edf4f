"""The web page as people use it: in Chromium, against a whole server with a worker.

Every page is also photographed, at three widths and in the dark, into ``build/screenshots``.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from checkback.guard.tokens import add_token
from checkback.kinds.pages.accessibility import axe_source
from checkback.kinds.pages.browser_program import find_browser

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(180)]

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
        """A page of somebody who is signed in. Any error on it, or policy that it breaks, fails the test."""
        width, height = SIZES[size]
        context = await self.browser.new_context(viewport={"width": width, "height": height}, **options)
        await self._sign_in(context)
        page = await context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, demo_site: str) -> Iterator[Server]:
    """One server for all tests here: each is an owner of its own and sees no other's jobs."""
    home = tmp_path_factory.mktemp("dashboard") / "home"
    tokens = home.with_name("tokens.toml")
    add_token(tokens, "somebody")
    environment = os.environ | {
        "CHECKBACK_HOME": str(home),
        "CHECKBACK_KINDS": "sample_kinds",
        "CHECKBACK_PORT": "0",
        "CHECKBACK_TOKENS": str(tokens),
        "CHECKBACK_GRACE_SECONDS": "5",
        "CHECKBACK_ALLOW_HOSTS": demo_site,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "checkback", "serve", "--json"],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    yield Server(json.loads(process.stdout.readline())["url"], tokens)
    process.terminate()
    process.wait(60)
    process.stdout.close()


@pytest.fixture
async def site(server: Server) -> AsyncIterator[Site]:
    token = add_token(server.tokens, f"owner-{secrets.token_hex(4)}")
    headers = {"authorization": f"Bearer {token}"}
    opened: asyncio.Future[Site] = asyncio.get_running_loop().create_future()
    closing = asyncio.Event()

    async def live() -> None:
        async with (
            httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60) as http,
            async_playwright() as playwright,
        ):
            program = find_browser()
            browser = await playwright.chromium.launch(
                executable_path=str(program.path),
                args=["--no-sandbox", "--disable-background-networking"],
            )
            opened.set_result(Site(server.url, token, browser, http))
            await closing.wait()
            await browser.close()

    # A fixture's two halves may run in different tasks, which these libraries do not like.
    living = asyncio.create_task(live())
    done, _ = await asyncio.wait({living, opened}, return_when=asyncio.FIRST_COMPLETED)
    if living in done:
        living.result()
    yield opened.result()
    closing.set()
    await living


async def is_sound(page: Page, name: str) -> None:
    """Photograph a page, and hold it to axe and to its own width."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} is {wide} px wider than its window"
    # The page's own policy lets no script in; the protocol's evaluate is not bound by it.
    await page.evaluate(axe_source())
    found = await page.evaluate(
        "(tags) => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", AXE_TAGS
    )
    wrong = [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found["violations"]]
    assert wrong == [], name


async def test_a_list_shows_what_happens_as_it_happens(site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with site.page() as page:
        await page.goto(f"{site.url}/")
        await expect(page.get_by_text("No jobs yet")).to_be_visible()
        await expect(page.get_by_text("checkback submit")).to_be_visible()
        await is_sound(page, "empty")
        await expect(page.locator("#live-state")).to_have_text("Live: changes show by themselves.")
        job_id = await site.submit("test.gate", path=str(gate))
        row = page.locator("tr", has_text="test.gate")
        await expect(row.locator(".state-active")).to_be_visible()
        gate.touch()
        await expect(row.locator(".state-completed")).to_be_visible()
        await expect(row).to_contain_text("not read yet")
        await page.get_by_role("button", name="Pause").click()
        other = await site.run("test.add", a=1, b=2)
        await expect(page.locator("a.job-link")).to_have_count(1)
        await page.get_by_role("button", name="Go on").click()
        await expect(page.locator("a.job-link")).to_have_count(2)
        await page.get_by_label("Search").fill(f"kind:test.add {other[:30]}")
        await page.get_by_role("button", name="Find").click()
        await expect(page).to_have_url(f"{site.url}/?q=kind%3Atest.add+{other[:30]}")
        await expect(page.locator("a.job-link")).to_have_count(1)
        await page.get_by_role("link", name="failed 0").click()
        await expect(page.get_by_text("Nothing found")).to_be_visible()
        assert (await site.job(job_id))["state"] == "completed"


async def test_an_analysis_is_followed_to_its_end_and_shown(site: Site, demo_site: str) -> None:
    async with site.page() as page:
        job_id = await site.submit("page.analyze", url=f"http://{demo_site}/")
        await page.goto(f"{site.url}/jobs/{job_id}")
        phases: set[str] = set()
        says = page.locator(".says")
        async with asyncio.timeout(60):
            while "Completed" not in (text := await says.inner_text()):
                phases.add(text.partition(",")[0])
                await page.locator("#live").evaluate(
                    "(live) => new Promise((done) => { new MutationObserver((_, one) => {"
                    " one.disconnect(); done(); }).observe(live, {childList: true});"
                    " if (live.textContent.includes('Completed')) done(); })"
                )
        assert len(phases) >= 2, phases  # it moved without being loaded again
        await expect(page.get_by_role("heading", name="What was found")).to_be_visible()
        await expect(page.locator(".grade")).to_contain_text("of 100, grade")
        boxes = page.locator(".section-box text")
        assert "hero" in await boxes.all_inner_texts() + await boxes.all_text_contents()
        shown = "document.querySelector('.page-shot image').getBoundingClientRect().height > 500"
        assert await page.evaluate(shown)
        for size, (width, height) in SIZES.items():
            await page.set_viewport_size({"width": width, "height": height})
            await is_sound(page, f"analysis-{size}")


async def test_two_analyses_of_a_page_are_compared(site: Site, demo_site: str) -> None:
    address = f"http://{demo_site}/"
    before = await site.run("page.analyze", url=address)
    after = await site.run("page.analyze", url=address)
    async with site.page() as page:
        await page.goto(f"{site.url}/jobs/{after}")
        await expect(page.get_by_label("with the analysis of this address from")).to_contain_text(before[-4:])
        await page.get_by_role("button", name="Compare").click()
        await expect(page.get_by_role("heading", name="What changed")).to_be_visible()
        await expect(page.get_by_role("link", name=address)).to_have_count(2)
        await expect(page.locator("tr", has_text="overall")).to_contain_text("→")
        await is_sound(page, "comparison")


async def test_a_job_is_cancelled_after_a_question_and_run_again(site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with site.page() as page:
        job_id = await site.submit("test.gate", path=str(gate))
        await page.goto(f"{site.url}/jobs/{job_id}")
        yes = page.get_by_role("button", name="Yes, cancel the job")
        await expect(yes).to_be_hidden()
        await page.get_by_text("Cancel …").click()
        await is_sound(page, "cancel")
        await yes.click()
        await expect(page.locator("h1 .state-cancelled")).to_be_visible()
        gate.touch()
        again = page.get_by_role("button", name="Run it again")
        while (await site.job(job_id))["attempts"]["made"] == 0:  # its last process is still being stopped
            pass
        await again.click()
        await expect(page.locator("h1 .state-completed")).to_be_visible()
        await expect(page.locator(".says")).to_contain_text("Completed in")


async def test_a_failure_comes_first_with_what_to_do(site: Site) -> None:
    async with site.page() as page:
        job_id = await site.run("test.fail", message="It broke.")
        await page.goto(f"{site.url}/jobs/{job_id}")
        first = page.locator("section").first
        await expect(first.get_by_role("heading", name="Why it failed")).to_be_visible()
        await expect(first.get_by_text("It broke.")).to_be_visible()
        await is_sound(page, "failure")


async def test_a_job_is_submitted_by_its_form_with_a_file(site: Site, tmp_path: Path) -> None:
    async with site.page() as page:
        await page.goto(f"{site.url}/submit")
        await is_sound(page, "kinds")
        await page.get_by_role("link", name="test.add").click()
        await page.get_by_label("A (needed)").fill("1")
        await page.get_by_label("B (needed)").fill("2")
        await page.get_by_role("button", name="Submit").click()
        await expect(page.locator("h1 .state-completed")).to_be_visible()
        await expect(page.get_by_text("3", exact=True).first).to_be_visible()

        table = tmp_path / "table.csv"
        table.write_text("a,b\n1,2\n")
        await page.goto(f"{site.url}/submit/csv.to_pdf")
        await page.locator("#file-url").set_input_files(table)
        await expect(page.get_by_text("table.csv was handed in.")).to_be_visible()
        await is_sound(page, "submit")
        await page.get_by_role("button", name="Submit").click()
        await expect(page.locator("h1 .state-completed")).to_be_visible()

        await page.get_by_role("button", name="Show pages of table.pdf").click()
        await expect(page.locator("h1 .state-completed")).to_be_visible()
        picture = page.locator(".shots img")
        await expect(picture).to_have_count(1)
        await expect(picture).to_have_js_property("complete", value=True)
        assert await picture.evaluate("(image) => image.naturalHeight") > 300
        await is_sound(page, "document")


async def test_everything_can_be_done_by_keyboard(site: Site) -> None:
    for number in range(3):
        await site.run("test.add", a=number, b=0)
    async with site.page() as page:
        await page.goto(f"{site.url}/")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        links = page.locator("a.job-link")
        await expect(links.nth(1)).to_be_focused()
        await page.keyboard.press("k")
        await expect(links.nth(0)).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_contain_text("test.add")
        await page.goto(f"{site.url}/")
        await page.keyboard.press("/")
        await page.keyboard.type("state:failed")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Nothing found")).to_be_visible()


async def test_it_works_without_javascript(site: Site, tmp_path: Path) -> None:
    async with site.page(java_script_enabled=False) as page:
        await page.goto(f"{site.url}/submit/test.gate")
        await page.get_by_label("Path (needed)").fill(str(tmp_path / "gate"))
        await page.get_by_role("button", name="Submit").click()
        await expect(page.locator("h1")).to_contain_text("test.gate")
        await page.get_by_text("Cancel …").click()
        await page.get_by_role("button", name="Yes, cancel the job").click()
        await expect(page.locator("h1 .state-cancelled")).to_be_visible()
        await page.get_by_role("link", name="Jobs", exact=True).click()
        await expect(page.locator("tr", has_text="test.gate")).to_contain_text("cancelled")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_sound_on_a_phone_in_light_and_dark(site: Site, scheme: str) -> None:
    done = await site.run("test.say", words="hello " * 50)
    failed = await site.run("test.fail", message="It broke.")
    async with site.page("phone", color_scheme=scheme) as page:
        for name, path in (
            ("list", "/"), ("done", f"/jobs/{done}"), ("failed", f"/jobs/{failed}"),
            ("submit", "/submit/page.analyze"), ("kinds", "/submit"),
        ):  # fmt: skip
            await page.goto(site.url + path)
            await is_sound(page, f"phone-{scheme}-{name}")
