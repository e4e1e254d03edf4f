"""Pictures as PDF pages: a JPEG goes in as it is, everything else without loss.

A JPEG is never decoded, so that nothing of it is lost and a large one costs nothing. How it is
turned (EXIF) becomes part of the page's drawing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf, Stream
from PIL import Image, ImageSequence

from checkback.kinds.documents import failures

MAX_PIXELS = 100_000_000
DEFAULT_DPI = 96.0
#: The largest side of a page that readers promise to show (ISO 32000, annex C), in points.
MAX_SIDE = 14_400.0

_COLOR_SPACES = {"L": "/DeviceGray", "RGB": "/DeviceRGB", "CMYK": "/DeviceCMYK"}
_COMPONENTS = {"L": 1, "RGB": 3, "CMYK": 4}

# The matrix that draws the unit square as each EXIF orientation asks for, and whether it lies on
# its side.
_ORIENTATIONS: dict[int, tuple[tuple[int, int, int, int, int, int], bool]] = {
    1: ((1, 0, 0, 1, 0, 0), False),
    2: ((-1, 0, 0, 1, 1, 0), False),
    3: ((-1, 0, 0, -1, 1, 1), False),
    4: ((1, 0, 0, -1, 0, 1), False),
    5: ((0, -1, -1, 0, 1, 1), True),
    6: ((0, -1, 1, 0, 0, 1), True),
    7: ((0, 1, 1, 0, 0, 0), True),
    8: ((0, 1, -1, 0, 1, 0), True),
}
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture's object in the PDF, and how large and which way it is drawn."""

    stream: Stream
    width: int
    height: int
    dpi: float
    orientation: int = 1


def image_to_pages(
    path: Path, pdf: Pdf, *, max_pages: int, done: Callable[[], None] = lambda: None
) -> int:
    """Add a page for each frame of the picture to ``pdf``; returns how many.

    Raises the failures too_large and invalid_document, and what Pillow raises for a damaged
    picture.
    """
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    count = 0
    try:
        with Image.open(path) as image:
            _check_size(image)
            if image.format == "JPEG":
                _add_page(pdf, _jpeg(path, image, pdf))
                return 1
            for frame in ImageSequence.Iterator(image):
                _check_size(frame)
                count += 1
                if count > max_pages:
                    raise failures.too_many_pages(max_pages)
                _add_page(pdf, _flate(frame, pdf))
                done()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise failures.too_large("The picture", f"{MAX_PIXELS // 1_000_000} megapixels") from None
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        # Pillow says all kinds of things about a file that is cut or damaged.
        raise failures.invalid_document("picture") from error
    return count


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise failures.too_large("The picture", f"{MAX_PIXELS // 1_000_000} megapixels")


def _jpeg(path: Path, image: Image.Image, pdf: Pdf) -> _Picture:
    mode = image.mode if image.mode in _COLOR_SPACES else "RGB"
    stream = Stream(pdf, path.read_bytes())
    fields = _image_fields(image.width, image.height, 8) | {
        "/ColorSpace": _color_space(image, mode, pdf),
        "/Filter": Name.DCTDecode,
    }
    if mode == "CMYK" and "adobe" in image.info:
        # Adobe's programs write CMYK inverted, and mark it.
        fields["/Decode"] = Array([1, 0] * 4)
    _set(stream, fields)
    return _Picture(stream, image.width, image.height, _dpi(image), _orientation(image))


