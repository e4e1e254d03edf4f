"""Pages of a PDF as picture files."""

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
    """Draw the pages that the arguments name, and keep the files; returns how many pages the
    document has.
    """
    with open_pdf(work.source.path, args) as document:
        document.init_forms()
        indexes = pages_of(document, args.pages)
        if args.type == "tiff":
            work.output(_tiff(work, document, indexes, dpi), "tiff")
        else:
            if len(indexes) > MAX_FILES:
                raise failures.too_many_pages(MAX_FILES)
            kind, options = _SAVE[args.type]
            if work.options.jpeg_quality is not None and args.type == "jpg":
                options = {"quality": work.options.jpeg_quality}
            for done, index in enumerate(indexes, 1):
                target = work.folder / f"page-{index}"
                with rendered(document, index, dpi=dpi) as image:
                    image.save(target, kind, dpi=(dpi, dpi), **options)
                work.output(target, args.type, suffix=f"_{index + 1}")
                work.page_done(done, len(indexes))
        return len(document)


def _tiff(work: DocumentWork, document: Any, indexes: list[int], dpi: float) -> Path:
    """One file of all pages, each drawn when it is its turn: memory holds one at a time."""
    target = work.folder / "pages.tiff"

    def later() -> Any:
        for done, index in enumerate(indexes[1:], 2):
            yield render(document, index, dpi=dpi)
            work.page_done(done, len(indexes))

    first = render(document, indexes[0], dpi=dpi)
    first.save(
        target,
        "TIFF",
        save_all=True,
        append_images=later(),
        compression="tiff_deflate",
        dpi=(dpi, dpi),
    )
    return target
