"""Who may run how much at once: the slots of a queue, the extra one, and jobs that only wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.core.job import Job
from checkback.core.states import State
from checkback.security.auth.callers import Caller, Scope
from checkback.service import Service
from checkback.settings import Settings
from running import running_worker
from worker_processes import RESCUE_SECONDS, WorkerProcesses, short_locks

ADA, BOB, EVE = (
    Caller(name, frozenset({Scope.READ, Scope.WRITE})) for name in ("ada", "bob", "eve")
)
SOON_SECONDS = 10.0
"""What an owner who runs nothing may have to wait."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, job_concurrency=2)


async def submit(service: Service, caller: Caller, path: Path, **more: Any) -> str:
    return (await service.submit(caller, "test.gate", {"path": str(path)}, **more)).job.id


async def until_active(
    service: Service, caller: Caller, job_id: str, seconds: float = SOON_SECONDS
) -> Job:
    async with asyncio.timeout(seconds):
        async for job in service.watch(caller, job_id):
            if job.state is State.ACTIVE and job.phase == "waiting":
                return job
    raise AssertionError("the job ended")


async def states(service: Service, caller: Caller, ids: list[str]) -> list[State]:
    return [(await service.get(caller, one)).state for one in ids]


async def test_an_owner_who_runs_nothing_starts_at_once_though_another_holds_every_slot(
    service: Service, worker: Any, tmp_path: Path
) -> None:
    held = [await submit(service, ADA, tmp_path / "go") for _ in range(5)]
    for one in held[:2]:
        await until_active(service, ADA, one)
    of_bob = await submit(service, BOB, tmp_path / "go")
    await until_active(service, BOB, of_bob)
    assert await states(service, ADA, held) == [State.ACTIVE] * 2 + [State.WAITING] * 3
    (tmp_path / "go").touch()
    for one in held:
        assert (await service.wait(ADA, one, 30)).state is State.COMPLETED


async def test_an_owner_who_is_alone_gets_every_slot_and_not_the_extra_one(
    service: Service, worker: Any, tmp_path: Path
) -> None:
    gates = [tmp_path / f"go-{number}" for number in range(4)]
    held = [await submit(service, ADA, gate) for gate in gates]
    for one in held[:2]:
        await until_active(service, ADA, one)
    gates[0].touch()
    await service.wait(ADA, held[0], 30)
    await until_active(service, ADA, held[2])
    assert await states(service, ADA, held[1:]) == [State.ACTIVE, State.ACTIVE, State.WAITING]
    for gate in gates:
        gate.touch()
    assert (await service.wait(ADA, held[3], 30)).state is State.COMPLETED


async def test_when_others_hold_even_the_extra_slot_the_next_end_is_for_who_runs_nothing(
    service: Service, worker: Any, tmp_path: Path
) -> None:
    gates = [tmp_path / f"go-{number}" for number in range(2)]
    held = [await submit(service, ADA, gate) for gate in gates]
    for one in held:
        await until_active(service, ADA, one)
    more = [await submit(service, ADA, tmp_path / "go") for _ in range(3)]
    of_bob = [await submit(service, BOB, tmp_path / "go") for _ in range(3)]
    await until_active(service, BOB, of_bob[0])
    of_eve = await submit(service, EVE, tmp_path / "go", delay_seconds=0.2)
    gates[0].touch()
    await service.wait(ADA, held[0], 30)
    await until_active(service, EVE, of_eve)
    assert await states(service, ADA, more) == [State.WAITING] * 3
    assert await states(service, BOB, of_bob[1:]) == [State.WAITING] * 2
    (tmp_path / "go").touch()
    gates[1].touch()
    for caller, ids in ((ADA, more), (BOB, of_bob), (EVE, [of_eve])):
        for one in ids:
            assert (await service.wait(caller, one, 30)).state is State.COMPLETED


async def test_two_workers_agree_on_who_runs_nothing(
    service: Service, worker: Any, settings: Settings, tmp_path: Path
) -> None:
    async with running_worker(settings):
        held = [await submit(service, ADA, tmp_path / "go") for _ in range(7)]
        for one in held[:4]:
            await until_active(service, ADA, one)
        of_bob = [await submit(service, BOB, tmp_path / "go") for _ in range(3)]
        await until_active(service, BOB, of_bob[0])
        of_eve = await submit(service, EVE, tmp_path / "go")
        await until_active(service, EVE, of_eve)
        assert await states(service, BOB, of_bob[1:]) == [State.WAITING] * 2
        assert await states(service, ADA, held[4:]) == [State.WAITING] * 3
        (tmp_path / "go").touch()
        for one in held:
            assert (await service.wait(ADA, one, 30)).state is State.COMPLETED


async def test_a_killed_worker_leaves_no_slot_taken(
    service: Service, settings: Settings, workers: WorkerProcesses, tmp_path: Path
) -> None:
    lost = workers.start(short_locks(settings))
    held = [await submit(service, ADA, tmp_path / "go") for _ in range(2)]
    for one in held:
        await until_active(service, ADA, one, 30)
    of_bob = await submit(service, BOB, tmp_path / "go")
    await until_active(service, BOB, of_bob)
    lost.kill()
    (tmp_path / "go").touch()
    workers.start(short_locks(settings))
    for caller, one in ((ADA, held[0]), (ADA, held[1]), (BOB, of_bob)):
        assert (await service.wait(caller, one, RESCUE_SECONDS)).state is State.COMPLETED
    gates = [tmp_path / f"later-{number}" for number in range(3)]
    again = [await submit(service, BOB, gate) for gate in gates]
    await until_active(service, BOB, again[1])
    gates[0].touch()
    await until_active(service, BOB, again[2])
    for gate in gates:
        gate.touch()


async def test_jobs_that_wait_for_their_parts_hold_no_slot(
    service: Service, worker: Any, tmp_path: Path
) -> None:
    parts = [str(tmp_path / "part")]
    submitted = [await service.submit(ADA, "test.split", {"paths": parts}) for _ in range(3)]
    waiting = [one.job.id for one in submitted]
    for one in waiting:
        async with asyncio.timeout(30):
            async for job in service.watch(ADA, one):
                if job.state is State.ACTIVE:
                    break
    others = [await submit(service, BOB, tmp_path / "go") for _ in range(2)]
    await until_active(service, BOB, others[0])
    (tmp_path / "part").touch()
    (tmp_path / "go").touch()
    for one in waiting:
        assert (await service.wait(ADA, one, 30)).state is State.COMPLETED
