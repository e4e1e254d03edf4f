"""Which font draws which character: TrueType fonts of this machine, embedded in what we write.

Text is cut into runs of one font each. What no TrueType font has is drawn with the standard fonts
of PDF for Chinese, Japanese and Korean, which every viewer brings along; scripts that need their
letters joined or reordered (Arabic, Indic) are drawn letter by letter.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
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

#: File stems of a family, best first, with what they put before Bold and Italic.
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
#: For characters that the chosen family lacks.
_WIDE = (
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
_KANA, _HANGUL = re.compile("[\u3040-\u30ff]"), re.compile("[\u1100-\u11ff\uac00-\ud7af]")
_EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]"
)


@dataclass(frozen=True, slots=True)
class GlyphRun:
    """Text that one font draws."""

    text: str
    font: str


@dataclass(frozen=True, slots=True)
class Typeface:
    """A family in one style, and how text is drawn with it."""

    family: str = "sans"
    bold: bool = False
    italic: bool = False

    def runs(self, text: str) -> list[GlyphRun]:
        """The text cut into runs. Raises the failure unsupported for a
        character that no font has.
        """
        if not text:
            return []
        main = _main_font(self)
        if all(map(functools.partial(_has, main), text)):
            return [GlyphRun(text, main)]
        found: list[GlyphRun] = []
        east_asian = _east_asian_font(text)
        for character in text:
            font = self._font_of(character, east_asian)
            if found and found[-1].font == font:
                found[-1] = GlyphRun(found[-1].text + character, font)
            else:
                found.append(GlyphRun(character, font))
        return found

    def width(self, text: str, size: float) -> float:
        """How wide the text is, in points."""
        return sum(pdfmetrics.stringWidth(run.text, run.font, size) for run in self.runs(text))

    def ascent(self, size: float) -> float:
        """From the baseline up to the highest letters, in points."""
        return pdfmetrics.getAscentDescent(_main_font(self), size)[0]

    def wrap(self, text: str, size: float, width: float) -> list[str]:
        """The text's lines, none wider than ``width``; a word that is gets cut."""
        return [
            line
            for given in text.splitlines() or [""]
            for line in self._wrap_line(given, size, width)
        ]

    def _wrap_line(self, text: str, size: float, width: float) -> Iterable[str]:
        line = ""
        for word in re.findall(r"\s*\S+|\s+$", text) or [""]:
            if self.width(line + word, size) <= width:
                line += word
                continue
            if line:
                yield line
            line = word.lstrip()
            while len(line) > 1 and self.width(line, size) > width:
                cut = self._fitting(line, size, width)
                yield line[:cut]
                line = line[cut:]
        yield line

    def _fitting(self, text: str, size: float, width: float) -> int:
        low, high = 1, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.width(text[:middle], size) <= width:
                low = middle
            else:
                high = middle - 1
        return low

    def _font_of(self, character: str, east_asian: str) -> str:
        main = _main_font(self)
        if _has(main, character):
            return main
        for name in _WIDE:
            wide = _register(name)
            if wide is not None and _has(wide, character):
                return wide
        if _EAST_ASIAN.match(character):
            return _register_standard(east_asian)
        raise failures.unsupported(
            "A character of the text has no font on this server, so it",
            "Install fonts on the server, as root with `apt-get install fonts-dejavu-core fonts-noto-core`.",
        )


def typeface(name: str, *, bold: bool = False, italic: bool = False) -> Typeface:
    """The face that comes nearest to a font's name, such as Times New Roman or Courier."""
    lowered = name.lower()
    if re.search(r"mono|courier|consol|code|fixed", lowered):
        family = "mono"
    elif re.search(
        r"times|serif|roman|georgia|garamond|cambria|palatino|book", lowered
    ) and not re.search(r"sans", lowered):
        family = "serif"
    else:
        family = "sans"
    return Typeface(
        family, bold or "bold" in lowered, italic or bool(re.search("italic|oblique", lowered))
    )


@functools.cache
def _files() -> dict[str, Path]:
    """The TrueType fonts of this machine, by file name without its ending."""
    found: dict[str, Path] = {}
    for folder in (*FOLDERS, str(Path.home() / ".fonts"), str(Path.home() / ".local/share/fonts")):
        for root, _, names in os.walk(folder):
            for name in names:
                if name.lower().endswith((".ttf", ".ttc")):
                    found.setdefault(Path(name).stem, Path(root) / name)
    return found


@functools.cache
def _main_font(face: Typeface) -> str:
    styles = _STYLES[face.bold, face.italic]
    for prefix in _FAMILIES[face.family]:
        for style in styles:
            registered = _register(f"{prefix}{style}".rstrip(" -"))
            if registered is not None:
                return registered
    return _STANDARD[face.family][int(face.bold) + 2 * int(face.italic)]


@functools.cache
def _register(name: str) -> str | None:
    """Make a font of this machine known to reportlab; None when it is not there or of no use."""
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
