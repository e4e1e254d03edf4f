"""An owner's open streams are counted in the store, for all servers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from checkback.app.connect import Connection
from checkback.core.errors import EngineUnavailable, QuotaExceeded
from checkback.engine.jobs.open_streams import OpenStreams
from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.security.auth.callers import LOCAL, Caller
from checkback.security.rate_limits import OwnerLimits, Quotas
from checkback.settings import Settings
from running import open_connection
from waiting import wait_until

ADA, BOB = Caller("ada"), Caller("bob")


async def counted(connection: Connection, owner: str) -> int:
    return await connection.wire.call("ZCARD", connection.queues.keys.streams(owner))


async def until_counted(connection: Connection, owner: str, wanted: int) -> None:
    async def are_counted() -> bool:
        return await counted(connection, owner) == wanted

    await wait_until(f"{wanted} streams of {owner} are counted", are_counted)


async def test_two_servers_on_one_store_refuse_an_owner_together(
    connection: Connection, settings: Settings
) -> None:
    async with open_connection(settings) as other:
        first, second = connection.service, other.service
        for service in (first, second):
            service.quotas = Quotas(OwnerLimits(streams=3))
        ended = [await service.open_stream(ADA) for service in (first, first, second)]
        for service in (first, second):
            with pytest.raises(QuotaExceeded) as caught:
                await service.open_stream(ADA)
            assert caught.value.retry_after_seconds == 5
            async with service.stream(BOB), service.stream(LOCAL):
                pass
        ended[0]()
        await until_counted(connection, "ada", 2)
        (await second.open_stream(ADA))()
        for end in ended[1:]:
            end()
        await until_counted(connection, "ada", 0)


async def test_no_more_streams_than_allowed_begin_at_once(connection: Connection) -> None:
    streams = OpenStreams(connection.wire, connection.queues.keys)
    begun = await asyncio.gather(*(streams.begin("ada", 5) for _ in range(40)))
    ids = [stream_id for stream_id in begun if stream_id is not None]
    assert len(ids) == await counted(connection, "ada") == 5
    for stream_id in ids:
        streams.end("ada", stream_id)
    await until_counted(connection, "ada", 0)


async def test_a_stream_counts_as_long_as_it_is_open_and_not_after_its_server_was_killed(
    connection: Connection,
) -> None:
    wire, keys = connection.wire, connection.queues.keys
    streams = OpenStreams(wire, keys, lease_seconds=0.4, renew_seconds=0.1)
    killed = OpenStreams(wire, keys, lease_seconds=0.4, renew_seconds=60)
    kept = await streams.begin("ada", 3)
    assert kept is not None
    assert await killed.begin("ada", 3) is not None
    assert await counted(connection, "ada") == 2

    async def begins_a_third() -> bool:
        stream_id = await streams.begin("ada", 2)
        if stream_id is not None:
            streams.end("ada", stream_id)
        return stream_id is not None

    assert not await begins_a_third()
    await wait_until("the stream of the killed server is forgotten", begins_a_third)
    assert await connection.wire.call("ZSCORE", keys.streams("ada"), kept) is not None
    streams.end("ada", kept)


async def test_streams_that_never_began_are_not_counted(settings: Settings) -> None:
    nowhere = replace(settings, redis_url="redis://127.0.0.1:1")
    async with open_connection(nowhere) as connection:
        streams = OpenStreams(connection.wire, connection.queues.keys)
        for _ in range(2):
            with pytest.raises(EngineUnavailable):
                await streams.begin("ada", 1)


async def test_a_full_store_refuses_no_stream_but_each_server_still_counts_its_own(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = EmbeddedValkey(tmp_path_factory.mktemp("full"), memory_mb=8)
    store.start()
    try:
        async with open_connection(replace(settings, redis_url=store.url)) as connection:
            number = 0
            while not await is_full(connection, number):
                number += 1
            streams = OpenStreams(connection.wire, connection.queues.keys)
            begun = [await streams.begin("ada", 2) for _ in range(3)]
            assert [stream_id is not None for stream_id in begun] == [True, True, False]
    finally:
        store.stop()


async def is_full(connection: Connection, number: int) -> bool:
    """Write a little more; whether the store has refused it."""
    from checkback.engine.redis.connection import ReplyError

    try:
        await connection.wire.call("SET", f"ballast{number}", "x" * 100_000)
    except ReplyError:
        return True
    return False
