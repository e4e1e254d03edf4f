"""Refuses request heads that a proxy before this server may read differently, so that no request is
smuggled past it: bare line feeds, folded lines, a length together with a transfer encoding (RFC
9112, sections 2.2, 5.2 and 6.1).

h11 accepts them all, as old clients may need; none of our clients does. Its buffer is the one place
where the bytes of a head are seen as they came.
"""

from __future__ import annotations

import h11
from h11._receivebuffer import ReceiveBuffer


class StrictBuffer(ReceiveBuffer):
    """Like h11's own buffer, which it replaces."""

    def __init__(self) -> None:
        super().__init__()
        self._raw = bytearray()

    def _extract(self, count: int) -> bytearray:
        self._raw = super()._extract(count)
        return self._raw

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """The lines of a head, or of what follows chunks, once all are there. Raises
        h11.LocalProtocolError, which h11 reports as a client error.
        """
        lines = super().maybe_extract_lines()
        if lines is None:
            return None
        self._check_line_ends()
        if _has_two_lengths(lines):
            raise h11.LocalProtocolError("both a Content-Length and a Transfer-Encoding")
        return lines

    def _check_line_ends(self) -> None:
        raw = self._raw
        count = raw.count(b"\r\n")
        if raw.count(b"\n") != count or raw.count(b"\r") != count:
            raise h11.LocalProtocolError("a line does not end with CR LF")
        if b"\n " in raw or b"\n\t" in raw:
            raise h11.LocalProtocolError("a header field is folded")


def _has_two_lengths(lines: list[bytearray]) -> bool:
    """Whether a head says twice where its body ends; HTTP/1.0 knows one way to say it."""
    names = {bytes(line.partition(b":")[0]).lower() for line in lines[1:]}
    is_chunked = b"transfer-encoding" in names
    return is_chunked and (b"content-length" in names or lines[0].endswith(b"HTTP/1.0"))
