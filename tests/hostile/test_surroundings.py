"""What a job's process finds around it: no secret of the server's in its memory
or its environment.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.engine.processes.environment import for_built_in_kinds, for_own_kinds
from checkback.kinds import registry
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings
from checkback.storage.uploads import UploadStore
from running import open_connection
from waiting import wait_until
from worker_processes import WorkerProcesses, until

registry.load(("lying_kinds",))
GIVEN = {
    "PATH": "/bin",
    "LC_TIME": "C",
    "HOME": "/root",
    "CHECKBACK_SECRET_KEY": "x",
    "DATABASE_URL": "postgres://",
    "AWS_SECRET_ACCESS_KEY": "x",
    "OTEL_EXPORTER_OTLP_HEADERS": "key=x",
    "SSH_AUTH_SOCK": "/run/agent",
}


def test_built_in_kinds_get_a_short_environment() -> None:
    kept = for_built_in_kinds(GIVEN)
    assert kept.keys() == {"PATH", "LC_TIME", "OTEL_SDK_DISABLED", "PLAYWRIGHT_BROWSERS_PATH"}


def test_users_kinds_get_the_environment_without_what_is_ours() -> None:
    kept = for_own_kinds(GIVEN)
    assert kept.keys() == {
        "PATH", "LC_TIME", "HOME", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK",
        "OTEL_SDK_DISABLED",
    }  # fmt: skip


def fork_servers(worker: int) -> dict[str, int]:
    """The fork servers of a worker process, by what they fork."""
    found: dict[str, int] = {}
    for child in tree.children(worker):
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if b"checkback.engine.processes.fork_server" in words:
            found[words[-2].decode()] = child
    return found


def variables_of(pid: int) -> set[str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return {word.partition("=")[0] for word in words if word}


def memory_of(pid: int) -> bytes:
    """All that a process can write to: what it was told lies there."""
    parts: list[bytes] = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for row in Path(f"/proc/{pid}/maps").read_text().splitlines():
            where, rights, *_ = row.split()
            if rights.startswith("rw"):
                first, last = (int(one, 16) for one in where.split("-"))
                memory.seek(first)
                parts.append(memory.read(last - first) or b"")
    return b"".join(parts)


SECRET, PDFCO_KEY = "the-master-" + "secret-7", "the-pdfco-" + "key-7"


async def test_no_process_of_a_job_knows_a_secret_of_the_servers(
    settings: Settings, workers: WorkerProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://")
    own = replace(
        settings, kinds=("sample_kinds", "lying_kinds"), secret_key=SECRET, pdfco_key=PDFCO_KEY
    )
    worker = workers.start(own)
    async with open_connection(own) as connection:
        await run_built_in(connection, own)
        go = tmp_path / "go"
        job_id = (
            await connection.service.submit(LOCAL, "lie.surroundings", {"go": str(go)})
        ).job.id
        await until(connection, job_id, State.ACTIVE, "waiting")
        servers = fork_servers(worker.pid)
        assert servers.keys() == {"own", "built-in"}
        (child,) = tree.children(servers["own"])
        digest = hashlib.sha256(SECRET.encode()).digest()
        needles = (
            SECRET.encode(),
            PDFCO_KEY.encode(),
            digest,
            digest.hex().encode(),
            base64.b64encode(digest),
        )
        for pid in (*servers.values(), child):
            memory = memory_of(pid)
            assert len(memory) > 1_000_000
            assert [needle for needle in needles if needle in memory] == []
            assert [name for name in variables_of(pid) if name.startswith("CHECKBACK_")] == []
        assert "DATABASE_URL" in variables_of(servers["own"])
        assert "DATABASE_URL" not in variables_of(servers["built-in"])
        assert PDFCO_KEY.encode() in memory_of(worker.pid)  # so it would have been found
        go.touch()
        told = await connection.service.wait(LOCAL, job_id, 20)
        assert [name for name in told.result["variables"] if name.startswith("CHECKBACK_")] == []


async def run_built_in(connection: Connection, settings: Settings) -> None:
    """Run a built-in job, whose fork server is started for it."""
    with UploadStore(settings.uploads_folder).begin("local", "a.txt") as writer:
        writer.write(b"x")
        upload = writer.finish()
    args: dict[str, Any] = {"url": f"upload:{upload.id}"}
    job = (await connection.service.submit(LOCAL, "file.fetch", args)).job
    job = await connection.service.wait(LOCAL, job.id, 30)
    assert (job.state, job.result["size_bytes"]) == (State.COMPLETED, 1)
    # It is removed in the background.
    await wait_until(
        "the folders of jobs are gone", lambda: not os.listdir(settings.temporary_folder)
    )
