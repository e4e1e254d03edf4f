"""Pages drawn by PDFium, never larger than a fixed number of pixels."""

from __future__ import annotations

from typing import Any

from PIL import Image

MAX_PIXELS = 40_000_000


def render(document: Any, index: int, *, dpi: float, grayscale: bool) -> Image.Image:
    """A page as a picture, with its form fields. A page of giant size is drawn coarser, not refused."""
    page = document[index]
    try:
        width, height = page.get_size()
        scale = min(dpi / 72, (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
        bitmap = page.render(scale=scale, grayscale=grayscale)
        try:
            image: Image.Image = bitmap.to_pil()
            # The bitmap's memory is PDFium's and goes with it.
            return image.copy()
        finally:
            bitmap.close()
    finally:
        page.close()
