"""One server and a browser for the tests of what people see."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from playwright.async_api import async_playwright

from browsing import Server, Site
from checkback.kinds.browser.executable import find_browser
from checkback.security.auth.token_files import add_token


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, demo_site: str) -> Iterator[Server]:
    """One server for the run: each test has its own owner and sees only that owner's jobs."""
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
