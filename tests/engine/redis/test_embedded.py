"""The stores: an embedded Valkey for each folder, or a server by its address."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import connect
from checkback.core.errors import EngineUnavailable, InvalidInput
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.engine.redis.bullmq_client import check_server
from checkback.engine.redis.connection import RedisAddress, RedisConnection, ReplyError
from checkback.engine.redis.embedded import EmbeddedValkey, ping, socket_path
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings
from running import open_connection, running_worker
from waiting import finished

PASSWORD = "s3cret word"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "cert.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path


class RedisServers:
    """Debian's redis-server, on ports of the loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> int:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip(
                "redis-server is not installed (scripts/setup dev installs it where it may)"
            )
        port = free_port()
        listening = () if "--tls-port" in options else ("--port", str(port))
        chosen = [str(port) if option == "PORT" else option for option in options]
        command = [
            program,
            "--bind",
            "127.0.0.1",
            *listening,
            "--save",
            "",
            "--dir",
            str(self._folder),
            *chosen,
        ]
        self._started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port

    def stop(self) -> None:
        for process in self._started:
            process.terminate()
            process.wait(10)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServers]:
    servers = RedisServers(tmp_path)
    yield servers
    servers.stop()


async def use_everything(settings: Settings, tmp_path: Path) -> None:
    """Submit, run, fail, cancel, retry, list, log: on whatever store these settings name."""
    async with open_connection(settings) as connection, running_worker(settings):
        service = connection.service
        added = (await service.submit(LOCAL, "test.add", {"a": 1, "b": 2}, key="k")).job
        assert (await service.submit(LOCAL, "test.add", {"a": 1, "b": 2}, key="k")).existing
        assert (await service.wait(LOCAL, added.id, 20)).result == 3
        said = (await service.submit(LOCAL, "test.say", {"words": "x"})).job
        assert (await service.wait(LOCAL, said.id, 20)).phase == "speaking"
        assert len(await service.log(LOCAL, said.id)) == 2
        gate = (await service.submit(LOCAL, "test.gate", {"path": str(tmp_path / "go")})).job
        async for job in service.watch(LOCAL, gate.id):
            if job.phase == "waiting":
                break
        await service.cancel(LOCAL, gate.id)
        await finished(service, gate.id)
        (tmp_path / "go").touch()
        await service.retry(LOCAL, gate.id)
        assert (await service.wait(LOCAL, gate.id, 20)).state is State.COMPLETED
        delayed = (await service.submit(LOCAL, "test.add", {"a": 1, "b": 1}, delay_seconds=0.2)).job
        assert (await service.wait(LOCAL, delayed.id, 20)).result == 2
        assert len((await service.list(LOCAL)).jobs) == 4


@pytest.mark.timeout(90)
async def test_everything_works_on_a_redis_server_with_a_password(
    settings: Settings, redis: RedisServers, tmp_path: Path
) -> None:
    port = redis.start("--requirepass", PASSWORD)
    url = f"redis://:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/3"
    await use_everything(replace(settings, redis_url=url), tmp_path)


@pytest.mark.timeout(90)
async def test_everything_works_over_tls(
    settings: Settings, redis: RedisServers, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    port = redis.start(
        "--port", "0", "--tls-port", "PORT", "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
        "--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no",
    )  # fmt: skip
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    await use_everything(replace(settings, redis_url=url), tmp_path)


@pytest.mark.parametrize(
    ("options", "user", "words"),
    [
        (("--requirepass", PASSWORD), ":wrong@", "CHECKBACK_REDIS_URL"),
        (("--requirepass", PASSWORD), "", "CHECKBACK_REDIS_URL"),
        (("--maxmemory-policy", "allkeys-lru"), "", "CHECKBACK_REDIS_URL"),
    ],
)
@pytest.mark.parametrize("program", ["serve", "worker"])
async def test_a_server_that_would_lose_jobs_is_refused_by_the_name_of_the_setting(
    redis: RedisServers,
    tmp_path: Path,
    options: tuple[str, ...],
    user: str,
    words: str,
    program: str,
) -> None:
    port = redis.start(*options)
    environment = os.environ | {
        "CHECKBACK_HOME": str(tmp_path / "home"),
        "CHECKBACK_REDIS_URL": f"redis://{user}127.0.0.1:{port}",
        "CHECKBACK_PORT": "0",
    }
    command = [sys.executable, "-m", "checkback", program]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode != 0
    assert words in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_old_server_is_refused() -> None:
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.strip() in (b"SETNAME", b"INFO"):
                text = b"redis_version:5.0.14\r\nmaxmemory_policy:noeviction\r\n"
                writer.write(
                    b"+OK\r\n"
                    if line.strip() == b"SETNAME"
                    else b"$%d\r\n%s\r\n" % (len(text), text)
                )
        writer.close()
        await writer.wait_closed()
        ended.set()

    # No Redis that old runs here: this only says that it is one.
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        wire = RedisConnection(RedisAddress(port=server.sockets[0].getsockname()[1]), name="test")
        with pytest.raises(EngineUnavailable, match=r"5\.0\.14"):
            await check_server(wire)
        await wire.close()
        async with asyncio.timeout(5):
            await ended.wait()


@pytest.mark.parametrize("url", ["http://x", "redis:", "redis://host/name", "nonsense"])
def test_what_is_no_address_of_a_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="CHECKBACK_REDIS_URL"):
        RedisAddress.parse(url)


