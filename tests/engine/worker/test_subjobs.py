"""Jobs that a job starts: its owner's, found again by a later attempt, gone with it when it is
cancelled.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from checkback.app.connect import Connection
from checkback.core.errors import NotFound
from checkback.core.job import Job
from checkback.core.states import State
from checkback.security.auth.callers import LOCAL, Caller
from checkback.service import Service
from checkback.settings import Settings
from running import running_worker
from waiting import wait_until

ADA, BOB = Caller("ada"), Caller("bob")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Room for a job and two of its parts at once."""
    return replace(settings, job_concurrency=3)


async def parts_of(service: Service, caller: Caller, count: int) -> list[Job]:
    """The parts, once that many are there."""

    async def enough() -> list[Job]:
        found = (await service.list(caller, kind="test.gate")).jobs
        return found if len(found) >= count else []

    return await wait_until("the parts were submitted", enough, 20)


@pytest.mark.usefixtures("worker")
async def test_parts_belong_to_the_jobs_owner_and_their_ends_are_seen(
    service: Service, tmp_path: Path
) -> None:
    paths = [str(tmp_path / name) for name in ("one", "two")]
    job_id = (await service.submit(ADA, "test.split", {"paths": paths})).job.id
    parts = await parts_of(service, ADA, 2)
    for path in paths:
        Path(path).touch()
    job = await service.wait(ADA, job_id, 30)
    assert job.state is State.COMPLETED
    assert {part["id"] for part in job.result} == {part.id for part in parts}
    assert [part["result"] for part in job.result] == ["attempt 1", "attempt 1"]
    for part in parts:
        with pytest.raises(NotFound):
            await service.get(BOB, part.id)


@pytest.mark.usefixtures("worker")
async def test_a_cancelled_job_takes_its_parts_with_it(service: Service, tmp_path: Path) -> None:
    # Two of them run, the others wait for a place.
    paths = [str(tmp_path / str(number)) for number in range(4)]
    job_id = (await service.submit(LOCAL, "test.split", {"paths": paths})).job.id
    parts = await parts_of(service, LOCAL, 4)
    assert (await service.cancel(LOCAL, job_id)).state is State.CANCELLED
    for part in parts:
        assert (await service.get(LOCAL, part.id)).state is State.CANCELLED
        ended = await service.wait(LOCAL, part.id, 20)
        assert ended.state is State.CANCELLED


@pytest.mark.usefixtures("worker")
async def test_a_job_that_fails_takes_its_parts_with_it_and_a_retry_finds_them_again(
    service: Service, tmp_path: Path
) -> None:
    done, later, switch = (tmp_path / name for name in ("done", "later", "switch"))
    done.touch()
    switch.touch()
    args = {"paths": [str(done), str(later)], "fail_on": str(switch)}
    job_id = (await service.submit(LOCAL, "test.split", args)).job.id
    assert (await service.wait(LOCAL, job_id, 30)).state is State.FAILED
    first = {part.id for part in await parts_of(service, LOCAL, 2)}
    for part_id in first:
        assert (await service.wait(LOCAL, part_id, 20)).state.is_final
    switch.unlink()
    later.touch()
    await service.retry(LOCAL, job_id)
    job = await service.wait(LOCAL, job_id, 30)
    assert [part["state"] for part in job.result] == ["completed", "completed"]
    assert {part["id"] for part in job.result} == first


async def test_a_later_attempt_finds_the_same_parts(
    settings: Settings, connection: Connection, tmp_path: Path
) -> None:
    service = connection.service
    paths = [str(tmp_path / name) for name in ("one", "two")]
    job_id = (await service.submit(LOCAL, "test.split", {"paths": paths})).job.id
    async with running_worker(replace(settings, grace_seconds=0.1)):
        before = {part.id for part in await parts_of(service, LOCAL, 2)}
    # The worker shut down: the job and its parts are back in their queue.
    assert (await service.get(LOCAL, job_id)).state is State.WAITING
    for path in paths:
        Path(path).touch()
    async with running_worker(settings):
        job = await service.wait(LOCAL, job_id, 30)
    assert job.state is State.COMPLETED
    assert (
        {part["id"] for part in job.result}
        == before
        == {part.id for part in await parts_of(service, LOCAL, 2)}
    )


async def test_a_part_does_not_begin_after_its_job_was_cancelled(
    settings: Settings, connection: Connection, tmp_path: Path
) -> None:
    service = connection.service
    job_id = (await service.submit(LOCAL, "test.split", {"paths": [str(tmp_path / "one")]})).job.id
    async with running_worker(replace(settings, grace_seconds=0.1)):
        (part,) = await parts_of(service, LOCAL, 1)
    # As if whoever cancelled the job had died before the parts' turn.
    await connection.queues.cancel(await service.get(LOCAL, job_id))
    assert (await service.get(LOCAL, part.id)).state is State.WAITING
    await connection.wire.call("HSET", f"{settings.prefix}:jobs:{part.id}", "ats", 0)
    async with running_worker(settings):
        assert (await service.wait(LOCAL, part.id, 20)).state is State.CANCELLED


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("kind", "error"),
    [("no.such", "UnknownKind"), ("test.gate", "InvalidInput"), ("pdf.to_text", "ValueError")],
)
async def test_what_cannot_be_started_is_refused(service: Service, kind: str, error: str) -> None:
    job_id = (await service.submit(LOCAL, "test.start_anything", {"kind": kind})).job.id
    assert (await service.wait(LOCAL, job_id, 30)).result == error
