"""The card in the chat: in Chromium, in a page that plays its host and hands questions on to a
server.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.apps import UI_EXTENSION_ID
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.extension import ClientExtension
from mcp.shared.exceptions import MCPError
from mcp_types import TextResourceContents
from playwright.async_api import Frame, FrameLocator, Page, Route, expect

from browsing import Site, is_sound
from checkback.api.mcp.tools.tool_list import CARD

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

HOST, SANDBOX = "https://chat.test", "https://sandbox.test"
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'none'; frame-src 'none'; object-src 'none'; "
    "base-uri 'self'"
)
"""What a host has to set for a card that declares no domains."""

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

PAGE = Path(__file__).with_name("chat.html").read_text("utf-8")


class Apps(ClientExtension):
    """What a host declares that can show cards."""

    identifier = UI_EXTENSION_ID

    def settings(self) -> dict[str, Any]:
        return {"mimeTypes": ["text/html;profile=mcp-app"]}


class Chat:
    """A host with its cards, in a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def card(self, place: int = 0) -> FrameLocator:
        return self.page.frame_locator("iframe").nth(place)

    def frame(self, place: int = 0) -> Frame:
        return next(one for one in self.page.frames if one.url == f"{SANDBOX}/card?{place}")

    async def until(self, expression: str, place: int = 0) -> None:
        """Return once something is so in a card, whose policy lets no waiting function in."""
        async with asyncio.timeout(30):
            while not await self.frame(place).evaluate(expression):
                pass

    async def said(self, method: str) -> list[dict[str, Any]]:
        """What the cards sent."""
        return [one for one in await self.page.evaluate("said") if one["method"] == method]

    async def sound(self, name: str) -> None:
        """Photograph the chat and hold the card to axe, to its width, and to the height that it
        asked for.
        """
        await expect(self.card().locator("main")).to_be_visible()
        await self.page.wait_for_function(
            "said.findLast((one) => one.place === 0 && one.method === 'ui/notifications/size-changed')"
            "?.params.height === frames[0].clientHeight"
        )
        await is_sound(self.page, f"card-{name}", frame=self.frame())


@asynccontextmanager
async def chat(
    site: Site,
    *calls: tuple[str, dict[str, Any]],
    apps: bool = True,
    silent: bool = False,
    theme: str = "light",
    size: tuple[int, int] = (680, 500),
) -> AsyncGenerator[Chat]:
    """A host that has just called these tools, with a card for each. Errors, and what its policy
    forbids, fail the test.
    """
    transport = StreamableHttpTransport(
        f"{site.url}/mcp", headers={"authorization": f"Bearer {site.token}"}
    )
    extensions: Sequence[ClientExtension] = (Apps(),) if apps else ()
    async with Client(transport, extensions=extensions) as client:
        tools = {tool.name: (tool.meta or {}).get("ui", {}) for tool in await client.list_tools()}

        async def mcp(method: str, params: dict[str, Any], by_card: bool) -> dict[str, Any]:
            try:
                if method == "resources/read":
                    found = await client.read_resource_mcp(params["uri"])
                elif by_card and "app" not in tools.get(params["name"], {"visibility": []}).get(
                    "visibility", ["app"]
                ):
                    raise MCPError(code=-32601, message="This tool is not for apps.")
                else:
                    found = await client.call_tool_mcp(params["name"], params["arguments"])
            except MCPError as error:
                return {"error": {"code": error.error.code, "message": error.error.message}}
            return {"result": found.model_dump(by_alias=True, mode="json", exclude_none=True)}

        (card,) = await client.read_resource(CARD)
        assert isinstance(card, TextResourceContents)
        values = {
            "calls": json.dumps([{"name": name, "arguments": args} for name, args in calls]),
            "silent": json.dumps(silent), "theme": theme, "sandbox": SANDBOX,
        }  # fmt: skip

        async def serve(route: Route) -> None:
            is_card = route.request.url.startswith(f"{SANDBOX}/card")
            headers = {"content-type": "text/html; charset=utf-8"} | (
                {"content-security-policy": POLICY} if is_card else {}
            )
            await route.fulfill(body=card.text if is_card else PAGE % values, headers=headers)

        context = await site.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if theme == "dark" else "light",
        )
        await context.route("https://*.test/**", serve)
        await context.clock.install()
        page = await context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda message: wrong.append(message.text) if message.type == "error" else None,
        )
        await page.expose_function("mcp", mcp)  # pyright: ignore[reportUnknownMemberType]
        await page.goto(f"{HOST}/")
        yield Chat(page)
        await context.close()
        assert wrong == []


