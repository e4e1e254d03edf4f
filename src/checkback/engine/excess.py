"""Watches what the processes of a job take while they run: more than may be is a failure."""

from __future__ import annotations

import asyncio

from checkback.core.errors import FailureCode
from checkback.core.job import Failure
from checkback.engine import process_tree
from checkback.kinds.registry import Kind, MemoryLimit

CHECK_SECONDS = 0.5
MAX_PROCESSES = 256
"""Below the child of one job. A browser has about ten, and one more for each foreign site that a page frames;
LibreOffice has two."""


async def watch(pid: int, kind: Kind) -> Failure:
    """Return when the tree of this child holds more memory than its kind may, or more processes than any."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        below = process_tree.descendants(pid)
        if len(below) > MAX_PROCESSES:
            return Failure(
                FailureCode.TOO_MANY_PROCESSES,
                f"The job started more than {MAX_PROCESSES} processes.",
                hint="Let it start fewer at once.",
            )
        if await _holds_too_much((pid, *below), kind):
            return Failure(
                FailureCode.OUT_OF_MEMORY,
                "The job needed more memory than its kind allows.",
                hint="Give it less to do.",
            )


async def _holds_too_much(pids: tuple[int, ...], kind: Kind) -> bool:
    if kind.memory_bytes is None or kind.memory_limit is not MemoryLimit.RESIDENT:
        return False
    # The cheap figure counts shared pages more than once; the exact one decides.
    if process_tree.resident_bytes(pids) <= kind.memory_bytes:
        return False
    return await asyncio.to_thread(process_tree.proportional_bytes, pids[0]) > kind.memory_bytes
