"""Puts a layer of recognized text under scanned pages, by Tesseract. Pages with text are
unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pikepdf
from pikepdf import Pdf
from PIL import Image

from checkback.core.errors import JobFailed
from checkback.kinds.documents import failures
from checkback.kinds.documents.files import external_programs
from checkback.kinds.documents.pdf.render import render

DPI = 300
SECONDS_PER_PAGE = 60.0
_LANGUAGE = re.compile(r"[A-Za-z0-9_/-]{1,40}")


@dataclass(frozen=True, slots=True)
class OcrOutput:
    """An output format of Tesseract: its extension, and the options for it."""

    extension: str
    options: tuple[str, ...] = ()


TEXT_LAYER = OcrOutput("pdf", ("-c", "textonly_pdf=1"))
"""A PDF page with the recognized text, invisible, each word at its position in the image."""


def find_tesseract(languages: str, folder: Path) -> str:
    """The path of Tesseract, if it has these languages (``eng+deu``).

    Raises the failure ``program_missing``, which lists the installed languages.
    """
    program = external_programs.TESSERACT.find()
    if program is None:
        raise failures.program_missing(
            "Tesseract",
            external_programs.TESSERACT.install,
            "Without it, only pages with text can be read.",
        )
    wanted = languages.replace(",", "+").split("+")
    installed = installed_languages(program, folder)
    if not all(map(_LANGUAGE.fullmatch, wanted)):
        expected = "languages by Tesseract's names, as in eng+deu"
        raise failures.invalid_option("lang", expected, languages)
    if not set(wanted) <= set(installed):
        raise _language_missing(installed)
    return program


def installed_languages(program: str, folder: Path) -> list[str]:
    """The languages that this Tesseract has."""
    listed = external_programs.run([program, "--list-langs"], folder, seconds=20).printed
    return [line for line in listed.splitlines()[1:] if _LANGUAGE.fullmatch(line) and line != "osd"]


def make_searchable(
    document: Any,
    pdf: Pdf,
    pages: Sequence[int],
    languages: str,
    folder: Path,
    page_done: Callable[[int, int], None],
) -> int:
    """Put recognized text under each of these pages without text; returns the number of such pages.

    ``document`` is the same file as ``pdf``, opened by PDFium.
    """
    program = find_tesseract(languages, folder)
    recognized = 0
    for done, index in enumerate(pages, 1):
        if not _has_text(document, index):
            image = render(document, index, dpi=DPI, grayscale=True)
            layer = run_tesseract(program, image, languages, folder, DPI, TEXT_LAYER)
            _put_under(pdf, index, layer)
            recognized += 1
        page_done(done, len(pages))
    return recognized


def run_tesseract(
    program: str, image: Image.Image, languages: str, folder: Path, dpi: int, output: OcrOutput
) -> Path:
    """The file that Tesseract makes from the image of one page.

    Raises the failures of a program that fails or is too slow.
    """
    run_folder = Path(mkdtemp(prefix="ocr-", dir=folder))
    source = run_folder / "page.pgm"
    image.save(source)
    command = [
        program,
        str(source),
        str(run_folder / "text"),
        "-l",
        languages.replace(",", "+"),
        "--dpi",
        str(dpi),
        *output.options,
        output.extension,
    ]
    finished = external_programs.run(
        command,
        run_folder,
        seconds=SECONDS_PER_PAGE,
        # With more threads it needs up to twice the CPU time for the same page.
        more={"OMP_THREAD_LIMIT": "1"},
    )
    source.unlink()
    target = run_folder / f"text.{output.extension}"
    if finished.code is None:
        raise failures.too_large("A page", f"{SECONDS_PER_PAGE:.0f} seconds of Tesseract time")
    if finished.code != 0 or not target.is_file():
        raise failures.program_failed("Tesseract")
    return target


def _has_text(document: Any, index: int) -> bool:
    page = document[index]
    text = page.get_textpage()
    try:
        return bool(text.get_text_range().strip())
    finally:
        text.close()
        page.close()


def _put_under(pdf: Pdf, index: int, layer: Path) -> None:
    page = pdf.pages[index]
    box = pikepdf.Rectangle(pikepdf.Array(page.cropbox))
    with Pdf.open(layer) as text:
        # The layer is rotated with the page.
        page.add_underlay(text.pages[0], box)
    layer.unlink()


def _language_missing(installed: Sequence[str]) -> JobFailed:
    known = ", ".join(installed[:40]) or "none"
    return failures.program_missing(
        "a language pack of Tesseract",
        "apt-get install tesseract-ocr-CODE",
        f"Installed languages: {known}.",
    )
