"""Worksheets as rows of plain values: xls, xlsx, xlsb and ods by calamine, CSV by the standard
library.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import python_calamine

from checkback.kinds.documents import failures
from checkback.kinds.documents.files.archive_limits import refuse_office_bomb
from checkback.kinds.documents.files.sniff import SPREADSHEETS, FileType, sniff
from checkback.kinds.documents.pdf.from_text import read_text

MAX_CELLS = 20_000_000
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,18}")

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """One worksheet. Its rows begin at the first cell, have the same length, and have "" for empty
    cells.
    """

    name: str
    #: Counted from 1.
    index: int
    rows: list[list[Value]]

    @property
    def cells(self) -> int:
        """The number of cells, including empty ones."""
        return len(self.rows) * (len(self.rows[0]) if self.rows else 0)


def read_sheet(path: Path, worksheet_index: str, *, max_cells: int = MAX_CELLS) -> Sheet:
    """One worksheet of a spreadsheet, or a CSV file as its only one.

    ``worksheet_index`` counts from 1; an empty text or "0" is the first. Raises the failures
    ``index_out_of_range``, ``invalid_option``, ``too_large``, ``password_needed`` and
    ``invalid_document``.
    """
    file_type = sniff(path)
    if file_type is FileType.TEXT:
        sheet_number(worksheet_index, 1)
        return Sheet("csv", 1, _read_csv(path, max_cells))
    _check_type(file_type)
    with _open(path) as workbook:
        names = workbook.sheet_names
        number = sheet_number(worksheet_index, len(names))
        return Sheet(names[number - 1], number, _read_rows(workbook, number - 1, max_cells))


def _check_type(file_type: FileType) -> None:
    """Refuse a file that is encrypted or is not a spreadsheet."""
    if file_type is FileType.ENCRYPTED_OFFICE:
        raise failures.password_needed()
    if file_type not in SPREADSHEETS:
        raise failures.invalid_document("a spreadsheet")


def sheet_number(worksheet_index: str, count: int) -> int:
    """The number of the worksheet, from 1."""
    number = _whole_number(worksheet_index) or 1
    if not 1 <= number <= count:
        raise failures.index_out_of_range(number, count)
    return number


def _whole_number(worksheet_index: str) -> int:
    """The number in the argument; 0 for a blank text."""
    text = worksheet_index.strip() or "0"
    if not _WHOLE_NUMBER.fullmatch(text):
        raise failures.invalid_option(
            "worksheet_index", "the number of a worksheet, from 1", worksheet_index
        )
    return int(text)


def cell_counts(path: Path) -> list[int]:
    """The number of cells of each worksheet."""
    if sniff(path) is FileType.ENCRYPTED_OFFICE:
        raise failures.password_needed()
    with _open(path) as workbook:
        sheets = map(workbook.get_sheet_by_index, range(len(workbook.sheet_names)))
        return [sheet.height * sheet.width for sheet in sheets]


def _open(path: Path) -> python_calamine.CalamineWorkbook:
    refuse_office_bomb(path)
    try:
        return python_calamine.load_workbook(str(path))  # pyright: ignore[reportUnknownMemberType]
    except python_calamine.PasswordError:
        raise failures.password_needed() from None
    except (python_calamine.CalamineError, OSError) as error:
        raise failures.invalid_document("a spreadsheet") from error


def _read_rows(
    workbook: python_calamine.CalamineWorkbook, index: int, max_cells: int
) -> list[list[Value]]:
    sheet = workbook.get_sheet_by_index(index)
    _check_size("The worksheet", sheet.total_height * sheet.total_width, max_cells)
    return [[plain(value) for value in row] for row in sheet.to_python(skip_empty_area=False)]


def _check_size(what: str, cells: int, max_cells: int) -> None:
    if cells > max_cells:
        raise failures.too_large(what, f"{max_cells:,} cells")


def plain(value: object) -> Value:
    """The value of a cell: dates and times in ISO 8601, whole numbers without a decimal point."""
    if isinstance(value, bool | str | int):
        return value
    convert = _CONVERSIONS.get(type(value))
    return convert(value) if convert is not None else ""


def _number(value: float) -> int | float:
    """An integer if the number is one and its digits are exact."""
    return int(value) if value.is_integer() and abs(value) < 1 << 53 else value


def _duration(value: dt.timedelta) -> str:
    seconds = value.total_seconds()
    hours, rest = divmod(abs(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    sign = "-" if seconds < 0 else ""
    return f"{sign}{hours:02.0f}:{minutes:02.0f}:{rest:02.0f}"


_CONVERSIONS: Mapping[type, Callable[[Any], Value]] = {
    float: _number,
    dt.datetime: dt.datetime.isoformat,
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
    dt.timedelta: _duration,
}


def _read_csv(path: Path, max_cells: int) -> list[list[Value]]:
    text = read_text(path)
    csv.field_size_limit(1 << 24)
    try:
        reader = csv.reader(text.splitlines(keepends=True), _dialect(text))
        rows = _bounded(reader, max_cells)
    except csv.Error:
        raise failures.invalid_document("a CSV file") from None
    return _rectangular(rows, max_cells)


def _bounded(reader: Iterator[list[str]], max_cells: int) -> list[list[Value]]:
    rows: list[list[Value]] = []
    cells = 0
    for row in reader:
        cells += max(1, len(row))
        _check_size("The CSV file", cells, max_cells)
        rows.append(list(row))
    return rows


def _rectangular(rows: list[list[Value]], max_cells: int) -> list[list[Value]]:
    """The rows, all as long as the longest one."""
    width = max(map(len, rows), default=0)
    _check_size("The CSV file", width * len(rows), max_cells)
    return [[*row, *[""] * (width - len(row))] for row in rows]


def _dialect(text: str) -> type[csv.Dialect]:
    """The delimiter that splits most lines into the same number of fields, if that is over one: a
    comma, semicolon, tab or bar.
    """
    lines = [line for line in islice(text.splitlines(), 50) if line.strip()]
    best = max(",;\t|", key=lambda delimiter: _evenness(lines, delimiter))

    class Dialect(csv.excel):
        delimiter = best

    return Dialect


def _evenness(lines: list[str], delimiter: str) -> tuple[int, int]:
    """How many lines have the most frequent number of fields, and that number."""
    counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
    usual = max(set(counts), key=lambda count: (counts.count(count), count), default=1)
    return (counts.count(usual) if usual > 1 else 0, usual)
