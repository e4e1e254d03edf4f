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
    parts = [part for part in re.split(r"[\s,;]+", text) if part]
    if not parts:
        return None
    try:
        rect = Rect(*map(float, parts))
    except (TypeError, ValueError):
        raise failures.invalid_rect(text) from None
    if not all(map(math.isfinite, rect)) or rect.width <= 0 or rect.height <= 0:
        raise failures.invalid_rect(text)
    return rect
