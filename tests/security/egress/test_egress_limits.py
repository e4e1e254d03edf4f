"""What the egress proxy bears: floods, slowness, greed. And its life: start, death, replacement,
end.
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from checkback.core.errors import EngineUnavailable, InvalidInput
from checkback.security.egress.client import EgressProxy

PUBLIC = "8.8.8.8"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes everything and says nothing."""
    while await reader.read(65536):
        pass
    writer.close()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that never stops."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    try:
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def test_a_job_gets_no_more_bytes_than_its_share(start_proxy: Any, client_of: Any) -> None:
    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        proxy = await start_proxy({"shop.test": [[PUBLIC]]}, {PUBLIC: port}, bytes=1_000_000)
        grant = await proxy.grant("job")
        with pytest.raises(ConnectionResetError):  # an orderly end would pass for a whole answer
            await client_of(grant).get("http://shop.test/")
        answer = await client_of(grant).get("http://shop.test/")
        assert (status(answer), b"X-Checkback-Blocked: too_many_bytes" in answer) == (403, True)
        report = await proxy.report(grant)
        assert 1_000_000 <= report.bytes < 1_200_000
        assert [incident.reason for incident in report.blocked] == ["too_many_bytes"]
        # The next job starts from nothing.
        assert (await proxy.report(await proxy.grant("next"))).bytes == 0


async def test_a_job_opens_no_more_connections_than_its_share(
    start_proxy: Any, client_of: Any
) -> None:
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        proxy = await start_proxy(
            {"a.test": [[PUBLIC]]}, {PUBLIC: port}, open_connections=2, connections=3
        )
        client = client_of(await proxy.grant("job"))
        tunnels = [await client.connect("a.test:443") for _ in range(3)]
        assert [status(answer) for answer, _, _ in tunnels] == [200, 200, 403]
        tunnels[0][2].close()
        await tunnels[0][2].wait_closed()
        while (answer := (await client.connect("a.test:443"))[0]) and status(answer) != 200:
            pass
        assert b"too_many_connections" in (await client.connect("a.test:443"))[0]
        for _, _, writer in tunnels:
            writer.close()


async def test_revoking_a_key_cuts_what_is_open_and_closes_the_door(
    start_proxy: Any, client_of: Any
) -> None:
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        proxy = await start_proxy({"a.test": [[PUBLIC]]}, {PUBLIC: port})
        grant, other = await proxy.grant("job"), await proxy.grant("other")
        _, reader, writer = await client_of(grant).connect("a.test:443")
        _, others_reader, others_writer = await client_of(other).connect("a.test:443")
        assert (await proxy.revoke(grant)).connections == 1
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        assert status((await client_of(grant).connect("a.test:443"))[0]) == 407
        assert (await proxy.revoke(grant)).lost
        assert not others_reader.at_eof()
        writer.close()
        others_writer.close()


async def test_a_connection_on_which_nothing_moves_is_ended(
    start_proxy: Any, client_of: Any
) -> None:
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        proxy = await start_proxy({"a.test": [[PUBLIC]]}, {PUBLIC: port}, idle_seconds=0.2)
        _, reader, writer = await client_of(await proxy.grant("job")).connect("a.test:443")
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET http://a.test/ HTTP/1.1\r\nA: "])
async def test_a_head_that_does_not_end_is_not_waited_for(
    start_proxy: Any, client_of: Any, sent: bytes
) -> None:
    proxy = await start_proxy(head_seconds=0.2)
    reader, writer = await client_of(await proxy.grant("job")).open()
    writer.write(sent)
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()


@pytest.mark.parametrize("field", [b"A: " + b"a" * 200_000, b"A: b\r\n" * 1000])
async def test_a_head_that_is_too_large_is_refused(
    start_proxy: Any, client_of: Any, field: bytes
) -> None:
    proxy = await start_proxy()
    client = client_of(await proxy.grant("job"))
    assert status(await client.get("http://a.test/", field + b"\r\n")) in (431, 400)


async def test_strangers_cannot_lock_the_jobs_out(
    start_proxy: Any, client_of: Any, site: Any
) -> None:
    proxy = await start_proxy({"shop.test": [[PUBLIC]]}, {PUBLIC: site.port})
    client = client_of(await proxy.grant("job"))
    strangers = [await client.open() for _ in range(300)]
    assert status(await client.get("http://shop.test/")) == 200
    for _, writer in strangers:
        writer.close()


async def test_after_its_death_a_new_proxy_serves_new_jobs_and_old_keys_are_worthless(
    start_proxy: Any, client_of: Any, site: Any
) -> None:
    proxy = await start_proxy({"shop.test": [[PUBLIC]]}, {PUBLIC: site.port})
    old = await proxy.grant("old")
    os.kill(proxy.pid, signal.SIGKILL)
    new = await proxy.grant("new")
    assert status(await client_of(new).get("http://shop.test/")) == 200
    try:
        answer = await client_of(old).get("http://shop.test/")
    except ConnectionError:
        answer = b""
    assert answer == b"" or status(answer) == 407
    assert (await proxy.revoke(old)).lost


async def test_a_proxy_that_cannot_start_says_so() -> None:
    with pytest.raises(EngineUnavailable):
        await EgressProxy.start(command=(sys.executable, "-c", "print('no')"), start_seconds=0.3)
    with pytest.raises(InvalidInput):
        await EgressProxy.start(allow_hosts=("nonsense",))


async def test_it_ends_when_its_worker_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        "import asyncio\n"
        "from checkback.security.egress.client import EgressProxy\n"
        "async def main():\n"
        "    proxy = await EgressProxy.start()\n"
        "    print(proxy.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    worker = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    watched = os.pidfd_open(int(await worker.stdout.readline()))
    worker.kill()
    await worker.wait()
    async with asyncio.timeout(5):
        await readable(watched)
    os.close(watched)


async def readable(descriptor: int) -> None:
    """Wait until a descriptor can be read: for that of a process, until it has ended."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    await ended.wait()
    asyncio.get_running_loop().remove_reader(descriptor)


async def test_it_sees_no_secret_of_its_workers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHECKBACK_SECRET_KEY", "hidden")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    proxy = await EgressProxy.start()
    try:
        assert b"hidden" not in Path(f"/proc/{proxy.pid}/environ").read_bytes()
    finally:
        await proxy.close()


def test_the_process_imports_nothing_but_the_standard_library() -> None:
    script = (
        "import sys, checkback.security.egress.__main__ as p\n"
        "print(*{m.partition('.')[0] for m in sys.modules})"
    )
    bare = subprocess.run(
        [sys.executable, "-c", "import sys\nprint(*{m.partition('.')[0] for m in sys.modules})"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    extra = set(loaded.stdout.split()) - set(bare.stdout.split()) - sys.stdlib_module_names
    assert extra == {"checkback"}
