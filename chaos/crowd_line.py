"""A client's kept-alive connection to the HTTP API: as little work for each request as can be, so
that a thousand of them measure the server and not themselves.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit


class Refused(Exception):
    """The server answered with another status than 2xx: the status, what it said, and its
    Retry-After.
    """

    @property
    def status(self) -> str:
        return str(self.args[0])

    @property
    def retry_after(self) -> str:
        return str(self.args[2])


class Line:
    """One connection; one request at a time."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str) -> Any:
        """The JSON at a path. Raises Refused, or OSError."""
        return await self._ask(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())

    async def post(self, path: str, body: Any) -> Any:
        """The JSON of the answer. Raises Refused, or OSError."""
        content = json.dumps(body).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        return await self._ask(f"POST {path} HTTP/1.1\r\n{self._head}{kind}\r\n".encode() + content)

    async def begin(self, path: str) -> None:
        """Ask, and do not wait for the answer: ``hang_up`` is what follows."""
        await self._open()
        self._write(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())

    def hang_up(self) -> None:
        """Close the connection, whatever is under way."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def _ask(self, request: bytes) -> Any:
        fresh = self._writer is None
        try:
            return await self._once(request)
        except (OSError, EOFError):
            self.hang_up()
            if fresh:
                raise
        return await self._once(request)  # a kept connection may have been closed for its idleness

    async def _once(self, request: bytes) -> Any:
        await self._open()
        self._write(request)
        assert self._reader is not None
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("\r\ncontent-length: ")[2].partition("\r\n")[0])
        body = await self._reader.readexactly(length)
        status = head.split(" ", 2)[1]
        if not status.startswith("2"):
            retry_after = head.partition("\r\nretry-after: ")[2].partition("\r\n")[0]
            raise Refused(status, body.decode(), retry_after)
        return json.loads(body)

    async def _open(self) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    def _write(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)
