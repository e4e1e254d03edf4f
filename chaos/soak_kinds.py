"""The small jobs of a soak: each ends in its own way, and always in that one."""

from __future__ import annotations

import asyncio
import os
import signal

from checkback.core.errors import JobFailed
from checkback.kinds.context import JobContext
from checkback.kinds.registry import job

LARGE_RESULT_CHARACTERS = 200_000


@job("soak.add")
def add(a: int, b: int, ctx: JobContext) -> int:
    """Add two numbers, telling how far it is."""
    for part in (25, 50, 75):
        ctx.progress(part)
    ctx.log(f"{a} and {b}")
    return a + b


@job("soak.file")
def leave_file(size_bytes: int, ctx: JobContext) -> str:
    """Leave a file."""
    ctx.artifact("block.bin", bytes(size_bytes))
    return "written"


@job("soak.large")
def return_much() -> str:
    """Return more than a record holds."""
    return "x" * LARGE_RESULT_CHARACTERS


@job("soak.second_try", attempts=2, backoff_seconds=1.0)
def succeed_later(ctx: JobContext) -> str:
    """Fail once."""
    if ctx.attempt < 2:
        raise JobFailed("soak_not_yet", "Not at the first time.")
    return f"attempt {ctx.attempt}"


@job("soak.fail")
def fail() -> None:
    """Fail with a code of this kind."""
    raise JobFailed("soak_failed", "As it should.")


@job("soak.raise")
def fail_unexpectedly() -> None:
    """Raise what nobody expected."""
    raise RuntimeError("unexpected")


@job("soak.crash")
def crash() -> None:
    """End its own process."""
    os.kill(os.getpid(), signal.SIGKILL)


@job("soak.slow", deadline_seconds=60)
async def work_slowly(seconds: float, ctx: JobContext) -> str:
    """Work for so long."""
    ctx.phase("working")
    for number in range(10):
        await asyncio.sleep(seconds / 10)
        ctx.progress(10 * number)
    return "done"
