"""Chooses the font of each character: TrueType fonts of this machine, embedded in the file.

Text is split into runs of one font each. A character without a TrueType font is drawn with the
standard PDF fonts for Chinese, Japanese and Korean, which every viewer has. Scripts with joined or
reordered letters (Arabic, Indic) are drawn letter by letter.
"""

from __future__ import annotations

import functools
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, product
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from checkback.kinds.documents import failures

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
)

#: The file names of a family before the style, the best first.
_FAMILIES = {
    "sans": ("LiberationSans-", "DejaVuSans-", "NotoSans-", "Arial "),
    "serif": ("LiberationSerif-", "DejaVuSerif-", "NotoSerif-", "Times New Roman "),
    "mono": ("LiberationMono-", "DejaVuSansMono-", "NotoSansMono-", "Courier New "),
}
_STYLES = {
    (False, False): ("Regular", ""),
    (True, False): ("Bold",),
    (False, True): ("Italic", "Oblique"),
    (True, True): ("BoldItalic", "BoldOblique", "Bold Italic"),
}
#: Fonts for characters that the chosen family lacks.
_FALLBACKS = (
    "DejaVuSans",
    "NotoSans-Regular",
    "NotoSansHebrew-Regular",
    "NotoNaskhArabic-Regular",
    "NotoSansThai-Regular",
    "NotoSansDevanagari-Regular",
    "NotoSansSymbols2-Regular",
    "NotoSansMath-Regular",
    "DroidSansFallbackFull",
    "DroidSansFallback",
    "wqy-microhei",
    "wqy-zenhei",
    "Arial Unicode",
)
_STANDARD = {
    "sans": ("Helvetica", "Helvetica-Bold", "Helvetica-Oblique", "Helvetica-BoldOblique"),
    "serif": ("Times-Roman", "Times-Bold", "Times-Italic", "Times-BoldItalic"),
    "mono": ("Courier", "Courier-Bold", "Courier-Oblique", "Courier-BoldOblique"),
}
_JAPANESE, _KOREAN, _CHINESE = "HeiseiKakuGo-W5", "HYGothic-Medium", "STSong-Light"
_MONO_NAME = re.compile("mono|courier|consol|code|fixed")
_SERIF_NAME = re.compile("times|serif|roman|georgia|garamond|cambria|palatino|book")
_KANA, _HANGUL = re.compile("[\u3040-\u30ff]"), re.compile("[\u1100-\u11ff\uac00-\ud7af]")
_EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]"
)


@dataclass(frozen=True, slots=True)
class GlyphRun:
    """Text in one font."""

    text: str
    font: str


@dataclass(frozen=True, slots=True)
class Typeface:
    """A font family in one style."""

    family: str = "sans"
    bold: bool = False
    italic: bool = False

    def runs(self, text: str) -> list[GlyphRun]:
        """The text as runs. Raises the failure ``unsupported`` for a character without a font."""
        if not text:
            return []
        main = _main_font(self)
        if all(map(functools.partial(_has, main), text)):
            return [GlyphRun(text, main)]
        return self._mixed_runs(text)

    def _mixed_runs(self, text: str) -> list[GlyphRun]:
        """The text as runs, with the font of each character."""
        east_asian = _east_asian_font(text)
        runs = groupby(text, key=lambda character: self._font_of(character, east_asian))
        return [GlyphRun("".join(characters), font) for font, characters in runs]

    def width(self, text: str, size: float) -> float:
        """The width of the text in points."""
        return sum(pdfmetrics.stringWidth(run.text, run.font, size) for run in self.runs(text))

    def ascent(self, size: float) -> float:
        """The height above the baseline in points."""
        return pdfmetrics.getAscentDescent(_main_font(self), size)[0]

    def wrap(self, text: str, size: float, width: float) -> list[str]:
        """The lines of the text, wrapped to ``width``. A word that is wider is split."""
        lines: list[str] = []
        for line in text.splitlines() or [""]:
            lines += self._wrap_line(line, size, width)
        return lines

    def _wrap_line(self, text: str, size: float, width: float) -> Iterable[str]:
        line = ""
        for word in re.findall(r"\s*\S+|\s+$", text) or [""]:
            if self.width(line + word, size) <= width:
                line += word
                continue
            if line:
                yield line
            *pieces, line = self._split_word(word.lstrip(), size, width)
            yield from pieces
        yield line

    def _split_word(self, word: str, size: float, width: float) -> list[str]:
        """The pieces of a word, none wider than ``width``."""
        pieces: list[str] = []
        while len(word) > 1 and self.width(word, size) > width:
            cut = self._fitting(word, size, width)
            pieces.append(word[:cut])
            word = word[cut:]
        return [*pieces, word]

    def _fitting(self, text: str, size: float, width: float) -> int:
        """How many characters of the text fit into ``width``; at least one."""
        ends = range(1, len(text) + 1)
        return max(1, bisect_right(ends, width, key=lambda end: self.width(text[:end], size)))

    def _font_of(self, character: str, east_asian: str) -> str:
        main = _main_font(self)
        if _has(main, character):
            return main
        fallback = _fallback_font(character)
        if fallback is not None:
            return fallback
        if _EAST_ASIAN.match(character):
            return _register_standard(east_asian)
        raise failures.unsupported(
            "A character for which the server has no font",
            "Install fonts on the server, as root with `apt-get install fonts-dejavu-core "
            "fonts-noto-core`.",
        )


