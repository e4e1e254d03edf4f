"""Ruled tables: the lines of a page's paths, joined into grids, with the words in each cell."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium

from checkback.kinds.documents.pdf.text.words import Frame, Word

#: Across, from, to: where a line runs, in points of the frame.
Edge = tuple[float, float, float]

_SLANT = 1.5
_SHORTEST = 4.0
_SAME = 2.5
_TOUCH = 3.0
_MAX_EDGES = 20_000
_NEAR_EDGES = 40


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page: its box, the left edges of its columns, and its cells by rows."""

    x0: float
    top: float
    x1: float
    bottom: float
    columns: Sequence[float]
    rows: Sequence[Sequence[str]]
    ruled: bool = True


def ruled_tables(page: Any, frame: Frame, words: Sequence[Word]) -> list[Table]:
    """The ruled tables of a page, from the top down."""
    across, down = _edges(page, frame)
    if not across or not down:
        return []
    across, down = _joined(across), _joined(down)
    tables: list[Table] = []
    for rows, columns in _grids(across, down):
        ys, xs = _distinct(row[0] for row in rows), _distinct(column[0] for column in columns)
        if len(ys) < 2 or len(xs) < 2 or (len(ys) - 1) * (len(xs) - 1) < 2:
            continue
        cells = _fill(xs, ys, words)
        if sum(1 for row in cells for cell in row if cell) >= 2:
            tables.append(Table(xs[0], ys[0], xs[-1], ys[-1], tuple(xs[:-1]), cells))
    return sorted(tables, key=lambda table: (table.top, table.x0))


def _edges(page: Any, frame: Frame) -> tuple[list[Edge], list[Edge]]:
    """Lines across and lines down, of all paths; the sides of rectangles, too."""
    across: list[Edge] = []
    down: list[Edge] = []
    x, y = ctypes.c_float(), ctypes.c_float()
    x_at, y_at = ctypes.byref(x), ctypes.byref(y)

    def add(one: tuple[float, float], other: tuple[float, float]) -> None:
        left, top, right, bottom = frame.box(
            min(one[0], other[0]),
            min(one[1], other[1]),
            max(one[0], other[0]),
            max(one[1], other[1]),
        )
        if bottom - top < _SLANT and right - left > _SHORTEST:
            across.append(((top + bottom) / 2, left, right))
        elif right - left < _SLANT and bottom - top > _SHORTEST:
            down.append(((left + right) / 2, top, bottom))

    for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=4):
        matrix = item.get_matrix()
        start: tuple[float, float] | None = None
        at: tuple[float, float] | None = None
        for index in range(pdfium.FPDFPath_CountSegments(item.raw)):
            segment = pdfium.FPDFPath_GetPathSegment(item.raw, index)
            kind = pdfium.FPDFPathSegment_GetType(segment)
            pdfium.FPDFPathSegment_GetPoint(segment, x_at, y_at)
            point = (
                matrix.a * x.value + matrix.c * y.value + matrix.e,
                matrix.b * x.value + matrix.d * y.value + matrix.f,
            )
            if kind == pdfium.FPDF_SEGMENT_MOVETO:
                start = point
            elif kind == pdfium.FPDF_SEGMENT_LINETO and at is not None:
                add(at, point)
            at = point
            if start is not None and pdfium.FPDFPathSegment_GetClose(segment):
                add(at, start)
                at = start
        if len(across) + len(down) > _MAX_EDGES:
            break
    return across, down


def _joined(edges: list[Edge]) -> list[Edge]:
    """Edges on one line that touch, as one."""
    joined: list[Edge] = []
    for place, begin, end in sorted(edges):
        for number in range(len(joined) - 1, max(-1, len(joined) - 1 - _NEAR_EDGES), -1):
            other, other_begin, other_end = joined[number]
            if (
                abs(other - place) <= _SAME
                and begin <= other_end + _TOUCH
                and end >= other_begin - _TOUCH
            ):
                joined[number] = (other, min(other_begin, begin), max(other_end, end))
                break
        else:
            joined.append((place, begin, end))
    return joined


def _grids(across: list[Edge], down: list[Edge]) -> Iterable[tuple[list[Edge], list[Edge]]]:
    """Edges that hang together by crossing each other."""
    parents = list(range(len(across) + len(down)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for first, (y, left, right) in enumerate(across):
        for second, (x, top, bottom) in enumerate(down, len(across)):
            if left - _TOUCH <= x <= right + _TOUCH and top - _TOUCH <= y <= bottom + _TOUCH:
                parents[root(first)] = root(second)
    grids: dict[int, tuple[list[Edge], list[Edge]]] = {}
    for number, edge in enumerate((*across, *down)):
        grids.setdefault(root(number), ([], []))[0 if number < len(across) else 1].append(edge)
    return grids.values()


def _distinct(places: Iterable[float]) -> list[float]:
    found: list[float] = []
    for place in sorted(set(places)):
        if not found or place - found[-1] > _TOUCH:
            found.append(place)
    return found


def _fill(xs: Sequence[float], ys: Sequence[float], words: Sequence[Word]) -> list[list[str]]:
    """The text of each cell, its words from the top left on."""
    cells: list[list[list[Word]]] = [[[] for _ in xs[1:]] for _ in ys[1:]]
    for word in words:
        column = _slot(xs, (word.x0 + word.x1) / 2)
        row = _slot(ys, (word.top + word.bottom) / 2)
        if column is not None and row is not None:
            cells[row][column].append(word)
    return [[cell_text(cell) for cell in row] for row in cells]


def _slot(places: Sequence[float], value: float) -> int | None:
    for number in range(len(places) - 1):
        if places[number] - 1 <= value <= places[number + 1] + 1:
            return number
    return None


def cell_text(words: Sequence[Word]) -> str:
    """The words of a cell as text, line by line."""
    from checkback.kinds.documents.pdf.text.lines import lines_of

    return " ".join(line.text for line in lines_of(words))
