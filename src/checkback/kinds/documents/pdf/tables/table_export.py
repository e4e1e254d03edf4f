"""Rows of text as CSV, as an Excel file and as an Excel 97 file. In Excel files, texts that look
like numbers become numbers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from checkback.kinds.documents import failures

Rows = Sequence[Sequence[str]]

Cell = tuple[int, int, float | str]
"""Row, column and value."""

XLS_ROWS, XLS_COLUMNS, XLS_CHARACTERS = 65_536, 256, 32_767
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14}|[1-9]\d{0,2}(?:,\d{3}){1,4})(?:\.\d{1,10})?")


def write_csv(pages: Sequence[tuple[int, Rows]], separator: str = ",", quotation: str = '"') -> str:
    """All rows one after the other, as in RFC 4180."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=separator, quotechar=quotation)
    for _, rows in pages:
        writer.writerows(rows)
    return target.getvalue()


def write_xlsx(pages: Sequence[tuple[int, Rows]], target: Path) -> None:
    """A worksheet for each page. Texts that look like a formula or a link stay texts."""
    import xlsxwriter

    options = {"strings_to_formulas": False, "strings_to_urls": False, "constant_memory": True}
    with xlsxwriter.Workbook(str(target), options) as book:
        for name, rows in _sheets(pages):
            sheet = book.add_worksheet(name)
            _fill_xlsx(sheet, rows)


def _fill_xlsx(sheet: Any, rows: Rows) -> None:
    for row, column, value in _values(rows):
        write = sheet.write_number if isinstance(value, float) else sheet.write_string
        write(row, column, value)


def write_xls(pages: Sequence[tuple[int, Rows]], target: Path) -> None:
    """The same in the format of Excel 97. Raises the failure ``too_large`` past its 65,536 rows."""
    import xlwt

    book = xlwt.Workbook(encoding="utf-8")
    for name, rows in _sheets(pages):
        sheet = book.add_sheet(name)
        _check_size(rows)
        for cell in _values(rows):
            sheet.write(*cell)
    book.save(str(target))


def _sheets(pages: Sequence[tuple[int, Rows]]) -> list[tuple[str, Rows]]:
    """The name and the rows of each worksheet; at least one, because a file without is invalid."""
    return [(f"Page {index + 1}", rows) for index, rows in pages or [(0, ())]]


def _check_size(rows: Rows) -> None:
    if len(rows) > XLS_ROWS or max(map(len, rows), default=0) > XLS_COLUMNS:
        raise failures.too_large(
            "A page's table", f"{XLS_ROWS} rows of {XLS_COLUMNS} cells in an xls file"
        )


def _values(rows: Rows) -> Iterator[Cell]:
    """Each cell that is not empty: its number, or its text, cut to what Excel accepts."""
    for row, cells in enumerate(rows):
        for column, text in enumerate(cells):
            if text:
                yield row, column, _value(text)


def _value(text: str) -> float | str:
    number = as_number(text)
    return text[:XLS_CHARACTERS] if number is None else number


def as_number(text: str) -> float | None:
    """The number that a text stands for, also with commas for thousands; None for ids with leading
    zeros.
    """
    return float(text.replace(",", "")) if _NUMBER.fullmatch(text) else None