def _fallback_font(character: str) -> str | None:
    for name in _FALLBACKS:
        font = _register(name)
        if font is not None and _has(font, character):
            return font
    return None


def typeface(name: str, *, bold: bool = False, italic: bool = False) -> Typeface:
    """The typeface that is closest to a font's name, such as Times New Roman or Courier."""
    lowered = name.lower()
    is_bold = bold or "bold" in lowered
    is_italic = italic or "italic" in lowered or "oblique" in lowered
    return Typeface(_family(lowered), is_bold, is_italic)


def _family(name: str) -> str:
    if _MONO_NAME.search(name):
        return "mono"
    if _SERIF_NAME.search(name) and "sans" not in name:
        return "serif"
    return "sans"


@functools.cache
def _files() -> dict[str, Path]:
    """The TrueType fonts of this machine, by file name without its extension."""
    own_folders = (Path.home() / ".fonts", Path.home() / ".local/share/fonts")
    files: dict[str, Path] = {}
    for path in chain.from_iterable(map(_true_type_files, (*FOLDERS, *own_folders))):
        files.setdefault(path.stem, path)
    return files


def _true_type_files(folder: str | Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in filter(_is_true_type, names):
            yield Path(root) / name


def _is_true_type(name: str) -> bool:
    return name.lower().endswith((".ttf", ".ttc"))


@functools.cache
def _main_font(face: Typeface) -> str:
    styles = _STYLES[face.bold, face.italic]
    for prefix, style in product(_FAMILIES[face.family], styles):
        registered = _register(f"{prefix}{style}".rstrip(" -"))
        if registered is not None:
            return registered
    return _STANDARD[face.family][int(face.bold) + 2 * int(face.italic)]


@functools.cache
def _register(name: str) -> str | None:
    """Register a font of this machine with reportlab; None if it is missing or not usable."""
    path = _files().get(name)
    if path is None:
        return None
    try:
        font = TTFont(name, str(path))
    except (TTFError, OSError, ValueError, KeyError, IndexError):
        return None
    pdfmetrics.registerFont(font)
    _characters[name] = frozenset(font.face.charToGlyph)
    return name


_characters: dict[str, frozenset[int]] = {}


def _has(font: str, character: str) -> bool:
    known = _characters.get(font)
    if known is not None:
        return ord(character) in known
    return ord(character) < 256 and (character.isprintable() or character == "\xa0")


def _east_asian_font(text: str) -> str:
    if _KANA.search(text):
        return _JAPANESE
    return _KOREAN if _HANGUL.search(text) else _CHINESE


@functools.cache
def _register_standard(name: str) -> str:
    pdfmetrics.registerFont(UnicodeCIDFont(name))
    return name
