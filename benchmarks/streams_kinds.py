"""The job that the streams' benchmark watches."""

# pyright: basic

from __future__ import annotations

import asyncio
from pathlib import Path

from checkback.kinds.context import JobContext
from checkback.kinds.registry import job


@job("streams.stages", phases=("first", "second"), deadline_seconds=3600)
async def walk(folder: str, ctx: JobContext) -> str:
    """Walk through two phases and end, each step when its file appears."""
    for number, phase in enumerate(("first", "second"), 1):
        while not (Path(folder) / phase).exists():
            await asyncio.sleep(0.02)
        ctx.phase(phase)
        ctx.progress(number * 40)
    while not (Path(folder) / "end").exists():
        await asyncio.sleep(0.02)
    return "done"
