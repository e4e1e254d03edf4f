"""Words of a page as lines, and as text that keeps the page's layout: columns become blanks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from checkback.kinds.documents.pdf.text.vertical import column_text, split_columns
from checkback.kinds.documents.pdf.text.words import Word

_MAX_BLANK_LINES = 2
_LINE_PITCH = 1.25
"""Lines of running text are about so many times their height apart."""
_WIDEST_LINE = 4000
_LEFTWARDS = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")


@dataclass(frozen=True, slots=True)
class Line:
    """Words of one height, from left to right; of vertical writing, those of one column from the
    top down.
    """

    middle: float
    words: Sequence[Word]
    vertical: bool = False

    @property
    def text(self) -> str:
        """The line's words with one blank wherever there is a gap."""
        if self.vertical:
            return column_text(self.words)
        if _reads_leftwards(self.words):
            return " ".join(word.text for word in reversed(self.words))
        parts: list[str] = []
        before: Word | None = None
        for word in self.words:
            if before is not None and word.x0 - before.x1 > _glue(word):
                parts.append(" ")
            parts.append(word.text)
            before = word
        return "".join(parts)


def lines_of(words: Sequence[Word]) -> list[Line]:
    """The words as lines, from the top down."""
    if not words:
        return []
    columns, words = split_columns(words)
    if columns:
        return _with_columns(columns, words)
    return _rows(words)


def _with_columns(columns: Sequence[Sequence[Word]], others: Sequence[Word]) -> list[Line]:
    """Vertical writing, its columns from the right to the left, between what stands above and below
    it.
    """
    top = min(column[0].top for column in columns)
    rows = _rows(others) if others else []
    above = [row for row in rows if row.middle < top]
    vertical = [Line(top, column, vertical=True) for column in columns]
    return [*above, *vertical, *(row for row in rows if row.middle >= top)]


def _rows(words: Sequence[Word]) -> list[Line]:
    usual = _usual_height(words)
    rows: list[tuple[float, list[Word]]] = []
    for word in sorted(words, key=lambda word: (word.top + word.bottom, word.x0)):
        middle = (word.top + word.bottom) / 2
        near = 0.5 * min(usual, max(word.height, 1.0))
        if rows and abs(rows[-1][0] - middle) <= near:
            rows[-1][1].append(word)
        else:
            rows.append((middle, [word]))
    return [Line(middle, sorted(row, key=lambda word: word.x0)) for middle, row in rows]


def layout_text(words: Sequence[Word]) -> str:
    """The words as text in which each stands about where it stands on the page. Lines end with
    ``\\n``.
    """
    lines = lines_of(words)
    if not lines:
        return ""
    height = _usual_height(words)
    blank = _usual_width(words, height)
    left = min(word.x0 for word in words)
    out: list[str] = []
    before: float | None = None
    for line in lines:
        if before is not None:
            skipped = round((line.middle - before) / (height * _LINE_PITCH)) - 1
            out += [""] * min(_MAX_BLANK_LINES, max(0, skipped))
        out.append(line.text if line.vertical else _placed(line.words, left, blank))
        before = line.middle
    return "\n".join(out)


def unwrapped(lines: Sequence[Line]) -> str:
    """The lines with those of one paragraph joined: what ends early, or stands apart, ends a
    paragraph.
    """
    if not lines:
        return ""
    height = _usual_height([word for line in lines for word in line.words])
    right = max(line.words[-1].x1 for line in lines)
    left = min(line.words[0].x0 for line in lines)
    paragraphs: list[str] = []
    open_paragraph = False
    before: Line | None = None
    for line in lines:
        apart = before is not None and line.middle - before.middle > height * _LINE_PITCH * 1.4
        if open_paragraph and not apart and paragraphs:
            joined = paragraphs[-1]
            hyphen = joined.endswith("-") and line.text[:1].islower()
            paragraphs[-1] = joined[:-1] + line.text if hyphen else f"{joined} {line.text}"
        else:
            paragraphs.append(line.text)
        open_paragraph = line.words[-1].x1 > left + 0.8 * (right - left)
        before = line
    return "\n".join(paragraphs)


def _reads_leftwards(words: Sequence[Word]) -> bool:
    """Whether most of the words are of a script that is read from right to left."""
    if all(word.text.isascii() for word in words):
        return False
    return 2 * sum(_LEFTWARDS.search(word.text) is not None for word in words) > len(words)


def _placed(words: Sequence[Word], left: float, blank: float) -> str:
    if _reads_leftwards(words):
        return " ".join(word.text for word in reversed(words))
    out = ""
    before: Word | None = None
    for word in words:
        if before is not None and word.x0 - before.x1 < 0.6 * max(word.height, 1.0):
            out += " " if word.x0 - before.x1 > _glue(word) else ""
        else:
            column = min(_WIDEST_LINE, int((word.x0 - left) / blank + 0.5))
            out += " " * max(1 if out else 0, column - len(out))
        out += word.text
        before = word
    return out


def _glue(word: Word) -> float:
    """A gap that is none: PDFs place parts of one word apart."""
    return 0.08 * max(word.height, 1.0)


def _usual_height(words: Sequence[Word]) -> float:
    return median(word.height for word in words) or 8.0


def _usual_width(words: Sequence[Word], height: float) -> float:
    """The width of a character of most words of the page."""
    widths = [(word.x1 - word.x0) / len(word.text) for word in words if len(word.text) > 2]
    return max(0.5, median(widths) if widths else height * 0.5)
