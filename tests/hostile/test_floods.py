"""One owner wants everything: jobs, questions, disk. Others notice nothing, and nothing is half
stored.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.core.errors import QueueFull, QuotaExceeded, StorageFull
from checkback.core.ids import new_job_id
from checkback.core.job import Job
from checkback.core.states import State
from checkback.engine.processes.disk_limit import Ledger
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.upkeep.sweeper import Sweeper
from checkback.security.auth.callers import LOCAL, Caller
from checkback.service import Service
from checkback.settings import Settings
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore
from running import open_connection, running_worker
from serving import get, post, serving
from worker_processes import as_admin

ADA, BOB, CARL = Caller("ada"), Caller("bob"), Caller("carl")
QUEUE = "jobs"


@pytest.fixture
async def tight(settings: Settings) -> AsyncIterator[Connection]:
    """A store with narrow limits."""
    narrow = replace(settings, owner_jobs=5, queue_jobs=12, job_concurrency=1, disk_budget_gb=1e-5)
    async with open_connection(narrow) as opened:
        yield opened
        keys = await as_admin(opened.settings, "KEYS", f"{narrow.prefix}:*")
        if keys:
            await opened.wire.call("DEL", *keys)


async def add(service: Service, caller: Caller, **how: Any) -> str:
    return (await service.submit(caller, "test.add", {"a": 1, "b": 1}, **how)).job.id


async def order(connection: Connection, queue: str = QUEUE) -> list[str]:
    """The ids of the jobs that wait, the next one first."""
    return await connection.wire.call(
        "ZRANGE", Keys(connection.settings.prefix).queue(queue, "prioritized"), 0, -1
    )


def sweeper(connection: Connection) -> Sweeper:
    settings = connection.settings
    return Sweeper(
        connection.wire,
        Keys(settings.prefix),
        tuple(settings.concurrency),
        connection.queues.retention,  # pyright: ignore[reportPrivateUsage]
        ArtifactStore(settings.artifacts_folder),
        UploadStore(settings.uploads_folder),
        disk_budget_bytes=settings.disk_budget_bytes,
        ledger=Ledger(owner_bytes=int(settings.owner_artifact_gb * 1e9)),
    )


async def contents(connection: Connection) -> dict[str, Any]:
    """Every key of the store but BullMQ's counters and streams, and how much it holds."""
    keys: list[str] = await as_admin(connection.settings, "KEYS", f"{connection.settings.prefix}:*")
    sizes: dict[str, Any] = {}
    for key in keys:
        kind = await connection.wire.call("TYPE", key)
        size = {"hash": "HLEN", "zset": "ZCARD", "list": "LLEN"}.get(kind)
        if size:
            sizes[key] = await connection.wire.call(size, key)
    return sizes


# --- Whose turn it is -----------------------------------------------------------------------------


async def test_when_one_owner_floods_another_ones_job_is_the_next(connection: Connection) -> None:
    service = connection.service
    flood = [await add(service, LOCAL) for _ in range(300)]
    bobs = await add(service, BOB)
    carls = await add(service, CARL)
    bobs_second = await add(service, BOB)
    assert (await order(connection))[:6] == [bobs, carls, flood[0], bobs_second, flood[1], flood[2]]


async def test_a_flood_is_not_left_behind_for_good(connection: Connection) -> None:
    """Bob always has one job waiting, a new one when it was taken. The flood
    gets every other turn.
    """
    service, keys = connection.service, Keys(connection.settings.prefix)
    flood = [await add(service, LOCAL) for _ in range(20)]
    taken: list[str] = []
    bobs = [await add(service, BOB)]
    for _ in range(20):
        (job_id, _), *_ = zip(
            *[iter(await connection.wire.call("ZPOPMIN", keys.queue(QUEUE, "prioritized")))] * 2,
            strict=True,
        )
        taken.append(job_id)
        if job_id == bobs[-1]:
            bobs.append(await add(service, BOB))
    assert taken[::2] == bobs[:10]
    assert taken[1::2] == flood[:10]


async def test_each_owner_s_own_jobs_keep_their_order(connection: Connection) -> None:
    made: dict[str, list[str]] = {"ada": [], "bob": []}
    for number in range(60):
        owner = "ada" if number % 3 else "bob"
        made[owner].append(await add(connection.service, Caller(owner)))
    waiting = await order(connection)
    for ids in made.values():
        assert [job_id for job_id in waiting if job_id in ids] == ids


