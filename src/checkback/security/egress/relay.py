"""Moving bytes between a job and a server: counted, and cut when they stop or become too many."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from checkback.security.egress import http1 as http
from checkback.security.egress.accounts import Account

CHUNK = 64 * 1024
MAX_ANSWER_HEAD_BYTES = 256 * 1024
MAX_INTERIM_ANSWERS = 8


@dataclass(slots=True)
class Streams:
    """The two halves of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def finish(self) -> None:
        """Close once everything written has been taken."""
        with suppress(OSError):
            self.writer.close()
            await self.writer.wait_closed()

    def abort(self) -> None:
        """Close at once; what was not sent yet is lost."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """Close so that the other side sees a failure, where an orderly end would pass for a whole
        answer.
        """
        with suppress(OSError, AttributeError):
            linger_not = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger_not
            )
        self.abort()


@dataclass(slots=True, eq=False)
class Meter:
    """Counts what one connection moves, for its account and for the idle timer."""

    account: Account
    end: Callable[[], object]
    moved_at: float = 0.0

    def count(self, amount: int) -> None:
        """Raises ConnectionAbortedError when the job has used up its bytes; its other connections
        are cut.
        """
        self.moved_at = time.monotonic()
        if not self.account.count(amount):
            raise ConnectionAbortedError


class IdleTimer:
    """Ends connections on which nothing has moved for a while. One timer serves all of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._meters: set[Meter] = set()

    def start(self) -> None:
        """Begin to look at the meters, from within the running loop, until that ends."""
        asyncio.get_running_loop().call_later(self._seconds / 4, self._sweep)

    def watch(self, meter: Meter) -> None:
        meter.moved_at = time.monotonic()
        self._meters.add(meter)

    def forget(self, meter: Meter) -> None:
        self._meters.discard(meter)

    def _sweep(self) -> None:
        oldest = time.monotonic() - self._seconds
        for meter in [meter for meter in self._meters if meter.moved_at < oldest]:
            meter.end()
        self.start()


async def tunnel(client: Streams, server: Streams, meter: Meter) -> None:
    """Pass bytes both ways until both sides have said all they had to say, or one is gone."""

    async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _pump(reader, writer, None, meter)
        if writer.can_write_eof():
            writer.write_eof()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(one_way(client.reader, server.writer))
            group.create_task(one_way(server.reader, client.writer))
    except* OSError:
        client.reset()


async def relay_request(
    client: Streams, server: Streams, request: http.Request, length: int, meter: Meter
) -> None:
    """Pass on a request's body and the answer to it; the head has been sent.

    Ends early when the client disconnects. Raises BadMessage for an answer that cannot be passed
    on, and only while nothing but interim answers has been.
    """
    limit = _bytes_to_send(request, length)
    upload = asyncio.create_task(_upload(client, server, limit, meter))
    download = asyncio.create_task(_download(client, server, request, meter))
    tasks = {upload, download}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, (http.BadHttpMessage, OSError)):
            raise result


def _bytes_to_send(request: http.Request, length: int) -> int | None:
    """How much of what the client sends is the request's; None for all until it disconnects."""
    until_closed = length == http.CHUNKED or request.upgrade is not None
    return None if until_closed else length


async def _upload(client: Streams, server: Streams, limit: int | None, meter: Meter) -> None:
    """Pass on the body, then wait for the client to go away, which is when this returns."""
    # A server may refuse a body and close before it has all of it: its answer is still worth
    # reading.
    with suppress(OSError):
        await _pump(client.reader, server.writer, limit, meter)
    ignored = 0
    # One request for each connection: what follows the body is not looked at.
    while ignored <= CHUNK and (data := await client.reader.read(CHUNK)):
        ignored += len(data)


async def _download(client: Streams, server: Streams, request: http.Request, meter: Meter) -> None:
    for _ in range(MAX_INTERIM_ANSWERS):
        head = await _read_answer_head(server.reader)
        response = http.parse_response(head, request.method)
        if response.is_switch and not request.upgrade:
            raise http.BadHttpMessage(502, "The server changed the protocol without being asked.")
        meter.count(len(head))
        client.writer.write(http.response_head(response))
        if not response.is_interim:
            await _pump(server.reader, client.writer, _bytes_to_come(response), meter)
            await client.finish()
            return
    raise http.BadHttpMessage(502, "The server sends interim answers only.")


def _bytes_to_come(response: http.Response) -> int | None:
    """The length of what follows the head; None for all until the server closes."""
    until_closed = response.is_switch or response.length == http.CHUNKED
    return None if until_closed else response.length


async def _read_answer_head(reader: asyncio.StreamReader) -> bytes:
    lines: list[bytes] = []
    size = 0
    while size <= MAX_ANSWER_HEAD_BYTES:
        try:
            line = await reader.readline()
        except (ValueError, OSError):
            break
        if not line.endswith(b"\n"):
            break
        if not line.strip():
            return b"".join(lines).rstrip(b"\r\n")
        lines.append(line)
        size += len(line)
    raise http.BadHttpMessage(502, "The server's answer has no valid head.")


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None, meter: Meter
) -> None:
    """Pass on ``limit`` bytes, or all there are until the reader's end."""
    left = limit
    while left is None or left > 0:
        data = await reader.read(CHUNK if left is None else min(CHUNK, left))
        if not data:
            return
        meter.count(len(data))
        writer.write(data)
        await writer.drain()
        if left is not None:
            left -= len(data)
