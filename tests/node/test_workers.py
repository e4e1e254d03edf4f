"""Our jobs in the hands of a Node worker: what it reports is what every answer of ours says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from fastmcp import Client

from checkback.api.mcp.server import build_server
from checkback.core.job import Job
from checkback.core.states import State
from checkback.security.auth.callers import LOCAL
from checkback.service import Service

pytestmark = [pytest.mark.node]

QUEUE = "page-analyze"
RESULT = {
    "webPageId": "0192f1f0-0000-7000-8000-000000000001",
    "success": True,
    "partialSuccess": False,
    "completedPhases": ["ingest", "layout", "motion", "quality"],
    "failedPhases": [],
    "results": {
        "layout": {"sectionsDetected": 7, "visionUsed": True},
        "motion": {"patternsDetected": 3, "jsAnimationsDetected": 1},
        "quality": {"overallScore": 81, "grade": "B"},
        "narrative": {"moodCategory": "serene", "confidence": 0.8, "visionUsed": True},
    },
    "processingTimeMs": 4200,
    "completedAt": "2026-11-22T10:00:04.200Z",
}


@pytest.fixture
async def mcp(service: Service) -> AsyncIterator[Client[Any]]:
    async with Client(build_server(service, caller=lambda: LOCAL, wait_seconds=0.05)) as client:
        yield client


async def status(mcp: Client[Any], job_id: str) -> dict[str, Any]:
    """The data of ``page.getJobStatus``."""
    answer = await mcp.call_tool("page.getJobStatus", {"job_id": job_id})
    assert answer.structured_content is not None
    return answer.structured_content["data"]


async def submit(service: Service, demo_site: str, path: str = "/") -> str:
    args = {"url": f"http://{demo_site}{path}", "summary": True}
    return (await service.submit(LOCAL, "page.analyze", args)).job.id


async def started(program: Any, job_id: str) -> dict[str, Any]:
    """Begin to work in Node; gives the data that its worker found. The job must be the first one it
    runs.
    """
    await program.call("work", queue=QUEUE)
    event = await program.event()
    assert (event["event"], event["jobId"], event["name"]) == ("started", job_id, "page-analyze")
    return event["data"]


async def until(watch: AsyncIterator[Job], progress: int) -> Job:
    """The first change that shows this progress. Only an event of the job's brings one."""
    async with asyncio.timeout(20):
        async for job in watch:
            if job.progress == progress:
                return job
    raise AssertionError("The watch ended early.")


async def test_a_node_worker_reports_and_completes(
    program: Any, service: Service, mcp: Client[Any], demo_site: str
) -> None:
    job_id = await submit(service, demo_site)
    assert (await status(mcp, job_id))["status"] == "waiting"
    async with aclosing(service.watch(LOCAL, job_id)) as watch:
        assert (await anext(watch)).state is State.WAITING
        data = await started(program, job_id)
        assert data.keys() == {"webPageId", "url", "options", "createdAt"}
        assert (data["webPageId"], data["url"]) == (job_id, f"http://{demo_site}/")
        assert data["options"] == {"summary": True}

        await program.call(
            "report", id=job_id, progress={"overallProgress": 42, "currentPhase": "layout"}
        )
        job = await until(watch, 42)
        assert (job.state, job.phase) == (State.ACTIVE, "layout")
        now = await status(mcp, job_id)
        assert (now["status"], now["progress"], now["currentPhase"]) == ("active", 42, "layout")
        assert now["timestamps"].keys() == {"created", "started"}
        await program.call("report", id=job_id, progress=77)
        assert (await until(watch, 77)).phase is None

        await program.call("finish", id=job_id, result=RESULT)
        assert (await until(watch, 100)).result == RESULT
    end = await status(mcp, job_id)
    assert (end["status"], end["progress"], end["result"]) == ("completed", 100, RESULT)
    assert end["timestamps"].keys() == {"created", "started", "completed"}


async def test_a_node_worker_fails(
    program: Any, service: Service, mcp: Client[Any], demo_site: str
) -> None:
    job_id = await submit(service, demo_site)
    await started(program, job_id)
    await program.call("fail", id=job_id, reason="The page closed the door.")
    job = await service.wait(LOCAL, job_id, 20)
    assert job.failure is not None
    assert (job.state, job.failure.message) == (State.FAILED, "The page closed the door.")
    now = await status(mcp, job_id)
    assert (now["status"], now["failedReason"]) == ("failed", "The page closed the door.")
    assert now["timestamps"].keys() == {"created", "started", "failed"}


async def test_a_node_worker_never_runs_what_was_cancelled(
    program: Any, service: Service, demo_site: str
) -> None:
    cancelled = await submit(service, demo_site)
    await service.cancel(LOCAL, cancelled)
    other = await submit(service, demo_site, "/tides.html")
    await program.call("work", queue=QUEUE)
    failed, begun = sorted(
        [await program.event(), await program.event()], key=lambda event: event["event"]
    )
    assert (failed["event"], failed["jobId"]) == ("failed", cancelled)
    assert "cancelled" in failed["reason"]
    assert (begun["event"], begun["jobId"]) == ("started", other)
    await program.call("finish", id=other, result=RESULT)
    assert (await program.event())["event"] == "completed"
    assert program.events.empty()
    assert (await service.get(LOCAL, cancelled)).state is State.CANCELLED
    assert (await program.call("status", queue=QUEUE, id=cancelled))["state"] == "failed"


@pytest.mark.parametrize("end", ["finish", "fail"])
async def test_what_a_node_worker_runs_is_cancelled_in_every_answer(
    program: Any, service: Service, mcp: Client[Any], demo_site: str, end: str
) -> None:
    job_id = await submit(service, demo_site)
    await started(program, job_id)
    assert (await service.cancel(LOCAL, job_id)).state is State.CANCELLED
    ending = {"result": RESULT} if end == "finish" else {"reason": "It broke."}
    await program.call(end, id=job_id, **ending)
    await program.event()
    assert (await service.get(LOCAL, job_id)).state is State.CANCELLED
    now = await status(mcp, job_id)
    assert now["status"] == "failed"
    assert "cancelled" in now["failedReason"]
    assert "result" not in now
