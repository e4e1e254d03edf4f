"""Pages that want to hold, fill or break their browser: each ends in time as it should, and harms
no other.

Run as users run them: through the real engine, two at a time in warm children; after each of them a
good page is analysed on the same worker. The memory of its processes and their temporary folders
are measured.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from checkback.core.job import Job
from checkback.core.states import State
from checkback.kinds import registry
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.settings import Settings
from sampling import sampled

pytestmark = [pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(300)]

#: Within these a page has to end: its navigation's 20 s, what its phases may take, a busy machine's
#: slowness.
MAX_SECONDS = 75.0
GOOD_SECONDS = 30.0
#: What the worker's own processes take, and what pages can take until the worker looks again.
OWN_BYTES = 1_000_000_000
PROFILE_BYTES = 20_000_000
#: What takes a whole core may also use up its navigation's time, where others want the core as
#: well.
SLOW = {"TIMEOUT_ERROR"}
PICTURE = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
HEAD = "<!doctype html><html lang=en><title>x</title><h1>Hello there</h1>"


def script(text: str) -> str:
    return f"{HEAD}<script>{text}</script>"


# What each page tries, and how its job may end: "fine", a warning of the report, or the code of a
# failure.
SCRIPTS = {
    "endless loop in the page": (script("while (1) {}"), {"SCRIPTS_STOPPED"}),
    "endless loop at load": (script("onload = () => { while (1) {} }"), {"SCRIPTS_STOPPED"}),
    "endless loop later": (script("setTimeout(() => { while (1) {} }, 300)"), {"SCRIPTS_STOPPED"}),
    "endless dialogs": (script("for (;;) alert(1)"), {"TIMEOUT_ERROR"}),
    "does not want to be left": (
        script("onbeforeunload = (event) => { event.preventDefault(); return 'no' }"),
        {"fine"},
    ),
    "prints": (script("setInterval(() => print(), 50)"), {"fine", "SCRIPTS_STOPPED"}),
    "opens windows": (
        script("setInterval(() => { for (let i = 0; i < 20; i++) open('about:blank#' + i) }, 10)"),
        {"SCRIPTS_STOPPED"},
    ),
    "clicks downloads": (
        script(
            "setInterval(() => { const a = document.createElement('a'); a.href = '/file'; a.download = 'f';"
            " document.body.append(a); a.click() }, 50)"
        ),
        {"fine"},
    ),
    "reloads": (script("setTimeout(() => location.reload(), 20)"), {"SCRIPTS_STOPPED"}),
    "floods the history": (
        script(
            "setInterval(() => { for (let i = 0; i < 200; i++) history.pushState({}, '', '?' + i) }, 5)"
        ),
        {"fine", "SCRIPTS_STOPPED"},
    ),
    "floods the console": (
        script(
            "setInterval(() => { for (let i = 0; i < 2000; i++) console.error('x'.repeat(2000)) }, 5)"
        ),
        # On a busy machine more is said than can be heard before the scripts are stopped.
        {"SCRIPTS_STOPPED", "out_of_memory", *SLOW},
    ),
    "opens frames": (
        script(
            "setInterval(() => { for (let i = 0; i < 20; i++) document.body.append("
            "Object.assign(document.createElement('iframe'), {srcdoc: 'x'})) }, 10)"
        ),
        {"SCRIPTS_STOPPED", *SLOW},
    ),
    "animates without end": (
        script(
            "for (let i = 0; i < 3000; i++) { const d = document.createElement('div'); d.textContent = i;"
            " document.body.append(d); d.animate([{opacity: 0}, {}], {duration: 500, iterations: 1/0}) }"
        ),
        {"fine", "PICTURE_CUT"},
    ),
    "rewrites the language": (
        script(
            "Object.defineProperty(Array.prototype, 'map', {value: () => { throw 1 }});"
            "Element.prototype.getBoundingClientRect = () => { while (1) {} };"
            "document.querySelector = () => { throw 2 }; JSON.stringify = () => 'mine';"
            "window.requestAnimationFrame = () => 0;"
        ),
        {"fine"},
    ),
    "installs a service worker": (script("navigator.serviceWorker?.register('/sw.js')"), {"fine"}),
}
FULL = {"out_of_memory", "PAGE_CRASHED", "PAGE_TOO_LARGE"}
MEMORY = {
    "very many elements": (
        script(
            "let s = ''; for (let i = 0; i < 4e5; i++) s += '<div><p>x</p></div>';"
            " document.body.innerHTML = s"
        ),
        {*FULL, *SLOW},
    ),
    "very deep elements": (
        script(
            "for (let e = document.body, i = 0; i < 20000; i++)"
            " e = e.appendChild(document.createElement('div'))"
        ),
        {"PAGE_CRASHED"},
    ),
    "very tall": (
        f"{HEAD}<div style='height:2000000px;background:linear-gradient(red,blue)'>",
        {"PICTURE_CUT"},
    ),
    "fills typed arrays": (
        script(
            "const a = []; setInterval(() => {"
            " for (let i = 0; i < 20; i++) a.push(new Uint8Array(8e6).fill(1)) }, 10)"
        ),
        FULL,
    ),
    "fills its heap": (
        script(
            "const a = []; setInterval(() => { for (let i = 0; i < 200; i++)"
            " a.push(new Array(1e5).fill(0).map(() => ({x: Math.random()}))) }, 10)"
        ),
        # It is so busy that it may lose its scripts before its heap is full.
        {*FULL, "SCRIPTS_STOPPED"},
    ),
    "fills canvases": (
        script(
            "for (let i = 0; i < 40; i++) { const c = document.createElement('canvas');"
            " c.width = c.height = 8000; c.getContext('2d').fillRect(0, 0, 8000, 8000);"
            " document.body.append(c) }"
        ),
        {*FULL, "PICTURE_CUT", "PICTURE_MISSING"},
    ),
    "endless html": ("", {*FULL, "LOAD_INCOMPLETE", *SLOW}),
    "gzip bomb": ("", {*FULL, "LOAD_INCOMPLETE", *SLOW}),
}
WORK = {
    "mines in workers": (
        script(
            "const code = URL.createObjectURL(new Blob(['for (let n = 1; ; n = Math.imul(n, 31));']));"
            "for (let i = 0; i < 8; i++) new Worker(code)"
        ),
        # They leave little time for what is measured in the page.
        {"fine", "SCRIPTS_STOPPED", *SLOW},
    ),
    "has five thousand pictures": (
        script(
            "document.body.append(...Array.from({length: 5000},"
            " (_, i) => Object.assign(new Image(), {src: '/picture.gif?' + i})))"
        ),
        {"fine", "SCRIPTS_STOPPED", "LOAD_INCOMPLETE"},
    ),
    "grows as it is scrolled": (
        script(
            "const more = () => { for (let i = 0; i < 50; i++) document.body.append("
            "Object.assign(document.createElement('p'), {textContent: 'more'.repeat(50)})) };"
            "more(); onscroll = more; setInterval(() => scrollTo(0, document.body.scrollHeight), 1);"
            "new IntersectionObserver(more).observe(document.body.appendChild(document.createElement('i')))"
        ),
        {"PICTURE_CUT", "SCRIPTS_STOPPED"},
    ),
    "goes where browsers crash": (
        script(
            "for (const page of ['crash', 'kill', 'hang', 'gpucrash', 'inducebrowsercrashforrealz'])"
            " { const f = document.createElement('iframe'); f.src = 'chrome://' + page;"
            " document.body.append(f); open(f.src); try { location = f.src } catch {} }"
        ),
        {"fine"},
    ),
}
NETWORK = {
    "is a file": ("", {"NOT_HTML"}),
    "never answers": ("", {"TIMEOUT_ERROR"}),
    "drips": ("", {"LOAD_INCOMPLETE"}),
    "redirects in a circle": ("", {"NETWORK_ERROR"}),
    "has a picture that never comes": (
        f"{HEAD}<img src=/never><script async src=/never></script>",
        {"LOAD_INCOMPLETE"},
    ),
}


class Site:
    """Serves the pages, and the answers that are hostile by themselves."""

    def __init__(self, pages: dict[str, tuple[str, set[str]]]) -> None:
        self._answering: set[asyncio.Task[None]] = set()
        self._pages = {f"/{name.replace(' ', '-')}": body for name, (body, _) in pages.items()}
        self._answers: dict[str, Callable[[asyncio.StreamWriter], Awaitable[None]]] = {
            "/never-answers": self._never,
            "/never": self._never,
            "/drips": self._drip,
            "/redirects-in-a-circle": self._circle,
            "/endless-html": self._endless,
            "/gzip-bomb": self._bomb,
            "/is-a-file": self._file,
            "/picture.gif": self._picture,
            "/file": self._file,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._answering.discard(task)
            writer.close()

    async def close(self) -> None:
        """End the answers that have no end, and wait until their connections are closed."""
        answering = list(self._answering)
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        await asyncio.sleep(0)  # a transport calls back once more when it was closed

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode().partition("?")[0]
            answer = self._answers.get(path)
            if answer is not None:
                await answer(writer)
            else:
                found = self._pages.get(
                    path, f"{HEAD}<p>A good page.</p>" if path == "/good" else ""
                )
                head(
                    writer, "200 OK" if found else "404 Not Found", f"Content-Length: {len(found)}"
                )
                writer.write(found.encode())
                await writer.drain()

    async def _never(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(MAX_SECONDS)

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        head(writer)
        writer.write(HEAD.encode())
        while True:
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.2)

    async def _circle(self, writer: asyncio.StreamWriter) -> None:
        head(writer, "302 Found", "Location: /redirects-in-a-circle", "Content-Length: 0")
        await writer.drain()

    async def _endless(self, writer: asyncio.StreamWriter) -> None:
        head(writer)
        writer.write(HEAD.encode())
        while True:
            writer.write(b"<p>" + b"x" * 65_530)
            await writer.drain()

    async def _bomb(self, writer: asyncio.StreamWriter) -> None:
        head(writer, "200 OK", "Content-Encoding: gzip")
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        block = b"<p>" + b"A" * 1_000_000
        for _ in range(2000):
            writer.write(packer.compress(block))
            await writer.drain()
            await asyncio.sleep(0)

    async def _file(self, writer: asyncio.StreamWriter) -> None:
        head(writer, "200 OK", "Content-Type: application/octet-stream", "Content-Length: 4")
        writer.write(b"\0\1\2\3")
        await writer.drain()

    async def _picture(self, writer: asyncio.StreamWriter) -> None:
        head(writer, "200 OK", "Content-Type: image/gif", f"Content-Length: {len(PICTURE)}")
        writer.write(PICTURE)
        await writer.drain()


def head(writer: asyncio.StreamWriter, status: str = "200 OK", *fields: str) -> None:
    media = (
        ()
        if any(field.startswith("Content-Type") for field in fields)
        else ("Content-Type: text/html",)
    )
    lines = [f"HTTP/1.1 {status}", *media, *fields, "Connection: close"]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")


@dataclass(frozen=True)
class Ended:
    """How a job ended, and after how many seconds."""

    how: set[str]
    seconds: float


async def run(service: Service, url: str, seconds: float) -> Ended:
    """Analyse a page and tell how that ended."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    job_id = (
        await service.submit(LOCAL, "page.analyze", {"url": url, "respect_robots_txt": False})
    ).job.id
    job: Job = await service.wait(LOCAL, job_id, seconds)
    took = loop.time() - begun
    if job.state is State.FAILED:
        assert job.failure is not None
        return Ended({job.failure.code}, took)
    if job.state is not State.COMPLETED:
        return Ended({job.state.value}, took)
    _, path = await service.artifact(LOCAL, job_id, "report.json")
    warnings = {warning["code"] for warning in json.loads(path.read_text())["warnings"]}
    return Ended(warnings or {"fine"}, took)