async def test_a_store_that_is_away_is_told_within_two_seconds(settings: Settings) -> None:
    gone = replace(settings, redis_url=f"redis://127.0.0.1:{free_port()}")
    async with open_connection(gone) as connection:
        async with asyncio.timeout(2.5):
            with pytest.raises(EngineUnavailable):
                await connection.service.get(LOCAL, "01a201ae-de92-792d-a279-f3d27cb99f9e")
            with pytest.raises(EngineUnavailable):
                await connection.service.submit(LOCAL, "test.add", {"a": 1, "b": 2})


async def test_a_store_that_hangs_is_told_within_two_seconds(
    settings: Settings, tmp_path: Path
) -> None:
    store = EmbeddedValkey(tmp_path / "store")
    store.start()
    assert store.pid is not None
    hanging = replace(settings, redis_url=store.url)
    try:
        async with open_connection(hanging) as connection:
            await connection.service.list(LOCAL)
            tree.send(store.pid, signal.SIGSTOP)
            async with asyncio.timeout(2.5):
                with pytest.raises(EngineUnavailable):
                    await connection.service.submit(LOCAL, "test.add", {"a": 1, "b": 2})
            tree.send(store.pid, signal.SIGCONT)
            await connection.service.list(LOCAL)
    finally:
        store.stop()


async def test_many_processes_that_start_at_once_share_one_server(tmp_path: Path) -> None:
    environment = os.environ | {
        "CHECKBACK_HOME": str(tmp_path / "home"),
        "CHECKBACK_KINDS": "sample_kinds",
    }
    command = [sys.executable, "-m", "checkback", "submit", "test.add", "a=1", "b=2", "--wait"]
    started = [
        await asyncio.create_subprocess_exec(*command, env=environment, stdout=-1, stderr=-1)
        for _ in range(6)
    ]
    try:
        answers = await asyncio.gather(*(process.communicate() for process in started))
        assert [
            (process.returncode, out) for process, (out, _) in zip(started, answers, strict=True)
        ] == [(0, b"3\n")] * 6, answers
    finally:
        stop = [sys.executable, "-m", "checkback", "stop"]
        await asyncio.to_thread(subprocess.run, stop, env=environment, check=True, timeout=60)
    assert not ping(socket_path(tmp_path / "home"))


def test_the_store_of_a_folder_is_private_and_has_no_port(valkey: EmbeddedValkey) -> None:
    assert valkey.folder.stat().st_mode & 0o777 == 0o700
    assert Path(valkey.socket_path).stat().st_mode & 0o077 == 0
    assert valkey.pid is not None
    inodes = {
        link.removeprefix("socket:[").removesuffix("]")
        for descriptor in Path(f"/proc/{valkey.pid}/fd").iterdir()
        if (link := os.readlink(descriptor)).startswith("socket:[")
    }
    tcp = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    assert not inodes & {line.split()[9] for line in tcp.splitlines() if len(line.split()) > 9}


AS_NOBODY = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
assert "home" in os.listdir(sys.argv[1])
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[2])
except PermissionError:
    print("refused")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can be another user.")
def test_another_user_of_the_machine_cannot_enter_the_store(tmp_path: Path) -> None:
    open_to_all = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    open_to_all.chmod(0o755)
    store = EmbeddedValkey(open_to_all / "home")
    store.start()
    try:
        assert ping(store.socket_path)
        command = [sys.executable, "-c", AS_NOBODY, str(open_to_all), store.socket_path]
        tried = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert (tried.returncode, tried.stdout) == (0, "refused\n"), tried.stderr
    finally:
        store.stop()
        shutil.rmtree(open_to_all)