async def test_a_card_follows_a_job_that_its_tool_started(site: Site, tmp_path: Path) -> None:
    go_on, end = tmp_path / "go_on", tmp_path / "end"
    async with chat(site, ("test.stages", {"go_on": str(go_on), "end": str(end)})) as host:
        card = host.card()
        await expect(card.locator("#state")).to_have_text("◐ active")
        await expect(card.locator("#says")).to_have_text("first, 20 %")
        await expect(card.locator("#message")).to_have_text("from the job half of the first")
        await expect(card.locator("#ran")).to_have_text(re.compile(r"^for \d+ s$"))
        go_on.touch()
        await expect(card.locator("#says")).to_have_text("second, 70 %")
        await expect(card.get_by_role("progressbar")).to_have_js_property("value", 70)
        await expect(card.get_by_role("img", name="second")).to_be_visible()
        await expect(card.locator("#legend li")).to_contain_text(
            ["in the queue", "first", "second"]
        )
        await expect(card.get_by_role("status")).to_have_text("test.stages: active. second")
        await host.sound("active")
        end.touch()
        await expect(card.locator("#state")).to_have_text("● completed")
        await expect(card.locator("#says")).to_contain_text("Completed in")
        await expect(card.locator("pre")).to_contain_text('"walked": "both"')
        await expect(card.get_by_role("button", name="Cancel")).to_be_hidden()
        await host.sound("completed")
        assert await host.frame().evaluate("[following, clock]") == [False, 0]  # it asks no more
        job_id = await host.frame().evaluate("job")
        assert (await site.job(job_id))["state"] == "completed"
        await card.get_by_role("button", name="Open in browser").click()
        await host.page.wait_for_function("links.length === 1")
        assert await host.page.evaluate("links") == [f"{site.url}/jobs/{job_id}"]


async def test_a_job_is_cancelled_after_a_question_by_keyboard(site: Site, tmp_path: Path) -> None:
    job_id = await site.submit("test.gate", path=str(tmp_path / "gate"))
    other_id = await site.submit("test.gate", path=str(tmp_path / "other"))
    calls = (("job.status", {"job_id": job_id}), ("get_job_check", {"job_id": other_id}))
    async with chat(site, *calls) as host:
        card, other = host.card(), host.card(1)
        await expect(other.locator("#state")).to_have_text("◐ active")
        await card.get_by_role("button", name="Cancel …").press("Enter")
        await expect(card.get_by_role("button", name="No, let it run")).to_be_focused()
        await host.page.keyboard.press("Escape")
        await expect(card.get_by_role("button", name="Cancel …")).to_be_focused()
        await host.page.keyboard.press("Enter")
        await host.sound("question")
        await host.page.keyboard.press("Shift+Tab")
        await host.page.keyboard.press("Enter")
        await expect(card.locator("#state")).to_have_text("⊘ cancelled")
        await expect(card.locator("#state")).to_be_focused()
        assert (await site.job(job_id))["state"] == "cancelled"
        # The other card shows another job, and stops when its host removes it.
        await expect(other.locator("#state")).to_have_text("◐ active")
        await host.page.evaluate(
            "send(1, { id: 7, method: 'ui/resource-teardown', params: { reason: 'gone' } })"
        )
        await host.page.wait_for_function(
            "said.some((one) => one.place === 1 && one.id === 7 && one.result)"
        )
        await host.until("!following", 1)
        (tmp_path / "other").touch()
        await site.run("test.gate", path=str(tmp_path / "other"))
        await expect(other.locator("#state")).to_have_text("◐ active")