@pytest.fixture(
    params=[SCRIPTS, MEMORY, WORK, NETWORK], ids=["scripts", "memory", "work", "network"]
)
def pages(request: pytest.FixtureRequest) -> dict[str, tuple[str, set[str]]]:
    return request.param


@pytest.fixture
async def host(pages: dict[str, tuple[str, set[str]]], port: int) -> AsyncIterator[str]:
    site = Site(pages)
    async with await asyncio.start_server(site.serve, "127.0.0.1", port):
        yield f"127.0.0.1:{port}"
        await site.close()


@pytest.fixture
def port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(settings: Settings, port: int) -> Settings:
    return replace(settings, allow_hosts=(f"127.0.0.1:{port}",))


@pytest.mark.usefixtures("worker")
async def test_hostile_pages_end_as_they_should_and_harm_no_other(
    service: Service, settings: Settings, host: str, pages: dict[str, tuple[str, set[str]]]
) -> None:
    both = asyncio.Semaphore(2)
    wrong: dict[str, object] = {}

    async def one(name: str, allowed: set[str]) -> None:
        async with both:
            ended = await run(service, f"http://{host}/{name.replace(' ', '-')}", MAX_SECONDS)
            good = await run(service, f"http://{host}/good", GOOD_SECONDS)
        if not ended.how & allowed or ended.seconds >= MAX_SECONDS or good.how != {"fine"}:
            wrong[name] = (ended, good)

    with sampled() as most:
        await asyncio.gather(*(one(name, allowed) for name, (_, allowed) in pages.items()))
    assert wrong == {}
    # None of what pages load is kept on the disk, but for the browsers' profiles.
    assert 0 < most.folder_bytes < PROFILE_BYTES * settings.page_concurrency
    limit = registry.get("page.analyze").memory_bytes
    assert limit is not None
    assert 0 < most.memory_bytes < limit * settings.page_concurrency + OWN_BYTES
