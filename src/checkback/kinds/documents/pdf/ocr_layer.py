"""A layer of recognised text under scanned pages, by Tesseract; pages that have text stay as they
are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
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


def find_tesseract(languages: str, folder: Path) -> str:
    """Tesseract's program, once it is sure that it has these languages (``eng+deu``).

    Raises the failure program_missing, which names the languages that are installed.
    """
    program = external_programs.TESSERACT.find()
    if program is None:
        raise failures.program_missing(
            "Tesseract",
            external_programs.TESSERACT.install,
            "Without it, pages that hold text already can be read.",
        )
    wanted = languages.replace(",", "+").split("+")
    installed = installed_languages(program, folder)
    if not all(_LANGUAGE.fullmatch(one) for one in wanted):
        raise failures.invalid_option("lang", "languages by Tesseract's names, as in eng+deu")
    if not set(wanted) <= set(installed):
        raise _language_missing(installed)
    return program


def installed_languages(program: str, folder: Path) -> list[str]:
    """The languages that this Tesseract can read."""
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
    """Put the recognised text under each of these pages that has none; returns how many those were.

    ``document`` is PDFium's view of the file that ``pdf`` holds.
    """
    program = find_tesseract(languages, folder)
    recognised = 0
    for done, index in enumerate(pages, 1):
        if not _has_text(document, index):
            layer = recognise(
                program, render(document, index, dpi=DPI, grayscale=True), languages, folder
            )
            _put_under(pdf, index, layer)
            recognised += 1
        page_done(done, len(pages))
    return recognised


def recognise(program: str, image: Image.Image, languages: str, folder: Path) -> Path:
    """A PDF page with the picture's text, invisible, each word where it stands in the picture."""
    place = Path(mkdtemp(prefix="ocr-", dir=folder))
    given = place / "page.pgm"
    image.save(given)
    command = [
        program,
        str(given),
        str(place / "text"),
        "-l",
        languages.replace(",", "+"),
        "--dpi",
        str(DPI),
    ]
    finished = external_programs.run(
        [*command, "-c", "textonly_pdf=1", "pdf"],
        place,
        seconds=SECONDS_PER_PAGE,
        # With more threads it needs up to twice the processor for the same page.
        more={"OMP_THREAD_LIMIT": "1"},
    )
    given.unlink()
    made = place / "text.pdf"
    if finished.code is None:
        raise failures.too_large("A page", f"{SECONDS_PER_PAGE:.0f} seconds of Tesseract's time")
    if finished.code != 0 or not made.is_file():
        raise failures.program_failed("Tesseract")
    return made


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
        # Placed as people see the page: turned with it where it has a rotation.
        page.add_underlay(text.pages[0], box)
    layer.unlink()


def _language_missing(installed: Sequence[str]) -> JobFailed:
    known = ", ".join(installed[:40]) or "none"
    return failures.program_missing(
        "a language pack of Tesseract",
        "apt-get install tesseract-ocr-CODE",
        f"Installed languages: {known}.",
    )
