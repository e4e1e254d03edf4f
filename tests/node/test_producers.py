"""Jobs that a Node program adds: our worker runs them, and Node reads what became of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from checkback.core.ids import new_job_id
from checkback.core.states import State
from checkback.security.auth.callers import LOCAL
from checkback.service import Service

pytestmark = [pytest.mark.node]

OPTIONS_OF_REFTRIX = {
    "priority": 10,
    "attempts": 1,
    "removeOnComplete": {"age": 86400, "count": 1000},
    "removeOnFail": {"age": 604800, "count": 500},
}


async def add_page(program: Any, url: str, **options: Any) -> str:
    """Add an analysis as ReftrixMCP does: the page's id is the job's id."""
    job_id = new_job_id()
    data = {
        "webPageId": job_id,
        "url": url,
        "options": options,
        "createdAt": "2026-11-22T10:00:00.000Z",
    }
    opts = OPTIONS_OF_REFTRIX | {"jobId": job_id}
    assert (
        await program.call("add", queue="page-analyze", name="page-analyze", data=data, opts=opts)
        == job_id
    )
    return job_id


async def add_sum(program: Any, a: Any, b: Any, **opts: Any) -> str:
    """Add a quick job of our own kind."""
    opts = {"jobId": new_job_id(), **opts}
    return await program.call(
        "add", queue="jobs", name="test.add", data={"a": a, "b": b}, opts=opts
    )


@pytest.mark.chromium
async def test_an_analysis_that_node_adds_is_run_here(
    program: Any, service: Service, worker: Any, demo_site: str
) -> None:
    options = {
        "features": {"layout": True, "motion": True, "quality": True},
        "summary": True,
        "timeout": 60_000,
    }
    job_id = await add_page(program, f"http://{demo_site}/", **options)
    result = (await program.call("finished", queue="page-analyze", id=job_id))["result"]
    read = await program.call("status", queue="page-analyze", id=job_id)
    assert (read["state"], read["progress"], read["result"]) == ("completed", 100, result)
    assert result["webPageId"] == job_id
    assert (result["success"], result["failedPhases"]) == (True, [])
    assert {"layout", "motion", "quality"} <= set(result["completedPhases"])
    assert result["results"]["layout"]["sectionsDetected"] > 0
    assert result["results"]["quality"]["grade"] in "ABCDF"
    ours = await service.get_with_args(LOCAL, job_id)
    assert (ours.kind, ours.owner, ours.state) == ("page.analyze", "local", State.COMPLETED)
    assert ours.result == result
    assert ours.args is not None
    assert ours.args["url"] == f"http://{demo_site}/"
    assert [job.id for job in (await service.list(LOCAL)).jobs] == [job_id]
    _, report = await service.artifact(LOCAL, job_id, "report.json")
    assert json.loads(report.read_bytes())["jobId"] == job_id


async def test_what_node_would_remove_is_kept(program: Any, service: Service, worker: Any) -> None:
    mine = (await service.submit(LOCAL, "test.add", {"a": 1, "b": 1})).job.id
    assert (await service.wait(LOCAL, mine, 10)).result == 2
    kept = {mine: 2}
    for number, keep in enumerate(({"count": 1}, 1, True)):
        job_id = await add_sum(program, number, 10, removeOnComplete=keep, removeOnFail=keep)
        kept[job_id] = number + 10
        assert await program.call("finished", queue="jobs", id=job_id) == {"result": kept[job_id]}
    for job_id, result in kept.items():
        assert (await service.get(LOCAL, job_id)).result == result
        assert (await program.call("status", queue="jobs", id=job_id))["result"] == result


async def test_jobs_that_our_door_would_refuse_fail_once_and_say_why(
    program: Any, service: Service, worker: Any
) -> None:
    job_id = await add_page(program, "http://127.0.0.1:1/")
    end = await program.call("finished", queue="page-analyze", id=job_id)
    job = await service.get(LOCAL, job_id)
    assert job.failure is not None
    assert (job.state, job.failure.code) == (State.FAILED, "SSRF_BLOCKED")
    assert end == {"reason": job.failure.message}

    job_id = await add_sum(program, "one", 2, attempts=3)
    end = await program.call("finished", queue="jobs", id=job_id)
    job = await service.get(LOCAL, job_id)
    assert job.failure is not None
    assert (job.state, job.failure.code) == (State.FAILED, "invalid_input")
    assert (job.attempts.started, job.attempts.max) == (1, 3)
    assert end == {"reason": job.failure.message}


async def test_a_delayed_job_with_attempts_runs_to_its_last_one(
    program: Any, service: Service, worker: Any, tmp_path: Path
) -> None:
    path = tmp_path / "tries"
    data = {"path": str(path), "failures": 2}
    opts = {
        "jobId": new_job_id(),
        "delay": 50,
        "attempts": 3,
        "backoff": {"type": "fixed", "delay": 10},
    }
    job_id = await program.call("add", queue="jobs", name="test.flaky", data=data, opts=opts)
    assert await program.call("finished", queue="jobs", id=job_id) == {"result": 3}
    assert (await service.get(LOCAL, job_id)).attempts.started == 3


async def test_node_reads_our_log(program: Any, service: Service, worker: Any) -> None:
    opts = {"jobId": new_job_id()}
    job_id = await program.call(
        "add", queue="jobs", name="test.say", data={"words": "hello"}, opts=opts
    )
    assert await program.call("finished", queue="jobs", id=job_id) == {"result": {"said": "hello"}}
    logs = await program.call("logs", queue="jobs", id=job_id)
    assert sorted(logs) == ["log: hello", "printed: hello"]
    assert logs == await service.log(LOCAL, job_id)
