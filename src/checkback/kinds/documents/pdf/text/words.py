"""Reads words with their positions from the characters of a PDF page.

A Python call for each character and each of its boxes would take two thirds of the time. So the
text of a page is fetched at once and split into words by a regular expression, and PDFium returns
the boxes of the first and last character of each word only, by ``map`` over its C function. If
these do not look like one word, the word is read character by character.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple, cast

import pypdfium2.raw as pdfium

from checkback.kinds.documents.args.rect_argument import Rect

_WORD = re.compile(r"\S+")
# PDFium marks a hyphen at the end of a line, after which it leaves out the line break, with 2 or
# FFFE.
_CHARACTERS: dict[int, str] = dict.fromkeys((0, 9, 10, 13, 32, 160, 0xFFFF), " ") | {
    2: "-",
    0xFFFE: "-",
}
_ANGLE_SAMPLES = 24
_FONT_NAME_BYTES = 256
_SURROGATE = re.compile("[\ud800-\udfff]")


class Word(NamedTuple):
    """A word and its box, in points from the top left of the page as it is read."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    #: The index of its first character in the text of its page.
    at: int = 0

    @property
    def height(self) -> float:
        return self.bottom - self.top


Box = tuple[float, float, float, float]
"""``x0, top, x1, bottom``."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Converts positions on a PDF page to points from the top left of the page as it is read."""

    #: Quarter turns to the right that make the text of the page upright.
    turns: int
    left: float
    top: float
    width: float
    height: float

    def box(
        self, left: float, bottom: float, right: float, top: float
    ) -> tuple[float, float, float, float]:
        """``x0, top, x1, bottom`` of a box in the page's own coordinates."""
        x0, low, x1, high = _turned(self.turns, left, bottom, right, top)
        return x0 - self.left, self.top - high, x1 - self.left, self.top - low


@dataclass(frozen=True, slots=True)
class PageText:
    """All words of a page with their positions."""

    words: Sequence[Word]
    frame: Frame
    #: The page's text in PDFium's order; ``character_boxes`` returns the positions of its
    #: characters.
    text: str


def read_words(page: Any, rect: Rect | None = None, *, cut: bool = True) -> PageText:
    """All words of a PDFium page in PDFium's order, within ``rect`` if it is given.

    Without ``cut`` only the text is read, which takes a third of the time.
    """
    text_page = pdfium.FPDFText_LoadPage(page.raw)
    try:
        count = max(0, pdfium.FPDFText_CountChars(text_page))
        reader = _WordReader(text_page, frame_of(page, _text_turns(text_page, count)))
        text = _text_of(text_page, count)
        words = _cut(text, reader) if cut else []
    finally:
        pdfium.FPDFText_ClosePage(text_page)
    return PageText(within(words, rect), reader.frame, text)


class _WordReader:
    """Reads the boxes of characters of one open page from PDFium."""

    def __init__(self, text_page: Any, frame: Frame) -> None:
        self._address = ctypes.cast(text_page, ctypes.c_void_p).value
        self.frame = frame

    def boxes(self, indexes: Sequence[int]) -> list[tuple[float, float, float, float]]:
        """``x0, top, x1, bottom`` of each of these characters in the frame."""
        count = len(indexes)
        corners = (ctypes.c_float * (4 * count))()
        base = ctypes.addressof(corners)
        targets = range(base, base + 16 * count, 16)
        deque(cast("Any", map(_loose_box, repeat(self._address), indexes, targets)), maxlen=0)
        values = memoryview(corners).cast("B").cast("f")
        # PDFium writes left, top, right, bottom.
        quads = zip(values[0::4], values[3::4], values[2::4], values[1::4], strict=True)
        frame = self.frame
        if frame.turns:
            return [frame.box(*quad) for quad in quads]
        x, y = frame.left, frame.top
        return [(left - x, y - high, right - x, y - low) for left, low, right, high in quads]


def character_boxes(
    page: Any, frame: Frame, indexes: Sequence[int]
) -> list[tuple[float, float, float, float]]:
    """``x0, top, x1, bottom`` of some characters of a page, by their indexes in its text."""
    text_page = pdfium.FPDFText_LoadPage(page.raw)
    try:
        return _WordReader(text_page, frame).boxes(indexes)
    finally:
        pdfium.FPDFText_ClosePage(text_page)


def fonts(page: Any, indexes: Sequence[int]) -> list[tuple[str, float]]:
    """Name and size in points of the fonts of some characters, by their indexes in the page's text.

    Many documents set a font at size 1 and enlarge it by the text matrix: the size includes both.
    """
    text_page = pdfium.FPDFText_LoadPage(page.raw)
    buffer, flags = ctypes.create_string_buffer(_FONT_NAME_BYTES), ctypes.c_int()
    matrix = pdfium.FS_MATRIX()
    result: list[tuple[str, float]] = []
    try:
        for index in indexes:
            length = pdfium.FPDFText_GetFontInfo(text_page, index, buffer, _FONT_NAME_BYTES, flags)
            name = buffer.raw[: max(0, min(length, _FONT_NAME_BYTES) - 1)].decode(
                "utf-8", "replace"
            )
            # The name of a font subset begins with six letters and a plus.
            name = re.sub(r"^[A-Z]{6}\+", "", name)
            size = float(pdfium.FPDFText_GetFontSize(text_page, index))
            if pdfium.FPDFText_GetMatrix(text_page, index, matrix):
                size *= math.hypot(matrix.c, matrix.d)
            result.append((name, round(size, 2)))
    finally:
        pdfium.FPDFText_ClosePage(text_page)
    return result