def test_two_stores_on_one_folder_are_refused(tmp_path: Path) -> None:
    first = EmbeddedValkey(tmp_path)
    first.start()
    try:
        with pytest.raises(EngineUnavailable, match="still uses"):
            EmbeddedValkey(tmp_path, lock_seconds=0.1).start()
    finally:
        first.stop()


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    store = EmbeddedValkey(tmp_path)
    store.start()
    wire = RedisConnection(store.address, name="test")
    for number in range(200):
        await wire.call("SET", f"key{number}", number)
    assert store.pid is not None
    tree.send(store.pid, signal.SIGKILL)
    await asyncio.to_thread(store._process.wait)  # type: ignore[union-attr]
    assert Path(store.socket_path).exists()  # stale, and no obstacle
    store.start()
    await wire.close()
    wire = RedisConnection(store.address, name="test")
    assert await wire.call("DBSIZE") == 200
    await wire.close()
    store.stop()


@pytest.mark.timeout(90)
async def test_a_damaged_file_is_told_with_a_cure_that_works(
    start_server: Any, tmp_path: Path
) -> None:
    home = tmp_path / "home"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"CHECKBACK_HOME": str(home), "CHECKBACK_PORT": "0"}
        command = [sys.executable, "-m", "checkback", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    server = start_server(home=home, job_concurrency="1", grace_seconds="0")
    async with connect(Settings(home=home), start=False) as connection:
        gate = (
            await connection.service.submit(LOCAL, "test.gate", {"path": str(tmp_path / "never")})
        ).job.id
        args = {"a": 1, "b": 1}
        ids = [(await connection.service.submit(LOCAL, "test.add", args)).job.id for _ in range(30)]
    tree.kill_tree(server.process.pid)
    (file,) = (home / "valkey" / "appendonlydir").glob("*.incr.aof")
    content = bytearray(file.read_bytes())
    command = content.index(b"\r\n*", len(content) // 2) + 2
    content[command : command + 20] = b"#" * 20
    file.write_bytes(content)
    refused = await asyncio.to_thread(run, "serve")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert len([line for line in refused.stderr.splitlines() if line.startswith("error: ")]) == 1
    (hint,) = [line for line in refused.stderr.splitlines() if line.startswith("hint: ")]
    assert "Traceback" not in refused.stderr
    hinted = hint.partition("`checkback ")[2].partition("`")[0]
    repaired = await asyncio.to_thread(run, *hinted.split())
    assert repaired.returncode == 0, repaired.stderr
    (copy,) = (home / "valkey").glob("damaged-*")
    assert (copy / file.name).read_bytes() == bytes(content)
    start_server(home=home, job_concurrency="2", grace_seconds="0")
    async with connect(Settings(home=home), start=False) as connection:
        left = {job.id for job in (await connection.service.list(LOCAL, limit=100)).jobs} - {gate}
        assert left == set(ids[: len(left)])
        assert 0 < len(left) < len(ids)
        for job_id in left:
            assert (await connection.service.wait(LOCAL, job_id, 30)).result == 2


def test_a_long_folder_name_gets_a_short_socket(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 20) / ("name" * 10)
    store = EmbeddedValkey(home)
    assert len(store.socket_path) <= 100
    store.start()
    assert ping(store.socket_path)
    assert Path(store.socket_path).parent.stat().st_mode & 0o777 == 0o700
    store.stop()
    shutil.rmtree(Path(store.socket_path).parent)


async def test_a_refusal_of_the_store_is_no_loss_of_the_connection(connection: Any) -> None:
    with pytest.raises(ReplyError, match="unknown command"):
        await connection.wire.call("NONSENSE")
    assert await connection.wire.call("PING") == "PONG"


async def test_calls_that_come_while_connecting_wait_for_the_greeting(redis: RedisServers) -> None:
    port = redis.start("--requirepass", PASSWORD)
    wire = RedisConnection(RedisAddress(port=port, password=PASSWORD, database=5), name="greeting")
    await asyncio.gather(*(wire.call("SET", f"key{number}", number) for number in range(50)))
    other = RedisConnection(RedisAddress(port=port, password=PASSWORD, database=5), name="other")
    assert await other.call("DBSIZE") == 50
    await wire.close()
    await other.close()
