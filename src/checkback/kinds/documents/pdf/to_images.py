"""Pages of a PDF as image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.reading_args import ImageArgs
from checkback.kinds.documents.job_context import DocumentWork
from checkback.kinds.documents.pdf.render import render, rendered
from checkback.kinds.documents.pdf.text.reader import open_pdf, pages_of

MAX_FILES = 900
_SAVE: dict[str, tuple[str, dict[str, Any]]] = {
    "jpg": ("JPEG", {"quality": 85}),
    "png": ("PNG", {"compress_level": 1}),
    "webp": ("WEBP", {"quality": 85, "method": 2}),
}


def draw_pages(work: DocumentWork, args: ImageArgs, dpi: float) -> int:
    """Render the pages that the arguments name, and keep the files; returns the page count of the
    document.
    """
    with open_pdf(work.source.path, args) as document:
        document.init_forms()
        indexes = pages_of(document, args.pages)
        if args.type == "tiff":
            work.output(_tiff(work, document, indexes, dpi), "tiff")
        else:
            _output_images(work, document, indexes, args.type, dpi)
        return len(document)


def _output_images(
    work: DocumentWork, document: Any, indexes: list[int], extension: str, dpi: float
) -> None:
    """Keep one file for each page."""
    if len(indexes) > MAX_FILES:
        raise failures.too_many_pages(MAX_FILES)
    image_format, options = _format(extension, work.options.jpeg_quality)
    for done, index in enumerate(indexes, 1):
        target = work.folder / f"page-{index}"
        with rendered(document, index, dpi=dpi) as image:
            image.save(target, image_format, dpi=(dpi, dpi), **options)
        work.output(target, extension, suffix=f"_{index + 1}")
        work.page_done(done, len(indexes))


def _format(extension: str, jpeg_quality: int | None) -> tuple[str, dict[str, Any]]:
    """Pillow's name of a format, and how files of the format are saved."""
    image_format, options = _SAVE[extension]
    if jpeg_quality is not None and extension == "jpg":
        options = {"quality": jpeg_quality}
    return image_format, options


def _tiff(work: DocumentWork, document: Any, indexes: list[int], dpi: float) -> Path:
    """One file of all pages, rendered one by one: only one page is in memory at a time."""
    target = work.folder / "pages.tiff"

    def following_pages() -> Any:
        for done, index in enumerate(indexes[1:], 2):
            yield render(document, index, dpi=dpi)
            work.page_done(done, len(indexes))

    first = render(document, indexes[0], dpi=dpi)
    first.save(
        target,
        "TIFF",
        save_all=True,
        append_images=following_pages(),
        compression="tiff_deflate",
        dpi=(dpi, dpi),
    )
    return target