async def test_when_nothing_waits_all_begin_anew(connection: Connection) -> None:
    keys = Keys(connection.settings.prefix)
    for _ in range(50):
        await add(connection.service, ADA)
    await connection.wire.call("DEL", keys.queue(QUEUE, "prioritized"))
    fresh = await add(connection.service, ADA)
    assert await connection.wire.call("HGET", keys.job(QUEUE, fresh), "priority") == "10"
    assert await connection.wire.call("HGETALL", keys.turns(QUEUE)) == [
        "now", "9", "last", "10", "owner:ada", "10"
    ]  # fmt: skip


async def test_a_job_of_another_clients_priority_moves_no_turn_away(connection: Connection) -> None:
    keys = Keys(connection.settings.prefix)
    await connection.wire.call("ZADD", keys.queue(QUEUE, "prioritized"), 2_000_000 << 32, "foreign")
    ours = await add(connection.service, ADA)
    assert await order(connection) == [ours, "foreign"]
    assert int(await connection.wire.call("HGET", keys.job(QUEUE, ours), "priority")) <= 11


async def test_jobs_of_other_bullmq_clients_keep_going(
    connection: Connection, settings: Settings
) -> None:
    """Without a priority they go before all, as BullMQ does it; with ReftrixMCP's 10 they meet no
    flood.
    """
    flood = [await add(connection.service, ADA) for _ in range(50)]
    options = {"prefix": settings.prefix, "connection": settings.redis_url}
    queue: Any = importlib.import_module("bullmq").Queue(QUEUE, options)
    try:
        ten = (
            await queue.add("test.add", {"a": 1, "b": 1}, {"jobId": new_job_id(), "priority": 10})
        ).id
        plain = (await queue.add("test.add", {"a": 1, "b": 1}, {"jobId": new_job_id()})).id
    finally:
        await queue.close()
    assert (await order(connection))[:3] == [flood[0], ten, flood[1]]
    one = replace(settings, job_concurrency=1)
    async with running_worker(one):
        jobs = [await connection.service.wait(LOCAL, job_id, 30) for job_id in (plain, ten)]
        last = await connection.service.wait(ADA, flood[-1], 30)
    starts = [job.started_at for job in (*jobs, last)]
    assert None not in starts
    assert starts == sorted(starts)  # pyright: ignore[reportArgumentType, reportCallIssue]


async def test_a_delayed_job_and_a_retried_one_have_a_turn_too(
    connection: Connection, settings: Settings
) -> None:
    service, keys = connection.service, Keys(settings.prefix)
    failed = (await service.submit(ADA, "test.fail", {"retryable": False})).job.id
    async with running_worker(settings):
        assert (await service.wait(ADA, failed, 20)).state is State.FAILED
    flood = [await add(service, ADA) for _ in range(5)]
    delayed = await add(service, ADA, delay_seconds=600)
    assert await connection.wire.call("HGET", keys.job(QUEUE, delayed), "priority") == "15"
    await service.retry(ADA, failed)
    bobs = await add(service, BOB)
    assert await order(connection) == [bobs, *flood, failed]


async def test_the_job_of_another_owner_starts_next(settings: Settings, tmp_path: Path) -> None:
    """With a real worker: while the flood's first job runs, Bob comes; his is the next to start."""
    one = replace(settings, job_concurrency=1)
    started, gate = tmp_path / "started", tmp_path / "gate"
    async with open_connection(one) as connection, running_worker(one):
        service = connection.service
        first = (
            await service.submit(ADA, "test.gate", {"path": str(gate), "started": str(started)})
        ).job.id
        async for job in service.watch(ADA, first):
            if job.phase is not None:
                break
        flood = [await add(service, ADA) for _ in range(30)]
        bobs = await add(service, BOB)
        gate.touch()
        bob = await service.wait(BOB, bobs, 20)
        last = [await service.wait(ADA, job_id, 20) for job_id in flood]
        assert bob.started_at is not None
        assert all(job.started_at is not None and bob.started_at <= job.started_at for job in last)
        assert {job.state for job in last} == {State.COMPLETED}


# --- Limits ---------------------------------------------------------------------------------------


