"""Renders pages by PDFium, within a maximum number of pixels."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from PIL import Image

MAX_PIXELS = 40_000_000


@contextmanager
def rendered(
    document: Any, index: int, *, dpi: float, grayscale: bool = False
) -> Generator[Image.Image]:
    """A page as an image with its form fields, RGB or gray, while the context is open.

    A very large page is rendered at a lower resolution. The pixels are PDFium's own memory: copying
    them would take as long as rendering a page of text.
    """
    page = document[index]
    try:
        width, height = page.get_size()
        scale = min(dpi / 72, (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
        # Red first, as images are stored: reordering the bytes later would take a quarter of the
        # time.
        bitmap = page.render(scale=scale, grayscale=grayscale, rev_byteorder=True)
        try:
            image: Image.Image = bitmap.to_pil()
            wanted = "L" if grayscale else "RGB"
            yield image if image.mode == wanted else image.convert(wanted)
        finally:
            bitmap.close()
    finally:
        page.close()


def render(document: Any, index: int, *, dpi: float, grayscale: bool = False) -> Image.Image:
    """As ``rendered``, as a separate image that may be kept."""
    with rendered(document, index, dpi=dpi, grayscale=grayscale) as image:
        return image.copy()
