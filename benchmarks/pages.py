"""Compares a whole page analysis with the least that any program must do: one load and one full-page picture.

    python benchmarks/pages.py [--rounds 5]

Both look at ``examples/demo-site``, served on loopback, with the same browser, started before the clock. The
analysis is a real job: submitted, run by a worker process in its warm child, waited for.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import http.server
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from bench_parts import in_turns, open_store, own_settings, row, running_worker, title
from playwright.async_api import Browser, async_playwright

from checkback.core.states import State
from checkback.guard.access import LOCAL
from checkback.kinds.pages.browser import find_browser
from checkback.service import Service
from checkback.settings import Settings

SITE = Path(__file__).parents[1] / "examples" / "demo-site"


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def demo_site() -> Generator[str]:
    """The demo site on loopback; its host and port."""
    handler = functools.partial(_QuietHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


async def bare(browser: Browser, url: str) -> float:
    """Seconds for one load and one picture in a fresh context."""
    begun = time.perf_counter()
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(url, wait_until="load")
    await page.screenshot(full_page=True, type="jpeg")
    await context.close()
    return time.perf_counter() - begun


async def whole(service: Service, url: str, **args: Any) -> float:
    """Seconds for a whole analysis, from submit to result."""
    begun = time.perf_counter()
    job = (await service.submit(LOCAL, "page.analyze", {"url": url, **args})).job
    while not (job := await service.wait(LOCAL, job.id, 60)).state.is_final:
        pass
    assert job.state is State.COMPLETED, job.failure
    return time.perf_counter() - begun


async def run(settings: Settings, url: str, rounds: int) -> None:
    async with (
        open_store(settings) as connection,
        running_worker(connection),
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=find_browser(None).path) as browser,
    ):
        service = connection.service
        ways = {
            "one load and one full-page JPEG": functools.partial(bare, browser, url),
            "page.analyze": functools.partial(whole, service, url),
            "page.analyze without the responsive part": functools.partial(
                whole, service, url, responsiveOptions={"enabled": False}
            ),
        }
        medians = await in_turns(ways, rounds)
    title("The demo site's front page")
    row("", "seconds", "ratio")
    least = next(iter(medians.values()))
    for name, value in medians.items():
        row(name, f"{value:.2f}", f"{value / least:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure page analysis.")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds")
    rounds: int = parser.parse_args().rounds
    with (
        demo_site() as site,
        own_settings(allow_hosts=(site,)) as (settings, _),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(run(settings, f"http://{site}/", rounds))


if __name__ == "__main__":
    main()
