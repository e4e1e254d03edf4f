"""Measures how soon a job's change reaches all who watch: event streams of the API, and open web pages.

    python benchmarks/streams.py [--streams 1000] [--pages 200] [--browsers 5] [--jobs 20]

It starts a server with a worker on a separate data folder, which it removes. Jobs walk through two phases
and end; each change is measured from its entry in the store's event stream (by this machine's clock) to its
arrival on each stream, and to the moment when each page has fetched itself again, as the page's script does.
First all streams watch one job, then ``--jobs`` of them that change at the same time. The program that
receives all this runs at the same time as the server, and what it takes is in the figures
(``docs/performance.md``).
"""

# pyright: basic

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from playwright.async_api import TimeoutError as PlaywrightTimeout
from playwright.async_api import async_playwright

from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.embedded import store_address
from checkback.engine.redis.keys import Keys
from checkback.kinds.browser.executable import find_browser
from checkback.kinds.registry import DEFAULT_QUEUE
from checkback.security.auth.token_files import folder_token

AIM_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
PAGE_PAUSE_SECONDS = 0.5
CHANGES = ("first", "second", "completed")
SHOWN = {"first": "first, 40 %", "second": "second, 80 %", "completed": "Completed in"}
"""What the web page says of a job then."""

WORDS = {change: f'"phase": "{change}"'.encode() for change in CHANGES[:2]} | {
    "completed": b'"state": "completed"'
}


