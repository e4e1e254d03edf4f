"""One owner does its worst within the rates; another owner's jobs start, it can read, its callbacks
come.

Each with one server, and with two servers on one store. Everything runs on one machine, the noise
too, so of the reads the 95th percentile is held to its limit, and no read to more than a few times
that.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from checkback.engine.redis.embedded import EmbeddedValkey
from made_files import pdf_of, text_at
from serving import Victim, serving

START_SECONDS = 10.0
READ_SECONDS = 0.25
CALLBACK_SECONDS = 5.0
ROUNDS = 4
READS = 15
READY_SECONDS = 50
NOISES = ["slots", "expressions", "memory", "parsing", "callbacks", "streams", "uploads", "files"]
PROGRAM = Path(__file__).parents[1] / "support" / "noise.py"
SETTINGS = {
    "job_concurrency": "2",
    "document_concurrency": "1",
    "owner_store_mb": "16",
    "owner_streams": "50",
    "owner_upload_files": "200",
    "owner_upload_gb": "0.2",
    "owner_artifact_gb": "0.1",
    "allow_hosts": "127.0.0.1:*",
}


@pytest.fixture(params=[1, 2], ids=["one-server", "two-servers"])
def servers(
    request: pytest.FixtureRequest, valkey: EmbeddedValkey, tmp_path: Path
) -> Iterator[tuple[Victim, Victim]]:
    """Where the noise is made, and where the neighbor asks: the same server, or another on the same
    store.
    """
    with ExitStack() as stack:
        if request.param == 1:
            server = stack.enter_context(serving(tmp_path / "home", **SETTINGS))
            yield server, server
            return
        shared = {
            "redis_url": valkey.url,
            "prefix": f"t{secrets.token_hex(6)}",
            "secret_key": secrets.token_hex(32),
            **SETTINGS,
        }
        yield (
            stack.enter_context(serving(tmp_path / "one", **shared)),
            stack.enter_context(serving(tmp_path / "two", **shared)),
        )


@dataclass
class Arrivals:
    """A server that gets callbacks, and has two documents."""

    url: str = ""
    got: queue.Queue[tuple[str, float]] = field(default_factory=queue.Queue[Any])


@pytest.fixture
def arrivals() -> Iterator[Arrivals]:
    found = Arrivals()

    lines = [(50.0, 100.0 + line, "x" * 80) for line in range(0, 500, 20)]
    documents = {
        "/short.pdf": pdf_of(text_at((50, 100, "hello"))),
        "/long.pdf": pdf_of(text_at(*lines)),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = documents[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            found.got.put((self.headers["Checkback-Job"], time.time()))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


class Neighbor:
    """An owner who wants little, and gets it."""

    def __init__(self, client: httpx2.AsyncClient, arrivals: Arrivals) -> None:
        self._client = client
        self._arrivals = arrivals
        self.starts: list[float] = []
        self.reads: list[float] = []
        self.callbacks: list[float] = []

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """The answer, which is never a refusal."""
        answer = await self._client.request(method, path, **more)
        assert answer.status_code < 400, answer.text
        return answer.json()

    async def live(self) -> None:
        """A few jobs of both queues, with reads before, between and after."""
        source = f"{self._arrivals.url}/short.pdf"
        for number in range(ROUNDS):
            body = {
                "url": source,
                "async": True,
                "callback": self._arrivals.url,
                "name": f"{number}.json",
            }
            told = await self.ask("POST", "/v1/pdf/info", json=body)
            quick = await self.ask(
                "POST", "/api/jobs", json={"kind": "test.add", "args": {"a": 1, "b": number}}
            )
            for _ in range(READS):
                await self._read()
            await self._ended(quick["id"])
            record = await self._ended(told["jobId"])
            job_id, arrived = await asyncio.to_thread(self._arrivals.got.get, timeout=60)
            assert job_id == record["id"]
            self.callbacks.append(arrived - _time(record["finished_at"]))

    async def _read(self) -> None:
        began = time.perf_counter()
        await self.ask("GET", "/api/jobs?limit=20")
        self.reads.append(time.perf_counter() - began)

    async def _ended(self, job_id: str) -> dict[str, Any]:
        record = await self.ask("GET", f"/api/jobs/{job_id}?wait=50")
        assert record["state"] == "completed", record
        self.starts.append(_time(record["started_at"]) - _time(record["created_at"]))
        return record

    def figures(self) -> dict[str, float]:
        reads = sorted(self.reads)
        return {
            "start": round(max(self.starts), 3),
            "read_p95": round(reads[len(reads) * 95 // 100], 3),
            "read_max": round(reads[-1], 3),
            "callback": round(max(self.callbacks), 3),
        }


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
async def neighbor(servers: tuple[Victim, Victim], arrivals: Arrivals) -> AsyncIterator[Neighbor]:
    _, own = servers
    headers = {"authorization": f"Bearer {own.bob}"}
    async with httpx2.AsyncClient(base_url=own.url, headers=headers, timeout=60) as client:
        yield Neighbor(client, arrivals)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", NOISES)
async def test_a_neighbor_does_not_notice(
    servers: tuple[Victim, Victim],
    neighbor: Neighbor,
    arrivals: Arrivals,
    name: str,
    record_property: Any,
) -> None:
    loud, _ = servers
    noise = subprocess.Popen(
        [sys.executable, str(PROGRAM), name, loud.url, loud.ada, arrivals.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert noise.stdout is not None and noise.stdin is not None
        async with asyncio.timeout(READY_SECONDS):
            assert await asyncio.to_thread(noise.stdout.readline) == "ready\n"
        await neighbor.live()
        assert noise.poll() is None, "the noise has ended by itself"
    finally:
        noise.kill()
        noise.communicate()
    figures = neighbor.figures()
    record_property("figures", figures)
    print(name, json.dumps(figures))
    assert figures["start"] <= START_SECONDS, figures
    assert figures["read_p95"] <= READ_SECONDS, figures
    assert figures["read_max"] <= 4 * READ_SECONDS, figures
    assert figures["callback"] <= CALLBACK_SECONDS, figures
