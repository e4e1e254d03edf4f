"""What an owner's jobs take in the store: counted, bounded for that owner alone, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.app.web import store_warnings
from checkback.core.errors import ArgumentsGone, Conflict, NotFound, QuotaExceeded
from checkback.core.job import Job
from checkback.core.states import State
from checkback.engine.jobs.codec import Retention
from checkback.engine.jobs.memory_limit import StoreMemory
from checkback.engine.jobs.owner_usage import OwnerUsage
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.upkeep.sweeper import Sweeper
from checkback.security.auth.callers import LOCAL, Caller, Scope
from checkback.service import Service
from checkback.settings import Settings
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore
from running import running_worker
from worker_processes import as_admin

ADA, BOB = (Caller(name, frozenset({Scope.READ, Scope.WRITE})) for name in ("ada", "bob"))
LARGE = "x" * 100_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, owner_store_mb=1)


async def submit(service: Service, caller: Caller, words: str = LARGE, **more: Any) -> str:
    return (await service.submit(caller, "test.say", {"words": words}, **more)).job.id


async def counted(connection: Connection, owner: str) -> int:
    return await connection.queues.shares.taken(owner)


async def sum_of_jobs(connection: Connection, ids: list[str]) -> int:
    sizes = [
        await connection.wire.call("HGET", f"{prefix(connection)}:jobs:{one}", "cb:size")
        for one in ids
    ]
    return sum(int(size) for size in sizes if size is not None)


def prefix(connection: Connection) -> str:
    return connection.settings.prefix


async def fill(service: Service, caller: Caller) -> list[str]:
    """Submit until the owner's share is used up."""
    ids: list[str] = []
    with pytest.raises(QuotaExceeded, match="share of the job store"):
        while len(ids) < 50:
            ids.append(await submit(service, caller))
    return ids


async def test_past_an_owners_share_that_owner_alone_is_refused(
    service: Service, connection: Connection
) -> None:
    ids = await fill(service, ADA)
    assert 9 <= len(ids) <= 10
    await submit(service, BOB)
    await submit(service, LOCAL)
    assert await counted(connection, "ada") <= 1 << 20


async def test_arguments_of_cancelled_jobs_go_first_the_oldest_before_the_others(
    service: Service, connection: Connection
) -> None:
    ids = await fill(service, ADA)
    for one in ids[2:6]:
        await service.cancel(ADA, one)
    later = await submit(service, ADA)
    args = {one: (await service.get_with_args(ADA, one)).args for one in [*ids, later]}
    gone = [one for one in ids if args[one] is None]
    assert gone == ids[2:4]
    assert args[later] == {"words": LARGE}


async def test_a_retry_of_a_job_whose_arguments_are_gone_says_so(service: Service) -> None:
    first = (await fill(service, ADA))[0]
    await service.cancel(ADA, first)
    await submit(service, ADA)
    with pytest.raises(ArgumentsGone) as caught:
        await service.retry(ADA, first)
    assert (caught.value.code, caught.value.http_status) == ("arguments_gone", 409)


async def test_what_is_counted_is_what_the_jobs_hold_and_a_deleted_job_counts_nothing(
    service: Service, worker: Any, connection: Connection
) -> None:
    ids = [await submit(service, ADA, "w" * 50_000) for _ in range(3)]
    for one in ids:
        await service.wait(ADA, one, 30)
    taken = await counted(connection, "ada")
    # The words are an argument, a line of the log and the result.
    assert 3 * 100_000 < taken < 3 * 170_000
    assert taken == await sum_of_jobs(connection, ids)
    for one in ids:
        await service.delete(ADA, one)
    assert await counted(connection, "ada") == 0


async def test_the_memory_that_small_jobs_take_is_about_what_is_counted(
    service: Service, connection: Connection
) -> None:
    before = await used_memory(connection)
    for _ in range(300):
        await submit(service, ADA, "short")
    took = await used_memory(connection) - before
    assert 0.5 < await counted(connection, "ada") / took < 2


async def used_memory(connection: Connection) -> int:
    text: str = await connection.wire.call("INFO", "memory")
    return int(
        dict(line.split(":", 1) for line in text.splitlines() if ":" in line)["used_memory_dataset"]
    )


async def test_a_wrong_sum_is_corrected_by_the_sweeper(
    service: Service, connection: Connection, settings: Settings
) -> None:
    ids = [await submit(service, ADA) for _ in range(2)]
    # As another BullMQ client removes a job.
    await connection.wire.call("DEL", f"{prefix(connection)}:jobs:{ids[0]}")
    await connection.wire.call("HSET", Keys(prefix(connection)).sizes(), "nobody", "123")
    await make_sweeper(connection, settings).sweep()
    assert await counted(connection, "ada") == await sum_of_jobs(connection, ids) > len(LARGE)
    assert await counted(connection, "nobody") == 0


def make_sweeper(connection: Connection, settings: Settings, **limits: Any) -> Sweeper:
    return Sweeper(
        connection.wire,
        Keys(settings.prefix),
        connection.queues.names,
        Retention(),
        ArtifactStore(settings.artifacts_folder),
        UploadStore(settings.uploads_folder),
        **limits,
    )


