"""Watches what the processes of a job take while they run: more than may be is a failure."""

from __future__ import annotations

import asyncio
import signal
import time

from checkback.core.errors import FailureCode
from checkback.core.job import Failure
from checkback.engine.processes import tree as process_tree
from checkback.kinds.registry import Kind, MemoryLimit

CHECK_SECONDS = 0.5
LEAST_SECONDS = 0.004
FASTEST = 4 << 30
"""Bytes a second: faster than the processes of a job get memory. So much later the next look is at
most.
"""
SHARE_OF_LOOKING = 0.1
"""How much of its time a look may take: at a large browser one takes some ms."""
MAX_PROCESSES = 256
"""Below the child of one job. A browser has about ten, and one more for each foreign site that a
page frames; LibreOffice has two.
"""


async def watch(pid: int, kind: Kind) -> Failure:
    """Return when the tree of this child holds more memory than its kind may, or more processes
    than any.

    The closer it is to its limit, the sooner it is looked at again: one that takes memory as fast
    as it can is found before it has taken a tenth more than it may.
    """
    held = _Memory(kind)
    while True:
        await asyncio.sleep(held.seconds_until_full)
        began = time.monotonic()
        below = process_tree.descendants(pid)
        if len(below) > MAX_PROCESSES:
            return Failure(
                FailureCode.TOO_MANY_PROCESSES,
                f"The job started more than {MAX_PROCESSES} processes.",
                hint="Let it start fewer at once.",
            )
        if await held.is_too_much((pid, *below), began):
            return Failure(
                FailureCode.OUT_OF_MEMORY,
                "The job needed more memory than its kind allows.",
                hint="Give it less to do.",
            )


class _Memory:
    """What the processes of one job hold, against what they may."""

    def __init__(self, kind: Kind) -> None:
        self._limit = kind.memory_bytes if kind.memory_limit is MemoryLimit.RESIDENT else None
        self._held = 0
        self._looked_at = time.monotonic()
        self._look_seconds = 0.0

    @property
    def seconds_until_full(self) -> float:
        """How long nothing can be too much, however fast the job is."""
        if self._limit is None:
            return CHECK_SECONDS
        soonest = max(LEAST_SECONDS, self._look_seconds / SHARE_OF_LOOKING)
        return min(CHECK_SECONDS, max(soonest, (self._limit - self._held) / FASTEST))

    async def is_too_much(self, pids: tuple[int, ...], began: float) -> bool:
        """Look, as ``began`` says since when."""
        if self._limit is None:
            return False
        before, self._held = self._held, process_tree.resident_bytes(pids)
        a_second_ago = (self._held - before) / max(began - self._looked_at, LEAST_SECONDS)
        self._looked_at = began
        if self._held > self._limit:
            # The cheap figure counts shared pages more than once; the exact one decides, and takes
            # its time.
            self._held = await _exactly(
                pids, self._limit, is_growing=a_second_ago > self._limit / 4
            )
        self._look_seconds = time.monotonic() - began
        return self._held > self._limit


async def _exactly(pids: tuple[int, ...], limit: int, *, is_growing: bool) -> int:
    """What the processes hold. Those that grow fast are stopped during the count, and continue only
    if they may.
    """
    if not is_growing:
        return await asyncio.to_thread(process_tree.proportional_bytes, pids[0])
    for pid in pids:
        process_tree.send(pid, signal.SIGSTOP)
    held = 0
    try:
        held = await asyncio.to_thread(process_tree.proportional_bytes, pids[0])
    finally:
        if held <= limit:
            for pid in pids:
                process_tree.send(pid, signal.SIGCONT)
    return held
