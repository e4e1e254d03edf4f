"""Compares page analysis with the least that any program must do, and with Lighthouse; then several
at once.

    python benchmarks/pages.py                                    # the demo site
    python benchmarks/pages.py --sites SITES.json --folder FOLDER  # real sites (see corpus_sites.py)
        --only agency,maint-zh     some of them
        --lighthouse FOLDER        npm's lighthouse too, installed into FOLDER when it is not there
        --at-once                  pages a minute, one and two at a time
        --rounds 0 --growth        time and memory by the size of the page
        --in-a-row 200             memory and processes over that many pages

"Bare" is a fresh context, one load and one full-page JPEG with the same browser program, started
before the clock. The analysis is a real job: submitted, run by a worker process in its warm child,
waited for. Every site is served on loopback. All ways are measured in turns, so that a noisy moment
hits each of them: look at ratios.
"""

# pyright: basic

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from bench_parts import Aim, in_turns, open_store, own_settings, row, running_worker, title
from corpus_sites import fetch, served
from playwright.async_api import Browser, async_playwright

from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.kinds.browser.session import find_browser
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.settings import Settings

DEMO = Path(__file__).parents[1] / "examples" / "demo-site"
LIGHTHOUSE = "12.8.2"
MAX_RATIO, LEAST_FASTER, LEAST_GAIN = 2.6, 8.0, 1.3
MAX_GROWTH_BYTES = 60_000_000
MAX_SECONDS, MAX_BYTES = 60, 1_500_000_000
LIGHTHOUSE_SECONDS = 180


async def bare(browser: Browser, url: str) -> float:
    """Seconds for one load and one screenshot in a fresh context."""
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


