"""Standard input and output for MCP, with every line checked before MCP's own transport sees it.

That transport ignores lines that are not messages. A client that waits for an answer would wait
forever; here it gets an error with JSON-RPC's codes (``checkback.api.mcp.transport.jsonrpc``), and
the connection continues.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Generator
from typing import Any, cast

from checkback.api.mcp.transport.jsonrpc import (
    INVALID_REQUEST,
    MAX_MESSAGE_BYTES,
    BadJsonRpcMessage,
    check_message,
)


class LineOutput(io.BufferedIOBase):
    """Writes whole lines only, so that those of two threads never mix."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._begun = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._begun += data
        whole = self._begun.rfind(b"\n") + 1
        if whole:
            line = bytes(self._begun[:whole])
            del self._begun[:whole]
            self.write_line(line)
        return len(data)

    def write_line(self, line: bytes) -> None:
        """Write one or more lines at once."""
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


class CheckedInput(io.BufferedIOBase):
    """Reads lines, passes on those that are messages, and answers the others itself."""

    def __init__(self, descriptor: int, output: LineOutput) -> None:
        self._source = os.fdopen(descriptor, "rb", closefd=False)
        self._output = output
        self._ready = b""

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """The next message, or a part of it; empty at the end."""
        while not self._ready:
            line = self._source.readline(MAX_MESSAGE_BYTES + 1)
            if not line:
                return b""
            self._take(line)
        piece = self._ready if size < 0 else self._ready[:size]
        self._ready = self._ready[len(piece) :]
        return piece

    def _take(self, line: bytes) -> None:
        """Pass a message on; one that is refused is answered here. Empty lines are skipped."""
        try:
            if len(line) > MAX_MESSAGE_BYTES and not line.endswith(b"\n"):
                self._skip()
                reason = (
                    "Invalid request: the message is larger than the limit of "
                    f"{MAX_MESSAGE_BYTES >> 20} MB."
                )
                raise BadJsonRpcMessage(INVALID_REQUEST, reason)
            if line.strip():
                check_message(line)
                self._ready = line.removesuffix(b"\n") + b"\n"
        except BadJsonRpcMessage as bad:
            self._output.write_line(json.dumps(bad.answer()).encode() + b"\n")

    def read(self, size: int | None = -1, /) -> bytes:
        return self.read1(-1 if size is None else size)

    def _skip(self) -> None:
        while (rest := self._source.readline(MAX_MESSAGE_BYTES)) and not rest.endswith(b"\n"):
            pass


@contextlib.contextmanager
def checked_lines() -> Generator[None]:
    """While this context is open, MCP uses the real streams through these checks. All other output
    goes to standard error.
    """
    real_input, real_output = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    output = LineOutput(real_output)
    before = sys.stdin, sys.stdout
    # MCP's transport uses the buffers of these, because they are not the streams 0 and 1.
    sys.stdin = io.TextIOWrapper(cast("Any", CheckedInput(real_input, output)), "utf-8")
    sys.stdout = io.TextIOWrapper(cast("Any", output), "utf-8")
    try:
        yield
    finally:
        sys.stdin, sys.stdout = before
        os.dup2(real_input, 0)
        os.dup2(real_output, 1)
