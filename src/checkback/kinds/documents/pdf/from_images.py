"""Images as PDF pages: a JPEG is included unchanged, everything else without loss.

A JPEG is never decoded, so there is no loss, and a large one costs nothing. Its EXIF orientation
becomes part of the page's drawing.
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

from checkback.core.errors import JobFailed
from checkback.kinds.documents import failures

MAX_PIXELS = 100_000_000
DEFAULT_DPI = 96.0
#: The largest side of a page that readers must support (ISO 32000, annex C), in points.
MAX_SIDE = 14_400.0

_COLOR_SPACES = {"L": "/DeviceGray", "RGB": "/DeviceRGB", "CMYK": "/DeviceCMYK"}
_COMPONENTS = {"L": 1, "RGB": 3, "CMYK": 4}

# The matrix that draws the unit square in each EXIF orientation, and whether width and height are
# swapped.
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
class _PdfImage:
    """An image object of the PDF, with its size and orientation."""

    stream: Stream
    width: int
    height: int
    dpi: float
    orientation: int = 1


def image_to_pages(
    path: Path, pdf: Pdf, *, max_pages: int, done: Callable[[], None] = lambda: None
) -> int:
    """Add a page for each frame of the image to ``pdf``; returns the number of pages.

    Raises the failures ``too_large`` and ``invalid_document``.
    """
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        with Image.open(path) as image:
            _check_size(image)
            if image.format == "JPEG":
                _add_page(pdf, _jpeg(path, image, pdf))
                return 1
            return _add_frames(image, pdf, max_pages, done)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise _too_many_pixels() from None
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        # Pillow raises any of these for a truncated or damaged file.
        raise failures.invalid_document("an image") from error


def _add_frames(image: Image.Image, pdf: Pdf, max_pages: int, done: Callable[[], None]) -> int:
    count = 0
    for frame in ImageSequence.Iterator(image):
        _check_size(frame)
        count += 1
        if count > max_pages:
            raise failures.too_many_pages(max_pages)
        _add_page(pdf, _flate(frame, pdf))
        done()
    return count


def _too_many_pixels() -> JobFailed:
    return failures.too_large("The image", f"{MAX_PIXELS // 1_000_000} megapixels")


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_many_pixels()


def _jpeg(path: Path, image: Image.Image, pdf: Pdf) -> _PdfImage:
    mode = image.mode if image.mode in _COLOR_SPACES else "RGB"
    stream = Stream(pdf, path.read_bytes())
    fields = _image_fields(image.width, image.height, 8) | {
        "/ColorSpace": _color_space(image, mode, pdf),
        "/Filter": Name.DCTDecode,
    }
    if _is_inverted(image, mode):
        fields["/Decode"] = Array([1, 0] * 4)
    _set(stream, fields)
    return _PdfImage(stream, image.width, image.height, _dpi(image), _orientation(image))


def _is_inverted(image: Image.Image, mode: str) -> bool:
    """Whether it is a CMYK image of Adobe's programs: they write them inverted, with a marker."""
    return mode == "CMYK" and "adobe" in image.info


def _flate(frame: Image.Image, pdf: Pdf) -> _PdfImage:
    """A frame without loss: its pixels compressed, with its transparency as a mask."""
    width, height = frame.size
    if frame.mode == "1":
        fields = _image_fields(width, height, 1) | {"/ColorSpace": Name.DeviceGray}
        stream = _compressed(pdf, frame.tobytes(), fields)
        return _PdfImage(stream, width, height, _dpi(frame))
    plain, mask = _plain_and_mask(frame, pdf)
    fields = _image_fields(width, height, 8)
    fields["/ColorSpace"] = _color_space(frame, plain.mode, pdf)
    if mask is not None:
        fields["/SMask"] = mask
    stream = _compressed(pdf, plain.tobytes(), fields)
    return _PdfImage(stream, width, height, _dpi(frame), _orientation(frame))


def _plain_and_mask(frame: Image.Image, pdf: Pdf) -> tuple[Image.Image, Stream | None]:
    """The frame with 8 bits for each color, and its transparency; None if it is opaque."""
    if not has_transparency(frame):
        return _with_eight_bits(frame), None
    rgba = frame.convert("RGBA")
    is_gray = frame.mode in ("LA", "La")
    return rgba.convert("L" if is_gray else "RGB"), _mask(rgba, pdf)


def has_transparency(image: Image.Image) -> bool:
    """Whether the image may have pixels that are not opaque."""
    return "A" in image.getbands() or "transparency" in image.info


def _with_eight_bits(frame: Image.Image) -> Image.Image:
    """An opaque frame with 8 bits for each color."""
    if frame.mode.startswith("I;16") or frame.mode == "I":
        return _upper_bits(frame)
    if frame.mode in _COLOR_SPACES:
        return frame
    return frame.convert("RGB")


def _mask(rgba: Image.Image, pdf: Pdf) -> Stream | None:
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return None
    fields = _image_fields(rgba.width, rgba.height, 8) | {"/ColorSpace": Name.DeviceGray}
    return _compressed(pdf, alpha.tobytes(), fields)


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
    """The color space of the image's own profile if it has one, else that of the device."""
    profile: object = image.info.get("icc_profile")
    if isinstance(profile, bytes) and _is_for(profile, mode) and image.mode == mode:
        stream = Stream(pdf, profile)
        _set(stream, {"/N": _COMPONENTS[mode], "/Alternate": Name(_COLOR_SPACES[mode])})
        return Array([Name.ICCBased, pdf.make_indirect(stream)])
    return Name(_COLOR_SPACES[mode])


def _is_for(profile: bytes, mode: str) -> bool:
    """Whether an ICC profile is for images of this mode, as its bytes 16 to 20 say."""
    return profile[16:20] == {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}[mode]


def _dpi(image: Image.Image) -> float:
    resolution: Any = image.info.get("dpi")
    try:
        dpi = float(resolution[0])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return DEFAULT_DPI
    return dpi if 20 <= dpi <= 4800 else DEFAULT_DPI


def _orientation(image: Image.Image) -> int:
    try:
        orientation: Any = image.getexif().get(_ORIENTATION_TAG, 1)
    except (OSError, ValueError, SyntaxError):
        return 1
    return orientation if orientation in _ORIENTATIONS else 1


def _add_page(pdf: Pdf, image: _PdfImage) -> None:
    matrix, sideways = _ORIENTATIONS[image.orientation]
    width, height = image.width * 72 / image.dpi, image.height * 72 / image.dpi
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
        Resources=Dictionary(XObject=Dictionary(Im0=pdf.make_indirect(image.stream))),
        Contents=pdf.make_stream(content.encode()),
    )
    pdf.pages.append(pikepdf.Page(pdf.make_indirect(page)))


def _upper_bits(frame: Image.Image) -> Image.Image:
    """An image of 16 bits per pixel, reduced to the upper 8 bits."""
    scaled: Any = frame.convert("I")
    return scaled.point(lambda value: value * (1 / 256)).convert("L")  # pyright: ignore
