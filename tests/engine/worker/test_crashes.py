"""Processes killed at the worst moment: what was accepted is still there, and runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import Connection, connect
from checkback.core.errors import EngineUnavailable
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.engine.worker.attempt import LAST_CHANCE_SECONDS
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings
from running import ServerProcess, open_connection
from waiting import wait_until
from worker_processes import (
    RESCUE_SECONDS,
    SHORT_LOCK_SECONDS,
    WorkerProcesses,
    as_admin,
    gone,
    short_locks,
    there,
    until,
    until_attempt,
)

OUTAGE_SECONDS = 12

pytestmark = pytest.mark.slow


async def submit(connection: Connection, kind: str, **args: Any) -> str:
    return (await connection.service.submit(LOCAL, kind, args)).job.id


@pytest.mark.timeout(120)
async def test_a_job_whose_worker_was_killed_runs_on_another(
    connection: Connection, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    go, started = tmp_path / "go", tmp_path / "started"
    first = workers.start(settings)
    job_id = await submit(connection, "test.gate", path=str(go), started=str(started))
    once_id = await submit(connection, "test.once", path=str(go))
    await until(connection, job_id, State.ACTIVE, "waiting")
    await until(connection, once_id, State.ACTIVE)
    below = tree.descendants(first.pid)
    assert below
    first.kill()
    await gone(below)
    workers.start(settings)
    await until_attempt(connection, job_id, 2)
    go.touch()
    job = await connection.service.wait(LOCAL, job_id, 20)
    assert (job.state, job.result) == (State.COMPLETED, "attempt 2")
    assert started.read_text().split() == ["1", "2"]
    once = await connection.service.wait(LOCAL, once_id, 20)
    assert once.failure is not None
    assert (once.state, once.failure.code) == (State.FAILED, "worker_lost")


@pytest.mark.timeout(90)
async def test_a_worker_that_is_told_to_stop_hands_its_jobs_back(
    connection: Connection, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    short = replace(settings, grace_seconds=0.5)
    first = workers.start(short)
    job_id = await submit(connection, "test.gate", path=str(go))
    await until(connection, job_id, State.ACTIVE, "waiting")
    below = tree.descendants(first.pid)
    first.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait, 30) == 0
    await gone(below)
    job = await connection.service.get(LOCAL, job_id)
    assert (job.state, job.attempts.started, job.attempts.made) == (State.WAITING, 0, 0)
    workers.start(settings)
    go.touch()
    job = await connection.service.wait(LOCAL, job_id, 20)
    assert (job.state, job.attempts.started) == (State.COMPLETED, 1)


@pytest.mark.timeout(90)
async def test_a_worker_that_is_told_to_stop_lets_jobs_finish(
    connection: Connection, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    first = workers.start(replace(settings, grace_seconds=20))
    job_id = await submit(connection, "test.gate", path=str(go))
    await until(connection, job_id, State.ACTIVE, "waiting")
    first.send_signal(signal.SIGTERM)
    later = await submit(connection, "test.add", a=1, b=1)
    go.touch()
    assert await asyncio.to_thread(first.wait, 30) == 0
    assert (await connection.service.get(LOCAL, job_id)).state is State.COMPLETED
    assert (await connection.service.get(LOCAL, later)).state is State.WAITING


@pytest.mark.timeout(90)
async def test_a_stopping_worker_keeps_its_jobs_to_the_end_of_its_grace(
    connection: Connection, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    first = workers.start(short_locks(replace(settings, grace_seconds=15)))
    gates, marks = (
        [tmp_path / f"{what}-{number}" for number in range(4)] for what in ("go", "started")
    )
    ids = [
        await submit(connection, "test.gate", path=str(go), started=str(mark))
        for go, mark in zip(gates, marks, strict=True)
    ]
    for job_id in ids:
        await until(connection, job_id, State.ACTIVE, "waiting")
    first.send_signal(signal.SIGTERM)
    workers.start(short_locks(settings))
    await asyncio.sleep(
        12
    )  # what is tried: three lives of a lock, beside a worker that looks for lost jobs
    assert first.poll() is None
    assert [mark.read_text().split() for mark in marks] == [["1"]] * 4
    for go in gates[:2]:
        go.touch()
    ended = [await connection.service.wait(LOCAL, job_id, 20) for job_id in ids[:2]]
    assert await asyncio.to_thread(first.wait, 30) == 0
    for go in gates[2:]:
        go.touch()
    rest = [await connection.service.wait(LOCAL, job_id, 20) for job_id in ids[2:]]
    assert [(job.state, job.attempts.started) for job in (*ended, *rest)] == [
        (State.COMPLETED, 1)
    ] * 4
    assert [mark.read_text().split() for mark in marks] == [["1"]] * 2 + [["1", "2"]] * 2


@pytest.mark.timeout(60)
async def test_a_server_that_is_told_twice_stops_at_once_and_hands_back(
    start_server: Any, tmp_path: Path
) -> None:
    server = start_server(grace_seconds="3600")
    go = tmp_path / "go"
    async with client(server) as connection:
        job_id = await submit(connection, "test.gate", path=str(go))
        await until(connection, job_id, State.ACTIVE, "waiting")
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(server.process.wait, 15) == 0
    go.touch()
    async with client(start_server(home=server.home)) as connection:
        job = await connection.service.wait(LOCAL, job_id, 20)
        assert (job.state, job.attempts.started) == (State.COMPLETED, 1)


@pytest.mark.timeout(60)
async def test_a_server_whose_store_was_emptied_is_found_again(start_server: Any) -> None:
    server = start_server()
    async with client(server) as connection:
        await as_admin(connection.settings, "FLUSHALL")
    async with client(server) as connection:
        job_id = await submit(connection, "test.add", a=1, b=1)
        assert (await connection.service.wait(LOCAL, job_id, 20)).result == 2


@pytest.mark.timeout(120)
async def test_an_outage_of_the_store_runs_nothing_twice(
    tmp_path: Path, settings: Settings, workers: WorkerProcesses
) -> None:
    store = EmbeddedValkey(tmp_path / "store")
    store.start()
    own = replace(settings, redis_url=store.url)
    go = tmp_path / "go"
    try:
        async with open_connection(own) as connection:
            workers.start(own)
            workers.start(own)
            marks = [tmp_path / f"started-{number}" for number in range(6)]
            ids = [
                await submit(connection, "test.gate", path=str(go), started=str(mark))
                for mark in marks
            ]
            for job_id in ids:
                await until(connection, job_id, State.ACTIVE, "waiting")
            assert store.pid is not None
            os.kill(store.pid, signal.SIGKILL)
            await asyncio.sleep(OUTAGE_SECONDS)  # the fault itself: the store is away that long
            store.poll()
            store.start()
            go.touch()
            jobs = [await connection.service.wait(LOCAL, job_id, 60) for job_id in ids]
        assert [job.state for job in jobs] == [State.COMPLETED] * 6
        assert [job.attempts.started for job in jobs] == [1] * 6
        assert [mark.read_text().split() for mark in marks] == [["1"]] * 6
    finally:
        store.stop()


@asynccontextmanager
async def client(server: ServerProcess) -> AsyncGenerator[Connection]:
    """A connection as the shell makes it."""
    async with connect(Settings(home=server.home), start=False) as connection:
        yield connection


def kill_everything(server: ServerProcess) -> list[int]:
    """kill -9 of the server and every process below it, all at once; returns their ids."""
    pids = [server.process.pid, *tree.descendants(server.process.pid)]
    for pid in pids:
        tree.send(pid, signal.SIGKILL)
    server.process.wait(10)
    return pids


@pytest.mark.timeout(120)
async def test_a_job_that_kills_its_worker_every_time_fails_alone_and_says_so(
    connection: Connection, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    service = connection.service
    pids, go = tmp_path / "pids", tmp_path / "go"
    keeping = asyncio.create_task(keep_one_alive(workers, settings))
    beside = await submit(connection, "test.gate", path=str(go))
    await until(connection, beside, State.ACTIVE, "waiting")
    job_id = await submit(connection, "test.poison", pids=str(pids))
    await until_attempt(connection, beside, 3)
    go.touch()  # the two had their last chance one after the other, in whichever order
    job = await service.wait(LOCAL, beside, 20)
    assert (job.state, job.failure) == (State.COMPLETED, None)
    job = await service.wait(LOCAL, job_id, 40)
    assert job.failure is not None
    assert (job.state, job.failure.code) == (State.FAILED, "worker_lost")
    assert job.failure.message == "The worker that ran this job was lost 3 times."
    assert pids.read_text().split() == ["killed"] * 3
    other = await submit(connection, "test.add", a=1, b=1)
    assert (await service.wait(LOCAL, other, 20)).result == 2
    pids.unlink()
    await service.retry(LOCAL, job_id)
    await there(pids)  # it runs again: what was lost before is not counted
    keeping.cancel()


async def keep_one_alive(workers: WorkerProcesses, settings: Settings) -> None:
    """What ``serve`` does: start a worker again when it has died."""
    while True:
        worker = workers.start(short_locks(settings))
        while worker.poll() is None:
            await asyncio.sleep(0.1)


@pytest.mark.timeout(120)
async def test_jobs_that_lost_two_workers_begin_apart_and_wait_for_no_end(
    connection: Connection, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    """One of them may be what the workers died of; and one may be waiting for the other."""
    go, marks = tmp_path / "go", [tmp_path / f"started-{number}" for number in range(2)]
    ids = [await submit(connection, "test.gate", path=str(go), started=str(mark)) for mark in marks]
    for attempt in (1, 2):
        worker = workers.start(short_locks(settings))
        for job_id in ids:
            await until_attempt(connection, job_id, attempt)
        for mark in marks:
            await times(mark, attempt)
        worker.kill()
        worker.wait(10)
    workers.start(short_locks(settings))
    for job_id in ids:
        await until_attempt(connection, job_id, 3)
    for mark in marks:
        await times(mark, 3)
    first, second = sorted(mark.stat().st_mtime for mark in marks)
    assert second - first > LAST_CHANCE_SECONDS - 1
    go.touch()
    jobs = [await connection.service.wait(LOCAL, job_id, 20) for job_id in ids]
    assert [job.state for job in jobs] == [State.COMPLETED] * 2


async def times(mark: Path, number: int) -> None:
    """Return when a job has begun so often."""
    await wait_until(
        "the job has begun so often",
        lambda: mark.exists() and len(mark.read_text().split()) >= number,
        RESCUE_SECONDS,
    )


@pytest.mark.timeout(120)
async def test_accepted_jobs_survive_the_death_of_everything(
    start_server: Any, tmp_path: Path
) -> None:
    more = {"job_concurrency": "2", "lock_seconds": str(SHORT_LOCK_SECONDS)}
    server = start_server(**more)
    go = tmp_path / "go"
    async with client(server) as connection:
        blocking = [await submit(connection, "test.gate", path=str(go)) for _ in range(2)]
        for job_id in blocking:
            await until(connection, job_id, State.ACTIVE, "waiting")
        waiting = [await submit(connection, "test.add", a=number, b=0) for number in range(50)]
        await gone(kill_everything(server))
    again = start_server(home=server.home, **more)
    go.touch()
    async with client(again) as connection:
        found = await connection.service.list(LOCAL, kind="test.add", limit=100)
        assert {job.id for job in found.jobs} == set(waiting)
        jobs = [
            await connection.service.wait(LOCAL, job_id, RESCUE_SECONDS + 15) for job_id in waiting
        ]
        assert [job.result for job in jobs] == list(range(50))
        for job_id in blocking:
            job = await connection.service.wait(LOCAL, job_id, RESCUE_SECONDS)
            assert (job.state, job.attempts.started) == (State.COMPLETED, 2)


@pytest.mark.timeout(90)
async def test_nothing_is_left_when_serve_is_killed(start_server: Any, tmp_path: Path) -> None:
    server = start_server()
    async with client(server) as connection:
        for kind in ("test.gate", "test.warm"):
            job_id = await submit(connection, kind, path=str(tmp_path / "never"))
            await until(connection, job_id, State.ACTIVE)
        below = tree.descendants(server.process.pid)
        assert len(below) >= 5  # Valkey, worker, fork server, proxy, children
        server.process.kill()
        server.process.wait(10)
    await gone(below)


@pytest.mark.timeout(90)
async def test_what_dies_under_serve_is_started_again(start_server: Any) -> None:
    server = start_server()
    async with client(server) as connection:
        for name in ("valkey-server", "worker"):
            victims = [
                pid
                for pid in tree.children(server.process.pid)
                if name in Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
            ]
            assert len(victims) == 1, name
            os.kill(victims[0], signal.SIGKILL)
            await gone(victims)
            job_id = await _submit_patiently(connection)
            assert (await connection.service.wait(LOCAL, job_id, 40)).state is State.COMPLETED
    health = server.health()
    assert (health["ready"], health["reasons"]) == (True, [])
    assert health["restarts"] == {"store": 1, "worker": 1, "worker_loop": 0}


async def _submit_patiently(connection: Connection) -> str:
    async def submitted() -> str:
        with suppress(EngineUnavailable):
            return await submit(connection, "test.add", a=1, b=1)
        return ""

    return await wait_until("the store takes a job", submitted)
