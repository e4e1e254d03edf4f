"""Node counts our workers as it counts its own."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.settings import Settings
from worker_processes import WorkerProcesses, as_admin

pytestmark = [pytest.mark.node]

PATIENT_SECONDS = 30


async def counted(program: Any, queue: str, wanted: int) -> list[dict[str, str]]:
    """The workers that Node finds, once they are so many."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            told = await program.call("workers", queue=queue)
            if told["count"] == len(told["workers"]) == wanted:
                return told["workers"]


async def test_each_worker_is_counted_once_for_each_queue(
    program: Any, settings: Settings, workers: WorkerProcesses
) -> None:
    for queue in Settings().concurrency:
        assert await counted(program, queue, 0) == []
    one = workers.start(settings)
    for queue in Settings().concurrency:
        (found,) = await counted(program, queue, 1)
        encoded = base64.b64encode(queue.encode()).decode()
        assert found["name"].startswith(f"{settings.prefix}:{encoded}:w:checkback-")
    two = workers.start(settings)
    names = {found["name"] for found in await counted(program, "jobs", 2)}
    assert len(names) == 2
    one.terminate()
    (left,) = await counted(program, "jobs", 1)
    assert left["name"] in names
    two.terminate()
    await counted(program, "jobs", 0)


@pytest.mark.usefixtures("worker")
async def test_a_worker_whose_connection_was_lost_is_counted_again_and_works(
    program: Any, connection: Connection, service: Service
) -> None:
    (before,) = await counted(program, "jobs", 1)
    assert await as_admin(connection.settings, "CLIENT", "KILL", "ID", before["id"]) == 1
    async with asyncio.timeout(PATIENT_SECONDS):
        while (after := (await counted(program, "jobs", 1))[0])["id"] == before["id"]:
            pass
    assert after["name"] == before["name"]
    submitted = await service.submit(LOCAL, "test.add", {"a": 1, "b": 2})
    assert (await service.wait(LOCAL, submitted.job.id, PATIENT_SECONDS)).result == 3


@pytest.mark.usefixtures("worker")
async def test_a_worker_that_is_busy_is_still_counted(
    program: Any, service: Service, settings: Settings, tmp_path: Any
) -> None:
    places = settings.concurrency["jobs"]
    jobs = [
        (
            await service.submit(
                LOCAL, "test.gate", {"path": str(tmp_path / "go"), "started": None}
            )
        ).job.id
        for _ in range(places + 1)
    ]
    await counted(program, "jobs", 1)
    (tmp_path / "go").touch()
    for job_id in jobs:
        assert (await service.wait(LOCAL, job_id, PATIENT_SECONDS)).result == "attempt 1"
    await counted(program, "jobs", 1)
