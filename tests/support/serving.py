"""One server for all the tests that attack its doors, and ways to speak to it that no client
library has.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from checkback.security.auth.callers import Scope
from checkback.security.auth.token_files import add_token

READ_SECONDS = 20.0


@dataclass
class Victim:
    """A running ``checkback serve`` with three owners."""

    process: subprocess.Popen[str]
    home: Path
    url: str
    port: int
    token: str
    ada: str
    bob: str
    root: str

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def serving(home: Path, **variables: str) -> Generator[Victim]:
    """The installed command as a process of its own, for as long as the ``with``."""
    home.mkdir(parents=True)
    home.chmod(0o700)
    file = home / "tokens.toml"
    ada, bob = add_token(file, "ada"), add_token(file, "bob")
    root = add_token(file, "root", list(Scope))
    environment = os.environ | {
        "CHECKBACK_HOME": str(home),
        "CHECKBACK_KINDS": "sample_kinds",
        "CHECKBACK_PORT": "0",
        "CHECKBACK_GRACE_SECONDS": "2",
        **{f"CHECKBACK_{name.upper()}": value for name, value in variables.items()},
    }
    with (home / "test.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "checkback", "serve", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (home / "test.log").read_text()
        told = json.loads(line)
        port = int(told["url"].rpartition(":")[2])
        yield Victim(process, home, told["url"], port, told["token"], ada, bob, root)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One server for all tests of the run that attack its doors."""
    with serving(tmp_path_factory.mktemp("victim") / "home") as found:
        yield found


@dataclass
class Heard:
    """An answer, taken apart as far as these tests need it."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def head(method: str, path: str, victim: Victim, headers: Mapping[str, str] | None = None) -> bytes:
    """The head of a request as one writes it by hand."""
    lines = {"host": victim.host, "authorization": f"Bearer {victim.ada}"} | dict(headers or {})
    rows = [
        f"{method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in lines.items() if value),
    ]
    return "\r\n".join([*rows, "", ""]).encode("latin-1")


@contextmanager
def connected(victim: Victim) -> Generator[socket.socket]:
    with socket.create_connection(("127.0.0.1", victim.port), timeout=READ_SECONDS) as line:
        line.settimeout(READ_SECONDS)
        yield line


def read_answer(line: socket.socket) -> Heard:
    """The next answer on a connection; status 0 when none comes."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        try:
            piece = line.recv(65536)
        except (ConnectionResetError, TimeoutError):
            piece = b""
        if not piece:
            return Heard(0, {}, b"", raw)
        raw += piece
    first, _, body = raw.partition(b"\r\n\r\n")
    status, *rest = first.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest)
    }
    length = int(headers.get("content-length", "0"))
    chunked = headers.get("transfer-encoding") == "chunked"
    while len(body) < length or (chunked and not body.endswith(b"0\r\n\r\n")):
        piece = line.recv(65536)
        if not piece:
            break
        body += piece
    return Heard(int(status.split()[1]), headers, body, raw)


def ask(victim: Victim, raw: bytes, seconds: float = READ_SECONDS) -> Heard:
    """Send bytes as they are over a connection of their own; the first answer."""
    with connected(victim) as line:
        line.settimeout(seconds)
        with suppress(BrokenPipeError, ConnectionResetError):  # it has answered already, and closed
            line.sendall(raw)
        return read_answer(line)


def post(victim: Victim, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Heard:
    """A POST of JSON."""
    lines = {"content-type": "application/json", "content-length": str(len(body))} | dict(
        headers or {}
    )
    return ask(victim, head("POST", path, victim, lines) + body)


def get(victim: Victim, path: str, headers: Mapping[str, str] | None = None) -> Heard:
    return ask(victim, head("GET", path, victim, headers))
