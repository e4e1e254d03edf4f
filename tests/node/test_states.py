"""What a status tool on Node reads of our jobs, in each state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checkback.core.errors import NotFound
from checkback.core.ids import new_job_id
from checkback.core.states import State
from checkback.security.auth.callers import LOCAL
from checkback.service import Service

pytestmark = [pytest.mark.node]


async def read(program: Any, job_id: str, queue: str = "jobs") -> dict[str, Any]:
    return await program.call("status", queue=queue, id=job_id)


async def finished(program: Any, job_id: str) -> dict[str, Any]:
    return await program.call("finished", queue="jobs", id=job_id)


async def test_a_job_that_waits(
    program: Any, service: Service, submit: Any, demo_site: str
) -> None:
    """In the set of priorities, where turns are kept, or until its time comes."""
    waiting = await read(program, await submit("test.add", a=1, b=2))
    assert (waiting["state"], waiting["progress"], waiting["result"]) == ("prioritized", 0, None)
    assert (waiting["name"], waiting["data"]) == ("test.add", {"a": 1, "b": 2})
    page = await submit("page.analyze", url=f"http://{demo_site}/")
    prioritized = await read(program, page, "page-analyze")
    assert (prioritized["state"], prioritized["progress"]) == ("prioritized", 0)
    assert (prioritized["name"], prioritized["data"]["webPageId"]) == ("page-analyze", page)
    delayed = await service.submit(LOCAL, "test.add", {"a": 1, "b": 2}, delay_seconds=600)
    assert (await read(program, delayed.job.id))["state"] == "delayed"
    assert await read(program, new_job_id()) is None


async def test_a_job_that_runs_and_completes(
    program: Any, service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    job_id = await submit("test.gate", path=str(tmp_path / "gate"))
    async for job in service.watch(LOCAL, job_id):
        if job.phase is not None:
            break
    active = await read(program, job_id)
    assert (active["state"], active["progress"], active["phase"]) == ("active", 0, "waiting")
    (tmp_path / "gate").touch()
    await service.wait(LOCAL, job_id, 20)
    completed = await read(program, job_id)
    assert (completed["state"], completed["progress"], completed["result"]) == (
        "completed",
        100,
        "attempt 1",
    )
    assert completed["timestamp"] <= completed["processedOn"] <= completed["finishedOn"]


async def test_a_job_that_fails_and_that_node_retries(
    program: Any, service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    job_id = await submit("test.fail", message="It broke here.", retryable=False)
    await service.wait(LOCAL, job_id, 20)
    failed = await read(program, job_id)
    assert (failed["state"], failed["failedReason"], failed["attemptsMade"]) == (
        "failed",
        "It broke here.",
        1,
    )
    await program.call("retry", queue="jobs", id=job_id)
    assert await finished(program, job_id) == {"reason": "It broke here."}
    assert (await service.get(LOCAL, job_id)).attempts.started == 2


@pytest.mark.parametrize("options", [{}, {"resetAttemptsMade": True, "resetAttemptsStarted": True}])
async def test_a_job_that_we_cancel_and_that_node_retries(
    program: Any,
    service: Service,
    worker: Any,
    submit: Any,
    tmp_path: Path,
    options: dict[str, bool],
) -> None:
    gate, begun = tmp_path / "gate", tmp_path / "begun"
    job_id = await submit("test.gate", path=str(gate), started=str(begun))
    async for job in service.watch(LOCAL, job_id):
        if job.phase is not None:
            break
    await service.cancel(LOCAL, job_id)
    end = await finished(program, job_id)
    assert end["reason"].startswith("cancelled")
    read_there = await read(program, job_id)
    assert read_there["state"] == "failed"
    assert read_there["failedReason"].startswith("cancelled")

    await program.call("retry", queue="jobs", id=job_id, opts=options)
    again = await service.get(LOCAL, job_id)
    assert again.state in (State.WAITING, State.ACTIVE)
    gate.touch()
    assert "attempt" in (await finished(program, job_id))["result"]
    job = await service.get(LOCAL, job_id)
    assert (job.state, job.progress) == (State.COMPLETED, 100)
    assert len(begun.read_text().splitlines()) == 2


async def test_a_delayed_job_that_we_cancel_ends_in_node_too(
    program: Any, service: Service, worker: Any
) -> None:
    delayed = await service.submit(LOCAL, "test.add", {"a": 1, "b": 2}, delay_seconds=600)
    await service.cancel(LOCAL, delayed.job.id)
    assert (await finished(program, delayed.job.id))["reason"].startswith("cancelled")


async def test_a_job_that_node_removes_is_gone(program: Any, service: Service, submit: Any) -> None:
    job_id = await submit("test.add", a=1, b=2)
    await program.call("remove", queue="jobs", id=job_id)
    with pytest.raises(NotFound):
        await service.get(LOCAL, job_id)
    assert (await service.list(LOCAL)).jobs == []
