"""Arranges words in lines, and in text with the layout of the page: columns are separated by
spaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from statistics import median

from checkback.kinds.documents.pdf.text.vertical import column_text, split_columns
from checkback.kinds.documents.pdf.text.words import Word

_MAX_BLANK_LINES = 2
_LINE_PITCH = 1.25
"""The distance of lines of running text, in heights of the text."""
_COLUMN_GAP = 1.0
"""Cells are separated by gaps of this many text heights. Gaps between words are smaller."""
_MAX_LINE_LENGTH = 4000
_LEFTWARDS = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")


@dataclass(frozen=True, slots=True)
class Line:
    """Words at one height from left to right, or words of one column of vertical writing from top
    to bottom.
    """

    middle: float
    words: Sequence[Word]
    vertical: bool = False

    @property
    def text(self) -> str:
        """The text of the line, with a space at each gap."""
        if self.vertical:
            return column_text(self.words)
        if _reads_leftwards(self.words):
            return _reversed_text(self.words)
        return _joined(self.words)


def pieces_of(line: Line) -> list[list[Word]]:
    """A line in groups of words with less than a column's gap between them."""
    pieces: list[list[Word]] = []
    for word in line.words:
        if pieces and word.x0 - pieces[-1][-1].x1 < _COLUMN_GAP * max(1.0, word.height):
            pieces[-1].append(word)
        else:
            pieces.append([word])
    return pieces


def lines_of(words: Sequence[Word]) -> list[Line]:
    """The words as lines, from top to bottom."""
    if not words:
        return []
    columns, words = split_columns(words)
    if columns:
        return _with_columns(columns, words)
    return _rows(words)


def _with_columns(columns: Sequence[Sequence[Word]], others: Sequence[Word]) -> list[Line]:
    """The columns of vertical writing from right to left, between the lines above and below
    them.
    """
    top = min(column[0].top for column in columns)
    rows = _rows(others) if others else []
    above = [row for row in rows if row.middle < top]
    vertical = [Line(top, column, vertical=True) for column in columns]
    return [*above, *vertical, *(row for row in rows if row.middle >= top)]


def _rows(words: Sequence[Word]) -> list[Line]:
    """Lines of horizontal writing."""
    usual = _usual_height(words)
    rows: list[tuple[float, list[Word]]] = []
    for word in sorted(words, key=_reading_order):
        middle = (word.top + word.bottom) / 2
        max_distance = 0.5 * min(usual, max(word.height, 1.0))
        if rows and abs(rows[-1][0] - middle) <= max_distance:
            rows[-1][1].append(word)
        else:
            rows.append((middle, [word]))
    return [Line(middle, sorted(row, key=lambda word: word.x0)) for middle, row in rows]


def _reading_order(word: Word) -> tuple[float, float]:
    return word.top + word.bottom, word.x0


def layout_text(words: Sequence[Word]) -> str:
    """The words as text with the layout of the page. Lines end with ``\\n``."""
    lines = lines_of(words)
    if not lines:
        return ""
    height = _usual_height(words)
    space = _usual_width(words, height)
    left = min(word.x0 for word in words)
    texts: list[str] = []
    before: Line | None = None
    for line in lines:
        texts += [""] * _blank_lines(before, line, height)
        texts.append(line.text if line.vertical else _placed(line.words, left, space))
        before = line
    return "\n".join(texts)


def _blank_lines(before: Line | None, line: Line, height: float) -> int:
    """The number of blank lines between two lines of the page."""
    if before is None:
        return 0
    skipped = round((line.middle - before.middle) / (height * _LINE_PITCH)) - 1
    return min(_MAX_BLANK_LINES, max(0, skipped))


def unwrapped(lines: Sequence[Line]) -> str:
    """The lines with those of one paragraph joined. A short line or a gap ends a paragraph."""
    if not lines:
        return ""
    max_pitch = _usual_height(_words_of(lines)) * _LINE_PITCH * 1.4
    short_end = _short_end(lines)
    paragraphs = [lines[0].text]
    for before, line in pairwise(lines):
        if _ends_paragraph(before, line, max_pitch, short_end):
            paragraphs.append(line.text)
        else:
            paragraphs[-1] = _continued(paragraphs[-1], line.text)
    return "\n".join(paragraphs)


def _short_end(lines: Sequence[Line]) -> float:
    """A line that does not reach this position is short."""
    right = max(line.words[-1].x1 for line in lines)
    left = min(line.words[0].x0 for line in lines)
    return left + 0.8 * (right - left)


def _words_of(lines: Sequence[Line]) -> list[Word]:
    return list(chain.from_iterable(line.words for line in lines))


def _ends_paragraph(line: Line, next_line: Line, max_pitch: float, short_end: float) -> bool:
    is_short = line.words[-1].x1 <= short_end
    return is_short or next_line.middle - line.middle > max_pitch


def _continued(paragraph: str, line: str) -> str:
    """The paragraph with a further line; a hyphen at its end is removed if a word continues."""
    if paragraph.endswith("-") and line[:1].islower():
        return paragraph[:-1] + line
    return f"{paragraph} {line}"


def _reads_leftwards(words: Sequence[Word]) -> bool:
    """Whether most of the words are of a script that is read from right to left."""
    if all(word.text.isascii() for word in words):
        return False
    return 2 * sum(_LEFTWARDS.search(word.text) is not None for word in words) > len(words)


def _reversed_text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in reversed(words))


def _joined(words: Sequence[Word]) -> str:
    """The texts of words, with a space at each gap."""
    parts = [word.text for word in words[:1]]
    for before, word in pairwise(words):
        is_gap = word.x0 - before.x1 > _glue(word)
        parts.append(f" {word.text}" if is_gap else word.text)
    return "".join(parts)


def _placed(words: Sequence[Word], left: float, space: float) -> str:
    """The text of a line whose words are about where they are on the page."""
    if _reads_leftwards(words):
        return _reversed_text(words)
    line = ""
    before: Word | None = None
    for word in words:
        line += " " * _spaces(len(line), before, word, (word.x0 - left) / space)
        line += word.text
        before = word
    return line


def _spaces(length: int, before: Word | None, word: Word, position: float) -> int:
    """The number of spaces before a word, in a line that has ``length`` characters so far."""
    if before is not None and word.x0 - before.x1 < 0.6 * max(word.height, 1.0):
        return 1 if word.x0 - before.x1 > _glue(word) else 0
    column = min(_MAX_LINE_LENGTH, int(position + 0.5))
    return max(1 if length else 0, column - length)


def _glue(word: Word) -> float:
    """The widest gap inside of a word: PDFs often position the parts of a word separately."""
    return 0.08 * max(word.height, 1.0)


def _usual_height(words: Sequence[Word]) -> float:
    return median(word.height for word in words) or 8.0


def _usual_width(words: Sequence[Word], height: float) -> float:
    """The median width of a character of the page."""
    widths = [(word.x1 - word.x0) / len(word.text) for word in words if len(word.text) > 2]
    return max(0.5, median(widths) if widths else height * 0.5)
