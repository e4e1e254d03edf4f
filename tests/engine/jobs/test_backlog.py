"""When a waiting job will be done: from a real queue, a real worker, and what ran before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from checkback.app.connect import Connection
from checkback.core.estimates import Estimate
from checkback.engine.jobs.estimator import Estimator
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.settings import Settings
from running import running_worker

Submit = Callable[..., Awaitable[str]]
PROMPT_SECONDS = 20


async def test_a_waiting_job_tells_when_it_will_be_done_while_a_worker_lives(
    service: Service,
    connection: Connection,
    submit: Submit,
    settings: Settings,
    tmp_path: Path,
) -> None:
    service.estimator = Estimator(connection.queues, runs_seconds=0, backlog_seconds=0)
    open_gate, gate = tmp_path / "open", tmp_path / "gate"
    open_gate.touch()

    async def outlook(job_id: str) -> Estimate:
        return await service.outlook(await service.get(LOCAL, job_id))

    async with running_worker(replace(settings, job_concurrency=1)):
        for job_id in [await submit("test.gate", path=str(open_gate)) for _ in range(5)]:
            await service.wait(LOCAL, job_id, PROMPT_SECONDS)
        holding = await submit("test.gate", path=str(gate))
        async for job in service.watch(LOCAL, holding):
            if job.phase == "waiting":
                break
        known, new = await submit("test.gate", path=str(gate)), await submit("test.add", a=1, b=2)
        behind = await submit("test.gate", path=str(gate))
        async with asyncio.timeout(
            PROMPT_SECONDS
        ):  # the worker's first sign of life may still be on its way
            while (first := await outlook(known)).eta_seconds is None:
                pass
        assert (first.queue_position, first.eta_seconds) == (1, 1)
        # Nobody knows how long test.add takes, so nothing is said of it, nor of what waits behind
        # it.
        assert await outlook(new) == Estimate(2, None)
        assert await outlook(behind) == Estimate(3, None)
        gate.touch()
        await service.wait(LOCAL, behind, PROMPT_SECONDS)
    assert await outlook(await submit("test.gate", path=str(gate))) == Estimate(
        1, None
    )  # no worker is alive
