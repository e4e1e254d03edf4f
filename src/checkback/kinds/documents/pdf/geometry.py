"""A PDF page as it is displayed: its size and positions on it, with its rotation and boxes
applied.
"""

from __future__ import annotations

from dataclasses import dataclass

import pikepdf

_Box = tuple[float, float, float, float]

#: Letter, for pages with an invalid box.
_DEFAULT_BOX = (0.0, 0.0, 612.0, 792.0)


@dataclass(frozen=True, slots=True)
class PageView:
    """The displayed part of a page. Positions are in points from its top left."""

    left: float
    bottom: float
    right: float
    top: float
    #: The clockwise rotation of the displayed page: 0, 90, 180 or 270 degrees.
    rotation: int

    @property
    def width(self) -> float:
        """As displayed."""
        return self.top - self.bottom if self.rotation in (90, 270) else self.right - self.left

    @property
    def height(self) -> float:
        """As displayed."""
        return self.right - self.left if self.rotation in (90, 270) else self.top - self.bottom

    @property
    def box(self) -> pikepdf.Rectangle:
        """The displayed part, in the page's own coordinates."""
        return pikepdf.Rectangle(self.left, self.bottom, self.right, self.top)

    def rectangle(self, x: float, y: float, width: float, height: float) -> pikepdf.Array:
        """A rectangle that is displayed at ``x`` and ``y``, in the page's own coordinates."""
        first, second = self._point(x, y), self._point(x + width, y + height)
        across, up = sorted((first[0], second[0])), sorted((first[1], second[1]))
        return pikepdf.Array([round(value, 3) for value in (across[0], up[0], across[1], up[1])])

    def _point(self, x: float, y: float) -> tuple[float, float]:
        return {
            0: (self.left + x, self.top - y),
            90: (self.left + y, self.bottom + x),
            180: (self.right - x, self.bottom + y),
            270: (self.right - y, self.top - x),
        }[self.rotation]


def view(page: pikepdf.Page) -> PageView:
    """The displayed part of a page: its crop box inside of its media box."""
    media = _box(page.mediabox) or _DEFAULT_BOX
    shown = _intersection(media, _box(page.cropbox) or media)
    return PageView(*(shown or media), rotation=int(page.rotation) % 360 // 90 * 90)


def _intersection(one: _Box, other: _Box) -> _Box | None:
    left, bottom = max(one[0], other[0]), max(one[1], other[1])
    right, top = min(one[2], other[2]), min(one[3], other[3])
    return (left, bottom, right, top) if left < right and bottom < top else None


def _box(value: object) -> _Box | None:
    """The corners of a box in order; None if it is not a box or is empty."""
    try:
        x1, y1, x2, y2 = _numbers(value)
    except ValueError:  # another number of values, or not numbers
        return None
    if x1 == x2 or y1 == y2:
        return None
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _numbers(value: object) -> list[float]:
    """The numbers of an array; empty for another object."""
    items = value if isinstance(value, pikepdf.Array) else ()
    return [float(str(number)) for number in items]
