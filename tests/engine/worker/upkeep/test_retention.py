"""Nothing is kept longer than promised, and nothing is left behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from checkback.app.connect import Connection, retention
from checkback.core.errors import NotFound
from checkback.core.ids import new_job_id
from checkback.core.states import State
from checkback.engine.redis.keys import STANDING_OF_OURS, STANDING_PER_QUEUE, Keys
from checkback.engine.worker.upkeep.sweeper import Sweeper
from checkback.security.auth.callers import LOCAL, LOCAL_OWNER, Caller
from checkback.settings import Settings
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore
from running import open_connection, running_worker
from waiting import finished, wait_until
from worker_processes import as_admin

MOMENT = 1 / 3600
"""One second, in hours."""


def make_sweeper(connection: Connection) -> Sweeper:
    settings = connection.settings
    return Sweeper(
        connection.wire,
        Keys(settings.prefix),
        tuple(settings.concurrency),
        retention(settings),
        ArtifactStore(settings.artifacts_folder),
        UploadStore(settings.uploads_folder),
    )


async def keys_of(connection: Connection) -> set[str]:
    prefix = connection.settings.prefix + ":"
    return {
        key.removeprefix(prefix)
        for key in await as_admin(connection.settings, "KEYS", prefix + "*")
    }


async def run_one_of_each(connection: Connection) -> list[str]:
    """A completed job with files and a log, a failed one, and a cancelled one."""
    service = connection.service
    said = (await service.submit(LOCAL, "test.say", {"words": "x"})).job.id
    failed = (await service.submit(LOCAL, "test.fail", {})).job.id
    for job_id in (said, failed):
        await service.wait(LOCAL, job_id, 20)
    cancelled = (
        await service.submit(LOCAL, "test.add", {"a": 1, "b": 1}, delay_seconds=3600)
    ).job.id
    await service.cancel(LOCAL, cancelled)
    await finished(service, cancelled)
    return [said, failed, cancelled]


async def expired(connection: Connection, job_id: str) -> None:
    """Return when the job's time is over."""

    async def is_gone() -> bool:
        try:
            await connection.service.get(LOCAL, job_id)
        except NotFound:
            return True
        return False

    await wait_until("the job has expired", is_gone)


async def test_an_expired_job_is_gone_before_it_is_swept(settings: Settings) -> None:
    short = replace(settings, keep_completed_hours=MOMENT, keep_failed_hours=MOMENT)
    async with open_connection(short) as connection, running_worker(short):
        for job_id in await run_one_of_each(connection):
            await expired(connection, job_id)
        assert (await connection.service.list(LOCAL)).jobs == []


async def test_a_sweep_leaves_only_the_standing_keys_and_no_file(settings: Settings) -> None:
    short = replace(settings, keep_completed_hours=MOMENT, keep_failed_hours=MOMENT)
    async with open_connection(short) as connection:
        async with running_worker(short):
            ids = await run_one_of_each(connection)
            for job_id in ids:
                await expired(connection, job_id)
        assert await make_sweeper(connection).sweep() <= len(ids)
        assert await keys_of(connection) <= standing_keys(short)
        assert ArtifactStore(short.artifacts_folder).job_ids() == []


def standing_keys(settings: Settings) -> set[str]:
    standing = {f"{queue}:{part}" for queue in settings.concurrency for part in STANDING_PER_QUEUE}
    return standing | {f"cb:{part}" for part in STANDING_OF_OURS}


@pytest.mark.timeout(90)
async def test_a_worker_leaves_nothing_of_expired_jobs_within_a_minute(settings: Settings) -> None:
    """By itself. What the append-only file still holds of them goes when the store rewrites it."""
    short = replace(settings, keep_completed_hours=MOMENT, keep_failed_hours=MOMENT)
    async with open_connection(short) as connection, running_worker(short):
        await run_one_of_each(connection)

        async def is_clean() -> bool:
            if any(short.temporary_folder.iterdir()):
                return False
            if ArtifactStore(short.artifacts_folder).job_ids():
                return False
            return await keys_of(connection) <= standing_keys(short)

        await wait_until("nothing of the jobs is left", is_clean, 60)


async def test_a_sweep_keeps_what_has_time_left(connection: Connection, worker: Any) -> None:
    ids = await run_one_of_each(connection)
    assert await make_sweeper(connection).sweep() == 0
    jobs = [await connection.service.get(LOCAL, job_id) for job_id in ids]
    assert [job.state for job in jobs] == [State.COMPLETED, State.FAILED, State.CANCELLED]
    kept = [job.expires_at - job.finished_at for job in jobs]  # type: ignore[operator]
    assert kept == [timedelta(hours=24), timedelta(days=7), timedelta(days=7)]


