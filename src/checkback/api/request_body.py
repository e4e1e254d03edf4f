"""Reading the body of a request within a limit."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from checkback.core.errors import TooLarge


async def read_body(
    request: Request,
    max_bytes: int,
    *,
    name: str = "body",
    check: Callable[[bytes, int], None] | None = None,
) -> bytes:
    """The whole body. Raises TooLarge, which calls it ``name``, past the limit.

    The size is counted while reading: a Content-Length can lie. ``check`` gets each piece with the
    number of bytes read so far, and may raise.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise TooLarge(f"The {name} is larger than the limit of {_size(max_bytes)}.")
        if check is not None:
            check(piece, len(body))
    return bytes(body)


def _size(count: int) -> str:
    return f"{count >> 20} MB" if count >= 1 << 20 else f"{count >> 10} KB"


class ValueCounter:
    """Counts the values of a JSON text while it is read, roughly: commas in texts count as well."""

    def __init__(self) -> None:
        self.values = 0

    def add(self, piece: bytes) -> int:
        """Count the values of one more piece; returns the number so far."""
        self.values += piece.count(b",") + piece.count(b"{") + piece.count(b"[")
        return self.values
