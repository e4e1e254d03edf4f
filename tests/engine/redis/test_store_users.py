"""Who may do what in the embedded store: nothing without a password, nothing
dangerous with ours.
"""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from checkback.app.connect import address, connect
from checkback.core.errors import EngineUnavailable
from checkback.engine.redis import store_users
from checkback.engine.redis.connection import RedisAddress, RedisConnection, ReplyError
from checkback.engine.redis.embedded import EmbeddedValkey, ping, store_address, store_url
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings
from running import StartServer

DANGEROUS = (
    "ACL LIST", "ACL SETUSER default on nopass +@all", "BGREWRITEAOF", "BGSAVE", "CLIENT KILL ID 1",
    "CLIENT PAUSE 100000 ALL", "CONFIG GET dir", "CONFIG SET dir /etc", "CONFIG REWRITE", "DEBUG SLEEP 0",
    "FAILOVER", "FLUSHALL", "FLUSHDB", "FUNCTION LIST", "FUNCTION LOAD x", "KEYS *", "LATENCY LATEST",
    "MIGRATE 127.0.0.1 1 x 0 1", "MODULE LOAD /tmp/x.so", "MONITOR", "REPLICAOF 127.0.0.1 1", "RESTORE a 0 x",
    "SAVE", "SCRIPT FLUSH", "SHUTDOWN NOSAVE", "SLAVEOF 127.0.0.1 1", "SLOWLOG GET", "SORT x GET y",
    "SWAPDB 0 0", "PSYNC ? -1",
)  # fmt: skip


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    started = EmbeddedValkey(tmp_path / "home", appendfsync="no")
    started.start()
    yield started
    started.stop()


@pytest.fixture
async def wire(own_store: EmbeddedValkey) -> AsyncIterator[RedisConnection]:
    opened = RedisConnection(own_store.address, name="test")
    yield opened
    await opened.close()


async def refusal(wire: RedisConnection, command: str) -> str:
    with pytest.raises(ReplyError) as caught:
        await wire.call(*command.split())
    return str(caught.value)


@pytest.mark.parametrize("command", DANGEROUS)
async def test_what_is_ours_has_no_dangerous_command(wire: RedisConnection, command: str) -> None:
    said = await refusal(wire, command)
    assert said.startswith(
        ("NOPERM", "ERR DEBUG command not allowed", "ERR MODULE command not allowed")
    ), said


async def test_a_script_has_no_more_rights_than_who_sends_it(wire: RedisConnection) -> None:
    with pytest.raises(ReplyError, match="permission"):
        await wire.call("EVAL", "return redis.call('KEYS', '*')", 0)
    assert await wire.call("EVAL", "return redis.call('SET', 'a', '1')", 0) == "OK"


@pytest.mark.parametrize(
    "command", ["GET a", "SET a b", "INFO", "EVAL return(1) 0", "CLIENT LIST", "SUBSCRIBE a"]
)
async def test_without_a_password_there_is_nothing_but_ping(
    own_store: EmbeddedValkey, command: str
) -> None:
    stranger = RedisConnection(RedisAddress(unix_path=own_store.socket_path), name="stranger")
    with pytest.raises((ReplyError, EngineUnavailable)) as caught:
        await stranger.call(*command.split())
    assert "NOPERM" in str(caught.value)
    await stranger.close()
    assert ping(own_store.socket_path)


async def test_a_wrong_password_opens_nothing(own_store: EmbeddedValkey) -> None:
    wrong = RedisConnection(replace(own_store.address, password="x"), name="wrong")
    with pytest.raises((ReplyError, EngineUnavailable), match="NOPERM"):
        await wrong.call("GET", "a")
    await wrong.close()


async def test_the_admin_has_every_command(own_store: EmbeddedValkey) -> None:
    admin = RedisConnection(own_store.admin_address, name="admin")
    assert await admin.call("CONFIG", "GET", "maxmemory-policy") == [
        "maxmemory-policy",
        "noeviction",
    ]
    assert await admin.call("FLUSHALL") == "OK"
    await admin.close()


def test_passwords_lie_in_files_for_this_user_alone(own_store: EmbeddedValkey) -> None:
    files = [own_store.folder / name for name in ("password", "admin-password", "users.acl")]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    words = [
        store_users.password(own_store.folder, user)
        for user in (store_users.APP, store_users.ADMIN)
    ]
    assert len({*words}) == 2
    assert min(map(len, words)) >= 40
    assert not [word for word in words if word in files[2].read_text()]
    command = Path(f"/proc/{own_store.pid}/cmdline").read_bytes().decode()
    assert not [word for word in words if word in command]


async def test_a_store_that_starts_again_keeps_its_passwords(own_store: EmbeddedValkey) -> None:
    before = own_store.address
    own_store.stop()
    own_store.start()
    assert own_store.address == before
    again = RedisConnection(RedisAddress.parse(own_store.url), name="again")
    assert await again.call("SET", "a", "b") == "OK"
    await again.close()


async def test_a_data_folder_of_an_older_version_gets_its_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_server: StartServer
) -> None:
    home = tmp_path / "server"
    with monkeypatch.context() as older:
        older.setattr(EmbeddedValkey, "_command", without_users(EmbeddedValkey._command))  # pyright: ignore[reportPrivateUsage]
        old = EmbeddedValkey(home)
        old.start()
        # A client of this version reaches the store of an older one that still runs.
        wire = RedisConnection(store_address(home), name="test")
        assert await wire.call("SET", "kept", "1") == "OK"
        await wire.close()
        old.stop()
    for name in ("password", "admin-password", "users.acl"):
        (home / "valkey" / name).unlink(missing_ok=True)
    server = start_server(home=home)
    async with connect(Settings(home=home), start=False) as connection:
        assert await connection.wire.call("GET", "kept") == "1"
        job = (await connection.service.submit(LOCAL, "test.add", {"a": 1, "b": 1})).job
        assert (await connection.service.wait(LOCAL, job.id, 20)).result == 2
        shared = RedisConnection(RedisAddress.parse(store_url(home)), name="shared")
        assert await shared.call("GET", "kept") == "1"
        await shared.close()
    assert address(Settings(home=home)).password
    assert server.health()["ready"] is True


def without_users(
    command: Callable[[EmbeddedValkey], list[str]],
) -> Callable[[EmbeddedValkey], list[str]]:
    """The server's command line as it was before it had users."""

    def run(self: EmbeddedValkey) -> list[str]:
        words = command(self)
        return words[: words.index("--aclfile")]

    return run