class Connection:
    """One connection to the server, for a stream or for one request after the other."""

    def __init__(self, url: str, headers: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._head = f"Host: {parts.netloc}\r\n{headers}"

    async def open(self) -> None:
        self.reader, self._writer = await asyncio.open_connection(
            self._host, self._port, limit=1 << 20
        )

    def ask(self, path: str) -> None:
        self.send(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def get(self, path: str) -> bytes:
        """The whole body. A connection that was closed for its idleness is opened again, as
        browsers do.
        """
        try:
            self.ask(path)
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        except (OSError, EOFError):
            await self.open()
            self.ask(path)
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200"), head
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await self.reader.readexactly(length)

    def close(self) -> None:
        self._writer.transport.abort()


class Stream:
    """The event stream of one job: when each change arrived."""

    def __init__(self, server: Server, job_id: str) -> None:
        self.job_id = job_id
        self.arrived: dict[str, float] = {}
        self.listening = asyncio.Event()
        self.line = Connection(server.url, f"Authorization: Bearer {server.token}\r\n")

    async def run(self) -> None:
        await self.line.open()
        self.line.ask(f"/api/jobs/{self.job_id}/events")
        while line := await self.line.reader.readline():
            if line.startswith(b"data: "):
                now = time.time()
                self.listening.set()
                for change, word in WORDS.items():
                    if word in line:
                        self.arrived.setdefault(change, now)


class OpenPage:
    """An open list of jobs: its stream, and what its script fetches after each event."""

    def __init__(self, server: Server) -> None:
        cookie = f"Cookie: {server.cookie}\r\n"
        self.line, self.fetching = Connection(server.url, cookie), Connection(server.url, cookie)
        self.events: list[float] = []
        self.fetched: list[tuple[float, bytes]] = []
        self.listening = asyncio.Event()
        self._news = asyncio.Event()

    async def run(self) -> None:
        await self.line.open()
        await self.fetching.open()
        self.line.ask("/changes?owner=*")
        refreshing = asyncio.create_task(self._refresh())
        try:
            while line := await self.line.reader.readline():
                if line.startswith(b"event: "):
                    self._news.set()
                    self.events.append(time.time())
                    self.listening.set()
        finally:
            refreshing.cancel()
            self.line.close()
            self.fetching.close()

    async def _refresh(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            began = time.time()
            body = await self.fetching.get("/")
            self.fetched.append((time.time(), body))
            await asyncio.sleep(began + PAGE_PAUSE_SECONDS - time.time())


class Server:
    """``checkback serve`` with its worker."""

    def __init__(self, home: Path, jobs: int) -> None:
        self.home = home
        environment = os.environ | {
            "CHECKBACK_HOME": str(home),
            "CHECKBACK_PORT": "0",
            "CHECKBACK_KINDS": str(Path(__file__).with_name("streams_kinds.py")),
            "CHECKBACK_JOB_CONCURRENCY": str(jobs),
            "CHECKBACK_LOG_LEVEL": "error",
        }
        command = [sys.executable, "-m", "checkback", "serve", "--json"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = str(json.loads(self.process.stdout.readline())["url"])
        self.token = folder_token(home)
        self.cookie = ""

    async def post(self, path: str, body: str, kind: str) -> tuple[str, bytes]:
        """Head and body of the answer."""
        line = Connection(self.url, "")
        await line.open()
        parts = urlsplit(self.url)
        head = (
            f"Host: {parts.netloc}\r\nAuthorization: Bearer {self.token}\r\nConnection: close\r\n"
        )
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        text = f"POST {path} HTTP/1.1\r\n{head}\r\n{body}"
        line.send(text.encode())
        head, _, rest = (await line.reader.read()).partition(b"\r\n\r\n")
        return head.decode("latin-1"), rest

    async def sign_in(self) -> None:
        head, _ = await self.post(
            "/signin", f"token={self.token}", "application/x-www-form-urlencoded"
        )
        self.cookie = head.partition("set-cookie: ")[2].partition(";")[0]

    async def submit(self, folder: Path) -> str:
        folder.mkdir()
        body = json.dumps({"kind": "streams.stages", "args": {"folder": str(folder)}})
        return str(json.loads((await self.post("/api/jobs", body, "application/json"))[1])["id"])

    def used(self) -> tuple[float, float]:
        """Seconds of processor time so far, and memory in MB."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        resident = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return ticks / os.sysconf("SC_CLK_TCK"), resident * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@asynccontextmanager
async def browsers(server: Server, count: int) -> AsyncGenerator[list[Any]]:
    """Real pages in Chromium, each in a separate context; they note when they first show each
    change.
    """
    if not count:
        yield []
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(find_browser().path), args=["--no-sandbox"]
        )
        name, _, value = server.cookie.partition("=")
        pages: list[Any] = []
        for _ in range(count):
            context = await browser.new_context()
            await context.add_cookies([{"name": name, "value": value, "url": server.url}])
            page = await context.new_page()
            await page.goto(f"{server.url}/")
            await page.get_by_text("Live: changes show by themselves.").wait_for()
            await page.evaluate(
                """(words) => { window.seen = {}; new MutationObserver(() => { for (const word of words)
                if (!(word in seen) && document.querySelector('table.jobs')?.textContent.includes(word))
                seen[word] = Date.now() / 1000; }).observe(live, {childList: true}) }""",
                list(SHOWN.values()),
            )
            pages.append(page)
        yield pages
        await browser.close()


async def written(wire: RedisConnection, job_ids: list[str]) -> dict[str, dict[str, float]]:
    """When each change of each job was written, by the store's clock."""
    found: dict[str, dict[str, float]] = {job_id: {} for job_id in job_ids}
    for identity, flat in await wire.call(
        "XRANGE", Keys("bull").queue(DEFAULT_QUEUE, "events"), "-", "+"
    ):
        event = dict(zip(flat[::2], flat[1::2], strict=False))
        times = found.get(event.get("jobId", ""))
        if times is None:
            continue
        moment = int(identity.partition("-")[0]) / 1000
        if event["event"] == "progress":
            phase = json.loads(event["data"]).get("currentPhase")
            times.setdefault(str(phase), moment)
        elif event["event"] == "completed":
            times.setdefault("completed", moment)
    return found


def tell(name: str, seconds: list[float], whole: int) -> float:
    """Print a line; returns the slowest."""
    if len(seconds) < whole:
        print(f"  {name:<44} only {len(seconds)} of {whole} arrived")
        return PATIENCE_SECONDS
    ranked = sorted(seconds)
    most = ranked[-1]
    figures = (statistics.median(ranked), ranked[int(len(ranked) * 0.95)], most)
    print(f"  {name:<44} " + "  ".join(f"{one * 1000:8.0f}" for one in figures), flush=True)
    return most


async def reached(condition: Any) -> None:
    """Return when something is so, or after ``PATIENCE_SECONDS``."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < ends:
        await asyncio.sleep(0.05)


async def round_of(
    server: Server,
    wire: RedisConnection,
    jobs: int,
    streams: int,
    open_pages: list[OpenPage],
    real: list[Any],
) -> float:
    """Let ``jobs`` jobs walk, watched by all; returns the slowest arrival at a stream or a page."""
    folders = [
        server.home.parent / f"walk-{time.monotonic_ns()}-{number}" for number in range(jobs)
    ]
    job_ids = [await server.submit(folder) for folder in folders]
    watching = [Stream(server, job_ids[number % jobs]) for number in range(streams)]
    before, began = server.used(), time.monotonic()
    tasks: list[asyncio.Task[None]] = []
    for start in range(0, streams, 100):
        some = watching[start : start + 100]
        tasks += [asyncio.create_task(one.run()) for one in some]
        await asyncio.gather(*(one.listening.wait() for one in some))
    opened = server.used()
    print(
        f"\n{jobs} jobs, {streams} streams, {len(open_pages)} pages, {len(real)} in Chromium; "
        f"opened in {time.monotonic() - began:.1f} s for {opened[0] - before[0]:.1f} s of processor time, "
        f"{(opened[1] - before[1]) * 1000 / streams:.0f} kB each; load {os.getloadavg()[0]:.1f}"
    )
    print(f"  {'from the write in the store, ms':<44}   median      95 %      last")
    worst = 0.0
    for change, file in zip(CHANGES, ("first", "second", "end"), strict=True):
        for page in open_pages:
            page.events.clear()
            page.fetched.clear()
        used = server.used()[0]
        for folder in folders:
            (folder / file).touch()
        await reached(lambda change=change: all(change in one.arrived for one in watching))
        times = await written(wire, job_ids)
        last = max(times[job_id].get(change, 0.0) for job_id in job_ids)
        starts = [times[job_id].get(change, 0.0) for job_id in job_ids]
        late = [
            one.arrived[change] - times[one.job_id][change]
            for one in watching
            if change in one.arrived
        ]
        worst = max(worst, tell(f"{change}: event streams", late, streams))
        await reached(
            lambda last=last: all(one.events and one.events[-1] >= last for one in open_pages)
        )
        heard = [min(one.events) - min(starts) for one in open_pages if one.events]
        worst = max(worst, tell(f"{change}: pages hear of it", heard, len(open_pages)))
        word = SHOWN[change].encode()
        await reached(lambda word=word: all(_shown(one, word, jobs) for one in open_pages))
        shown = [
            _shown(one, word, jobs) - max(starts) for one in open_pages if _shown(one, word, jobs)
        ]
        worst = max(worst, tell(f"{change}: pages have fetched it", shown, len(open_pages)))
        if real:
            seen = [at - max(starts) for page in real if (at := await _seen(page, word.decode()))]
            worst = max(worst, tell(f"{change}: pages in Chromium show it", seen, len(real)))
        print(f"  {'processor time of the server, s':<44} {server.used()[0] - used:8.1f}")
    for one, task in zip(watching, tasks, strict=True):
        await asyncio.wait({task}, timeout=5)
        one.line.close()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(
        f"  memory: {before[1]:.0f} MB before, {opened[1]:.0f} MB with all, {server.used()[1]:.0f} MB after"
    )
    return worst


def _shown(page: OpenPage, word: bytes, jobs: int) -> float:
    """When a page had fetched a list in which so many jobs stand so; 0 if it has not yet."""
    return next((at for at, body in page.fetched if body.count(word) >= jobs), 0.0)


async def _seen(page: Any, word: str) -> float:
    """When a page in Chromium showed this for the first time; 0 if it does not in time."""
    try:
        handle = await page.wait_for_function(
            "(word) => window.seen[word]", arg=word, timeout=PATIENCE_SECONDS * 1000
        )
    except PlaywrightTimeout:
        return 0.0
    return float(await handle.json_value())


async def measure(options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="checkback-streams-") as folder:
        home = Path(folder) / "home"
        server = Server(home, options.jobs)
        wire = RedisConnection(store_address(home), name="streams")
        try:
            await server.sign_in()
            print(
                f"server: {server.used()[1]:.0f} MB before anybody comes; load {os.getloadavg()[0]:.1f}"
            )
            async with browsers(server, options.browsers) as real:
                pages = [OpenPage(server) for _ in range(options.pages - options.browsers)]
                tasks = [asyncio.create_task(page.run()) for page in pages]
                await asyncio.gather(*(page.listening.wait() for page in pages))
                worst = [
                    await round_of(
                        server, wire, jobs, options.streams, pages, real if jobs == 1 else []
                    )
                    for jobs in (1, options.jobs)
                ]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await wire.close()
            server.stop()
    print(f"\nslowest of all: {max(worst) * 1000:.0f} ms; the aim is {AIM_SECONDS * 1000:.0f} ms")
    return max(worst) <= AIM_SECONDS


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=1000, help="event streams of jobs")
    parser.add_argument(
        "--pages", type=int, default=200, help="open pages, those in Chromium among them"
    )
    parser.add_argument(
        "--browsers", type=int, default=5, help="how many of the pages are in Chromium"
    )
    parser.add_argument("--jobs", type=int, default=20, help="jobs that change at the same time")
    return 0 if uvloop.run(measure(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
