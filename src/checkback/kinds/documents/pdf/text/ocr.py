"""Reads words with their positions from a scanned page, by Tesseract."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from checkback.kinds.documents.pdf.ocr_layer import OcrOutput, run_tesseract
from checkback.kinds.documents.pdf.render import render
from checkback.kinds.documents.pdf.text.words import Word

OCR_DPI = 300
MIN_CONFIDENCE = 0.0


def recognized_words(
    program: str, document: Any, index: int, languages: str, folder: Path, dpi: int
) -> list[Word]:
    """All words of one page, in Tesseract's order. Raises the failures of a program that fails or
    is too slow.
    """
    image = render(document, index, dpi=dpi, grayscale=True)
    table = run_tesseract(program, image, languages, folder, dpi, OcrOutput("tsv"))
    return _words(table, _width(document, index) / image.width)


def _words(table: Path, scale: float) -> list[Word]:
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [_word(row, scale) for row in rows if _is_word(row)]


def _is_word(row: dict[str, str]) -> bool:
    return bool(_text(row)) and float(row["conf"]) >= MIN_CONFIDENCE


def _text(row: dict[str, str]) -> str:
    return (row.get("text") or "").strip()


def _word(row: dict[str, str], scale: float) -> Word:
    left, top = float(row["left"]) * scale, float(row["top"]) * scale
    right = left + float(row["width"]) * scale
    return Word(_text(row), left, right, top, top + float(row["height"]) * scale)


def _width(document: Any, index: int) -> float:
    page = document[index]
    try:
        return page.get_width()
    finally:
        page.close()