@pytest.fixture
def no_recount(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper would correct a sum that a test makes up."""

    async def leave_it(_: OwnerUsage) -> None:
        return None

    monkeypatch.setattr(OwnerUsage, "recount", leave_it)


@pytest.mark.usefixtures("no_recount", "worker")
async def test_past_the_share_a_running_jobs_log_grows_no_more(
    service: Service, connection: Connection, tmp_path: Path
) -> None:
    done = await service.submit(
        ADA, "test.gate_much", {"path": str(tmp_path / "go"), "characters": 10}
    )
    await until_waiting(service, done.job.id)
    await connection.wire.call("HSET", Keys(prefix(connection)).sizes(), "ada", 2 << 20)
    (tmp_path / "go").touch()
    job = await service.wait(ADA, done.job.id, 30)
    assert job.state is State.COMPLETED
    assert await service.log(ADA, done.job.id) == []


async def until_waiting(service: Service, job_id: str) -> Job:
    async for job in service.watch(ADA, job_id):
        if job.phase == "waiting":
            return job
    raise AssertionError("the job ended")


# --- Deleting -------------------------------------------------------------------------------------


async def test_a_deleted_job_is_gone_with_all_that_was_of_it(
    service: Service, worker: Any, connection: Connection, settings: Settings
) -> None:
    kept = await submit(service, ADA, "kept")
    one = await submit(service, ADA, "deleted")
    for job_id in (kept, one):
        assert (await service.wait(ADA, job_id, 30)).state is State.COMPLETED
    assert (settings.artifacts_folder / one).is_dir()
    await service.delete(ADA, one)
    with pytest.raises(NotFound):
        await service.get(ADA, one)
    keys = await as_admin(settings, "KEYS", f"{settings.prefix}:*{one}*")
    assert (keys, (settings.artifacts_folder / one).exists()) == ([], False)
    assert [job.id for job in (await service.list(ADA)).jobs] == [kept]
    for part in ("completed", "failed", "wait", "prioritized", "delayed"):
        name = f"{settings.prefix}:jobs:{part}"
        found = await connection.wire.call("LRANGE" if part == "wait" else "ZRANGE", name, 0, -1)
        assert one not in found


async def test_a_job_that_waits_can_be_deleted_and_never_runs(
    service: Service, connection: Connection, settings: Settings
) -> None:
    waiting = await submit(service, ADA, "one")
    delayed = await submit(service, ADA, "two", delay_seconds=3600)
    for one in (waiting, delayed):
        await service.delete(ADA, one)
    counts = (await service.counts())["jobs"]
    assert (counts["waiting"], counts["delayed"]) == (0, 0)


async def test_a_job_that_runs_is_not_deleted_and_the_hint_says_what_to_do(
    service: Service, worker: Any, tmp_path: Path
) -> None:
    done = await service.submit(ADA, "test.gate", {"path": str(tmp_path / "go")})
    await until_waiting(service, done.job.id)
    with pytest.raises(Conflict) as caught:
        await service.delete(ADA, done.job.id)
    assert (caught.value.http_status, "Cancel it first" in caught.value.hint) == (409, True)
    (tmp_path / "go").touch()
    assert (await service.wait(ADA, done.job.id, 30)).state is State.COMPLETED


async def test_another_owners_job_is_not_deleted(service: Service) -> None:
    one = await submit(service, ADA, "mine")
    with pytest.raises(NotFound):
        await service.delete(BOB, one)
    assert (await service.get(ADA, one)).id == one


async def test_after_a_deletion_the_same_key_makes_a_new_job(service: Service, worker: Any) -> None:
    first = await service.submit(ADA, "test.add", {"a": 1, "b": 2}, key="again")
    await service.wait(ADA, first.job.id, 30)
    await service.delete(ADA, first.job.id)
    again = await service.submit(ADA, "test.add", {"a": 1, "b": 2}, key="again")
    assert not again.existing
    assert (await service.wait(ADA, again.job.id, 30)).result == 3


# --- What tells of it -----------------------------------------------------------------------------


async def test_health_counts_owners_whose_share_is_nearly_used_up_and_names_none(
    service: Service, connection: Connection
) -> None:
    assert await store_warnings(connection) == ()
    await fill(service, ADA)
    (warning,) = await store_warnings(connection)
    assert "share of the job store: 1" in warning
    assert "ada" not in warning


@pytest.fixture
def small_store(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A store of 32 MB of its own."""
    server = EmbeddedValkey(tmp_path / "small", appendfsync="no", memory_mb=32)
    server.start()
    yield server
    server.stop()


async def test_a_nearly_full_store_is_told(small_store: EmbeddedValkey) -> None:
    wire = RedisConnection(small_store.address, name="checkback-test")
    memory = StoreMemory(wire)
    assert not await memory.is_nearly_full()
    for number in range(24):
        await wire.call("SET", number, b"x" * (1 << 20))
    assert await memory.is_nearly_full()
    await memory.require(1)
    await wire.close()


async def test_events_with_large_results_do_not_fill_the_store(
    connection: Connection, settings: Settings
) -> None:
    events = Keys(settings.prefix).queue("jobs", "events")
    for number in range(200):
        await connection.wire.call(
            "XADD", events, "*", "event", "completed", "jobId", number, "data", LARGE
        )
    await make_sweeper(connection, settings, max_event_bytes=1 << 20).sweep()
    assert await connection.wire.call("MEMORY", "USAGE", events) <= 1 << 20
    assert await connection.wire.call("XLEN", events) > 0


async def test_a_job_that_another_client_retried_without_its_arguments_says_so(
    service: Service, connection: Connection, settings: Settings
) -> None:
    one = await submit(service, ADA, "gone")
    await connection.wire.call(
        "HSET", f"{prefix(connection)}:jobs:{one}", "data", "{}", "cb:gone", "1"
    )
    async with running_worker(settings):
        job = await service.wait(ADA, one, 30)
    assert job.failure is not None
    assert (job.state, job.failure.code) == (State.FAILED, "arguments_gone")