async def test_a_failure_and_hostile_words_are_shown_as_text(site: Site) -> None:
    failed = await site.run("test.inject", words=HOSTILE, fail=True)
    done = await site.run("test.inject", words=HOSTILE)
    async with chat(site, ("job.wait", {"job_id": failed}), ("job.wait", {"job_id": done})) as host:
        await expect(host.card().locator("#state")).to_have_text("✕ failed")
        why = host.card().get_by_role("region", name="Why it failed")
        await expect(why).to_contain_text(HOSTILE)
        await expect(why).to_contain_text("Code: refused")
        await host.sound("failed")
        await expect(host.card(1).locator("#out")).to_contain_text("onerror")
        for place in (0, 1):
            assert await host.frame(place).evaluate(
                "[document.title === 'owned', document.images.length, document.scripts.length]"
            ) == [False, 0, 1]


@pytest.mark.parametrize(("theme", "size"), [("light", (680, 500)), ("dark", (320, 500))])
async def test_an_analysis_is_shown_as_a_picture(
    site: Site, demo_site: str, theme: str, size: tuple[int, int]
) -> None:
    call = ("page.analyze", {"url": f"http://{demo_site}/", "async": theme == "light"})
    async with chat(site, call, theme=theme, size=size) as host:
        card = host.card()
        await expect(card.locator("#state")).to_have_text("● completed", timeout=60_000)
        await expect(card.locator(".score")).to_contain_text("of 100, grade")
        await expect(card.locator(".palette li").first).to_contain_text("#")
        await expect(card.locator("img")).to_have_js_property("complete", True)
        assert await host.frame().evaluate("document.images[0].naturalWidth") > 300
        await expect(card.get_by_text("from the page")).to_be_visible()
        await host.sound(f"analysis-{theme}-{size[0]}")


async def test_a_card_says_what_is_not_there(site: Site, tmp_path: Path) -> None:
    job_id = await site.submit("test.gate", path=str(tmp_path / "gate"))
    async with chat(
        site, ("job.wait", {"job_id": UNKNOWN, "wait_seconds": 0}), ("test.add", {"a": "x"})
    ) as host:
        await expect(host.card().locator("#says")).to_have_text("This job no longer exists.")
        assert await host.frame().evaluate("following") is False
        await expect(host.card(1).locator("#says")).to_have_text("The job was not started.")
        await expect(host.card(1).locator("#trouble")).to_contain_text("a")
        await host.sound("gone")
    async with chat(site, ("job.status", {"job_id": job_id}), silent=True) as host:
        await expect(host.card().locator("#says")).to_be_visible()
        await host.page.clock.fast_forward(16_000)
        await expect(host.card().locator("#trouble")).to_contain_text("The chat does not respond.")
    (tmp_path / "gate").touch()


async def test_a_host_that_does_not_say_it_shows_cards_gets_one_all_the_same(
    site: Site, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job_id = await site.submit("test.gate", path=str(gate))
    async with chat(site, ("job.status", {"job_id": job_id}), apps=False) as host:
        card = host.card()
        await expect(card.locator("#says")).to_have_text("waiting")  # the phase of test.gate
        await host.until("plain")
        gate.touch()
        async with asyncio.timeout(30):
            while await card.locator("#state").inner_text() != "● completed":
                await host.page.clock.run_for(1000)
        await expect(card.locator("#out")).to_be_hidden()
        assert all(
            one["params"]["name"] != "job_card" for one in (await host.said("tools/call"))[2:]
        )