def _flate(frame: Image.Image, pdf: Pdf) -> _Picture:
    mask: Stream | None = None
    if frame.mode == "1":
        fields = _image_fields(frame.width, frame.height, 1) | {"/ColorSpace": Name.DeviceGray}
        return _Picture(
            _compressed(pdf, frame.tobytes(), fields), frame.width, frame.height, _dpi(frame)
        )
    if "A" in frame.getbands() or "transparency" in frame.info:
        rgba = frame.convert("RGBA")
        alpha = rgba.getchannel("A")
        if alpha.getextrema() != (255, 255):
            shape = _image_fields(frame.width, frame.height, 8) | {"/ColorSpace": Name.DeviceGray}
            mask = _compressed(pdf, alpha.tobytes(), shape)
        plain = rgba.convert("L" if frame.mode in ("LA", "La") else "RGB")
    elif frame.mode.startswith("I;16") or frame.mode == "I":
        plain = _eight_bits(frame)
    else:
        plain = frame if frame.mode in _COLOR_SPACES else frame.convert("RGB")
    fields = _image_fields(frame.width, frame.height, 8) | {
        "/ColorSpace": _color_space(frame, plain.mode, pdf)
    }
    if mask is not None:
        fields["/SMask"] = mask
    stream = _compressed(pdf, plain.tobytes(), fields)
    return _Picture(stream, frame.width, frame.height, _dpi(frame), _orientation(frame))


def _image_fields(width: int, height: int, bits: int) -> dict[str, Any]:
    return {
        "/Type": Name.XObject,
        "/Subtype": Name.Image,
        "/Width": width,
        "/Height": height,
        "/BitsPerComponent": bits,
    }


def _compressed(pdf: Pdf, content: bytes, fields: dict[str, Any]) -> Stream:
    stream = Stream(pdf, zlib.compress(content, 6))
    _set(stream, fields | {"/Filter": Name.FlateDecode})
    return stream


def _set(stream: Stream, fields: dict[str, Any]) -> None:
    for key, value in fields.items():
        stream[key] = value


def _color_space(image: Image.Image, mode: str, pdf: Pdf) -> pikepdf.Object:
    """The picture's own colours where it brings a profile for them, else the device's."""
    profile: object = image.info.get("icc_profile")
    # Bytes 16 to 20 of a profile name the colours it is for.
    spaces = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}
    if isinstance(profile, bytes) and profile[16:20] == spaces[mode] and image.mode == mode:
        stream = Stream(pdf, profile)
        _set(stream, {"/N": _COMPONENTS[mode], "/Alternate": Name(_COLOR_SPACES[mode])})
        return Array([Name.ICCBased, pdf.make_indirect(stream)])
    return Name(_COLOR_SPACES[mode])


def _dpi(image: Image.Image) -> float:
    given: Any = image.info.get("dpi")
    try:
        dpi = float(given[0])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return DEFAULT_DPI
    return dpi if 20 <= dpi <= 4800 else DEFAULT_DPI


def _orientation(image: Image.Image) -> int:
    try:
        found: Any = image.getexif().get(_ORIENTATION_TAG, 1)
    except (OSError, ValueError, SyntaxError):
        return 1
    return found if found in _ORIENTATIONS else 1


def _add_page(pdf: Pdf, picture: _Picture) -> None:
    matrix, sideways = _ORIENTATIONS[picture.orientation]
    width, height = picture.width * 72 / picture.dpi, picture.height * 72 / picture.dpi
    if sideways:
        width, height = height, width
    scale = min(1.0, MAX_SIDE / max(width, height))
    width, height = max(3.0, width * scale), max(3.0, height * scale)
    a, b, c, d, e, f = matrix
    drawing = (a * width, b * height, c * width, d * height, e * width, f * height)
    content = "q " + " ".join(f"{value:.4f}" for value in drawing) + " cm /Im0 Do Q"
    page = Dictionary(
        Type=Name.Page,
        MediaBox=Array([0, 0, round(width, 3), round(height, 3)]),
        Resources=Dictionary(XObject=Dictionary(Im0=pdf.make_indirect(picture.stream))),
        Contents=pdf.make_stream(content.encode()),
    )
    pdf.pages.append(pikepdf.Page(pdf.make_indirect(page)))


def _eight_bits(frame: Image.Image) -> Image.Image:
    """A picture of 16 bits a pixel with the upper 8 of them."""
    scaled: Any = frame.convert("I")
    return scaled.point(lambda value: value * (1 / 256)).convert("L")  # pyright: ignore
