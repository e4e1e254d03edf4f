"""Places that attempts wait for: none is kept by an attempt that has ended."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from checkback.app.connect import Connection
from checkback.engine.processes.runner import Stop
from checkback.engine.worker.attempt import Attempt, JobExtras, WorkerParts
from checkback.engine.worker.slots import Slots


@pytest.mark.parametrize("seconds", [None, 3600.0])
async def test_an_attempt_that_is_stopped_as_its_place_gets_free_leaves_it_free(
    connection: Connection, seconds: float | None
) -> None:
    places = asyncio.Semaphore(1)
    parts = SimpleNamespace(wire=connection.wire, keys=connection.queues.keys, owner_store_bytes=0)
    job = SimpleNamespace(id="one", name="test.add")
    attempt: Any = Attempt(
        cast(WorkerParts, parts), "jobs", cast(Any, job), "token", JobExtras(), Slots(1)
    )
    await places.acquire()
    inside, leave = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with attempt._slot(places, seconds):
            inside.set()
            await leave.wait()

    running = asyncio.create_task(run())
    attempt.stop(Stop.CANCELLED)
    await inside.wait()
    assert places.locked()  # it got in without a place: it has been stopped
    places.release()
    async with asyncio.timeout(5):
        while not places.locked():
            await asyncio.sleep(0)  # and now it gets the place that it had asked for
    leave.set()
    await running
    assert not places.locked()


async def test_of_two_that_come_in_the_same_moment_the_second_is_known_to_wait(
    connection: Connection,
) -> None:
    """One that waits has not begun: should its worker die, that was not the job's doing."""
    places, leave = asyncio.Semaphore(1), asyncio.Event()
    parts = SimpleNamespace(wire=connection.wire, keys=connection.queues.keys, owner_store_bytes=0)
    inside: list[str] = []

    async def run(name: str) -> None:
        await connection.wire.call("HSET", connection.queues.keys.job("jobs", name), "timestamp", 1)
        job = SimpleNamespace(id=name, name="test.add")
        attempt: Any = Attempt(
            cast(WorkerParts, parts), "jobs", cast(Any, job), "token", JobExtras(), Slots(1)
        )
        ready.append(name)
        await both_ready.wait()
        async with attempt._slot(places, None):
            inside.append(name)
            await leave.wait()

    ready: list[str] = []
    both_ready = asyncio.Event()
    running = [asyncio.create_task(run(name)) for name in ("one", "two")]
    async with asyncio.timeout(5):
        while len(ready) < 2:
            await asyncio.sleep(0)
        both_ready.set()
        while not inside:
            await asyncio.sleep(0)
        (waiting,) = {"one", "two"} - set(inside)
        key = connection.queues.keys.job("jobs", waiting)
        while await connection.wire.call("HGET", key, "cb:returned") != "1":
            await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(*running)
