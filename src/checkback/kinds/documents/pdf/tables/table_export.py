"""Rows of text as CSV, as an Excel file and as an Excel 97 file. In Excel files, texts that look
like numbers become numbers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from checkback.kinds.documents import failures

Rows = Sequence[Sequence[str]]

Cell = tuple[int, int, str]
"""Row, column and text."""

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
        for index, rows in pages or [(0, ())]:
            sheet = book.add_worksheet(f"Page {index + 1}")
            for row, column, text in _cells(rows):
                number = as_number(text)
                if number is not None:
                    sheet.write_number(row, column, number)
                elif text:
                    sheet.write_string(row, column, text[:XLS_CHARACTERS])


def write_xls(pages: Sequence[tuple[int, Rows]], target: Path) -> None:
    """The same in the format of Excel 97. Raises the failure ``too_large`` past its 65,536 rows."""
    import xlwt

    book = xlwt.Workbook(encoding="utf-8")
    for index, rows in pages or [(0, ())]:
        sheet = book.add_sheet(f"Page {index + 1}")
        _check_size(rows)
        for row, column, text in _cells(rows):
            number = as_number(text)
            if number is not None or text:
                sheet.write(row, column, text[:XLS_CHARACTERS] if number is None else number)
    book.save(str(target))


def _check_size(rows: Rows) -> None:
    if len(rows) > XLS_ROWS or max(map(len, rows), default=0) > XLS_COLUMNS:
        raise failures.too_large(
            "A page's table", f"{XLS_ROWS} rows of {XLS_COLUMNS} cells in an xls file"
        )


def _cells(rows: Rows) -> Iterator[Cell]:
    for row, cells in enumerate(rows):
        for column, text in enumerate(cells):
            yield row, column, text


def as_number(text: str) -> float | None:
    """The number that a text stands for, also with commas for thousands; None for ids with leading
    zeros.
    """
    return float(text.replace(",", "")) if _NUMBER.fullmatch(text) else None
