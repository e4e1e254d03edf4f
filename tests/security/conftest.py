"""A real egress proxy in front of real loopback servers, whose world of names is the test's own."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from checkback.security.egress.client import EgressGrant, EgressLimits, EgressProxy

PROGRAM = Path(__file__).parents[1] / "support" / "egress_program.py"


@dataclass
class Canary:
    """A server on 127.0.0.1 that nobody should reach: it keeps the first bytes of all who do."""

    port: int = 0
    heard: list[bytes] = field(default_factory=list[bytes])


@dataclass
class Site:
    """A web server that answers each request with ``answer`` and keeps what it was asked."""

    port: int = 0
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    asked: list[bytes] = field(default_factory=list[bytes])


StartProxy = Callable[..., Awaitable[EgressProxy]]


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    found = Canary()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Closes after its answer, like a server that was asked to."""
    made = Site()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                head += await reader.readexactly(int(line.split(b":")[1]))
        made.asked.append(head)
        writer.write(made.answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


@pytest.fixture
async def start_proxy() -> AsyncIterator[StartProxy]:
    started: list[EgressProxy] = []

    async def start(
        names: dict[str, list[list[str]]] | None = None,
        dial: dict[str, int] | None = None,
        allow_hosts: tuple[str, ...] = (),
        **limits: Any,
    ) -> EgressProxy:
        world = json.dumps({"names": names or {}, "dial": dial or {}})
        proxy = await EgressProxy.start(
            allow_hosts=allow_hosts,
            limits=EgressLimits(**limits),
            command=(sys.executable, "-P", str(PROGRAM), world),
        )
        started.append(proxy)
        return proxy

    yield start
    for proxy in started:
        await proxy.close()


@dataclass
class Client:
    """Speaks to the proxy in raw bytes, so that nothing is repaired on the way."""

    grant: EgressGrant
    opened: list[asyncio.StreamWriter]

    @property
    def key(self) -> bytes:
        pair = base64.b64encode(f"{self.grant.username}:{self.grant.password}".encode())
        return b"Proxy-Authorization: Basic " + pair + b"\r\n"

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = int(self.grant.proxy_url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self.opened.append(writer)
        return reader, writer

    async def send(self, raw: bytes) -> bytes:
        """Send as it is; returns all that comes back."""
        reader, writer = await self.open()
        writer.write(raw)
        async with asyncio.timeout(20):
            return await reader.read()

    async def get(self, url: str, extra: bytes = b"") -> bytes:
        return await self.send(
            b"GET " + url.encode() + b" HTTP/1.1\r\n" + self.key + extra + b"\r\n"
        )

    async def connect(
        self, authority: str
    ) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a tunnel; returns the proxy's answer and the streams."""
        reader, writer = await self.open()
        writer.write(b"CONNECT " + authority.encode() + b" HTTP/1.1\r\n" + self.key + b"\r\n")
        return await reader.readuntil(b"\r\n\r\n"), reader, writer


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[[EgressGrant], Client]]:
    opened: list[asyncio.StreamWriter] = []
    yield lambda grant: Client(grant, opened)
    for writer in opened:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
