"""The read end of a pipe for ``loop.connect_read_pipe``, closed exactly once."""

from __future__ import annotations

import asyncio
import os


class PipeEnd:
    """Owns a descriptor until the loop's transport closes it.

    A file object would be closed twice by uvloop: libuv closes the descriptor, then uvloop closes
    the object and ignores EBADF (``handles/handle.pyx``, ``UVSocketHandle._close``). In between, a
    thread may have opened a file under the same number, which the second close takes away from it.
    """

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        self._descriptor = descriptor
        self._is_closed_by_loop = type(loop).__module__.partition(".")[0] == "uvloop"

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Called by the transport: asyncio's own leaves the closing to this object."""
        if not self._is_closed_by_loop:
            os.close(self._descriptor)
