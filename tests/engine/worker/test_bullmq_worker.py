"""BullMQ's worker loop as we use it: what it would lose a job by."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings
from waiting import wait_until
from worker_processes import (
    RESCUE_SECONDS,
    RUN_WORKER,
    WorkerProcesses,
    short_locks,
    until,
    until_attempt,
)


async def submit(connection: Connection, kind: str, **args: Any) -> str:
    return (await connection.service.submit(LOCAL, kind, args)).job.id


REFUSED_ONCE = """
from bullmq.backends.redis_backend import RedisBackend
from redis.exceptions import ConnectionError, ResponseError
move, refused = RedisBackend.moveToCompleted, set()

async def refuse_once(self, job, *told, **more):
    if job.id not in refused:
        refused.add(job.id)
        raise {error}
    return await move(self, job, *told, **more)

RedisBackend.moveToCompleted = refuse_once
"""


STORE_AWAY_ONCE = """
from checkback.core.errors import EngineUnavailable
from checkback.engine.worker.attempt import Attempt
look, away = Attempt._end_with_parent, []

async def look_or_fail(self):
    if not away:
        away.append(self)
        raise EngineUnavailable
    await look(self)

Attempt._end_with_parent = look_or_fail
"""


async def test_a_store_that_is_away_before_the_work_begins_is_no_failure_of_the_job(
    connection: Connection, settings: Settings, workers: WorkerProcesses
) -> None:
    workers.start(short_locks(settings), "-c", STORE_AWAY_ONCE + RUN_WORKER)
    job_id = await submit(connection, "test.add", a=1, b=2)
    job = await connection.service.wait(LOCAL, job_id, RESCUE_SECONDS)
    assert (job.state, job.result, job.attempts.started) == (State.COMPLETED, 3, 2)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        ("ResponseError('OOM command not allowed when used memory > maxmemory.')", 1),
        ("ConnectionError('reset')", 2),
        ("ResponseError('ERR of a new sort')", 2),
    ],
)
async def test_a_result_that_the_store_did_not_take_at_once_is_no_failure(
    connection: Connection, settings: Settings, workers: WorkerProcesses, error: str, attempts: int
) -> None:
    workers.start(short_locks(settings), "-c", REFUSED_ONCE.format(error=error) + RUN_WORKER)
    job_id = await submit(connection, "test.add", a=1, b=2)
    job = await connection.service.wait(LOCAL, job_id, RESCUE_SECONDS)
    assert (job.state, job.result, job.attempts.started) == (State.COMPLETED, 3, attempts)


async def test_a_worker_that_lost_a_job_and_takes_it_again_ends_the_first_attempt_and_keeps_the_second(
    connection: Connection, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    workers.start(short_locks(settings))
    go, file = tmp_path / "go", tmp_path / "pid"
    job_id = await submit(connection, "test.gate_with_pid", path=str(go), pid=str(file))
    await until(connection, job_id, State.ACTIVE, "waiting")
    first = file.read_text()
    keys = connection.queues.keys
    # As a rescue leaves it, at a moment when the worker that had the job has not noticed.
    await connection.wire.transaction(
        [
            ["DEL", keys.job("jobs", job_id) + ":lock"],
            ["LREM", keys.queue("jobs", "active"), 0, job_id],
            ["LPUSH", keys.queue("jobs", "wait"), job_id],
            ["ZADD", keys.queue("jobs", "marker"), 0, "0"],
        ]
    )
    await until_attempt(connection, job_id, 2)

    def replaced() -> str:
        pid = file.read_text()
        return pid if pid != first else ""

    second = await wait_until("the second attempt has begun", replaced)
    assert not tree.is_alive(int(first))
    await asyncio.sleep(8)  # what is tried: two lives of a lock
    assert file.read_text() == second
    go.touch()
    job = await connection.service.wait(LOCAL, job_id, 20)
    assert (job.state, job.attempts.started) == (State.COMPLETED, 2)