async def test_files_without_a_job_are_removed(connection: Connection) -> None:
    store = ArtifactStore(connection.settings.artifacts_folder)
    stray = new_job_id()
    store.folder(stray, 1).mkdir(parents=True)
    job_id = (await connection.service.submit(LOCAL, "test.add", {"a": 1, "b": 1})).job.id
    store.folder(job_id, 1).mkdir(parents=True)
    await make_sweeper(connection).sweep()
    assert store.job_ids() == [job_id]


async def test_a_foreign_job_comes_into_the_local_list(connection: Connection) -> None:
    from bullmq import Queue

    from checkback.engine.redis.bullmq_client import worker_client
    from checkback.engine.redis.connection import RedisAddress

    client = worker_client(RedisAddress.parse(connection.settings.redis_url or ""), "test")
    queue = Queue("jobs", {"connection": client, "prefix": connection.settings.prefix})
    job_id = new_job_id()
    await queue.add("test.add", {"a": 1, "b": 1}, {"jobId": job_id})
    await make_sweeper(connection).sweep()
    (job,) = (await connection.service.list(LOCAL)).jobs
    assert (job.id, job.owner, job.kind) == (job_id, LOCAL_OWNER, "test.add")
    await queue.close()


async def test_a_list_goes_on_through_jobs_of_one_moment(connection: Connection) -> None:
    """A BullMQ client that adds in bulk gives hundreds of jobs the same time."""
    index = Keys(connection.settings.prefix).owner(LOCAL_OWNER)
    submitted = [connection.service.submit(LOCAL, "test.add", {"a": 1, "b": 1}) for _ in range(250)]
    ids = [done.job.id for done in await asyncio.gather(*submitted)]
    await connection.wire.call(
        "ZADD", index, *(part for job_id in ids for part in (1_000_000, job_id))
    )
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await connection.service.list(LOCAL, limit=60, cursor=cursor)
        found += [job.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == sorted(ids, reverse=True)


async def test_a_list_of_all_owners_leaves_nobody_out(connection: Connection) -> None:
    """One owner's many jobs of one moment lie between another owner's older and newer ones."""
    keys = Keys(connection.settings.prefix)
    times: list[tuple[int, str]] = []
    for owner, at, count in (("ann", 3_000, 30), ("bob", 2_000, 250), ("ann", 1_000, 30)):
        caller = Caller(owner)
        done = [
            connection.service.submit(caller, "test.add", {"a": 1, "b": 1}) for _ in range(count)
        ]
        ids = [submission.job.id for submission in await asyncio.gather(*done)]
        await connection.wire.call(
            "ZADD", keys.owner(owner), *(part for one in ids for part in (at, one))
        )
        times += [(at, one) for one in ids]
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await connection.service.list(LOCAL, owner="*", limit=90, cursor=cursor)
        found += [job.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == [job_id for _, job_id in sorted(times, reverse=True)]


async def test_an_index_entry_without_a_job_is_dropped_when_read(connection: Connection) -> None:
    index = Keys(connection.settings.prefix).owner(LOCAL_OWNER)
    await connection.wire.call("ZADD", index, 1, new_job_id())
    assert (await connection.service.list(LOCAL)).jobs == []
    assert await connection.wire.call("EXISTS", index) == 0


@pytest.mark.parametrize("removed", ["completed", "failed"])
async def test_a_foreign_count_does_not_delete_other_results(
    connection: Connection, worker: Any, removed: str
) -> None:
    from bullmq import Queue

    from checkback.engine.redis.bullmq_client import worker_client
    from checkback.engine.redis.connection import RedisAddress

    first = (await connection.service.submit(LOCAL, "test.add", {"a": 1, "b": 1})).job.id
    await connection.service.wait(LOCAL, first, 20)
    client = worker_client(RedisAddress.parse(connection.settings.redis_url or ""), "test")
    queue = Queue("jobs", {"connection": client, "prefix": connection.settings.prefix})
    job_id = new_job_id()
    name, data = ("test.add", {"a": 2, "b": 2}) if removed == "completed" else ("test.fail", {})
    greedy = {"jobId": job_id, "removeOnComplete": {"count": 1}, "removeOnFail": {"count": 1}}
    await queue.add(name, data, greedy)
    await connection.service.wait(LOCAL, job_id, 20)
    assert (await connection.service.get(LOCAL, first)).result == 2
    assert (await connection.service.get(LOCAL, job_id)).state.is_final
    await queue.close()
