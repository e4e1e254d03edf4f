"""A PDF page as people see it: its size and points on it, whatever its rotation
and its boxes are.
"""

from __future__ import annotations

from dataclasses import dataclass

import pikepdf

#: Letter, for pages whose box is broken.
_DEFAULT_BOX = (0.0, 0.0, 612.0, 792.0)


@dataclass(frozen=True, slots=True)
class PageView:
    """What of a page is shown. Points here are in points from the top left of what is seen."""

    left: float
    bottom: float
    right: float
    top: float
    #: By how much the page is turned to the right when it is shown: 0, 90, 180 or 270.
    rotation: int

    @property
    def width(self) -> float:
        """As seen."""
        return self.top - self.bottom if self.rotation in (90, 270) else self.right - self.left

    @property
    def height(self) -> float:
        """As seen."""
        return self.right - self.left if self.rotation in (90, 270) else self.top - self.bottom

    @property
    def box(self) -> pikepdf.Rectangle:
        """The part that is seen, in the page's own coordinates."""
        return pikepdf.Rectangle(self.left, self.bottom, self.right, self.top)

    def rectangle(self, x: float, y: float, width: float, height: float) -> pikepdf.Array:
        """A rectangle that is seen at ``x`` and ``y``, in the page's own coordinates."""
        first, second = self._point(x, y), self._point(x + width, y + height)
        across, up = sorted((first[0], second[0])), sorted((first[1], second[1]))
        return pikepdf.Array([round(value, 3) for value in (across[0], up[0], across[1], up[1])])

    def _point(self, x: float, y: float) -> tuple[float, float]:
        if self.rotation == 90:
            return self.left + y, self.bottom + x
        if self.rotation == 180:
            return self.right - x, self.bottom + y
        if self.rotation == 270:
            return self.right - y, self.top - x
        return self.left + x, self.top - y


def view(page: pikepdf.Page) -> PageView:
    """How the page is seen."""
    media, crop = _box(page.mediabox) or _DEFAULT_BOX, _box(page.cropbox)
    shown = media
    if crop is not None:
        inside = (*map(max, media[:2], crop[:2]), *map(min, media[2:], crop[2:]))
        if inside[0] < inside[2] and inside[1] < inside[3]:
            shown = (inside[0], inside[1], inside[2], inside[3])
    return PageView(*shown, rotation=int(page.rotation) % 360 // 90 * 90)


def _box(given: object) -> tuple[float, float, float, float] | None:
    if not isinstance(given, pikepdf.Array) or len(given) != 4:
        return None
    try:
        x1, y1, x2, y2 = (float(str(value)) for value in given)
    except ValueError:
        return None
    if x1 == x2 or y1 == y2:
        return None
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
