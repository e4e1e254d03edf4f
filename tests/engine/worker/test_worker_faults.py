"""Workers that die, stop, hang or are cut off at a bad moment: one end, one
result, nothing lost.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from chaos.cut import Cable
from checkback.app.connect import Connection, connect
from checkback.app.web import check_readiness
from checkback.client import Client
from checkback.core.states import State
from checkback.engine.jobs import adding, store
from checkback.engine.processes import tree
from checkback.engine.redis.embedded import EmbeddedValkey, store_url
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings
from checkback.storage.artifacts import ArtifactStore
from running import running_worker
from waiting import wait_until
from worker_processes import (
    RESCUE_SECONDS,
    RUN_WORKER,
    WorkerProcesses,
    gone,
    short_locks,
    there,
    until,
    until_attempt,
)


async def submit(connection: Connection, kind: str, **args: Any) -> str:
    return (await connection.service.submit(LOCAL, kind, args)).job.id


async def test_a_waiting_job_does_not_notice_that_a_worker_was_killed(
    connection: Connection, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    narrow = replace(settings, job_concurrency=1)
    first = workers.start(narrow)
    running = await submit(connection, "test.gate", path=str(tmp_path / "never"))
    await until(connection, running, State.ACTIVE, "waiting")
    waiting = await submit(connection, "test.add", a=1, b=2)
    first.kill()
    first.wait(10)
    job = await connection.service.get(LOCAL, waiting)
    assert (job.state, job.attempts.started) == (State.WAITING, 0)
    workers.start(narrow)
    job = await connection.service.wait(LOCAL, waiting, 20)
    assert (job.state, job.result, job.attempts.started) == (State.COMPLETED, 3, 1)


HOLDS_ENDS = """
import asyncio
from checkback.engine.worker.attempt import Attempt
from checkback.engine.worker.attempt_store import AttemptStore

async def hold(self, *_):
    await asyncio.Event().wait()

finish = Attempt._finish

async def hold_or_finish(self, end):
    await (hold(self) if self.name == "test.leave_file" else finish(self, end))

