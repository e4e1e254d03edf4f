"""Converts spreadsheets and CSV files to PDF: by LibreOffice if it is installed, else as ruled
tables of values.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate, product
from pathlib import Path

import pikepdf
from reportlab.pdfgen.canvas import Canvas

from checkback.kinds.documents import failures
from checkback.kinds.documents.files.sniff import SPREADSHEETS, FileType, sniff
from checkback.kinds.documents.office import libreoffice
from checkback.kinds.documents.pdf.edit.fonts import Typeface
from checkback.kinds.documents.pdf.from_text import A4, draw_line
from checkback.kinds.documents.pdf.split import save_pages
from checkback.kinds.documents.sheets.read import (
    Sheet,
    Value,
    cell_counts,
    read_sheet,
    sheet_number,
)
from checkback.kinds.documents.sheets.sheet_export import is_number, shown

MAX_CELLS = 500_000
"""20,000 rows of 20 columns take LibreOffice 22 s and 1,251 pages."""

SIZE, ROW_HEIGHT, PADDING, MARGIN = 8.0, 11.0, 3.0, 28.35
MIN_COLUMN, MAX_COLUMN = 20.0, 220.0
MEASURED_ROWS = 2000
MAX_SIDE = 14_400.0


def sheet_to_pdf(
    path: Path,
    folder: Path,
    *,
    worksheet_index: str = "",
    autosize: bool = False,
    max_pages: int,
    log: Callable[[str], None],
    warn: libreoffice.Warn | None = None,
) -> Path:
    """The PDF of a spreadsheet or CSV file: of all worksheets unless ``worksheet_index`` names one.

    ``autosize`` makes one page for each worksheet, as large as the worksheet.
    """
    file_type = sniff(path)
    if file_type in SPREADSHEETS and libreoffice.needed(file_type).find() is not None:
        return _by_libreoffice(path, file_type, folder, worksheet_index, autosize, warn)
    if file_type in SPREADSHEETS:
        log(
            "LibreOffice Calc is not installed: the PDF shows values only, without formats and "
            "charts."
        )
        counts = cell_counts(path)
        _check_size(sum(counts))
        numbers = _selected(worksheet_index, len(counts))
        sheets = [read_sheet(path, str(number), max_cells=MAX_CELLS) for number in numbers]
    else:
        sheets = [read_sheet(path, worksheet_index, max_cells=MAX_CELLS)]
    target = folder / "sheets.pdf"
    tables_to_pdf(sheets, target, autosize=autosize, max_pages=max_pages)
    return target


def _by_libreoffice(
    path: Path,
    file_type: FileType,
    folder: Path,
    worksheet_index: str,
    autosize: bool,
    warn: libreoffice.Warn | None,
) -> Path:
    counts = cell_counts(path)
    _check_size(sum(counts))
    number = sheet_number(worksheet_index, len(counts)) if worksheet_index.strip() else None
    whole = libreoffice.office_to_pdf(path, file_type, folder, one_page_sheets=autosize, warn=warn)
    if number is None:
        return whole
    target = folder / "worksheet.pdf"
    with pikepdf.open(whole) as pdf:
        pages = _pages_of_sheet(pdf, number, len(counts), one_page_sheets=autosize)
        if not pages:
            return _values_only(path, number, target)
        save_pages(pdf, pages, target)
    return target


def _pages_of_sheet(
    pdf: pikepdf.Pdf, number: int, count: int, *, one_page_sheets: bool
) -> list[int]:
    """The pages that LibreOffice made from one worksheet; empty if they cannot be determined.

    LibreOffice makes a bookmark for each worksheet, and no page for one that is empty or hidden.
    """
    total = len(pdf.pages)
    starts = list(range(total)) if one_page_sheets else _bookmarked_pages(pdf)
    if len(starts) != count or starts != sorted(starts):
        return []
    ends = [*starts[1:], total]
    return list(range(starts[number - 1], ends[number - 1]))


def _bookmarked_pages(pdf: pikepdf.Pdf) -> list[int]:
    """The page of each top-level bookmark, in the order of the outline."""
    positions = {page.obj.objgen: index for index, page in enumerate(pdf.pages)}
    with pdf.open_outline() as outline:
        targets = [_target(item.destination) for item in outline.root]
    return [positions[target] for target in targets if target in positions]


def _target(destination: object) -> tuple[int, int] | None:
    """The object id of the page that a bookmark opens."""
    if isinstance(destination, pikepdf.Array) and len(destination):
        return destination[0].objgen
    return None


def _values_only(path: Path, number: int, target: Path) -> Path:
    sheet = read_sheet(path, str(number), max_cells=MAX_CELLS)
    tables_to_pdf([sheet], target, autosize=False, max_pages=5_000)
    return target


def _selected(worksheet_index: str, count: int) -> list[int]:
    if worksheet_index.strip():
        return [sheet_number(worksheet_index, count)]
    return list(range(1, count + 1))


def _check_size(cells: int) -> None:
    if cells > MAX_CELLS:
        raise failures.too_large("The spreadsheet", f"{MAX_CELLS:,} cells")


@dataclass(slots=True)
class _Grid:
    """The layout of a worksheet on its pages."""

    size: tuple[float, float]
    #: Columns that share a page, as the first and the one after the last.
    bands: list[tuple[int, int]]
    widths: list[float]
    rows: int


def tables_to_pdf(sheets: list[Sheet], target: Path, *, autosize: bool, max_pages: int) -> int:
    """Write each worksheet as a ruled table of its values; returns the number of pages."""
    canvas = Canvas(str(target), pagesize=A4, pageCompression=1)
    face = Typeface("sans")
    count = 0
    for sheet in sheets:
        grid = _lay_out(sheet, face, autosize)
        canvas.setPageSize(grid.size)
        starts = range(0, max(1, len(sheet.rows)), grid.rows)
        for start, band in product(starts, grid.bands):
            count += 1
            if count > max_pages:
                raise failures.too_many_pages(max_pages)
            _draw(canvas, face, sheet, grid, band, start)
            canvas.showPage()
    canvas.save()
    return count


def _lay_out(sheet: Sheet, face: Typeface, autosize: bool) -> _Grid:
    columns = len(sheet.rows[0]) if sheet.rows else 0
    widths = [_column_width(sheet, face, column) for column in range(columns)]
    width, height = _page_size(len(sheet.rows), sum(widths), autosize=autosize)
    bands = _bands(widths, width - 2 * MARGIN)
    rows = max(1, int((height - 2 * MARGIN) // ROW_HEIGHT))
    return _Grid((width, height), bands, widths, rows)


def _page_size(rows: int, table_width: float, *, autosize: bool) -> tuple[float, float]:
    if autosize:
        width = max(A4[0], table_width + 2 * MARGIN)
        height = max(A4[1], rows * ROW_HEIGHT + 2 * MARGIN)
        return min(MAX_SIDE, width), min(MAX_SIDE, height)
    is_wide = table_width > A4[0] - 2 * MARGIN
    return (A4[1], A4[0]) if is_wide else A4


def _bands(widths: list[float], available: float) -> list[tuple[int, int]]:
    """The columns of each page, as many as fit into the available width."""
    bands: list[tuple[int, int]] = []
    first, used = 0, 0.0
    for column, width in enumerate(widths):
        if used + width > available and column > first:
            bands.append((first, column))
            first, used = column, 0.0
        used += width
    bands.append((first, len(widths)))
    return bands


def _column_width(sheet: Sheet, face: Typeface, column: int) -> float:
    texts = {_one_line(shown(row[column]))[:200] for row in sheet.rows[:MEASURED_ROWS]}
    # The texts with the most characters are nearly always the widest: measure a few of them.
    longest = sorted(texts, key=len, reverse=True)[:8]
    widest = max((face.width(text, SIZE) for text in longest), default=0.0)
    return min(MAX_COLUMN, max(MIN_COLUMN, widest + 2 * PADDING))


def _draw(
    canvas: Canvas, face: Typeface, sheet: Sheet, grid: _Grid, band: tuple[int, int], start: int
) -> None:
    """Draw one page: the columns of ``band``, from the row ``start`` on."""
    first, last = band
    rows = sheet.rows[start : start + grid.rows]
    widths = grid.widths[first:last]
    edges = list(accumulate(widths, initial=MARGIN))
    top = grid.size[1] - MARGIN
    canvas.setLineWidth(0.3)
    canvas.setStrokeColorRGB(0.7, 0.7, 0.7)
    if rows and widths:
        _draw_rules(canvas, edges, top, len(rows))
    baseline = top - ROW_HEIGHT + PADDING
    for row in rows:
        cells = zip(row[first:last], edges, widths, strict=False)
        _draw_cells(canvas, face, cells, baseline)
        baseline -= ROW_HEIGHT


def _draw_cells(
    canvas: Canvas, face: Typeface, cells: Iterable[tuple[Value, float, float]], baseline: float
) -> None:
    """Draw the values of a row, each with its left edge and its width."""
    for value, left, width in cells:
        _draw_cell(canvas, face, value, left, width, baseline)


def _draw_rules(canvas: Canvas, edges: list[float], top: float, rows: int) -> None:
    bottom = top - rows * ROW_HEIGHT
    levels = [top - number * ROW_HEIGHT for number in range(rows + 1)]
    across = [(edges[0], y, edges[-1], y) for y in levels]
    down = [(x, top, x, bottom) for x in edges]
    canvas.lines(across + down)


def _draw_cell(
    canvas: Canvas, face: Typeface, value: Value, left: float, width: float, baseline: float
) -> None:
    text = _fitting(face, _one_line(shown(value)), width - 2 * PADDING)
    if not text:
        return
    x = left + PADDING
    if is_number(value):
        x = left + width - PADDING - face.width(text, SIZE)
    draw_line(canvas, face, text, x, baseline, SIZE)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _fitting(face: Typeface, text: str, width: float) -> str:
    """The text, cut with an ellipsis if it is wider than its cell."""
    text = text[:200]
    if face.width(text, SIZE) <= width:
        return text
    count = bisect_right(
        range(1, len(text) + 1), width, key=lambda end: face.width(text[:end] + "…", SIZE)
    )
    return text[:count] + "…"
