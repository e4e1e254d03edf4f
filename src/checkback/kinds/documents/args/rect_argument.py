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
    """The rectangle that a text names; None for an empty one. Raises the failure
    ``invalid_option``.
    """
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    if not parts:
        return None
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise failures.invalid_rect() from None
    if len(numbers) != 4 or not all(math.isfinite(number) for number in numbers):
        raise failures.invalid_rect()
    if numbers[2] <= 0 or numbers[3] <= 0:
        raise failures.invalid_rect()
    return Rect(*numbers)