async def test_past_an_owners_limit_nothing_is_stored_and_others_go_on(tight: Connection) -> None:
    service = tight.service
    mine = [await add(service, ADA) for _ in range(4)]
    mine.append(await add(service, ADA, delay_seconds=600))
    before = await contents(tight)
    for how in (
        {},
        {"key": "k"},
        {"delay_seconds": 5},
        {"callback": {"url": "https://example.com/x"}},
    ):
        with pytest.raises(QuotaExceeded, match="5 unfinished jobs"):
            await add(service, ADA, **how)
    assert await contents(tight) == before
    assert {job.id for job in (await service.list(ADA)).jobs} == set(mine)
    await add(service, BOB)


async def test_a_key_gives_its_job_back_past_the_limit_too(tight: Connection) -> None:
    service = tight.service
    first = await add(service, ADA, key="k")
    for _ in range(4):
        await add(service, ADA)
    assert await add(service, ADA, key="k") == first


async def test_many_submits_at_once_do_not_slip_through(tight: Connection) -> None:
    done = await asyncio.gather(
        *(add(tight.service, ADA) for _ in range(40)), return_exceptions=True
    )
    assert sum(isinstance(one, str) for one in done) == 5
    assert {type(one) for one in done if not isinstance(one, str)} == {QuotaExceeded}


async def test_ended_and_cancelled_jobs_make_room(tight: Connection) -> None:
    service = tight.service
    mine = [await add(service, ADA) for _ in range(5)]
    await service.cancel(ADA, mine[0])
    mine.append(await add(service, ADA))
    async with running_worker(tight.settings):
        for job_id in mine:
            await service.wait(ADA, job_id, 20)
        for _ in range(5):
            mine.append(await add(service, ADA))
        for job_id in mine:
            await service.wait(ADA, job_id, 20)
    await sweeper(tight).sweep()
    assert not await tight.wire.call("EXISTS", Keys(tight.settings.prefix).open("ada"))


async def test_a_retry_needs_room_too(tight: Connection) -> None:
    service = tight.service
    failed = (await service.submit(ADA, "test.fail", {"retryable": False})).job.id
    async with running_worker(tight.settings):
        await service.wait(ADA, failed, 20)
    mine = [await add(service, ADA) for _ in range(5)]
    with pytest.raises(QuotaExceeded):
        await service.retry(ADA, failed)
    assert (await service.get(ADA, failed)).state is State.FAILED
    await service.cancel(ADA, mine[0])
    assert (await service.retry(ADA, failed)).state is State.WAITING
    with pytest.raises(QuotaExceeded):
        await add(service, ADA)


async def test_a_full_queue_takes_nobodys_jobs_and_says_so(tight: Connection) -> None:
    service = tight.service
    for _ in range(12):
        await add(service, LOCAL)
    before = await contents(tight)
    for caller in (LOCAL, BOB):
        with pytest.raises(QueueFull, match="12 jobs"):
            await add(service, caller)
    assert await contents(tight) == before
    # Other queues are not full.
    url = {"url": "https://example.com/"}
    assert (await service.submit(BOB, "page.analyze", url)).job.state is State.WAITING
    async with running_worker(tight.settings):
        for job in (await service.list(LOCAL)).jobs:
            await service.wait(LOCAL, job.id, 20)
    await add(service, BOB)


async def test_past_the_disk_budget_jobs_end_and_are_read_but_none_comes_in(
    tight: Connection,
) -> None:
    """The budget is 10 KB. What was accepted before still ends; when files have gone, all is as
    before.
    """
    service, keys = tight.service, Keys(tight.settings.prefix)
    words = "x" * 20_000
    large = (await service.submit(ADA, "test.say", {"words": words})).job.id
    # Before the worker is there: it looks at the disk, too.
    waiting = await add(service, BOB, delay_seconds=3)
    async with running_worker(tight.settings):
        job = await service.wait(ADA, large, 20)
        await sweeper(tight).sweep()
        for caller in (LOCAL, ADA):
            with pytest.raises(StorageFull):
                await add(service, caller)
        assert (await service.wait(BOB, waiting, 20)).state is State.COMPLETED
        assert (await service.get(ADA, large)).state is State.COMPLETED
        await service.remove_artifact(ADA, large, job.artifacts[0].name)
        assert 0 < await tight.wire.call("TTL", keys.disk_full()) <= 60
        await tight.wire.call("DEL", keys.disk_full())  # what its time does
        await sweeper(tight).sweep()
        await add(service, ADA)


