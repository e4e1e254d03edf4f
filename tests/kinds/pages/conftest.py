"""Saved bundles for the tests without a browser; a site, a proxy and a browser
for those with one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from checkback.core.job import Artifact
from checkback.kinds.browser.capture import PageCapture, load_bundle
from checkback.kinds.context import Egress, Environment, JobContext
from checkback.kinds.pages.report.builder import ReportBuilder
from checkback.security.egress.client import EgressProxy

HERE = Path(__file__).parent
DEMO_SITE = HERE.parents[2] / "examples" / "demo-site"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@pytest.fixture
def home() -> PageCapture:
    """The front page of the demo site."""
    return load_bundle(HERE / "bundles" / "home.json.gz")


@pytest.fixture
def tides() -> PageCapture:
    """The article of the demo site."""
    return load_bundle(HERE / "bundles" / "tides.json.gz")


@pytest.fixture
def parts(home: PageCapture) -> dict[str, Any]:
    """The report's parts for the front page, without the score."""
    from checkback.kinds.pages.jobs.args import PageAnalyzeArgs

    reading = ReportBuilder(home)
    args = PageAnalyzeArgs(url=home.requested_url)
    return {
        **reading.ingest(),
        **reading.layout(),
        **reading.motion(args),
        **reading.quality(),
        **reading.responsive(),
    }


@pytest.fixture
def report(home: PageCapture, parts: dict[str, Any]) -> dict[str, Any]:
    """The whole report of the front page."""
    from checkback.kinds.pages.report.report import AnalysisOutcome, add_score, assemble
    from checkback.kinds.pages.scoring.score import Measure

    add_score(parts, Measure({"originality": 0.35, "craftsmanship": 0.4, "contextuality": 0.25}))
    outcome = AnalysisOutcome(
        ["ingest", "layout", "motion", "quality", "responsive"], [], {"layout": 12}, 1500
    )
    made = assemble("0192f1f0-0000-7000-8000-000000000001", home, parts, outcome, [])
    return made | {"completedAt": "2026-11-22T12:00:00.123000+00:00"}


@dataclass
class Page:
    """One answer of the test site."""

    body: bytes = b""
    status: str = "200 OK"
    media_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Site:
    """A site on loopback: pages given by path, else the demo site's files. Remembers what was
    asked.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []
        self.port = 0

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def put(self, path: str, body: str, **answer: Any) -> None:
        """Answer a path with a page of the test's own."""
        self.pages[path] = Page(body.encode(), **answer)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            page = self.pages.get(path) or self._file(path)
            lines = [
                f"HTTP/1.1 {page.status}",
                f"Content-Type: {page.media_type}",
                f"Content-Length: {len(page.body)}",
                *(f"{name}: {value}" for name, value in page.headers.items()),
                "Connection: close",
            ]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + page.body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _file(self, path: str) -> Page:
        file = DEMO_SITE / ("index.html" if path == "/" else path.lstrip("/"))
        if file.is_file():
            return Page(file.read_bytes(), media_type=_TYPES.get(file.suffix, "text/plain"))
        return Page(b"nothing here", "404 Not Found", "text/plain")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        yield site


class Recorder:
    """What a job said: its progress, its log, its files."""

    def __init__(self) -> None:
        self.said: list[tuple[str | None, int, str | None]] = []
        self.lines: list[str] = []
        self.files: dict[str, bytes] = {}

    def progress(self, phase: str | None, percent: int, message: str | None) -> None:
        self.said.append((phase, percent, message))

    def log(self, line: str) -> None:
        self.lines.append(line)

    def save(self, text: str) -> None:
        self.lines.append(text)

    def artifact(self, name: str, content: bytes | Path, media_type: str) -> Artifact:
        body = content if isinstance(content, bytes) else content.read_bytes()
        assert name not in self.files
        self.files[name] = body
        digest = hashlib.sha256(body).hexdigest()
        return Artifact(f"a{len(self.files)}", name, media_type, len(body), digest)


@dataclass
class Ran:
    """A job that ran to its end."""

    result: dict[str, Any]
    recorder: Recorder

    @property
    def report(self) -> dict[str, Any]:
        import json

        return json.loads(self.recorder.files["report.json"])

    @property
    def warnings(self) -> set[str]:
        return {warning["code"] for warning in self.report["warnings"]}


Analyze = Callable[..., Awaitable[Ran]]


@pytest.fixture
async def analyze(site: Site, tmp_path: Path) -> AsyncIterator[Analyze]:
    """Runs page.analyze as a child would: real browser, real proxy, the kind's own function."""
    from checkback.kinds.browser.page_load import Budgets
    from checkback.kinds.browser.session import browser_session
    from checkback.kinds.pages.jobs.analyze import analyze as function
    from checkback.kinds.pages.jobs.args import PageAnalyzeArgs
    from checkback.kinds.pages.pipeline import analyze_page

    proxy = await EgressProxy.start(
        allow_hosts=(f"127.0.0.1:{site.port}", f"localhost:{site.port}")
    )
    environment = Environment()
    try:
        async with browser_session(environment) as session:

            async def run(
                path: str = "/",
                *,
                before: Callable[[JobContext], None] = lambda _: None,
                budgets: Budgets | None = None,
                **args: Any,
            ) -> Ran:
                recorder = Recorder()
                grant = await proxy.grant("job")
                context = JobContext(
                    job_id="0192f1f0-0000-7000-8000-000000000001",
                    kind="page.analyze",
                    attempt=1,
                    deadline_seconds=600,
                    folder=tmp_path,
                    reporter=recorder,
                    environment=environment,
                    egress=Egress(grant.proxy_url, grant.username, grant.password),
                    resource=session,
                )
                before(context)
                model = PageAnalyzeArgs.model_validate({"url": site.url(path), **args})
                try:
                    if budgets is not None:
                        result = await analyze_page(model, context, session, budgets)
                    else:
                        result = await function(model, context)
                    return Ran(result, recorder)
                finally:
                    await proxy.revoke(grant)

            yield run
    finally:
        await proxy.close()
