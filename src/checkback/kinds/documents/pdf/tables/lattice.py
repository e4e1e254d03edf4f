"""Finds ruled tables: the lines of a page's paths, joined into grids, with the text of each
cell.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium

from checkback.kinds.documents.pdf.text.words import Frame, Word

#: Position across, start and end of a line, in points of the frame.
Edge = tuple[float, float, float]

Point = tuple[float, float]

_SLANT = 1.5
_MIN_LENGTH = 4.0
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
    """The ruled tables of a page, from top to bottom."""
    collector = _EdgeCollector(frame)
    collector.add_page(page)
    if not collector.across or not collector.down:
        return []
    grids = _grids(_joined(collector.across), _joined(collector.down))
    tables = [_table(rows, columns, words) for rows, columns in grids]
    return sorted(filter(None, tables), key=lambda table: (table.top, table.x0))


def _table(rows: list[Edge], columns: list[Edge], words: Sequence[Word]) -> Table | None:
    """The table of a grid; None for a single cell and for fewer than two cells with text."""
    ys, xs = _distinct(rows), _distinct(columns)
    if (len(ys) - 1) * (len(xs) - 1) < 2:
        return None
    cells = _fill(xs, ys, words)
    if sum(map(_filled, cells)) < 2:
        return None
    return Table(xs[0], ys[0], xs[-1], ys[-1], tuple(xs[:-1]), cells)


def _filled(row: Sequence[str]) -> int:
    """The number of cells with text."""
    return sum(map(bool, row))


class _EdgeCollector:
    """Collects the horizontal and vertical lines of the paths of a page.

    The sides of rectangles are lines too.
    """

    def __init__(self, frame: Frame) -> None:
        self.across: list[Edge] = []
        self.down: list[Edge] = []
        self._frame = frame
        self._x, self._y = ctypes.c_float(), ctypes.c_float()
        self._x_at, self._y_at = ctypes.byref(self._x), ctypes.byref(self._y)

    def add_page(self, page: Any) -> None:
        for path in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=4):
            self._add_path(path)
            if len(self.across) + len(self.down) > _MAX_EDGES:
                break

    def _add_path(self, path: Any) -> None:
        matrix = path.get_matrix()
        start: Point | None = None
        current: Point | None = None
        for index in range(pdfium.FPDFPath_CountSegments(path.raw)):
            segment = pdfium.FPDFPath_GetPathSegment(path.raw, index)
            kind = pdfium.FPDFPathSegment_GetType(segment)
            point = self._point_of(segment, matrix)
            if kind == pdfium.FPDF_SEGMENT_MOVETO:
                start = point
            elif kind == pdfium.FPDF_SEGMENT_LINETO and current is not None:
                self._add_line(current, point)
            current = point
            if start is not None and pdfium.FPDFPathSegment_GetClose(segment):
                self._add_line(point, start)
                current = start

    def _point_of(self, segment: Any, matrix: Any) -> Point:
        pdfium.FPDFPathSegment_GetPoint(segment, self._x_at, self._y_at)
        x, y = self._x.value, self._y.value
        return (
            matrix.a * x + matrix.c * y + matrix.e,
            matrix.b * x + matrix.d * y + matrix.f,
        )

    def _add_line(self, one: Point, other: Point) -> None:
        left, top, right, bottom = self._frame.box(
            min(one[0], other[0]),
            min(one[1], other[1]),
            max(one[0], other[0]),
            max(one[1], other[1]),
        )
        width, height = right - left, bottom - top
        if height < _SLANT and width > _MIN_LENGTH:
            self.across.append(((top + bottom) / 2, left, right))
        elif width < _SLANT and height > _MIN_LENGTH:
            self.down.append(((left + right) / 2, top, bottom))


def _joined(edges: list[Edge]) -> list[Edge]:
    """The edges, those on one line that touch joined into one."""
    joined: list[Edge] = []
    for edge in sorted(edges):
        number = _touched(joined, edge)
        if number is None:
            joined.append(edge)
        else:
            joined[number] = _union(joined[number], edge)
    return joined


def _touched(joined: list[Edge], edge: Edge) -> int | None:
    """The number of the edge that this one touches, among the last ones."""
    last = len(joined) - 1
    for number in range(last, max(-1, last - _NEAR_EDGES), -1):
        if _touch(joined[number], edge):
            return number
    return None


def _union(one: Edge, other: Edge) -> Edge:
    position, start, end = one
    return position, min(start, other[1]), max(end, other[2])


def _touch(one: Edge, other: Edge) -> bool:
    return (
        abs(one[0] - other[0]) <= _SAME
        and other[1] <= one[2] + _TOUCH
        and other[2] >= one[1] - _TOUCH
    )


class _Groups:
    """Numbers in groups that can be joined."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def group_of(self, number: int) -> int:
        """The number that represents the group."""
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        self._parents[self.group_of(one)] = self.group_of(other)


def _grids(across: list[Edge], down: list[Edge]) -> Iterable[tuple[list[Edge], list[Edge]]]:
    """The edges of each grid: those that are connected by crossing each other."""
    groups = _Groups(len(across) + len(down))
    for first, second in _crossings(across, down):
        groups.join(first, second)
    grids: defaultdict[int, tuple[list[Edge], list[Edge]]] = defaultdict(lambda: ([], []))
    for number, edge in enumerate(across):
        grids[groups.group_of(number)][0].append(edge)
    for number, edge in enumerate(down, len(across)):
        grids[groups.group_of(number)][1].append(edge)
    return grids.values()


def _crossings(across: list[Edge], down: list[Edge]) -> Iterator[tuple[int, int]]:
    """The numbers of each two edges that cross; those across are counted before those down."""
    for first, (y, left, right) in enumerate(across):
        for second, (x, top, bottom) in enumerate(down, len(across)):
            if left - _TOUCH <= x <= right + _TOUCH and top - _TOUCH <= y <= bottom + _TOUCH:
                yield first, second


def _distinct(edges: Iterable[Edge]) -> list[float]:
    """The positions of the edges in order, without those that are close to the one before."""
    distinct: list[float] = []
    for position in sorted({edge[0] for edge in edges}):
        if not distinct or position - distinct[-1] > _TOUCH:
            distinct.append(position)
    return distinct


def _fill(xs: Sequence[float], ys: Sequence[float], words: Sequence[Word]) -> list[list[str]]:
    """The text of each cell, by the words whose middle is in it."""
    cells: defaultdict[tuple[int | None, int | None], list[Word]] = defaultdict(list)
    for word in words:
        row = _slot(ys, (word.top + word.bottom) / 2)
        column = _slot(xs, (word.x0 + word.x1) / 2)
        cells[row, column].append(word)
    rows, columns = range(len(ys) - 1), range(len(xs) - 1)
    return [[cell_text(cells[row, column]) for column in columns] for row in rows]


def _slot(edges: Sequence[float], value: float) -> int | None:
    """The number of the row or column with this position; None outside of the table."""
    for number in range(len(edges) - 1):
        if edges[number] - 1 <= value <= edges[number + 1] + 1:
            return number
    return None


def cell_text(words: Sequence[Word]) -> str:
    """The text of a cell, line by line."""
    from checkback.kinds.documents.pdf.text.lines import lines_of

    return " ".join(line.text for line in lines_of(words))