async def test_an_owner_whose_results_fill_their_share_holds_nobody_else_up(
    settings: Settings,
) -> None:
    narrow = replace(settings, owner_artifact_gb=1e-5)
    async with open_connection(narrow) as connection, running_worker(narrow):
        service, keys = connection.service, Keys(narrow.prefix)
        jobs: dict[str, Job] = {}
        for caller, size in ((ADA, 10_000), (BOB, 6_000), (LOCAL, 20_000)):
            job_id = (await service.submit(caller, "test.say", {"words": "x" * size})).job.id
            jobs[caller.owner] = await service.wait(caller, job_id, 20)
        large = jobs["ada"]
        await sweeper(connection).sweep()
        with pytest.raises(QuotaExceeded, match="Your job results"):
            await add(service, ADA)
        await add(service, BOB)
        await add(service, LOCAL)
        assert (await service.get(ADA, large.id)).artifacts
        await service.remove_artifact(ADA, large.id, large.artifacts[0].name)
        assert 0 < await connection.wire.call("TTL", keys.disk_full("ada")) <= 60
        await connection.wire.call("DEL", keys.disk_full("ada"))  # what its time does
        await sweeper(connection).sweep()
        await add(service, ADA)


async def test_uploads_stay_within_their_owners_share(settings: Settings) -> None:
    narrow = replace(settings, owner_upload_gb=1e-5, owner_uploads=1)
    async with open_connection(narrow) as connection:
        service = connection.service
        with service.uploads.begin(ADA, "a") as writer:
            writer.write(b"x" * 6000)
            with pytest.raises(QuotaExceeded, match="under way"):
                service.uploads.begin(ADA, "b")
            found = writer.finish()
        with pytest.raises(QuotaExceeded), service.uploads.begin(ADA, "b") as writer:
            writer.write(b"x" * 4001)
        with service.uploads.begin(ADA, "c") as writer:
            writer.write(b"x" * 4000)
            writer.finish()
        with pytest.raises(QuotaExceeded):
            service.uploads.begin(ADA, "d")
        with service.uploads.begin(BOB, "e") as writer:
            writer.write(b"x" * 9000)
            writer.finish()
        service.uploads.remove(ADA, found.id)
        with service.uploads.begin(ADA, "f") as writer:
            writer.write(b"x")


async def test_uploads_stay_within_the_disk_budget(tight: Connection) -> None:
    with tight.service.uploads.begin(LOCAL, "a") as writer:
        writer.write(b"x" * 10_001)
        writer.finish()
    with pytest.raises(StorageFull):
        tight.service.uploads.begin(LOCAL, "b")


# --- At the doors ---------------------------------------------------------------------------------


def test_too_many_requests_are_told_at_every_door(tmp_path: Path) -> None:
    """A server with rates of almost nothing: then 429 with Retry-After; others notice nothing."""
    with serving(
        tmp_path / "home", owner_requests="1", owner_submits="0.2", job_checks="0.2"
    ) as victim:
        body = b'{"kind":"test.add","args":{"a":1,"b":2}}'
        answers = [post(victim, "/api/jobs", body) for _ in range(3)]
        assert [answer.status for answer in answers] == [202, 202, 429]
        assert answers[2].json()["error"]["code"] == "quota_exceeded"
        assert 1 <= int(answers[2].headers["retry-after"]) <= 5
        path = answers[0].headers["location"]
        asked = [get(victim, path) for _ in range(3)]
        assert [answer.status for answer in asked] == [200, 200, 429]
        while get(victim, "/api/jobs").status == 200:
            pass
        for one in ("/api/jobs", "/mcp", "/v1/job/check", "/v1/pdf/info"):
            refused = post(victim, one, b"{}")
            assert refused.status == 429, refused.raw
            assert 1 <= int(refused.headers["retry-after"]) <= 2
        for one in ("/", "/submit", path.replace("/api", "")):
            refused = get(victim, one)
            assert refused.status == 429, refused.raw
            assert 1 <= int(refused.headers["retry-after"]) <= 2
        other = {"authorization": f"Bearer {victim.bob}"}
        assert get(victim, "/api/jobs", other).status == 200
        assert get(victim, path, other).status == 404
        for token in (victim.root, victim.token):
            for _ in range(30):
                assert get(victim, path, {"authorization": f"Bearer {token}"}).status == 200
        assert get(victim, "/health", {"authorization": ""}).status in (200, 503)
