"""The tables of a page, ruled ones first; and a page as rows of cells, for spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checkback.kinds.documents.args.profiles import TableSearch
from checkback.kinds.documents.pdf.tables.lattice import Table, ruled_tables
from checkback.kinds.documents.pdf.tables.stream import grid, unruled_tables
from checkback.kinds.documents.pdf.text.lines import lines_of
from checkback.kinds.documents.pdf.text.reader import PageContent
from checkback.kinds.documents.pdf.text.words import Word


def tables_of(content: PageContent, search: TableSearch = TableSearch.BOTH) -> list[Table]:
    """The tables of a page, from the top down. Unruled ones are looked for outside of the ruled."""
    look_for_rules = search is not TableSearch.UNRULED and not content.recognised
    ruled = ruled_tables(content.page, content.frame, content.words) if look_for_rules else []
    rest = [word for word in content.words if not any(_within(word, table) for table in ruled)]
    unruled = [] if search is TableSearch.RULED else unruled_tables(rest)
    return sorted([*ruled, *unruled], key=lambda table: (table.top, table.x0))


def rows_of(content: PageContent, search: TableSearch = TableSearch.BOTH) -> list[list[str]]:
    """The page as rows: those of its tables, and lines of text outside of them as rows by their
    columns.
    """
    tables = tables_of(content, search)
    if not tables:
        return _text_rows(content.words)
    rows: list[list[str]] = []
    above = 0.0
    for table in tables:
        between = [word for word in content.words if above <= _middle(word) < table.top]
        rows += _text_rows(between)
        rows += [list(row) for row in table.rows]
        above = max(above, table.bottom)
    return [*rows, *_text_rows([word for word in content.words if _middle(word) >= above])]


def grouped(rows: Sequence[Sequence[str]], grouping: str) -> list[list[str]]:
    """Rows with the continued lines of a cell joined into the row above: those whose first cell is
    empty.

    ``grouping`` is PDF.co's ``lineGrouping``: 1, 2 and 3 are different ways there; here each joins.
    """
    if grouping.strip() in ("", "0"):
        return [list(row) for row in rows]
    joined: list[list[str]] = []
    for row in rows:
        if joined and row and not row[0] and any(row) and len(row) == len(joined[-1]):
            joined[-1] = [
                f"{one} {more}".strip() for one, more in zip(joined[-1], row, strict=True)
            ]
        else:
            joined.append(list(row))
    return joined


def described(table: Table, page_index: int) -> dict[str, Any]:
    """A table in PDF.co's words (spec section 1.6); ``rect`` can be given to
    other kinds as it is.
    """
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
