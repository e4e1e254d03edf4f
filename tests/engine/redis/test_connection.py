"""The connection that all calls share: what is not answered in time fails, nobody gets another's
answer.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checkback.core.errors import EngineUnavailable
from checkback.engine.processes import tree
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.embedded import EmbeddedValkey

CALL_SECONDS = 0.3


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    """A Valkey that a test may stop."""
    server = EmbeddedValkey(tmp_path / "store", appendfsync="no")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def wire(store: EmbeddedValkey) -> AsyncIterator[RedisConnection]:
    opened = RedisConnection(store.address, name="test", call_seconds=CALL_SECONDS)
    yield opened
    await opened.close()


async def test_calls_that_are_not_answered_fail_each_in_its_time(
    store: EmbeddedValkey, wire: RedisConnection
) -> None:
    assert await wire.call("ECHO", "before") == "before"
    assert store.pid is not None
    tree.send(store.pid, signal.SIGSTOP)
    ends: list[float] = []

    async def call() -> None:
        with pytest.raises(EngineUnavailable, match="in time"):
            await wire.call("ECHO", "lost")
        ends.append(time.monotonic())

    begun = time.monotonic()
    first = asyncio.create_task(call())
    async with asyncio.timeout(CALL_SECONDS / 2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(CALL_SECONDS / 3):
                await wire.call("ECHO", "given up by its caller")
    second = asyncio.create_task(call())
    await asyncio.gather(first, second)
    assert CALL_SECONDS <= ends[0] - begun < ends[1] - begun
    assert ends[1] - ends[0] >= CALL_SECONDS / 6

    tree.send(store.pid, signal.SIGCONT)
    answers = await asyncio.gather(*(wire.call("ECHO", str(number)) for number in range(20)))
    assert answers == [str(number) for number in range(20)]


async def test_a_lost_connection_fails_what_was_sent_and_opens_again(
    store: EmbeddedValkey, wire: RedisConnection
) -> None:
    assert await wire.call("ECHO", "before") == "before"
    assert store.pid is not None
    tree.send(store.pid, signal.SIGSTOP)
    sent = asyncio.create_task(wire.call("ECHO", "lost"))
    await asyncio.to_thread(tree.send, store.pid, signal.SIGKILL)
    await asyncio.to_thread(store.stop)
    with pytest.raises(EngineUnavailable):
        await sent
    with pytest.raises(EngineUnavailable):
        await wire.call("ECHO", "nobody is there")
    await asyncio.to_thread(store.start)
    assert await wire.call("ECHO", "after") == "after"


async def test_an_answer_that_came_in_time_counts_however_late_this_loop_reads_it(
    wire: RedisConnection,
) -> None:
    assert await wire.call("ECHO", "before") == "before"
    call = asyncio.create_task(wire.call("ECHO", "one"))
    several = asyncio.create_task(wire.transaction([["ECHO", "two"], ["ECHO", "three"]]))
    await asyncio.sleep(0)  # both are sent at the end of this turn
    asyncio.get_running_loop().call_soon(
        time.sleep, 2 * CALL_SECONDS
    )  # a thousand requests at once, say
    assert await call == "one"
    assert await several == ["two", "three"]
