"""Stores that die, stay away, are full, damaged or emptied: what was accepted ends once, and doors
say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import connect
from checkback.core.errors import EngineUnavailable, NotFound, QueueFull, StorageFull
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.engine.redis.bullmq_client import check_server
from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings
from every_door import META
from running import ServerProcess, open_connection, running_worker
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
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A store of the test's own, to be broken."""
    server = EmbeddedValkey(tmp_path / "store")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own(settings: Settings, store: EmbeddedValkey) -> Settings:
    """Settings that name that store."""
    return replace(settings, redis_url=store.url)


def kill(store: EmbeddedValkey) -> None:
    assert store.pid is not None
    os.kill(store.pid, signal.SIGKILL)
    while store.poll() is None:
        time.sleep(0.01)


async def submit(connection: Any, kind: str, **args: Any) -> str:
    return (await connection.service.submit(LOCAL, kind, args)).job.id


@pytest.mark.timeout(90)
async def test_running_jobs_end_once_when_the_store_is_killed(
    start_server: Any, tmp_path: Path
) -> None:
    server = start_server()
    go = tmp_path / "go"
    marks = [tmp_path / f"started-{number}" for number in range(4)]
    async with connect(Settings(home=server.home), start=False) as connection:
        ids = [
            await submit(connection, "test.gate", path=str(go), started=str(mark)) for mark in marks
        ]
        for job_id in ids:
            await until(connection, job_id, State.ACTIVE, "waiting")
        (victim,) = [
            pid
            for pid in tree.children(server.process.pid)
            if b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        os.kill(victim, signal.SIGKILL)
        go.touch()
        async with asyncio.timeout(20):
            while True:
                began = time.monotonic()
                try:
                    await connection.service.get(LOCAL, ids[0])
                    break
                except EngineUnavailable:
                    assert time.monotonic() - began < 2.5
                    await asyncio.sleep(0.02)
        jobs = [await connection.service.wait(LOCAL, job_id, 40) for job_id in ids]
    assert [(job.state, job.result, job.attempts.started) for job in jobs] == [
        (State.COMPLETED, "attempt 1", 1)
    ] * 4
    assert [mark.read_text().split() for mark in marks] == [["1"]] * 4


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_store_that_stays_away_ends_what_runs_and_the_job_runs_again(
    store: EmbeddedValkey, own: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    go, started = tmp_path / "go", tmp_path / "started"
    async with open_connection(own) as connection:
        worker = workers.start(short_locks(own))
        job_id = await submit(connection, "test.gate", path=str(go), started=str(started))
        await until(connection, job_id, State.ACTIVE, "waiting")
        (child,) = [
            child
            for forks in tree.children(worker.pid)
            if b"fork_server" in Path(f"/proc/{forks}/cmdline").read_bytes()
            for child in tree.children(forks)
        ]
        kill(store)
        # Nobody can renew its lock: when that has run out, another worker might have the job.
        await gone([child], SHORT_LOCK_SECONDS + 10)
        store.start()
        go.touch()
        job = await connection.service.wait(LOCAL, job_id, RESCUE_SECONDS)
    assert (job.state, job.result) == (State.COMPLETED, "attempt 2")
    assert started.read_text().split() == ["1", "2"]


async def test_a_store_whose_file_was_cut_short_starts_and_knows_the_rest(
    store: EmbeddedValkey, own: Settings
) -> None:
    async with open_connection(own) as connection:
        ids = [await submit(connection, "test.add", a=number, b=0) for number in range(20)]
    store.stop()
    (file,) = (store.folder / "appendonlydir").glob("*.incr.aof")
    os.truncate(file, file.stat().st_size - 100)
    store.start()
    async with open_connection(own) as connection:
        for job_id in ids[:-1]:
            assert (await connection.service.get(LOCAL, job_id)).state is State.WAITING
        with pytest.raises(NotFound):
            await connection.service.get(LOCAL, ids[-1])
        assert {job.id for job in (await connection.service.list(LOCAL)).jobs} == set(ids[:-1])
        async with running_worker(own):
            for job_id in ids[:-1]:
                assert (await connection.service.wait(LOCAL, job_id, 20)).state is State.COMPLETED


async def test_the_embedded_store_answers_only_when_the_disk_has_it(own: Settings) -> None:
    async with open_connection(own) as connection:
        for name, value in (("appendonly", "yes"), ("appendfsync", "always")):
            assert await as_admin(connection.settings, "CONFIG", "GET", name) == [name, value]


async def test_a_store_that_keeps_no_file_is_warned_of(
    own: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_connection(own) as connection:
        await check_server(connection.wire)
        assert caplog.messages == []
        await as_admin(connection.settings, "CONFIG", "SET", "appendonly", "no")
        await check_server(connection.wire)
    (said,) = caplog.messages
    assert "CHECKBACK_REDIS_URL" in said
    assert "appendonly yes" in said


async def test_a_store_whose_memory_is_full_refuses_new_jobs_and_answers_checks(
    own: Settings,
) -> None:
    async with open_connection(own) as connection:
        service = connection.service
        ids = [await submit(connection, "test.add", a=number, b=0) for number in range(5)]
        await as_admin(own, "CONFIG", "SET", "maxmemory", 1_000_000)
        with pytest.raises(QueueFull) as caught:
            await submit(connection, "test.say", words="x" * 1000)
        assert (caught.value.code, caught.value.http_status) == ("queue_full", 503)
        assert {job.id for job in (await service.list(LOCAL)).jobs} == set(ids)
        assert [(await service.get(LOCAL, job_id)).state for job_id in ids] == [State.WAITING] * 5
        await as_admin(own, "CONFIG", "SET", "maxmemory", 0)
        ids.append(await submit(connection, "test.add", a=5, b=0))
        async with running_worker(own):
            jobs = [await service.wait(LOCAL, job_id, 20) for job_id in ids]
        assert [job.result for job in jobs] == list(range(6))


async def test_a_store_that_is_nearly_full_refuses_new_jobs_and_lets_the_others_end(
    settings: Settings, tmp_path: Path
) -> None:
    store = EmbeddedValkey(tmp_path / "store", memory_mb=12)
    store.start()
    own = replace(settings, redis_url=store.url, job_concurrency=1)
    go = tmp_path / "go"
    try:
        async with open_connection(own) as connection, running_worker(own):
            service = connection.service
            running = await submit(connection, "test.gate_much", path=str(go), characters=60_000)
            await until(connection, running, State.ACTIVE, "waiting")
            accepted: list[str] = []
            with pytest.raises(QueueFull) as caught:
                while len(accepted) < 200:
                    accepted.append(await submit(connection, "test.say", words="x" * 100_000))
            assert len(accepted) > 20
            assert (caught.value.code, caught.value.http_status) == ("queue_full", 503)
            assert (await service.get(LOCAL, accepted[-1])).state is State.WAITING
            go.touch()
            assert (await service.wait(LOCAL, running, 20)).state is State.COMPLETED
            for job_id in accepted[1:]:
                await service.cancel(LOCAL, job_id)
            assert (await service.wait(LOCAL, accepted[0], 30)).state is State.COMPLETED
            said = dict(
                line.split(":", 1)
                for line in (await connection.wire.call("INFO", "memory")).splitlines()
                if ":" in line
            )
            assert int(said["maxmemory"]) == 12 << 20
            assert int(said["used_memory"]) < 12 << 20
    finally:
        store.stop()


async def test_a_store_that_was_emptied_has_no_jobs_and_a_living_worker(
    own: Settings, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    async with open_connection(own) as connection, running_worker(own):
        service = connection.service
        job_id = await submit(
            connection, "test.gate", path=str(tmp_path / "never"), started=str(started)
        )
        waiting = (
            await service.submit(LOCAL, "test.add", {"a": 1, "b": 1}, delay_seconds=3600)
        ).job.id
        await there(started)
        await as_admin(connection.settings, "FLUSHALL")
        for gone_id in (job_id, waiting):
            for use in (service.get, service.cancel, service.retry, service.log):
                with pytest.raises(NotFound):
                    await use(LOCAL, gone_id)
        assert (await service.list(LOCAL)).jobs == []
        again = await submit(connection, "test.add", a=2, b=2)
        assert (await service.wait(LOCAL, again, RESCUE_SECONDS)).result == 4
        with pytest.raises(NotFound):
            await service.get(LOCAL, job_id)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 80 MB, which only root can make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=80m", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.timeout(90)
async def test_a_full_disk_refuses_new_jobs_and_fails_those_that_write(
    start_server: Any, small_disk: Path, tmp_path: Path
) -> None:
    server = start_server(home=small_disk / "home")
    go = tmp_path / "go"
    async with connect(Settings(home=server.home), start=False) as connection:
        service = connection.service
        job_id = await submit(connection, "test.gate", path=str(go))
        writer = await submit(connection, "test.write_much", path=str(go), size_bytes=60_000_000)
        await until(connection, job_id, State.ACTIVE, "waiting")
        await until(connection, writer, State.ACTIVE)
        (small_disk / "ballast").write_bytes(b"x" * 40_000_000)
        with pytest.raises(StorageFull) as caught:
            await submit(connection, "test.add", a=1, b=1)
        assert (caught.value.code, caught.value.http_status) == ("storage_full", 503)
        assert (await service.get(LOCAL, job_id)).state is State.ACTIVE
        go.touch()
        assert (await service.wait(LOCAL, job_id, 20)).state is State.COMPLETED
        failed = await service.wait(LOCAL, writer, 20)
        assert failed.failure is not None
        assert (failed.failure.code, failed.artifacts) == ("storage_full", ())
        left = Settings(home=server.home).artifacts_folder.rglob("*")
        assert [path for path in left if path.is_file()] == []
        (small_disk / "ballast").unlink()
        assert (
            await service.wait(LOCAL, await submit(connection, "test.add", a=1, b=1), 20)
        ).result == 2
    server.stop()


@pytest.mark.timeout(90)
async def test_a_disk_that_is_full_to_the_last_byte_ends_no_server(
    start_server: Any, small_disk: Path
) -> None:
    server = start_server(home=small_disk / "home")
    first = await asyncio.to_thread(ask, server)
    victim = store_of(server)
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(1 << 20))
    async with connect(Settings(home=server.home), start=False) as connection:
        with contextlib.suppress(EngineUnavailable):
            await connection.wire.call("SET", "ballast", "x" * 1_000_000)
    await gone([victim], 20)
    refused = [await asyncio.to_thread(ask, server) for _ in range(3)]
    assert {answer.status for answer in refused} == {503}
    await wait_until(
        "the store was started again", lambda: server.health()["restarts"]["store"] >= 2, 20
    )
    assert server.process.poll() is None
    assert server.health()["ready"] is False
    (small_disk / "ballast").unlink()
    last = await accepted(server)
    async with connect(Settings(home=server.home), start=False) as connection:
        for answer in (first, last):
            assert answer.job_id is not None
            assert (await connection.service.wait(LOCAL, answer.job_id, RESCUE_SECONDS)).result == 2
    assert server.stop() == 0


@dataclass(frozen=True)
class Answer:
    """What a door said, and how long that took."""

    status: int
    seconds: float
    retry_after: str | None
    job_id: str | None


def ask(server: ServerProcess) -> Answer:
    """Submit a job over HTTP."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    try:
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        body = json.dumps({"kind": "test.add", "args": {"a": 1, "b": 1}})
        connection.request("POST", "/api/jobs", body, headers)
        response = connection.getresponse()
        job_id = json.loads(response.read()).get("id")
        return Answer(
            response.status, time.monotonic() - began, response.getheader("Retry-After"), job_id
        )
    finally:
        connection.close()


STATUS_HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "MCP-Method": "tools/call",
    "MCP-Name": "job_status",
}


def status_call(job_id: str) -> dict[str, Any]:
    params = {"name": "job_status", "arguments": {"job_id": job_id}, "_meta": META}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def check(server: ServerProcess, job_id: str, route: str) -> Answer:
    """Ask after a job, by our API, by PDF.co's or over MCP."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    try:
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        if route == "/v1/job/check":
            connection.request("POST", route, json.dumps({"jobId": job_id}), headers)
        elif route == "/mcp":
            connection.request(
                "POST", route, json.dumps(status_call(job_id)), headers | STATUS_HEADERS
            )
        else:
            connection.request("GET", f"{route}/{job_id}", headers=headers)
        response = connection.getresponse()
        content = response.read()
        assert route != "/mcp" or b'"isError"' in content, content
        return Answer(
            response.status, time.monotonic() - began, response.getheader("Retry-After"), None
        )
    finally:
        connection.close()


async def accepted(server: ServerProcess) -> Answer:
    """The first answer to a submit that was accepted."""

    async def answer() -> Answer | None:
        answer = await asyncio.to_thread(ask, server)
        return answer if answer.status == 202 else None

    answered = await wait_until("a job is accepted", answer, 30)
    assert answered is not None
    return answered


async def ask_until(server: ServerProcess, over: asyncio.Event) -> list[Answer]:
    """Submit, and ask after the job in each way, again and again."""
    answers: list[Answer] = []
    known = ""
    while not over.is_set():
        answer = await asyncio.to_thread(ask, server)
        answers.append(answer)
        known = answer.job_id or known
        for route in ("/api/jobs", "/v1/job/check", "/mcp"):
            answers.append(await asyncio.to_thread(check, server, known, route))
    return answers


def store_of(server: ServerProcess) -> int:
    (found,) = [
        pid
        for pid in tree.children(server.process.pid)
        if b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return found


@pytest.mark.timeout(150)
@pytest.mark.parametrize("loads_slowly", [False, True])
async def test_doors_answer_within_two_seconds_while_the_store_is_killed_under_load(
    start_server: Any, loads_slowly: bool
) -> None:
    server = start_server(before=LOADS_SLOWLY if loads_slowly else "")
    if loads_slowly:
        async with connect(Settings(home=server.home), start=False) as connection:
            await connection.wire.transaction(
                [["SET", f"ballast{number}", 1] for number in range(3000)]
            )
    over = asyncio.Event()
    asking = [asyncio.create_task(ask_until(server, over)) for _ in range(4)]
    await asyncio.sleep(1)  # the load itself
    victim = store_of(server)
    os.kill(victim, signal.SIGKILL)
    await gone([victim])
    killed = time.monotonic()
    await accepted(server)
    away = time.monotonic() - killed
    over.set()
    answers = [answer for some in await asyncio.gather(*asking) for answer in some]
    statuses = {answer.status for answer in answers}
    # A store that is back within a tenth of a second may not have been missed by anybody.
    assert (
        statuses == {200, 202, 503} if loads_slowly else statuses in ({200, 202}, {200, 202, 503})
    )
    assert (
        max(answer.seconds for answer in answers) < 2.5
    )  # 1.5 s for the store, the rest for a busy machine
    assert {answer.retry_after for answer in answers if answer.status == 503} <= {"5"}
    assert away > 2.5 if loads_slowly else away < 3
    async with connect(Settings(home=server.home), start=False) as connection:
        for answer in answers:
            if answer.job_id is not None:
                # One whose start was lost together with the store runs again when its lock has
                # ended.
                ended = await connection.service.wait(LOCAL, answer.job_id, RESCUE_SECONDS)
                assert ended.result == 2


LOADS_SLOWLY = """
from checkback.engine.redis.embedded import EmbeddedValkey
command = EmbeddedValkey._command
EmbeddedValkey._command = lambda self: [*command(self), "--key-load-delay", "1000"]
"""


class SlowlyLoading(EmbeddedValkey):
    """A store that takes half a second for each thousand commands of its file."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--key-load-delay", "500"]


@pytest.mark.timeout(90)
async def test_a_job_that_ends_while_the_store_loads_its_data_ends_well(
    settings: Settings, tmp_path: Path
) -> None:
    store = SlowlyLoading(tmp_path / "store")
    store.start()
    own = replace(settings, redis_url=store.url)
    go = tmp_path / "go"
    try:
        async with open_connection(own) as connection, running_worker(own):
            await connection.wire.transaction(
                [["SET", f"ballast{number}", 1] for number in range(8000)]
            )
            job_id = await submit(connection, "test.gate", path=str(go))
            await until(connection, job_id, State.ACTIVE, "waiting")
            kill(store)
            starting = asyncio.create_task(asyncio.to_thread(store.start))
            await loading(store.socket_path)
            go.touch()
            await starting
            job = await connection.service.wait(LOCAL, job_id, 20)
            assert (job.state, job.result, job.failure) == (State.COMPLETED, "attempt 1", None)
    finally:
        store.stop()


async def loading(path: str) -> None:
    """Return when a store says that it is loading its data."""

    async def says_so() -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError:
            return False
        writer.write(b"PING\r\n")
        answer = await reader.readline()
        writer.close()
        return answer.startswith(b"-LOADING")

    await wait_until("the store says that it is loading", says_so, 20)


async def test_a_job_that_ends_while_the_store_is_full_ends_when_there_is_room(
    own: Settings, tmp_path: Path
) -> None:
    go, pid = tmp_path / "go", tmp_path / "pid"
    async with open_connection(own) as connection, running_worker(own):
        job_id = await submit(connection, "test.gate_with_pid", path=str(go), pid=str(pid))
        await until(connection, job_id, State.ACTIVE, "waiting")
        await as_admin(connection.settings, "CONFIG", "SET", "maxmemory", 1_000_000)
        go.touch()
        await gone([int(pid.read_text())])
        assert (await connection.service.get(LOCAL, job_id)).state is State.ACTIVE
        await as_admin(connection.settings, "CONFIG", "SET", "maxmemory", 0)
        job = await connection.service.wait(LOCAL, job_id, RESCUE_SECONDS)
    assert (job.state, job.result, job.failure) == (State.COMPLETED, "attempt 1", None)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_ten_thousand_waiting_jobs_slow_nobody_down(own: Settings) -> None:
    async with open_connection(own) as connection:
        service = connection.service
        first = [await submit(connection, "test.add", a=number, b=0) for number in range(20)]
        for _ in range(200):
            await asyncio.gather(*(submit(connection, "test.add", a=1, b=1) for _ in range(50)))
        took: list[float] = []
        last = ""
        for _ in range(100):
            began = time.monotonic()
            last = await submit(connection, "test.add", a=1, b=1)
            took.append(time.monotonic() - began)
        assert sorted(took)[94] < 0.05
        began = time.monotonic()
        page = await service.list(LOCAL, limit=20)
        assert time.monotonic() - began < 0.3
        assert page.jobs[0].id == last
        memory = dict(
            line.split(":")
            for line in (await connection.wire.call("INFO", "memory")).split()
            if ":" in line
        )
        assert int(memory["used_memory"]) < 100_000_000
        async with running_worker(replace(own, job_concurrency=1)):
            jobs = [await service.wait(LOCAL, job_id, 30) for job_id in first]
        ends = [job.finished_at for job in jobs]
        assert [job.result for job in jobs] == list(range(20))
        assert ends == sorted(ends, key=lambda at: at.timestamp() if at else 0)  # oldest first
