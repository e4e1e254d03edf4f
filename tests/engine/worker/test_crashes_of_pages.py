"""A worker killed in each phase of a page analysis: another one finishes the job, and no browser is
left.
"""

from __future__ import annotations

import asyncio
import http.server
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import Connection, connect
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings, to_environment
from running import open_connection
from waiting import wait_until
from worker_processes import RUN_WORKER, short_locks

PHASES = ("ingest", "layout", "motion", "quality", "responsive")
RESCUE_SECONDS = 45
TRIES = 6
#: Without the picture of the whole page there is no time to read the page before layout begins.
WINDOW = {"layoutOptions": {"fullPage": False}}
LITTLE = {"responsiveOptions": {"enabled": False}, "features": {"quality": False, "motion": False}}

CARD = (
    '<section class="c"><h2>Part {0}</h2>'
    '<p style="color:#777">Some words about part {0}, long enough for a line.</p>'
    '<ul><li><a href="#{0}">one</a></li><li><b>two</b></li><li><i>three</i></li></ul></section>'
)
STYLE = (
    "@keyframes turn{to{transform:rotate(1turn)}}"
    ".c{animation:turn 9s infinite;transition:color 1s;padding:9px}"
    "@media (max-width:600px){.c{padding:2px}}"
)
PAGE = (
    f"<!doctype html><html lang=en><title>Many parts</title><style>{STYLE}</style><h1>Many parts</h1>"
    + "".join(CARD.format(number) for number in range(400))
).encode()

SMALL = b"<!doctype html><html lang=en><title>Small</title><h1>Small</h1>"


class Handler(http.server.BaseHTTPRequestHandler):
    """A page with enough on it that every phase takes a while, and small ones."""

    def do_GET(self) -> None:
        page = PAGE if self.path == "/" else SMALL if self.path.startswith("/?") else None
        self.send_response(404 if page is None else 200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(page or b"no")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def start_worker(settings: Settings, before: str = "") -> subprocess.Popen[bytes]:
    """Start one; ``before`` is Python that it runs first."""
    return subprocess.Popen(
        [sys.executable, "-c", before + RUN_WORKER], env=os.environ | to_environment(settings)
    )


def end_worker(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        tree.kill_tree(process.pid)
    process.wait(10)


async def kill_in_phase(
    connection: Connection, settings: Settings, url: str, phase: str
) -> tuple[str, list[int], float]:
    """Analyse the page and kill the worker while it is in ``phase``; returns the job, the dead
    processes, and the moment.
    """
    for _ in range(TRIES):
        worker = start_worker(settings)
        try:
            job_id = (
                await connection.service.submit(LOCAL, "page.analyze", {"url": url, **WINDOW})
            ).job.id
            async for job in connection.service.watch(LOCAL, job_id):
                if job.phase == phase:
                    break
            below = tree.descendants(worker.pid)
            has_browser = any(is_browser(pid) for pid in below)
            worker.kill()
            killed = asyncio.get_running_loop().time()
            worker.wait(10)
        finally:
            end_worker(worker)
        if (await connection.service.get(LOCAL, job_id)).phase == phase:
            assert has_browser or phase == "ingest"
            return job_id, below, killed
    raise AssertionError(f"{phase} was over before the worker could be killed, {TRIES} times")


def is_browser(pid: int) -> bool:
    """Whether this process is Chromium's."""
    try:
        name = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False
    return b"chrom" in name or b"headless" in name


async def rescue(settings: Settings, url: str, phase: str) -> None:
    async with open_connection(settings) as connection:
        job_id, below, killed = await kill_in_phase(connection, settings, url, phase)
        await wait_until(
            "the processes have ended", lambda: not any(tree.is_alive(pid) for pid in below), 5
        )
        second = start_worker(settings)
        try:
            async with asyncio.timeout_at(killed + RESCUE_SECONDS):
                async for job in connection.service.watch(LOCAL, job_id):
                    if job.attempts.started == 2:
                        break
            job = await connection.service.wait(LOCAL, job_id, 60)
            assert (job.state, job.attempts.started) == (State.COMPLETED, 2)
            assert job.result["success"] is True
            assert any(
                "worker_lost" in line for line in await connection.service.log(LOCAL, job_id)
            )
        finally:
            end_worker(second)


@pytest.mark.chromium
@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_worker_killed_amid_a_batch_is_replaced(settings: Settings, site: str) -> None:
    """It has the batch, pages of it that run, pages that wait, and one that has ended."""
    settings = replace(settings, allow_hosts=(site,))
    urls = [f"http://{site}/?{number}" for number in range(6)]
    args = {"urls": urls, "options": LITTLE, "per_host": 2, "pause_ms": 0}
    async with open_connection(settings) as connection:
        service = connection.service
        first = start_worker(short_locks(settings))
        try:
            batch = (await service.submit(LOCAL, "page.analyze_batch", args)).job.id

            async def is_halfway() -> bool:
                parts = (await service.list(LOCAL, kind="page.analyze")).jobs
                return {part.state for part in parts} >= {State.COMPLETED, State.ACTIVE}

            await wait_until("a part has ended and another one runs", is_halfway, 60)
            first.kill()
            first.wait(10)
        finally:
            end_worker(first)
        assert (await service.get(LOCAL, batch)).state is State.ACTIVE
        before = {
            part.id: part.state for part in (await service.list(LOCAL, kind="page.analyze")).jobs
        }
        second = start_worker(short_locks(settings))
        try:
            job = await service.wait(LOCAL, batch, RESCUE_SECONDS + 60)
        finally:
            end_worker(second)
        assert (job.state, job.attempts.started) == (State.COMPLETED, 2), job.failure
        assert (job.result["total"], job.result["completed"]) == (len(urls), len(urls))
        assert [page["url"] for page in job.result["pages"]] == urls
        # One job for each page, whichever attempt of the batch started it. What had ended was kept.
        parts = (await service.list(LOCAL, kind="page.analyze")).jobs
        assert sorted(part.id for part in parts) == sorted(
            page["job_id"] for page in job.result["pages"]
        )
        assert {part.id for part in parts} >= set(before)
        again = {State.COMPLETED: 1, State.ACTIVE: 2}
        for part in parts:
            assert part.attempts.started == again.get(before.get(part.id, State.WAITING), 1)


@pytest.mark.chromium
@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_worker_killed_in_any_phase_of_an_analysis_is_replaced(
    settings: Settings, site: str
) -> None:
    own = [
        replace(
            settings,
            home=settings.home / phase,
            prefix=f"t{secrets.token_hex(6)}",
            allow_hosts=(site,),
        )
        for phase in PHASES
    ]
    # Side by side: each waits for the lock of its dead worker to run out.
    await asyncio.gather(
        *(rescue(one, f"http://{site}/", phase) for one, phase in zip(own, PHASES, strict=True))
    )


@pytest.mark.chromium
@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_no_browser_is_left_when_serve_is_killed(start_server: Any, site: str) -> None:
    server = start_server(allow_hosts=site)
    async with connect(Settings(home=server.home), start=False) as connection:
        job_id = (
            await connection.service.submit(LOCAL, "page.analyze", {"url": f"http://{site}/"})
        ).job.id
        async for job in connection.service.watch(LOCAL, job_id):
            if job.phase == "layout":
                break
        below = tree.descendants(server.process.pid)
        assert any(is_browser(pid) for pid in below)
        server.process.kill()
        server.process.wait(10)
    await wait_until(
        "the processes have ended", lambda: not any(tree.is_alive(pid) for pid in below), 5
    )
