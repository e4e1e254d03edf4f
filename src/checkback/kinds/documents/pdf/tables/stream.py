"""Tables without lines: rows of text whose words begin or end at the same places."""

from __future__ import annotations

from collections.abc import Sequence

from checkback.kinds.documents.pdf.tables.lattice import Table
from checkback.kinds.documents.pdf.text.lines import Line, lines_of
from checkback.kinds.documents.pdf.text.words import Word

_COLUMN_GAP = 1.0
"""Gaps of so many heights of the text part cells; those between words are less."""
_LEAST_ROWS = 3
_APART = 3.0
"""Rows that are further apart than so many heights are of two tables."""

Segment = tuple[float, float, str]


def unruled_tables(words: Sequence[Word]) -> list[Table]:
    """Blocks of lines with two or more cells each that share their columns."""
    tables: list[Table] = []
    block: list[Line] = []
    for line in lines_of(words):
        height = max(1.0, line.words[0].height)
        several = len(segments(line)) >= 2
        apart = block and line.middle - block[-1].middle > _APART * height
        if block and (apart or not several):
            tables += _table(block)
            block = []
        if several:
            block.append(line)
    return [*tables, *_table(block)]


def segments(line: Line) -> list[Segment]:
    """The cells of a line: words with less than a column's gap between them."""
    found: list[Segment] = []
    for word in line.words:
        if found and word.x0 - found[-1][1] < _COLUMN_GAP * max(1.0, word.height):
            left, _, text = found[-1]
            found[-1] = (left, word.x1, f"{text} {word.text}")
        else:
            found.append((word.x0, word.x1, word.text))
    return found


def grid(lines: Sequence[Line]) -> tuple[list[float], list[list[str]]]:
    """Lines as rows of cells below common columns: the columns' left edges, and the rows."""
    rows = [segments(line) for line in lines]
    columns = _columns(rows)
    cells: list[list[str]] = []
    for row in rows:
        texts = [""] * len(columns)
        for left, right, text in row:
            number = max(range(len(columns)), key=lambda one: _overlap(columns[one], (left, right)))
            texts[number] = f"{texts[number]} {text}".strip()
        cells.append(texts)
    return [left for left, _ in columns], cells


def _columns(rows: Sequence[Sequence[Segment]]) -> list[tuple[float, float]]:
    """Where the cells of many rows lie above each other: their spans, joined while they overlap.

    Rows with the most cells speak first; a heading that spans two columns joins none.
    """
    most = max(len(row) for row in rows)
    several = max(min(2, most), most // 2)
    spans: list[tuple[float, float]] = []
    for row in sorted(rows, key=len, reverse=True):
        for left, right, _ in row:
            hit = [
                number for number, span in enumerate(spans) if span[0] < right and left < span[1]
            ]
            if not hit and len(row) >= several:
                spans.append((left, right))
            elif len(hit) == 1:
                known = spans[hit[0]]
                spans[hit[0]] = (min(known[0], left), max(known[1], right))
    return sorted(spans)


def _overlap(column: tuple[float, float], span: tuple[float, float]) -> float:
    """By how much two spans overlap; the nearest column for one that overlaps none."""
    return min(column[1], span[1]) - max(column[0], span[0])


def _table(lines: Sequence[Line]) -> list[Table]:
    if len(lines) < _LEAST_ROWS:
        return []
    columns, rows = grid(lines)
    if len(columns) < 2:
        return []
    words = [word for line in lines for word in line.words]
    return [
        Table(
            min(word.x0 for word in words),
            min(word.top for word in words),
            max(word.x1 for word in words),
            max(word.bottom for word in words),
            tuple(columns),
            rows,
            ruled=False,
        )
    ]