async def lighthouse(folder: Path, url: str) -> float:
    """Seconds for Lighthouse as its users start it."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        "node", folder / "node_modules" / "lighthouse" / "cli" / "index.js", url,
        "--quiet", "--output=json", "--output-path=/dev/null", "--chrome-flags=--headless --no-sandbox",
        env=os.environ | {"CHROME_PATH": str(find_browser(None).path)},
    )  # fmt: skip
    async with asyncio.timeout(LIGHTHOUSE_SECONDS):
        assert await process.wait() == 0
    return time.perf_counter() - begun


def install_lighthouse(folder: Path) -> None:
    """Have npm put it into the folder, once."""
    if not (folder / "node_modules" / "lighthouse").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", f"lighthouse@{LIGHTHOUSE}"],
            cwd=folder,
            check=True,
        )


async def compare(
    service: Service, browser: Browser, urls: dict[str, str], rounds: int, tool: Path | None
) -> list[Aim]:
    """A line for each site, with what we and Lighthouse take as multiples of bare."""
    title("One load and one full-page JPEG, and the whole analysis")
    row("", "bare", "page.analyze", "of bare", "Lighthouse", "of bare")
    ratios: list[float] = []
    faster: list[float] = []
    for name, url in urls.items():
        ways: dict[str, Callable[[], Awaitable[float]]] = {
            "bare": functools.partial(bare, browser, url),
            "ours": functools.partial(whole, service, url),
        }
        found = await in_turns(ways, rounds)
        cells = [
            f"{found['bare']:.2f} s",
            f"{found['ours']:.2f} s",
            f"{found['ours'] / found['bare']:.2f}",
        ]
        ratios.append(found["ours"] / found["bare"])
        if tool is not None:
            # Once: it takes so long that one run of it is an average over much of the machine's
            # noise.
            other = await lighthouse(tool, url)
            cells += [f"{other:.2f} s", f"{other / found['bare']:.1f}"]
            faster.append(other / found["ours"])
        row(name, *cells)
    median = statistics.median(ratios)
    aims = [
        Aim(
            f"{median:.2f} times bare in the median (aim: at most {MAX_RATIO})", median <= MAX_RATIO
        )
    ]
    if faster:
        times = statistics.median(faster)
        aims.append(
            Aim(
                f"{times:.1f} times as fast as Lighthouse (aim: {LEAST_FASTER})",
                times >= LEAST_FASTER,
            )
        )
    return aims


async def at_once(service: Service, urls: list[str], pages: int) -> Aim:
    """Pages a minute, one and two at a time."""

    async def rate(width: int) -> float:
        left = [urls[number % len(urls)] for number in range(pages)]

        async def take() -> None:
            while left:
                await whole(service, left.pop())

        begun = time.perf_counter()
        await asyncio.gather(*(take() for _ in range(width)))
        return 60 * pages / (time.perf_counter() - begun)

    await asyncio.gather(whole(service, urls[0]), whole(service, urls[0]))  # both children are warm
    found: dict[int, list[float]] = {1: [], 2: []}
    for width in (1, 2, 2, 1) * 2:  # there and back, so that a machine that tires does not count
        found[width].append(await rate(width))
    one, two = statistics.median(found[1]), statistics.median(found[2])
    title("Pages a minute")
    row("one at a time", f"{one:.1f}")
    row("two at a time", f"{two:.1f}", f"{two / one:.2f}")
    return Aim(
        f"{two / one:.2f} times the pages with two at once (aim: {LEAST_GAIN})",
        two / one >= LEAST_GAIN,
    )


async def growth(service: Service, worker: int, urls: dict[str, str]) -> list[Aim]:
    """Time and memory by the size of the page; a full-page screenshot of the largest is impossible."""
    title("By the size of the page")
    row("", "elements", "seconds", "ms an element", "MB", "truncated")
    costs: list[tuple[int, float, int]] = []
    for name, url in urls.items():
        watching = asyncio.create_task(_most_bytes(worker))
        begun = time.perf_counter()
        job = (await service.submit(LOCAL, "page.analyze", {"url": url})).job
        job = await service.wait(LOCAL, job.id, 300)
        seconds = time.perf_counter() - begun
        watching.cancel()
        most = await watching
        assert job.state is State.COMPLETED, job.failure
        _, path = await service.artifact(LOCAL, job.id, "report.json")
        report = json.loads(path.read_text())
        elements: int = report["content"]["elements"]
        costs.append((elements, seconds, most))
        each = f"{1000 * seconds / elements:.2f}"
        row(
            name,
            str(elements),
            f"{seconds:.1f}",
            each,
            f"{most / 1e6:.0f}",
            str(report["truncated"]),
        )
    seconds, most = max(cost[1] for cost in costs), max(cost[2] for cost in costs)
    fits = seconds < MAX_SECONDS and most < MAX_BYTES
    return [Aim(f"at most {seconds:.0f} s and {most / 1e6:.0f} MB (aim: 60 s, 1500 MB)", fits)]


async def _most_bytes(worker: int) -> int:
    """What the worker and everything below it held at most, until cancelled."""
    most = 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            most = max(most, await asyncio.to_thread(tree.proportional_bytes, worker))
            await asyncio.sleep(0.5)
    return most


async def in_a_row(service: Service, worker: int, url: str, pages: int) -> list[Aim]:
    """Memory and processes of the worker while it does one page after the other."""
    title(f"{pages} pages in a row")
    row("pages", "MB", "processes")
    kept: list[int] = []
    numbers: list[int] = []
    for number in range(1, pages + 1):
        await whole(service, url, responsiveOptions={"enabled": False})
        if number % (pages // 10 or 1) == 0:
            kept.append(await asyncio.to_thread(tree.proportional_bytes, worker))
            numbers.append(len(tree.descendants(worker)))
            row(str(number), f"{kept[-1] / 1e6:.0f}", str(numbers[-1]))
    grown = statistics.median(kept[-4:]) - statistics.median(kept[:4])
    flat = Aim(f"{grown / 1e6:+.0f} MB from the first to the last pages", grown <= MAX_GROWTH_BYTES)
    return [
        flat,
        Aim(f"{min(numbers)} to {max(numbers)} processes", max(numbers) - min(numbers) <= 6),
    ]


async def run(settings: Settings, urls: dict[str, str], options: argparse.Namespace) -> list[Aim]:
    aims: list[Aim] = []
    async with (
        open_store(settings) as connection,
        running_worker(connection) as worker,
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=find_browser(None).path) as browser,
    ):
        service = connection.service
        if options.rounds:
            aims += await compare(service, browser, urls, options.rounds, options.lighthouse)
        if options.growth:
            aims += await growth(service, worker, urls)
        if options.at_once:
            aims.append(await at_once(service, list(urls.values()), 4 * max(2, len(urls))))
        if options.in_a_row:
            aims += await in_a_row(service, worker, next(iter(urls.values())), options.in_a_row)
        below = tree.descendants(worker)
    left = sum(tree.is_alive(pid) for pid in below)
    return [*aims, Aim(f"{left} processes left at the end", left == 0)]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure page analysis.")
    parser.add_argument(
        "--rounds", type=int, default=5, help="measured rounds; 0 leaves the comparison out"
    )
    parser.add_argument("--sites", type=Path, help="list of sites; without it the demo site")
    parser.add_argument("--folder", type=Path, help="where the sites are, or are unpacked into")
    parser.add_argument("--only", help="names of sites, with commas")
    parser.add_argument("--lighthouse", type=Path, metavar="FOLDER", help="compare with it, too")
    parser.add_argument(
        "--growth", action="store_true", help="measure time and memory by the page's size"
    )
    parser.add_argument("--at-once", action="store_true", help="measure two at a time")
    parser.add_argument("--in-a-row", type=int, default=0, metavar="PAGES")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    if options.lighthouse is not None:
        install_lighthouse(options.lighthouse)
    roots: dict[str, tuple[Path, str]] = {"demo site": (DEMO, "")}
    if options.sites is not None:
        folder: Path = options.folder or options.sites.parent
        listed: list[dict[str, Any]] = json.loads(options.sites.read_text())
        names = options.only.split(",") if options.only else [site["name"] for site in listed]
        chosen = [site for site in listed if site["name"] in names]
        roots = {site["name"]: (fetch(site, folder), site["entry"]) for site in chosen}
    with contextlib.ExitStack() as stack:
        hosts = {name: stack.enter_context(served(root)) for name, (root, _) in roots.items()}
        urls = {name: f"http://{hosts[name]}/{entry}" for name, (_, entry) in roots.items()}
        settings, _ = stack.enter_context(own_settings(allow_hosts=tuple(hosts.values())))
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        aims = runner.run(run(settings, urls, options))
    title("Aims")
    for aim in aims:
        print(f"  {aim}")


if __name__ == "__main__":
    main()
