"""Colors as computed styles write them, and the two measures that matter: contrast and
similarity.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple


class Color(NamedTuple):
    """sRGB, each channel 0 to 255, alpha 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    @property
    def hex(self) -> str:
        return "#" + "".join(f"{max(0, min(255, round(channel))):02x}" for channel in self[:3])

    def over(self, below: Color) -> Color:
        """This color painted onto an opaque one."""
        if self.alpha >= 1:
            return self
        pairs = zip(self[:3], below[:3], strict=True)
        mixed = [top * self.alpha + under * (1 - self.alpha) for top, under in pairs]
        return Color(*mixed)


WHITE = Color(255, 255, 255)
TRANSPARENT = Color(0, 0, 0, 0)

#: More than any channel, percentage or angle of a real color.
_LARGEST = 1e6
_FUNCTION = re.compile(r"^([a-z-]+)\(([^()]*)\)$")


@lru_cache(maxsize=4096)
def parse_color(text: str) -> Color | None:
    """The color of a computed value, or None for one that is not understood."""
    text = text.strip().lower()
    if text == "transparent":
        return TRANSPARENT
    match = _FUNCTION.match(text)
    if match is None:
        return None
    name, arguments = match.groups()
    return _function_color(name, arguments.replace(",", " ").replace("/", " ").split())


def _function_color(name: str, parts: list[str]) -> Color | None:
    """The color of a function with these arguments."""
    if name == "color":
        return _in_color_space(parts)
    channels = _CHANNELS.get(name)
    if channels is None or len(parts) < 3:
        return None
    return _color(channels(parts), parts)


def _in_color_space(parts: list[str]) -> Color | None:
    """The color of ``color(srgb ...)``; a wider space is read as if it were sRGB."""
    if len(parts) < 4 or parts[0] not in ("srgb", "display-p3"):
        return None
    return _color([_number(part) * 255 for part in parts[1:4]], parts[1:])


def _rgb_channels(parts: list[str]) -> list[float]:
    return [_number(part) for part in parts[:3]]


def _oklab_channels(parts: list[str]) -> list[float]:
    return _from_oklab(_share(parts[0]), _number(parts[1]), _number(parts[2]))


def _oklch_channels(parts: list[str]) -> list[float]:
    return _from_oklab(_share(parts[0]), *_cartesian(parts))


def _lab_channels(parts: list[str]) -> list[float]:
    return _from_lab(_number(parts[0]), _number(parts[1]), _number(parts[2]))


def _lch_channels(parts: list[str]) -> list[float]:
    return _from_lab(_number(parts[0]), *_cartesian(parts))


def _cartesian(parts: list[str]) -> tuple[float, float]:
    """The axes a and b, from the chroma and the hue that come after the lightness."""
    radius, angle = _number(parts[1]), math.radians(_number(parts[2]))
    return radius * math.cos(angle), radius * math.sin(angle)


#: Color function -> its arguments as sRGB channels.
_CHANNELS: dict[str, Callable[[list[str]], list[float]]] = {
    "rgb": _rgb_channels,
    "rgba": _rgb_channels,
    "oklab": _oklab_channels,
    "oklch": _oklch_channels,
    "lab": _lab_channels,
    "lch": _lch_channels,
}


def _number(part: str) -> float:
    """A number within what colors use; 0 for what is not one, such as ``none``.

    A custom property of a page can have any number, however large.
    """
    try:
        value = float(part.rstrip("%").removesuffix("deg"))
    except ValueError:
        return 0.0
    return max(-_LARGEST, min(_LARGEST, value)) if math.isfinite(value) else 0.0


def _share(part: str) -> float:
    """0 to 1, from a number or a percentage."""
    return _number(part) / 100 if part.endswith("%") else _number(part)


def _color(channels: Iterable[float], parts: list[str]) -> Color:
    alpha = max(0.0, min(1.0, _share(parts[3]))) if len(parts) > 3 else 1.0
    red, green, blue = (max(0.0, min(255.0, channel)) for channel in channels)
    return Color(red, green, blue, alpha)


def _encoded(value: float) -> float:
    value = max(0.0, value)
    return 255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055)


def _linear(channel: float) -> float:
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _from_oklab(lightness: float, a: float, b: float) -> list[float]:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return [
        _encoded(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _encoded(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encoded(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    ]


def _from_lab(lightness: float, a: float, b: float) -> list[float]:
    fy = (lightness + 16) / 116
    fx, fz = fy + a / 500, fy - b / 200

    def unfold(value: float) -> float:
        return value**3 if value**3 > 216 / 24389 else (116 * value - 16) * 27 / 24389

    # D50 white, as CSS defines lab().
    x, y, z = 0.9642956764 * unfold(fx), unfold(fy), 0.8251046025 * unfold(fz)
    return [
        _encoded(3.1341359569 * x - 1.6173863321 * y - 0.4906619460 * z),
        _encoded(-0.9787954849 * x + 1.9162543773 * y + 0.0334427319 * z),
        _encoded(0.0719554320 * x - 0.2289768264 * y + 1.4053860352 * z),
    ]


@lru_cache(maxsize=4096)
def oklab(color: Color) -> tuple[float, float, float]:
    """The color in OKLab, where equal distances look about equal."""
    red, green, blue = (_linear(channel) for channel in color[:3])
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def chroma(color: Color) -> float:
    """How colorful: 0 for gray, about 0.3 for the strongest sRGB colors."""
    _, a, b = oklab(color)
    return math.hypot(a, b)


def hue(color: Color) -> float:
    """The angle of the color in OKLab, 0 to 360."""
    _, a, b = oklab(color)
    return math.degrees(math.atan2(b, a)) % 360


def luminance(color: Color) -> float:
    """Relative luminance after WCAG 2, 0 to 1."""
    red, green, blue = (_linear(channel) for channel in color[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast_ratio(one: Color, other: Color) -> float:
    """Contrast after WCAG 2, 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def merged(
    weights: Iterable[tuple[Color, float]], distance: float = 0.03
) -> list[tuple[Color, float]]:
    """Colors with their share of the whole, the heaviest first; similar ones count for the
    heaviest of them.
    """
    ordered = sorted(weights, key=lambda entry: -entry[1])[:2000]
    sums: dict[Color, float] = {}
    for color, weight in ordered:
        similar = (known for known in sums if math.dist(oklab(color), oklab(known)) < distance)
        known = next(similar, color)
        sums[known] = sums.get(known, 0) + weight
    return _shares(sums)


def _shares(sums: dict[Color, float]) -> list[tuple[Color, float]]:
    total = sum(sums.values()) or 1.0
    shares = [(color, weight / total) for color, weight in sums.items()]
    return sorted(shares, key=lambda entry: -entry[1])


def parse_hex(text: str) -> Color:
    """The color of ``#rrggbb``, the form in which reports name colors."""
    return Color(int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))
