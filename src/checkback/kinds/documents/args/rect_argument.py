"""The argument ``rect``: a part of a page, ``x y width height`` in points from the top left."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from checkback.kinds.documents import failures


class Rect(NamedTuple):
    """A part of a page, in points; ``y`` counts down from the top."""

    x: float
    y: float
    width: float
    height: float


def parse_rect(text: str) -> Rect | None:
    """The rectangle of this text, or None for an empty text. Raises the failure
    ``invalid_option``.
    """
    parts = re.findall(r"[^\s,;]+", text)
    if not parts:
        return None
    try:
        return _rect_of(parts)
    except (TypeError, ValueError):
        raise failures.invalid_rect(text) from None


def _rect_of(parts: list[str]) -> Rect:
    """Raises TypeError for another number of parts, and ValueError for what is not a rectangle."""
    rect = Rect(*map(float, parts))
    if not all(map(math.isfinite, rect)) or rect.width <= 0 or rect.height <= 0:
        raise ValueError("no rectangle")
    return rect
