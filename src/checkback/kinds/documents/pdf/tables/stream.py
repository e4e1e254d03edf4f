"""Finds tables without ruling lines: rows of text whose words begin or end at the same
positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

from checkback.kinds.documents.pdf.tables.lattice import Table
from checkback.kinds.documents.pdf.text.lines import Line, lines_of, pieces_of
from checkback.kinds.documents.pdf.text.words import Word

_MIN_ROWS = 3
_MAX_DISTANCE = 3.0
"""Rows that are more text heights apart than this belong to two tables."""

_X0, _X1, _TOP, _BOTTOM = map(attrgetter, ("x0", "x1", "top", "bottom"))
_TEXT, _WORDS = map(attrgetter, ("text", "words"))

Segment = tuple[float, float, str]
"""Left and right edge of a cell, and its text."""


def unruled_tables(words: Sequence[Word]) -> list[Table]:
    """Blocks of lines with two or more cells each, which share their columns."""
    return list(chain.from_iterable(map(_table, _blocks(lines_of(words)))))


def _blocks(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines with two or more cells that follow each other closely; a block may be empty."""
    blocks: list[list[Line]] = [[]]
    for line in lines:
        if len(segments(line)) < 2:
            blocks.append([])
        elif _is_apart(line, blocks[-1]):
            blocks.append([line])
        else:
            blocks[-1].append(line)
    return blocks


def _is_apart(line: Line, block: Sequence[Line]) -> bool:
    """Whether a line is far below the last line of a block."""
    height = max(1.0, line.words[0].height)
    return bool(block) and line.middle - block[-1].middle > _MAX_DISTANCE * height


def segments(line: Line) -> list[Segment]:
    """The cells of a line."""
    return list(map(_segment, pieces_of(line)))


def _segment(words: Sequence[Word]) -> Segment:
    return words[0].x0, words[-1].x1, " ".join(map(_TEXT, words))


def by_columns(row: Sequence[Segment], columns: Sequence[tuple[float, float]]) -> list[str]:
    """The text of a row in each column: a segment belongs to the column that it overlaps most."""
    cells = [""] * len(columns)
    for left, right, text in row:
        overlaps = [_overlap(column, (left, right)) for column in columns]
        number = overlaps.index(max(overlaps))
        cells[number] = f"{cells[number]} {text}".strip()
    return cells


def grid(lines: Sequence[Line]) -> tuple[list[float], list[list[str]]]:
    """The left edges of the columns that the lines share, and the lines as rows of cells."""
    rows = [segments(line) for line in lines]
    columns = _columns(rows)
    return [left for left, _ in columns], [by_columns(row, columns) for row in rows]


def _columns(rows: Sequence[Sequence[Segment]]) -> list[tuple[float, float]]:
    """The spans of the columns of many rows: cells that overlap are in one column.

    The rows with the most cells come first. A heading that spans two columns joins no column.
    """
    most = max(map(len, rows))
    several = max(min(2, most), most // 2)
    spans: list[tuple[float, float]] = []
    for row in sorted(rows, key=len, reverse=True):
        for left, right, _ in row:
            _add_span(spans, left, right, may_begin=len(row) >= several)
    return sorted(spans)


def _add_span(
    spans: list[tuple[float, float]], left: float, right: float, *, may_begin: bool
) -> None:
    """Widen the column that a cell overlaps. Without one the cell may begin a new column."""
    overlapping = _overlapping(spans, left, right)
    if not overlapping and may_begin:
        spans.append((left, right))
    elif len(overlapping) == 1:
        start, end = spans[overlapping[0]]
        spans[overlapping[0]] = (min(start, left), max(end, right))


def _overlapping(spans: Sequence[tuple[float, float]], left: float, right: float) -> list[int]:
    return [number for number, (start, end) in enumerate(spans) if start < right and left < end]


def _overlap(column: tuple[float, float], span: tuple[float, float]) -> float:
    """By how much two spans overlap; a negative number is the distance between them."""
    return min(column[1], span[1]) - max(column[0], span[0])


def _table(lines: Sequence[Line]) -> list[Table]:
    """The lines as a table; nothing if there are too few rows or columns."""
    if len(lines) < _MIN_ROWS:
        return []
    columns, rows = grid(lines)
    if len(columns) < 2:
        return []
    words: list[Word] = list(chain.from_iterable(map(_WORDS, lines)))
    left, top = min(map(_X0, words)), min(map(_TOP, words))
    right, bottom = max(map(_X1, words)), max(map(_BOTTOM, words))
    return [Table(left, top, right, bottom, tuple(columns), rows, ruled=False)]
