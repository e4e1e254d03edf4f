"""Those who use the server during a soak: each follows its job to the end that it must have, and
past it.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from chaos.soak_kinds import LARGE_RESULT_CHARACTERS
from chaos.soak_site import Site, make_documents
from checkback.client import Client
from checkback.core.errors import CheckbackError, NotFound
from checkback.core.job import Job

SMALL_EVERY_SECONDS = 0.8
DOCUMENT_EVERY_SECONDS = 5.0
PAGE_EVERY_SECONDS = 20.0
MCP_EVERY_SECONDS = 5.0
END_SECONDS = 120.0
"""Every job must end within this, the busy machine's time in the queue included."""
SHORT_SECONDS = 1.0
CANCEL_SECONDS = 5.0
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "soak", "version": "1"},
    },
}

Action = Callable[[], Awaitable[None]]


class Users:
    """All of them, on one client. ``problems`` is what went otherwise than it must."""

    def __init__(
        self, url: str, token: str, site: Site, keep_seconds: float, *, pages: bool
    ) -> None:
        self._url, self._token = url, token
        self._client = Client(url, token, timeout=30)
        self._site = site
        self._keep_seconds = keep_seconds
        self._pages = pages
        self._random = random.Random(7)
        self.done: Counter[str] = Counter()
        self.problems: list[str] = []
        #: Jobs whose end was to be reported to the site.
        self.to_be_told: set[str] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self._upload = ""

    async def warm_up(self, jobs: int) -> None:
        """Many small jobs at once: what grows with the number of jobs until a bound has reached it
        then.
        """
        self._upload = await asyncio.to_thread(self._hand_in)
        limit = asyncio.Semaphore(20)

        async def one() -> None:
            async with limit:
                await self._add()

        await asyncio.gather(*(one() for _ in range(jobs)))

    async def use(self, until: float) -> None:
        """Begin one thing after the other until that time; returns when all of them have ended."""
        small: list[Action] = [
            self._add, self._add, self._add, self._leave_file, self._return_much, self._try_twice,
            self._fail, self._crash, self._run_late, self._cancel, self._cancel_and_retry,
            self._use_a_key, self._watch, self._hang_up_on_events, self._hang_up_on_a_wait,
        ]  # fmt: skip
        loops = [
            self._every(SMALL_EVERY_SECONDS, small, until),
            self._every(
                DOCUMENT_EVERY_SECONDS, [self._document, self._document, self._pdfco], until
            ),
            self._every(MCP_EVERY_SECONDS, [self._list, self._say_hello_to_mcp], until),
        ]
        if self._pages:
            loops.append(self._every(PAGE_EVERY_SECONDS, [self._page], until))
        await asyncio.gather(*loops)

    async def settle(self) -> None:
        """Return when every job has ended, and has been looked for after its time."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _every(self, seconds: float, actions: list[Action], until: float) -> None:
        while time.monotonic() < until:
            action = self._random.choice(actions)
            self._in_background(self._tried(action))
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * seconds)

    async def _tried(self, action: Action) -> None:
        name = getattr(action, "__name__", "?").strip("_").replace("_", " ")
        self.done[name] += 1
        try:
            await action()
        except (CheckbackError, OSError, http.client.HTTPException) as error:
            self.problems.append(f"{name}: {error!r}")

    def _in_background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _submit(self, kind: str, args: dict[str, Any] | None = None, **options: Any) -> Job:
        return await asyncio.to_thread(self._client.submit, kind, args or {}, **options)

    async def _end(self, job: Job, state: str, code: str | None = None) -> Job:
        """The job at its end, which must be this one; later it must be gone."""
        ended = await asyncio.to_thread(self._client.wait, job.id, END_SECONDS)
        got = ended.failure.code if ended.failure else None
        if ended.state != state or (code is not None and got != code):
            self.problems.append(f"{job.kind} {job.id}: {ended.state} {got}, not {state} {code}")
        self._in_background(self._is_gone_in_time(job.id))
        return ended

    async def _is_gone_in_time(self, job_id: str) -> None:
        # A cancelled job is reported as such at once, and has ended, with its processes, within
        # five seconds.
        await asyncio.sleep(self._keep_seconds + CANCEL_SECONDS + 1)
        try:
            job = await asyncio.to_thread(self._client.get, job_id)
            self.problems.append(f"{job.kind} {job_id} can be read after its time")
        except NotFound:
            self.done["jobs gone in time"] += 1

    def _check(self, what: str, got: object, wanted: object) -> None:
        if got != wanted:
            self.problems.append(f"{what}: {str(got)[:80]} in the place of {str(wanted)[:80]}")

    async def _add(self) -> None:
        a, b = self._random.randrange(1000), self._random.randrange(1000)
        job = await self._end(await self._submit("soak.add", {"a": a, "b": b}), "completed")
        self._check("soak.add", job.result, a + b)

    async def _leave_file(self) -> None:
        job = await self._end(await self._submit("soak.file", {"size_bytes": 50_000}), "completed")
        content = await asyncio.to_thread(self._client.artifact, job.id, "block.bin")
        self._check("soak.file", len(content), 50_000)

    async def _return_much(self) -> None:
        job = await self._end(await self._submit("soak.large"), "completed")
        result = await asyncio.to_thread(self._client.result, job.id)
        self._check("soak.large", result, "x" * LARGE_RESULT_CHARACTERS)

    async def _try_twice(self) -> None:
        job = await self._end(await self._submit("soak.second_try"), "completed")
        self._check("soak.second_try", job.result, "attempt 2")

    async def _fail(self) -> None:
        await self._end(await self._submit("soak.fail"), "failed", "soak_failed")
        await self._end(await self._submit("soak.raise"), "failed", "internal_error")

    async def _crash(self) -> None:
        await self._end(await self._submit("soak.crash"), "failed", "crashed")

    async def _run_late(self) -> None:
        job = await self._submit("soak.slow", {"seconds": 30}, deadline_seconds=SHORT_SECONDS)
        await self._end(job, "failed", "timeout")

    async def _cancel(self) -> None:
        delay = self._random.choice((0.0, 0.0, 600.0))
        job = await self._submit("soak.slow", {"seconds": 30}, delay_seconds=delay)
        await asyncio.sleep(self._random.uniform(0, 2))
        await asyncio.to_thread(self._client.cancel, job.id)
        await self._end(job, "cancelled")

    async def _cancel_and_retry(self) -> None:
        job = await self._submit("soak.add", {"a": 1, "b": 1}, delay_seconds=600)
        await asyncio.to_thread(self._client.cancel, job.id)
        async with asyncio.timeout(END_SECONDS):
            while True:
                try:
                    await asyncio.to_thread(self._client.retry, job.id)
                    break
                except CheckbackError as error:
                    if error.code != "conflict":  # it is still being stopped
                        raise
                await asyncio.sleep(SHORT_SECONDS)
        await self._end(job, "completed")

    async def _use_a_key(self) -> None:
        key = f"key-{self._random.getrandbits(64)}"
        jobs = [await self._submit("soak.add", {"a": 1, "b": 2}, key=key) for _ in range(3)]
        self._check("one key", len({job.id for job in jobs}), 1)
        await self._end(jobs[0], "completed")

    async def _watch(self) -> None:
        job = await self._submit("soak.slow", {"seconds": 3})
        states = await asyncio.to_thread(lambda: [one.state for one in self._client.events(job.id)])
        self._check("the last event", states[-1], "completed")
        await self._end(job, "completed")

    async def _hang_up_on_events(self) -> None:
        job = await self._submit("soak.slow", {"seconds": 8})
        await asyncio.to_thread(self._hang_up, f"/api/jobs/{job.id}/events", 3.0)
        await self._end(job, "completed")

    async def _hang_up_on_a_wait(self) -> None:
        job = await self._submit("soak.slow", {"seconds": 8})
        await asyncio.to_thread(self._hang_up, f"/api/jobs/{job.id}?wait=50", 3.0)
        await self._end(job, "completed")

    async def _document(self) -> None:
        report, upload = self._site.url("report.pdf"), self._upload
        kind, args, state, code = self._random.choice(
            [
                ("pdf.to_text", {"url": report}, "completed", None),
                ("pdf.info", {"url": upload}, "completed", None),
                ("pdf.to_image", {"url": report, "pages": "0"}, "completed", None),
                ("pdf.split", {"url": upload, "pages": "1,2"}, "completed", None),
                ("pdf.merge", {"urls": [report, upload]}, "completed", None),
                ("excel.to_csv", {"url": self._site.url("book.xlsx")}, "completed", None),
                ("image.to_pdf", {"urls": [self._site.url("picture.png")]}, "completed", None),
                (
                    "pdf.to_text",
                    {"url": self._site.url("broken.pdf")},
                    "failed",
                    "invalid_document",
                ),
                ("pdf.to_text", {"url": self._site.url("not-there.pdf")}, "failed", None),
                *(
                    [("html.to_pdf", {"html": "<p>Words</p>"}, "completed", None)]
                    if self._pages
                    else []
                ),
            ]
        )
        await self._end(await self._submit(kind, args), state, code)

    async def _pdfco(self) -> None:
        """A document in PDF.co's words, whose end is reported to the site."""
        body = {
            "url": self._site.url("report.pdf"),
            "async": True,
            "callback": self._site.url("told"),
        }
        answer = await asyncio.to_thread(self._post, "/v1/pdf/convert/to/text", body)
        self.to_be_told.add(answer["jobId"])
        await self._end(await asyncio.to_thread(self._client.get, answer["jobId"]), "completed")

    async def _page(self) -> None:
        name = self._random.choice(("index.html", "tides.html"))
        job = await self._submit("page.analyze", {"url": self._site.url(name)})
        if self._random.random() < 0.15:
            await asyncio.sleep(self._random.uniform(0, 5))
            await asyncio.to_thread(self._client.cancel, job.id)
            ended = await asyncio.to_thread(self._client.wait, job.id, END_SECONDS)
            self._check("a cancelled page", ended.state in ("cancelled", "completed"), True)
            self._in_background(self._is_gone_in_time(job.id))
            return
        await self._end(job, "completed")

    async def _list(self) -> None:
        page = await asyncio.to_thread(lambda: self._client.list(limit=50))
        self._check("a page of the list", len(page.jobs) > 0, True)

    async def _say_hello_to_mcp(self) -> None:
        """Open a session as a client with a handshake does, and never come back."""
        answer = await asyncio.to_thread(self._post, "/mcp", HELLO)
        self._check("initialize", "serverInfo" in str(answer), True)

    def _hand_in(self) -> str:
        content = make_documents()["report.pdf"]
        path = "/api/uploads?name=report.pdf"
        return str(self._post(path, content, kind="application/octet-stream")["source"])

    def _hang_up(self, path: str, seconds: float) -> None:
        connection = self._connection(seconds)
        try:
            connection.request("GET", path, headers=self._headers())
            connection.sock.settimeout(seconds)
            connection.sock.recv(4096)
        except TimeoutError:
            pass  # nothing has happened yet: the time to leave
        finally:
            connection.close()

    def _post(self, path: str, body: Any, kind: str = "application/json") -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = self._connection(30)
        try:
            connection.request("POST", path, content, self._headers() | {"Content-Type": kind})
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        lines = [
            line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")
        ]
        return json.loads(lines[-1] if lines else text)

    def _headers(self) -> dict[str, str]:
        accept = "application/json, text/event-stream"
        return {"Authorization": f"Bearer {self._token}", "Accept": accept}

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=seconds)