def _text_of(text_page: Any, count: int) -> str:
    """The page's text, with one Python character for each character of PDFium."""
    buffer = (ctypes.c_ushort * (count + 1))()
    written = pdfium.FPDFText_GetText(text_page, 0, count, buffer) if count else 1
    text = bytes(buffer)[: 2 * count].decode("utf-16-le", "surrogatepass")
    # Characters without a code are missing in this text, and rare ones take two code units.
    if written - 1 != count or len(text) != count or _SURROGATE.search(text):
        text = _text_by_characters(text_page, count)
    return text.translate(_CHARACTERS)


def _text_by_characters(text_page: Any, count: int) -> str:
    """The page's text, read character by character."""
    address = ctypes.cast(text_page, ctypes.c_void_p).value
    codes: Any = map(_unicode, repeat(address), range(count))
    return "".join(map(_character, codes))


def frame_of(page: Any, turns: int | None = None) -> Frame:
    """The frame of a page, rotated as it is displayed unless ``turns`` is given."""
    if turns is None:
        turns = int(page.get_rotation()) // 90 % 4
    left, bottom, right, top = page.get_bbox()
    x0, low, x1, high = _turned(turns, left, bottom, right, top)
    return Frame(turns, x0, high, x1 - x0, high - low)


def _function(name: str, *more: Any) -> Any:
    """One of PDFium's functions, for plain addresses: without the pointer checks of ctypes."""
    import pypdfium2_raw.bindings as bindings

    # PyDLL: these calls take well under a microsecond, less than releasing the interpreter lock.
    library = ctypes.PyDLL(bindings._libs["pdfium"]._name)  # pyright: ignore[reportPrivateUsage]
    function = library[name]
    function.argtypes = (ctypes.c_void_p, ctypes.c_int, *more)
    return function


_unicode: Any = _function("FPDFText_GetUnicode")
_unicode.restype = ctypes.c_uint
_loose_box: Any = _function("FPDFText_GetLooseCharBox", ctypes.c_void_p)
_loose_box.restype = ctypes.c_int


def _character(code: int) -> str:
    return chr(code) if code < 0xD800 or 0xE000 <= code < 0x110000 else "\ufffd"


def _text_turns(text_page: Any, count: int) -> int | None:
    """The quarter turns that make most of the text upright; None for a page without text."""
    angles: Counter[int] = Counter()
    for index in range(0, count, max(1, count // _ANGLE_SAMPLES)):
        angle = pdfium.FPDFText_GetCharAngle(text_page, index)
        if angle >= 0:
            angles[round(math.degrees(angle) / 90) % 4] += 1
    return (4 - angles.most_common(1)[0][0]) % 4 if angles else None


def _turned(
    turns: int, left: float, bottom: float, right: float, top: float
) -> tuple[float, float, float, float]:
    """A box after quarter turns to the right about the origin."""
    if turns == 1:
        return bottom, -right, top, -left
    if turns == 2:
        return -right, -top, -left, -bottom
    if turns == 3:
        return -top, left, -bottom, right
    return left, bottom, right, top


def _cut(text: str, reader: _WordReader) -> list[Word]:
    spans = [match.span() for match in _WORD.finditer(text)]
    firsts = reader.boxes([start for start, _ in spans])
    lasts = reader.boxes([end - 1 for _, end in spans])
    words: list[Word] = []
    for (start, end), (x0, top, right, bottom), (_, _, x1, last_bottom) in zip(
        spans, firsts, lasts, strict=True
    ):
        height = bottom - top
        level = abs(last_bottom - bottom) < 0.45 * height
        if level and 0 <= x1 - x0 <= (end - start) * height * 1.3:
            words.append(Word(text[start:end], x0, x1 if x1 > right else right, top, bottom, start))
        else:
            words += _cut_slowly(text, start, end, reader)
    return words


def _cut_slowly(text: str, start: int, end: int, reader: _WordReader) -> list[Word]:
    """A run of characters that do not look like one word, split where the line or the position
    jumps.

    Characters may also follow each other to the left, as in Arabic and Hebrew.
    """
    boxes = reader.boxes(range(start, end))
    words: list[Word] = []
    begin = 0
    for index in range(1, len(boxes) + 1):
        if index < len(boxes) and _adjoin(boxes[index - 1], boxes[index]):
            continue
        _, top, _, bottom = boxes[begin]
        lefts, _, rights, _ = zip(*boxes[begin:index], strict=True)
        part = text[start + begin : start + index]
        words.append(Word(part, min(lefts), max(rights), top, bottom, start + begin))
        begin = index
    return words


def _adjoin(one: Box, other: Box) -> bool:
    """Whether a character is next to the one before it, on either side, or part of the same
    glyph.
    """
    left, top, right, bottom = one
    height = bottom - top or 1.0
    gap = max(other[0] - right, left - other[2])
    overlap = max(0.6 * height, right - left)
    return abs(other[3] - bottom) < 0.45 * height and -overlap <= gap < height


def within(words: list[Word], rect: Rect | None) -> list[Word]:
    """The words whose middle is in a rectangle; all words without a rectangle."""
    if rect is None:
        return words
    return [word for word in words if _is_inside(word, rect)]


def _is_inside(word: Word, rect: Rect) -> bool:
    x, y = (word.x0 + word.x1) / 2, (word.top + word.bottom) / 2
    return rect.x <= x <= rect.x + rect.width and rect.y <= y <= rect.y + rect.height
