"""Plain text as PDF pages, without an external program."""

from __future__ import annotations

from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

from checkback.kinds.documents import failures
from checkback.kinds.documents.pdf.edit.fonts import Typeface

A4 = (595.276, 841.89)
MARGIN = 56.7
SIZE, LEADING = 10.0, 12.5
TAB = 8
MAX_TEXT_BYTES = 50 << 20


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, UTF-16 with a byte order mark, or else Windows-1252."""
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise failures.too_large("The text", f"{MAX_TEXT_BYTES >> 20} MB")
    return _decoded(path.read_bytes())


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def text_to_pdf(text: str, target: Path, *, max_pages: int) -> int:
    """Write the text as A4 pages in a fixed-width font, with long lines wrapped; returns the number
    of pages.
    """
    face = Typeface("mono")
    canvas = Canvas(str(target), pagesize=A4, pageCompression=1)
    width, height = A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN
    rows = int(height // LEADING)
    count = 0
    for section in _clean(text).split("\f"):
        lines = _wrapped(section, face, width)
        for start in range(0, max(1, len(lines)), rows):
            count += 1
            if count > max_pages:
                raise failures.too_many_pages(max_pages)
            _draw_page(canvas, face, lines[start : start + rows])
    canvas.save()
    return count


def _wrapped(text: str, face: Typeface, width: float) -> list[str]:
    lines: list[str] = []
    for line in text.split("\n"):
        lines += face.wrap(line.expandtabs(TAB), SIZE, width)
    return lines


def draw_line(canvas: Canvas, face: Typeface, text: str, x: float, y: float, size: float) -> None:
    """Draw one line of text from its baseline's left end, each run in its own font."""
    from reportlab.pdfbase import pdfmetrics

    for run in face.runs(text):
        canvas.setFont(run.font, size)
        canvas.drawString(x, y, run.text)
        x += pdfmetrics.stringWidth(run.text, run.font, size)


def _draw_page(canvas: Canvas, face: Typeface, lines: list[str]) -> None:
    y = A4[1] - MARGIN - face.ascent(SIZE)
    for line in lines:
        if line.strip():
            draw_line(canvas, face, line, MARGIN, y, SIZE)
        y -= LEADING
    canvas.showPage()


def _clean(text: str) -> str:
    """The text with line feeds at line ends and without control characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c.isprintable() or c in "\n\t\f\xa0 ")
