"""The jobs that a crowd submits and waits for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from checkback.kinds.context import JobContext
from checkback.kinds.registry import job


@job("crowd.number")
def give_number(number: int) -> int:
    """Give the number back."""
    return number


@job("crowd.work")
async def work(seconds: float) -> None:
    """Take that long, and no processor time."""
    await asyncio.sleep(seconds)


@job("crowd.gate", deadline_seconds=3600)
async def wait_for_file(path: str, ctx: JobContext) -> str:
    """Run until a file appears."""
    ctx.phase("waiting")
    while not Path(path).exists():
        await asyncio.sleep(0.02)
    return "open"
