"""The tables of a page, ruled ones first; and a page as rows of cells, for spreadsheets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from checkback.kinds.documents.args.profiles import TableSearch
from checkback.kinds.documents.pdf.tables.lattice import Table, ruled_tables
from checkback.kinds.documents.pdf.tables.stream import grid, unruled_tables
from checkback.kinds.documents.pdf.text.lines import lines_of
from checkback.kinds.documents.pdf.text.reader import PageContent
from checkback.kinds.documents.pdf.text.words import Word


def tables_of(content: PageContent, search: TableSearch = TableSearch.BOTH) -> list[Table]:
    """The tables of a page, from top to bottom. Unruled ones are searched for outside of ruled
    ones.
    """
    ruled: list[Table] = []
    if search is not TableSearch.UNRULED and not content.recognized:
        ruled = ruled_tables(content.page, content.frame, content.words)
    unruled: list[Table] = []
    if search is not TableSearch.RULED:
        unruled = unruled_tables(_outside(content.words, ruled))
    return sorted([*ruled, *unruled], key=lambda table: (table.top, table.x0))


def _outside(words: Sequence[Word], tables: Sequence[Table]) -> list[Word]:
    return [word for word in words if not any(_within(word, table) for table in tables)]


def rows_of(content: PageContent, search: TableSearch = TableSearch.BOTH) -> list[list[str]]:
    """The page as rows: those of its tables, and the text outside of them as rows by its
    columns.
    """
    tables = tables_of(content, search)
    if not tables:
        return _text_rows(content.words)
    rows: list[list[str]] = []
    above = 0.0
    for table in tables:
        rows += _text_rows(_between(content.words, above, table.top))
        rows += map(list, table.rows)
        above = max(above, table.bottom)
    return [*rows, *_text_rows(_between(content.words, above, math.inf))]


def _between(words: Sequence[Word], top: float, bottom: float) -> list[Word]:
    return [word for word in words if top <= _middle(word) < bottom]


def grouped(rows: Sequence[Sequence[str]], grouping: str) -> list[list[str]]:
    """The rows, with each row that continues the one above joined to it: its first cell is empty.

    ``grouping`` is PDF.co's ``lineGrouping``: 1, 2 and 3 are different ways there; here each joins.
    """
    if grouping.strip() in ("", "0"):
        return list(map(list, rows))
    joined: list[list[str]] = []
    for row in rows:
        if _continues(row, joined):
            joined[-1] = _joined_cells(joined[-1], row)
        else:
            joined.append(list(row))
    return joined


def _joined_cells(above: Sequence[str], row: Sequence[str]) -> list[str]:
    pairs = zip(above, row, strict=True)
    return [f"{cell} {more}".strip() for cell, more in pairs]


def _continues(row: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a row continues the last of the rows above it."""
    return any(row) and not row[0] and bool(rows) and len(row) == len(rows[-1])


def described_tables(content: PageContent, search: TableSearch) -> list[dict[str, Any]]:
    """The tables of a page as ``pdf.find_tables`` reports them."""
    return [described(table, content.index) for table in tables_of(content, search)]


def described(table: Table, page_index: int) -> dict[str, Any]:
    """A table in PDF.co's terms (spec section 1.6). Other kinds accept ``rect`` unchanged."""
    x, y = round(table.x0, 2), round(table.top, 2)
    width, height = round(table.x1 - table.x0, 2), round(table.bottom - table.top, 2)
    return {
        "PageIndex": page_index,
        "X": x,
        "Y": y,
        "Width": width,
        "Height": height,
        "Rect": f"{x}, {y}, {width}, {height}",
        "rect": f"{x}, {y}, {width}, {height}",
        "Columns": [round(column, 2) for column in table.columns],
        "ruled": table.ruled,
        "rows": [list(row) for row in table.rows],
    }


def _text_rows(words: Sequence[Word]) -> list[list[str]]:
    lines = lines_of(words)
    return grid(lines)[1] if lines else []


def _middle(word: Word) -> float:
    return (word.top + word.bottom) / 2


def _within(word: Word, table: Table) -> bool:
    x, y = (word.x0 + word.x1) / 2, _middle(word)
    return table.x0 - 1 <= x <= table.x1 + 1 and table.top - 1 <= y <= table.bottom + 1
