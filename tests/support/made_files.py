"""PDFs for tests, made by reportlab; what reads them is ours."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

Draw = Callable[[Canvas], None]

WIDTH, HEIGHT = 595.0, 842.0


def pdf_of(*pages: Draw, rotation: int = 0) -> bytes:
    """A PDF of A4 pages, each drawn by a function."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(WIDTH, HEIGHT))
    for draw in pages:
        if rotation:
            canvas.setPageRotation(rotation)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def text_at(*items: tuple[float, float, str], size: float = 12) -> Draw:
    """Draws texts at places, in points from the top left."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", size)
        for x, y, text in items:
            canvas.drawString(x, HEIGHT - y, text)

    return draw


def ruled(
    rows: Sequence[Sequence[str]], *, x: float = 60, y: float = 100, width: float = 120
) -> Draw:
    """Draws a table with lines around each cell, its upper left corner at x, y."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 10)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                left, bottom = x + column * width, HEIGHT - y - (number + 1) * 20
                canvas.rect(left, bottom, width, 20)
                canvas.drawString(left + 4, bottom + 6, cell)

    return draw


def columns(
    rows: Sequence[Sequence[str]], *, x: float = 60, y: float = 100, width: float = 120
) -> Draw:
    """Draws a table without any lines."""
    return text_at(
        *(
            (x + column * width, y + number * 18, cell)
            for number, row in enumerate(rows)
            for column, cell in enumerate(row)
            if cell
        ),
        size=10,
    )


def both(*draws: Draw) -> Draw:
    """Draws several things on one page."""

    def draw(canvas: Canvas) -> None:
        for one in draws:
            one(canvas)

    return draw


def write(folder: Path, content: bytes, name: str = "made.pdf") -> Path:
    """Put a file into a folder."""
    path = folder / name
    path.write_bytes(content)
    return path
