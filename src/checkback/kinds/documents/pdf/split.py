"""Splits a PDF into several, each with the form fields, links, layers and bookmarks of its
pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal

from pikepdf import Pdf

#: Bookmarks are kept for at most this many parts: searching all bookmarks for thousands of parts
#: takes long.
MAX_PARTS_WITH_OUTLINES = 100


def split(source: Pdf, groups: Sequence[Sequence[int]]) -> Iterator[bytes]:
    """The PDF of each group of pages, the first page being 0."""
    outlines = "preserve" if len(groups) <= MAX_PARTS_WITH_OUTLINES else "ignore"
    for group in groups:
        yield _part(source, group, outlines)


def _part(source: Pdf, group: Sequence[int], outlines: Literal["preserve", "ignore"]) -> bytes:
    content = BytesIO()
    with Pdf.new() as part:
        part.add_pages_from(source, list(group), outlines=outlines)
        # Pages often share one list of all fonts and images of the document.
        part.remove_unreferenced_resources()
        part.save(content)
    return content.getvalue()


def part_suffix(group: Sequence[int]) -> str:
    """The suffix of a part's file name, with pages counted from 1: ``_page1``, ``_page2-4``."""
    first, last = group[0] + 1, group[-1] + 1
    return f"_page{first}" if len(group) == 1 else f"_page{first}-{last}"


def select_pages(source: Pdf, pages: Sequence[int]) -> Pdf:
    """A new PDF of these pages only; the source itself if they are all its pages, in order."""
    if list(pages) == list(range(len(source.pages))):
        return source
    selected = Pdf.new()
    selected.add_pages_from(source, list(pages))
    selected.remove_unreferenced_resources()
    return selected


def save_pages(source: Pdf, pages: Sequence[int], target: Path) -> int:
    """Save a PDF of these pages only; returns the number of pages."""
    with select_pages(source, pages) as selected:
        selected.save(target)
        return len(selected.pages)
