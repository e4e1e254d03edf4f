"""Motion by frames: two small pictures at each place of a scroll pass, and where they differ.

Both are taken at the same place, so whatever differs moves by itself: loops, reveals, videos,
canvases. What it is made with plays no part.
"""

from __future__ import annotations

import asyncio
import base64
import io
import time
from typing import TYPE_CHECKING, Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.browser.devtools import Devtools, Refused, Unanswered, script

if TYPE_CHECKING:
    from PIL import Image

MAX_PLACES = 20
MAX_SECONDS = 20.0
APART_SECONDS = 0.12
SCALE = 0.25
QUALITY = 60
#: Difference of brightness, of 255, below which a pixel counts as the same: JPEG is not exact.
NOISE = 24
#: A difference on a smaller share of the window is not reported as motion.
LEAST_SHARE = 0.0005

Fields = dict[str, Any]


async def watch_frames(devtools: Devtools, bundle: PageCapture) -> None:
    """Scroll through the page once more, with two pictures at each place. A page without scripts
    has none.
    """
    if devtools.scripts_stopped:
        return
    width, height = bundle.viewport
    page_height = float((bundle.facts or {}).get("pageHeight", height))
    stride = max(height / 2, page_height / MAX_PLACES)
    begun = time.monotonic()
    moving: list[Fields] = []
    places, y = 0, 0.0
    try:
        while places < MAX_PLACES and y < page_height and time.monotonic() - begun < MAX_SECONDS:
            top = float(
                await devtools.evaluate(f"scrollTo({{top: {y}, behavior: 'instant'}}), scrollY")
            )
            await devtools.evaluate(f"({script('frames')})(1)", promise=True)
            first = await _frame(devtools, top, width, height)
            await asyncio.sleep(APART_SECONDS)
            second = await _frame(devtools, top, width, height)
            difference = await asyncio.to_thread(_difference, first, second)
            if difference is not None:
                share, box = difference
                moving.append(
                    {"share": share, "box": [box[0], round(box[1] + top), box[2], box[3]]}
                )
            places += 1
            y += stride
        await devtools.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    except (Unanswered, Refused):
        bundle.warn("FRAMES_INCOMPLETE", "The page could not be watched to its end.")
    bundle.frames = {
        "captured": 2 * places,
        "pixelsPerPlace": round(stride),
        "reachedEnd": y >= page_height,
        "moving": moving,
    }


async def _frame(devtools: Devtools, top: float, width: int, height: int) -> bytes:
    clip = {"x": 0, "y": top, "width": width, "height": height, "scale": SCALE}
    params: Fields = {"format": "jpeg", "quality": QUALITY, "optimizeForSpeed": True, "clip": clip}
    answer = await devtools.call("Page.captureScreenshot", params)
    return base64.b64decode(answer["data"])


def _difference(first: bytes, second: bytes) -> tuple[float, tuple[int, int, int, int]] | None:
    """Share of the window that differs, and the box around it in CSS pixels of the window."""
    changed = _changed_pixels(first, second)
    if changed is None:
        return None
    box = changed.getbbox()
    share = changed.histogram()[255] / (changed.width * changed.height)
    if box is None or share < LEAST_SHARE:
        return None
    left, top, right, bottom = (round(edge / SCALE) for edge in box)
    return round(share, 4), (left, top, right - left, bottom - top)


def _changed_pixels(first: bytes, second: bytes) -> Image.Image | None:
    """Two pictures compared: 255 where they differ, else 0. None if their sizes differ."""
    from PIL import Image, ImageChops

    with Image.open(io.BytesIO(first)) as one, Image.open(io.BytesIO(second)) as two:
        if one.size != two.size:
            return None
        levels = [255 if value > NOISE else 0 for value in range(256)]
        difference: Any = ImageChops.difference(one.convert("L"), two.convert("L"))
        return difference.point(levels)
