"""A worker killed under a job of each family of documents: another one finishes them all."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings
from running import open_connection
from sample_documents import make_all
from worker_processes import RESCUE_SECONDS, WorkerProcesses, gone, until, until_attempt

KINDS = {
    "pdf.to_text": "report.pdf",
    "pdf.make_unsearchable": "report.pdf",
    "csv.to_pdf": "numbers.csv",
    "email.to_pdf": "mail.eml",
    "image.to_pdf": "picture.png",
    "document.to_pdf": "letter.rtf",
    "html.to_pdf": "picture.png",
}
"""Reading, making, and converting of tables, mail, pictures, office files and pages."""


class SlowSite:
    """Sends files once it may: until then every job that fetches one is in that phase."""

    def __init__(self, folder: Path) -> None:
        self.may_send = may_send = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                may_send.wait(120)
                content = (folder / self.path.strip("/")).read_bytes()
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Those who asked first are dead by now."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SlowSite]:
    folder = tmp_path / "site"
    folder.mkdir()
    make_all(folder)
    slow = SlowSite(folder)
    thread = threading.Thread(target=slow.server.serve_forever)
    thread.start()
    yield slow
    slow.may_send.set()
    slow.server.shutdown()
    slow.server.server_close()
    thread.join()


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_worker_killed_under_each_family_of_documents_is_replaced(
    settings: Settings, workers: WorkerProcesses, site: SlowSite
) -> None:
    wide = replace(settings, allow_hosts=(site.address,), document_concurrency=len(KINDS))
    async with open_connection(wide) as connection:
        await kill_and_replace(connection, wide, workers, site)


async def kill_and_replace(
    connection: Connection, settings: Settings, workers: WorkerProcesses, site: SlowSite
) -> None:
    service = connection.service
    first = workers.start(settings)
    ids: dict[str, str] = {}
    for kind, name in KINDS.items():
        source = f"http://{site.address}/{name}"
        args: dict[str, Any] = {"urls": [source]} if kind == "image.to_pdf" else {"url": source}
        if kind == "html.to_pdf":
            args = {"html": f"<h1>A picture</h1><img src={source}>"}
        ids[kind] = (await service.submit(LOCAL, kind, args)).job.id
    for kind, job_id in ids.items():
        await until(
            connection, job_id, State.ACTIVE, "convert" if kind == "html.to_pdf" else "fetch"
        )
    below = tree.descendants(first.pid)
    first.kill()
    killed = asyncio.get_running_loop().time()
    await gone(below)
    workers.start(settings)
    async with asyncio.timeout_at(killed + RESCUE_SECONDS):
        for job_id in ids.values():
            await until_attempt(connection, job_id, 2)
    site.may_send.set()
    for kind, job_id in ids.items():
        job = await service.wait(LOCAL, job_id, RESCUE_SECONDS)
        assert (job.state, job.attempts.started) == (State.COMPLETED, 2), (kind, job.failure)
        assert {artifact.attempt for artifact in job.artifacts} == {2}
        assert any("worker_lost" in line for line in await service.log(LOCAL, job_id))
