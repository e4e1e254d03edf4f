"""A cable that can be cut: a unix socket that passes everything on to another one, until it is
cut.
"""

from __future__ import annotations

import asyncio
import contextlib

CHUNK_BYTES = 65536


class Cable:
    """Between one worker and the store."""

    def __init__(self, path: str, target: str) -> None:
        self.path = path
        self._target = target
        self._flows = asyncio.Event()
        self._flows.set()
        self._severed = False
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._join, self.path)

    def sever(self) -> None:
        """Break every connection, and every new one at once."""
        self._severed = True
        for end in self._ends:
            end.transport.abort()

    def freeze(self) -> None:
        """Hold everything back: what is sent in that time arrives late."""
        self._flows.clear()

    def mend(self) -> None:
        """Let everything through again, what was held back first."""
        self._severed = False
        self._flows.set()

    async def close(self) -> None:
        self.mend()
        self.sever()
        if self._server is not None:
            self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            if self._severed:
                return
            there, back = await asyncio.open_unix_connection(self._target)
            self._ends.add(back)
            ways = [
                asyncio.create_task(self._pass(reader, back)),
                asyncio.create_task(self._pass(there, writer)),
            ]
            self._passing.update(ways)
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
                self._passing.discard(way)
            self._ends.discard(back)
            back.transport.abort()
        except OSError:  # the store is away: so is this way to it
            pass
        finally:
            self._ends.discard(writer)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
