"""Kinds that hosts are driven through: one that takes some time, one that leaves an image."""

from __future__ import annotations

import io
import time

from checkback import JobContext, job


@job("host.count")
def count(ctx: JobContext, seconds: float = 5) -> dict[str, int]:
    """Count slowly, and leave the numbers as a file."""
    steps = max(1, int(seconds * 4))
    ctx.phase("counting")
    for step in range(steps):
        time.sleep(0.25)
        ctx.progress(100 * (step + 1) / steps, f"{step + 1} of {steps}")
    ctx.artifact("numbers.txt", "\n".join(map(str, range(steps))))
    return {"steps": steps}


@job("host.picture")
def picture(ctx: JobContext, pair: tuple[int, int] = (1200, 900)) -> str:
    """Leave an image of more than a megabyte."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise(pair, 90).convert("RGB").save(buffer, "PNG")
    ctx.artifact("noise.png", buffer.getvalue())
    return "drawn"
