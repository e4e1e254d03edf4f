"""A job's life in the engine, on a real store with a real worker and real child processes."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checkback.core.errors import (
    Conflict,
    InvalidInput,
    KeyReused,
    NotFound,
    NotReady,
    TooLarge,
    UnknownKind,
)
from checkback.core.ids import new_job_id
from checkback.core.states import State
from checkback.engine.redis.keys import Keys
from checkback.security.auth.callers import LOCAL, Caller, Scope
from checkback.service import Service
from worker_processes import as_admin

ALICE = Caller("alice")
BOB = Caller("bob")


async def test_a_job_runs_in_a_child_and_its_result_is_read(
    service: Service, worker: Any, submit: Any
) -> None:
    job = await service.wait(LOCAL, await submit("test.add", a=1, b=2), 10)
    assert (job.state, job.result, job.progress) == (State.COMPLETED, 3, 100)
    assert (job.attempts.started, job.attempts.made, job.attempts.max) == (1, 1, 1)
    assert job.created_at <= job.started_at <= job.finished_at  # type: ignore[operator]
    assert job.expires_at - job.finished_at == timedelta(hours=24)  # type: ignore[operator]


async def test_what_a_job_says_is_in_its_record_and_log(
    service: Service, worker: Any, submit: Any
) -> None:
    job = await service.wait(LOCAL, await submit("test.say", words="hello"), 10)
    assert job.phase == "speaking"
    assert sorted(await service.log(LOCAL, job.id)) == ["log: hello", "printed: hello"]
    (artifact,) = job.artifacts
    found, path = await service.artifact(LOCAL, job.id, "words.txt")
    assert path.read_text() == "hello"
    assert (found, found.size_bytes, found.media_type) == (artifact, 5, "text/plain")


async def test_a_submitted_job_is_found_at_once(service: Service) -> None:
    done = await service.submit(LOCAL, "test.add", {"a": 1, "b": 2})
    assert (done.existing, done.job.state) == (False, State.WAITING)
    assert await service.get(LOCAL, done.job.id) == done.job


async def test_arguments_are_read_only_when_asked_for(service: Service) -> None:
    job = (await service.submit(LOCAL, "test.add", {"a": 1, "b": 2})).job
    assert (await service.get(LOCAL, job.id)).args is None
    assert (await service.get_with_args(LOCAL, job.id)).args == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("kind", "args", "error", "words"),
    [
        ("test.nothing", {}, UnknownKind, "test.nothing"),
        ("os.system", {"command": "true"}, UnknownKind, "os.system"),
        ("test.add", {"a": 1}, InvalidInput, "`b` is required"),
        ("test.add", {"a": 1, "b": 2, "c": 3}, InvalidInput, "Unknown argument `c`"),
        ("test.add", {"a": 1, "b": "x"}, InvalidInput, "`b` must be a whole number"),
        ("test.say", {"words": "x" * 300_000}, TooLarge, "256 KB"),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_stored(
    service: Service, kind: str, args: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await service.submit(LOCAL, kind, args)
    assert (await service.list(LOCAL)).jobs == []


async def test_a_key_gives_the_first_job_back(service: Service) -> None:
    first = await service.submit(ALICE, "test.add", {"a": 1, "b": 2}, key="k")
    again = await service.submit(ALICE, "test.add", {"a": 1, "b": 2}, key="k")
    other = await service.submit(BOB, "test.add", {"a": 1, "b": 2}, key="k")
    assert (again.job.id, again.existing) == (first.job.id, True)
    assert other.job.id != first.job.id


async def test_a_key_with_other_arguments_is_refused(service: Service) -> None:
    first = await service.submit(ALICE, "test.add", {"a": 1, "b": 2}, key="k")
    with pytest.raises(KeyReused):
        await service.submit(ALICE, "test.add", {"a": 1, "b": 3}, key="k")
    assert (await service.get_with_args(ALICE, first.job.id)).args == {"a": 1, "b": 2}


async def test_fifty_submits_with_one_key_make_one_job(service: Service, worker: Any) -> None:
    done = await asyncio.gather(
        *(service.submit(ALICE, "test.add", {"a": 1, "b": 2}, key="same") for _ in range(50))
    )
    assert len({one.job.id for one in done}) == 1
    assert sum(not one.existing for one in done) == 1
    assert (await service.wait(ALICE, done[0].job.id, 10)).attempts.started == 1


async def test_a_forgotten_script_loses_no_job(service: Service, connection: Any) -> None:
    await service.submit(ALICE, "test.add", {"a": 1, "b": 2})
    await as_admin(connection.settings, "SCRIPT", "FLUSH")
    job = (await service.submit(ALICE, "test.add", {"a": 1, "b": 2}, key="k")).job
    assert (await service.get(ALICE, job.id)).state is State.WAITING


async def test_another_owners_job_is_as_one_that_does_not_exist(service: Service) -> None:
    job = (await service.submit(ALICE, "test.add", {"a": 1, "b": 2})).job
    errors: list[str] = []
    for job_id in (job.id, new_job_id()):
        for use in (service.get, service.cancel, service.retry, service.result, service.log):
            with pytest.raises(NotFound) as caught:
                await use(BOB, job_id)
            errors.append(f"{caught.value.message} {caught.value.hint}")
    assert len(set(errors)) == 1
    assert (await service.get(Caller("root", frozenset({Scope.ADMIN})), job.id)).owner == "alice"


async def test_a_list_has_the_newest_first_and_goes_on_where_it_ended(
    service: Service, submit: Any
) -> None:
    ids = [await submit("test.add", a=number, b=0) for number in range(7)]
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await service.list(LOCAL, limit=3, cursor=cursor)
        found += [job.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == ids[::-1]


async def test_a_list_can_be_narrowed(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    done = await submit("test.add", a=1, b=2)
    await service.wait(LOCAL, done, 10)
    failed = await submit("test.fail")
    await service.wait(LOCAL, failed, 10)
    assert [job.id for job in (await service.list(LOCAL, state=State.FAILED)).jobs] == [failed]
    assert [job.id for job in (await service.list(LOCAL, kind="test.add")).jobs] == [done]
    assert (await service.list(ALICE)).jobs == []
    admin = Caller("root", frozenset({Scope.ADMIN}))
    assert {job.id for job in (await service.list(admin, owner="*")).jobs} == {done, failed}


async def test_a_watcher_sees_every_state_once_and_ends(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job_id = await submit("test.gate", path=str(go))
    seen: list[State] = []
    async with aclosing(service.watch(LOCAL, job_id)) as changes:
        async for job in changes:
            if not seen or seen[-1] is not job.state:
                seen.append(job.state)
            if job.phase == "waiting":
                go.touch()
    assert seen in ([State.WAITING, State.ACTIVE, State.COMPLETED], [State.ACTIVE, State.COMPLETED])


async def test_a_wait_that_runs_out_of_time_tells_the_state(service: Service, submit: Any) -> None:
    job_id = await submit("test.add", a=1, b=2)
    assert (await service.wait(LOCAL, job_id, 0.05)).state is State.WAITING
    with pytest.raises(NotReady):
        await service.result(LOCAL, job_id)


async def test_a_delayed_job_waits_for_its_time(service: Service, worker: Any) -> None:
    done = await service.submit(LOCAL, "test.add", {"a": 1, "b": 2}, delay_seconds=0.5)
    assert done.job.state is State.DELAYED
    job = await service.wait(LOCAL, done.job.id, 10)
    assert job.started_at - job.created_at >= timedelta(seconds=0.5)  # type: ignore[operator]


async def test_a_large_result_becomes_an_artifact(
    service: Service, worker: Any, submit: Any
) -> None:
    for size in (200_000, 20_000_000):
        job = await service.wait(LOCAL, await submit("test.large", size=size), 20)
        assert job.result == {"spilled_to": "result.json", "size_bytes": size + 2}
        assert await service.result(LOCAL, job.id) == "x" * size


async def test_progress_never_falls(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job_id = await submit("test.progress_back", path=str(go))
    seen: list[int] = []
    async with aclosing(service.watch(LOCAL, job_id)) as changes:
        async for job in changes:
            seen.append(job.progress)
            if job.progress == 60:
                go.touch()
    assert 60 in seen
    assert seen == sorted(seen)
    assert seen[-1] == 100


async def test_a_flood_of_words_is_coalesced_and_capped(
    service: Service, worker: Any, submit: Any, connection: Any, settings: Any
) -> None:
    """A million lines, with a progress each: told four times a second, or so, and kept within a
    bound.
    """
    started = time.monotonic()
    job = await service.wait(LOCAL, await submit("test.talk", lines=1_000_000), 55)
    took = time.monotonic() - started
    lines = await service.log(LOCAL, job.id)
    assert job.state is State.COMPLETED
    assert len(lines) <= 1000
    assert lines[-1] == "line 999999"
    assert any("dropped" in line for line in lines)
    events = Keys(settings.prefix).queue("jobs", "events")
    told = [
        entry
        for _, entry in await connection.wire.call("XRANGE", events, "-", "+")
        if "progress" in entry
    ]
    assert len(told) <= 10 + 4 * took


async def test_a_secret_is_opened_in_the_child_only(
    service: Service, connection: Any, worker: Any, submit: Any
) -> None:
    canary = "canary-7c1f0a"
    job = await service.wait(LOCAL, await submit("test.login", user="ada", password=canary), 10)
    assert job.result == {"user": "ada", "length": len(canary)}
    assert (await service.get_with_args(LOCAL, job.id)).args == {"user": "ada", "password": "***"}
    for key in await as_admin(connection.settings, "KEYS", "*"):
        assert canary not in str(await connection.wire.call("DUMP", key))


async def test_the_same_secret_under_one_key_is_the_same_request(service: Service) -> None:
    args = {"user": "ada", "password": "one"}
    first = await service.submit(LOCAL, "test.login", args, key="k")
    assert (await service.submit(LOCAL, "test.login", args, key="k")).job.id == first.job.id
    with pytest.raises(KeyReused):
        await service.submit(LOCAL, "test.login", args | {"password": "two"}, key="k")


async def test_a_kinds_own_limit_of_jobs_at_once_holds(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    ids = [await submit("test.limited", folder=str(marks)) for _ in range(4)]
    jobs = await asyncio.gather(*(service.wait(LOCAL, job_id, 20) for job_id in ids))
    assert [job.result for job in jobs] == [1, 1, 1, 1]


async def test_every_fresh_job_has_a_process_of_its_own(
    service: Service, worker: Any, submit: Any
) -> None:
    ids = [await submit("test.pid") for _ in range(3)]
    jobs = [await service.wait(LOCAL, job_id, 10) for job_id in ids]
    assert len({job.result for job in jobs}) == 3


async def test_a_warm_child_keeps_its_resource_between_jobs(
    service: Service, worker: Any, submit: Any
) -> None:
    results = [(await service.wait(LOCAL, await submit("test.warm"), 10)).result for _ in range(3)]
    pids, counts = zip(*results, strict=True)
    assert len(set(pids)) == 1
    assert counts == (1, 2, 3)


async def test_result_of_a_job_that_has_none_is_refused(
    service: Service, worker: Any, submit: Any
) -> None:
    job_id = await submit("test.fail")
    await service.wait(LOCAL, job_id, 10)
    with pytest.raises(Conflict, match="It broke"):
        await service.result(LOCAL, job_id)


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        "meta",
        "wait",
        "x" * 36,
        "01a201ae-de92-792d-a279",
        "{01a201ae-de92-792d-a279-f3d27cb99f9e}",
    ],
)
async def test_what_is_no_id_is_refused(service: Service, job_id: str) -> None:
    with pytest.raises(InvalidInput):
        await service.get(LOCAL, job_id)


async def test_a_thousand_that_wait_for_one_job_are_told_at_once(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job_id = await submit("test.gate", path=str(go))
    woken: list[float] = []

    async def wait() -> None:
        assert (await service.wait(LOCAL, job_id, 40)).state is State.COMPLETED
        woken.append(time.time())

    waiting = [asyncio.create_task(wait()) for _ in range(1000)]
    async for job in service.watch(LOCAL, job_id):
        if job.phase == "waiting":
            go.touch()
    await asyncio.gather(*waiting)
    ended = (await service.get(LOCAL, job_id)).finished_at
    assert ended is not None
    assert max(woken) - ended.timestamp() < 1