Attempt._finish, AttemptStore.record_run = hold_or_finish, hold
"""
"""A worker that gets no further than to the end: of test.leave_file before anything of it is
stored, of the others before BullMQ has moved the job.
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_work_that_was_done_but_not_stored_is_done_again_and_seen_once(
    connection: Connection, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    service = connection.service
    first = workers.start(short_locks(settings), "-c", HOLDS_ENDS + RUN_WORKER)
    done = tmp_path / "done"
    untold = await submit(connection, "test.leave_file", go="/", done=str(done))
    half_told = [
        await submit(connection, kind, **args)
        for kind, args in (
            ("test.leave_file_once", {"fail_later": False}),
            ("test.leave_file_once", {"fail_later": True}),
            ("test.leave_file_unrepeatable", {}),
        )
    ]
    await there(done)
    for job_id in half_told:
        await stored(connection, job_id, "cb:artifacts")
    await there(settings.artifacts_folder / untold / "1")
    first.kill()
    first.wait(10)
    for job_id in (untold, *half_told):
        job = await service.get(LOCAL, job_id)
        assert (job.state, job.result, job.artifacts) == (State.ACTIVE, None, ())
    workers.start(short_locks(settings))
    for job_id in (untold, half_told[0]):
        job = await service.wait(LOCAL, job_id, RESCUE_SECONDS + 15)
        assert (job.state, job.result) == (State.COMPLETED, "attempt 2")
        assert any("worker_lost" in line for line in await service.log(LOCAL, job_id))
    (artifact,) = (await service.get(LOCAL, untold)).artifacts
    assert ArtifactStore(settings.artifacts_folder).path(untold, artifact).read_text() == "2"
    await only_left(settings, untold, {"2"})
    assert (await service.get(LOCAL, half_told[0])).artifacts == ()
    await only_left(settings, half_told[0], set())
    for job_id, code in zip(half_told[1:], ("later", "worker_lost"), strict=True):
        job = await service.wait(LOCAL, job_id, RESCUE_SECONDS)
        assert job.failure is not None
        assert (job.state, job.failure.code, job.artifacts) == (State.FAILED, code, ())
        await only_left(settings, job_id, set())


async def stored(connection: Connection, job_id: str, field: str) -> None:
    """Return when this field is in the job's hash."""
    key = connection.queues.keys.job("jobs", job_id)
    await wait_until(
        f"the field {field} is stored", lambda: connection.wire.call("HEXISTS", key, field), 20
    )


async def only_left(settings: Settings, job_id: str, attempts: set[str]) -> None:
    """Return when there are files of these attempts of the job alone."""
    await wait_until(
        "only these attempts have files",
        lambda: {path.name for path in store_folder(settings, job_id).iterdir()} == attempts,
        5,
    )


def store_folder(settings: Settings, job_id: str) -> Path:
    (folder,) = settings.artifacts_folder.rglob(job_id)
    return folder


async def heard(pid: int) -> None:
    """Return when no signal waits for this process."""
    await wait_until(
        "no signal is pending",
        lambda: "ShdPnd:\t0000000000000000" in Path(f"/proc/{pid}/status").read_text(),
        5,
    )


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_is_told_twice_stops_at_once_and_hands_back(
    connection: Connection,
    settings: Settings,
    workers: WorkerProcesses,
    tmp_path: Path,
    second: signal.Signals,
) -> None:
    patient = workers.start(replace(settings, grace_seconds=3600))
    ids = [await submit(connection, "test.gate", path=str(tmp_path / "never")) for _ in range(4)]
    for job_id in ids:
        await until(connection, job_id, State.ACTIVE, "waiting")
    below = tree.descendants(patient.pid)
    patient.send_signal(signal.SIGTERM)
    await heard(patient.pid)  # two of one kind at once are one to the kernel
    patient.send_signal(second)
    assert await asyncio.to_thread(patient.wait, 30) == 0
    await gone(below)
    jobs = [await connection.service.get(LOCAL, job_id) for job_id in ids]
    assert [(job.state, job.attempts.started, job.attempts.made) for job in jobs] == [
        (State.WAITING, 0, 0)
    ] * 4


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_a_worker_that_was_cut_off_cannot_write_when_it_is_back(
    connection: Connection,
    settings: Settings,
    valkey: EmbeddedValkey,
    workers: WorkerProcesses,
    tmp_path: Path,
) -> None:
    cable = Cable(str(tmp_path / "cable"), valkey.socket_path)
    await cable.start()
    distant = replace(settings, redis_url=store_url(valkey.folder.parent, path=cable.path))
    far = workers.start(short_locks(distant))
    go, done = tmp_path / "go", tmp_path / "done"
    job_id = await submit(connection, "test.leave_file", go=str(go), done=str(done))
    await until(connection, job_id, State.ACTIVE, "waiting")
    try:
        cable.freeze()
        go.touch()  # it ends at once, and its end waits in the cable
        await there(done)
        near = workers.start(short_locks(settings))
        await until_attempt(connection, job_id, 2)
        job = await connection.service.wait(LOCAL, job_id, 20)
        assert (job.state, job.result, job.attempts.started) == (State.COMPLETED, "attempt 2", 2)
        assert [artifact.attempt for artifact in job.artifacts] == [2]
        near.terminate()
        assert await asyncio.to_thread(near.wait, 30) == 0
        cable.mend()  # everything that the far one wanted to write comes now
        other = await submit(connection, "test.add", a=1, b=1)
        assert (await connection.service.wait(LOCAL, other, 30)).result == 2
        assert await connection.service.get(LOCAL, job_id) == job
        (artifact,) = job.artifacts
        store = ArtifactStore(settings.artifacts_folder)
        assert store.path(job_id, artifact).read_text() == "2"
    finally:
        far.kill()
        await cable.close()


@pytest.mark.parametrize("how", ["returns", "is cancelled"])
async def test_a_worker_loop_that_ends_is_started_again(
    connection: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async with running_worker(short_locks(settings)) as worker:
        assert (
            await connection.service.wait(LOCAL, await submit(connection, "test.add", a=1, b=1), 20)
        ).result
        loop = worker.loops["jobs"]
        broken = loop.worker
        assert broken is not None
        if how == "returns":
            broken.closing = True
        else:
            # What BullMQ's loop does not expect: everything it catches is an Exception.
            def end(*_: object) -> None:
                raise asyncio.CancelledError

            monkeypatch.setattr(broken, "getCompleted", end, raising=False)
            monkeypatch.setattr(broken, "waitForJob", end, raising=False)
        job_id = await submit(connection, "test.add", a=2, b=2)
        job = await connection.service.wait(LOCAL, job_id, RESCUE_SECONDS)
        assert (job.state, job.result) == (State.COMPLETED, 4)
        await wait_until(
            "the loop was started again",
            lambda: worker.restarts > 0 and loop.worker is not broken,
            20,
        )
        again = await submit(connection, "test.add", a=3, b=3)
        assert (await connection.service.wait(LOCAL, again, RESCUE_SECONDS)).result == 6

        async def counted() -> Any:
            health = await check_readiness(connection, {})
            return health if health.restarts["worker_loop"] else None

        health = await wait_until("the restart is counted", counted, 15)
        assert (health.ready, health.workers, health.restarts["worker_loop"]) == (True, 1, 1)


BREAKS_ITS_LOOP = """
import os
from checkback.engine.worker.bullmq_worker import QueueWorker
take = QueueWorker.nextJobFromJobData

class LoopBroken(BaseException):
    pass

async def take_or_break(self, job_data=None, *told, **more):
    if self.name == "jobs" and not job_data and not os.path.exists({mark!r}):
        open({mark!r}, "w").close()
        def broken(*_):
            raise LoopBroken
        self.getCompleted = self.waitForJob = broken
    return await take(self, job_data, *told, **more)

QueueWorker.nextJobFromJobData = take_or_break
"""


@pytest.mark.timeout(90)
async def test_a_server_whose_worker_breaks_its_loop_says_so_and_works(
    start_server: Any, tmp_path: Path
) -> None:
    module = tmp_path / "breaking_kinds.py"
    module.write_text(BREAKS_ITS_LOOP.format(mark=str(tmp_path / "broken")))
    server = start_server(kinds=f"sample_kinds,{module}")
    async with connect(Settings(home=server.home), start=False) as connection:

        async def counted() -> Any:
            health = await asyncio.to_thread(server.health)
            return health if health["restarts"]["worker_loop"] == 1 else None

        health = await wait_until("the restart is counted", counted, 40)
        assert health["ready"]
        job_id = await submit(connection, "test.add", a=1, b=1)
        assert (await connection.service.wait(LOCAL, job_id, RESCUE_SECONDS)).result == 2
    assert server.health()["restarts"] == {"store": 0, "worker": 0, "worker_loop": 1}


async def test_two_servers_on_one_store_start_each_job_once(
    start_server: Any, connection: Connection, settings: Settings, tmp_path: Path
) -> None:
    common = {
        "redis_url": settings.redis_url or "",
        "prefix": settings.prefix,
        "secret_key": "the same for both",
    }
    for name in ("one", "two"):
        start_server(home=tmp_path / name, **common)
    go = tmp_path / "go"
    marks = [tmp_path / f"started-{number}" for number in range(30)]
    ids = [
        await submit(connection, "test.gate_of_worker", path=str(go), started=str(mark))
        for mark in marks
    ]
    await wait_until("both workers run a job", lambda: len(workers_of(marks)) >= 2, 20)
    go.touch()
    jobs = [await connection.service.wait(LOCAL, job_id, 40) for job_id in ids]
    assert {job.state for job in jobs} == {State.COMPLETED}
    assert [len(mark.read_text().split()) for mark in marks] == [1] * 30
    assert len(workers_of(marks)) == 2


def workers_of(marks: list[Path]) -> set[str]:
    """The worker processes that started those of the jobs that have started."""
    return {pid for mark in marks if mark.exists() for pid in mark.read_text().split()}


async def test_a_child_that_is_killed_says_by_what(
    connection: Connection, settings: Settings, worker: Any, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    job_id = await submit(connection, "test.stubborn", pids=str(pids))
    await there(pids)
    await wait_until("the job has named two processes", lambda: len(pids.read_text().split()) >= 2)
    child, below = map(int, pids.read_text().split())
    os.kill(child, signal.SIGKILL)
    job = await connection.service.wait(LOCAL, job_id, 20)
    assert job.failure is not None
    assert job.failure.code == "crashed"
    assert "SIGKILL" in job.failure.message
    await gone([below])


SHIFTED = """
import sys, time
real, real_ns = time.time, time.time_ns

def shift():
    with open({file!r}) as file:
        return int(file.read() or 0)

time.time = lambda: real() + shift()
time.time_ns = lambda: real_ns() + shift() * 1_000_000_000
"""
"""A Python whose clock is as wrong as a file says, also while it runs."""


@pytest.mark.timeout(90)
@pytest.mark.parametrize(("shift", "later"), [(3600, -3600), (-3600, 3600)])
async def test_a_worker_whose_clock_is_wrong_and_jumps_runs_jobs_once_and_sweeps_nothing(
    connection: Connection,
    settings: Settings,
    workers: WorkerProcesses,
    tmp_path: Path,
    shift: int,
    later: int,
) -> None:
    """Its Python clock only: the kernel's is not ours to set."""
    file = tmp_path / "shift"
    file.write_text(str(shift))
    with_right_clock = await submit(connection, "test.add", a=1, b=1)
    async with running_worker(settings):
        await connection.service.wait(LOCAL, with_right_clock, 20)
    go, started = tmp_path / "go", tmp_path / "started"
    workers.start(settings, "-c", SHIFTED.format(file=str(file)) + RUN_WORKER)
    job_id = await submit(connection, "test.gate", path=str(go), started=str(started))
    await until(connection, job_id, State.ACTIVE, "waiting")
    assert (await check_readiness(connection, {})).ready
    (tmp_path / "new").write_text(str(later))
    (tmp_path / "new").replace(file)
    workers.start(
        settings
    )  # a right one beside it may not take the job for lost, nor the other worker
    other = await submit(connection, "test.add", a=2, b=2)
    assert (await connection.service.wait(LOCAL, other, 20)).result == 4
    go.touch()
    job = await connection.service.wait(LOCAL, job_id, 20)
    assert (job.state, job.result, job.attempts.started) == (State.COMPLETED, "attempt 1", 1)
    assert started.read_text().split() == ["1"]
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at
    assert (await connection.service.get(LOCAL, with_right_clock)).result == 2


@pytest.mark.timeout(90)
async def test_a_server_whose_clock_jumps_while_a_job_runs_keeps_it(
    start_server: Any, tmp_path: Path
) -> None:
    file = tmp_path / "shift"
    file.write_text("0")
    server = start_server(before=SHIFTED.format(file=str(file)))
    go, started = tmp_path / "go", tmp_path / "started"
    async with connect(Settings(home=server.home), start=False) as connection:
        client = Client(server.url, server.token)
        job_id = await submit(connection, "test.gate", path=str(go), started=str(started))
        await until(connection, job_id, State.ACTIVE, "waiting")
        for shift in (3600, -3600):
            (tmp_path / "new").write_text(str(shift))
            (tmp_path / "new").replace(file)
            other = await asyncio.to_thread(client.submit, "test.add", {"a": 1, "b": 1})
            assert (await asyncio.to_thread(client.wait, other.id, 20)).result == 2
            assert (await asyncio.to_thread(client.get, job_id)).state is State.ACTIVE
            assert server.health()["ready"]
        go.touch()
        job = await asyncio.to_thread(client.wait, job_id, 20)
    assert (job.state, job.result, job.attempts.started) == (State.COMPLETED, "attempt 1", 1)
    assert started.read_text().split() == ["1"]


@pytest.mark.parametrize("shift", [3600, -3600])
async def test_a_door_whose_clock_is_wrong_submits_jobs_that_run_once_and_stay(
    connection: Connection,
    settings: Settings,
    workers: WorkerProcesses,
    monkeypatch: pytest.MonkeyPatch,
    shift: int,
) -> None:
    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=shift)

    for module in (adding, store):
        monkeypatch.setattr(module, "datetime", WrongClock)
    workers.start(settings)
    ids = [await submit(connection, "test.add", a=number, b=0) for number in range(3)]
    jobs = [await connection.service.wait(LOCAL, job_id, 20) for job_id in ids]
    assert [(job.result, job.attempts.started) for job in jobs] == [(0, 1), (1, 1), (2, 1)]
    for job in jobs:
        assert job.started_at is not None
        assert job.finished_at is not None
        assert job.created_at <= job.started_at <= job.finished_at
    assert {job.id for job in (await connection.service.list(LOCAL)).jobs} == set(ids)
