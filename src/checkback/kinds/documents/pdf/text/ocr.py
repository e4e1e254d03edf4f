"""The words of a scanned page with their places, by Tesseract."""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from checkback.kinds.documents import failures
from checkback.kinds.documents.files import external_programs
from checkback.kinds.documents.pdf.render import render
from checkback.kinds.documents.pdf.text.words import Word

OCR_DPI = 300
SECONDS_PER_PAGE = 60.0
LEAST_CONFIDENCE = 0.0


def recognised_words(
    program: str, document: Any, index: int, languages: str, folder: Path, dpi: int
) -> list[Word]:
    """The words of one page, in Tesseract's order. Raises the failures of a program that fails or
    is slow.
    """
    image = render(document, index, dpi=dpi, grayscale=True)
    place = Path(mkdtemp(prefix="ocr-", dir=folder))
    given, made = place / "page.pgm", place / "text.tsv"
    image.save(given)
    width = _width(document, index)
    command = [
        program,
        str(given),
        str(place / "text"),
        "-l",
        languages.replace(",", "+"),
        "--dpi",
        str(dpi),
    ]
    # One thread: with more it needs up to twice the processor for the same page.
    finished = external_programs.run(
        [*command, "tsv"], place, seconds=SECONDS_PER_PAGE, more={"OMP_THREAD_LIMIT": "1"}
    )
    given.unlink()
    if finished.code is None:
        raise failures.too_large("A page", f"{SECONDS_PER_PAGE:.0f} seconds of Tesseract's time")
    if finished.code != 0 or not made.is_file():
        raise failures.program_failed("Tesseract")
    return _words(made, width / image.width)


def _words(table: Path, scale: float) -> list[Word]:
    words: list[Word] = []
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            text = (row.get("text") or "").strip()
            if not text or float(row["conf"]) < LEAST_CONFIDENCE:
                continue
            left, top = float(row["left"]) * scale, float(row["top"]) * scale
            right = left + float(row["width"]) * scale
            words.append(Word(text, left, right, top, top + float(row["height"]) * scale))
    return words


def _width(document: Any, index: int) -> float:
    page = document[index]
    try:
        return page.get_width()
    finally:
        page.close()
