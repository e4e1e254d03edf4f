"""Keeps the log of a background server small while it runs: server, worker and all children append
to it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

LOOK_SECONDS = 5.0


async def keep_small(log: Path, most_bytes: int, *, look_seconds: float = LOOK_SECONDS) -> None:
    """Move what is in the log to ``<log>.1`` whenever it has more than ``most_bytes``; never
    returns.
    """
    while True:
        await asyncio.sleep(look_seconds)
        await asyncio.to_thread(shorten, log, most_bytes)


def shorten(log: Path, most_bytes: int) -> bool:
    """Copy a log that is too large to ``<log>.1``, in place of the one before, and empty it.

    It is copied and not renamed because several processes hold it open. All of them append, so they
    continue at its new beginning; lines between copy and truncation are lost. Returns whether it
    was too large.
    """
    try:
        if log.stat().st_size <= most_bytes:
            return False
        old = log.with_suffix(f"{log.suffix}.1")
        fresh = old.with_suffix(".new")
        shutil.copyfile(log, fresh)
        fresh.chmod(0o600)
        fresh.replace(old)
        os.truncate(log, 0)
    except OSError:  # a full disk: there may be room at the next check
        return False
    return True
