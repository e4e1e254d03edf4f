"""One edit of a PDF: pictures and text over pages, links, new fields, values, flattening; in that
order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pikepdf import Pdf

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.making_args import AnnotationItem, EditArgs, ImageItem
from checkback.kinds.documents.args.pages_argument import page_list
from checkback.kinds.documents.pdf.edit import drawing
from checkback.kinds.documents.pdf.edit.appearances import draw_widgets, flatten
from checkback.kinds.documents.pdf.edit.form_fields import add_field
from checkback.kinds.documents.pdf.edit.form_fill import fill

MAX_DRAWINGS = 20_000
_FIELDS = frozenset(("textfield", "textfieldmultiline", "checkbox", "checkboxchecked"))
_TEXTS = frozenset(("", "text", "link", "textannotation"))

Drawings = dict[int, list[Any]]


def edit(pdf: Pdf, args: EditArgs, images: Sequence[Path], log: Callable[[str], None]) -> None:
    """Change ``pdf`` as the arguments say. ``images`` are the files of ``args.images``, in their
    order.
    """
    drawings: Drawings = {}
    links: list[tuple[int, drawing.DrawingBox, str]] = []
    for item, path in zip(args.images, images, strict=True):
        links += _plan_image(pdf, item, path, drawings)
    texts = [item for item in args.annotations if _is_text(item)]
    for item in texts:
        links += _plan_text(pdf, item, drawings)
    if sum(map(len, drawings.values())) > MAX_DRAWINGS:
        raise failures.too_large("The number of things to draw", f"{MAX_DRAWINGS:,}")
    drawing.draw_over(pdf, dict(sorted(drawings.items())))
    for index, box, address in links:
        drawing.add_link(pdf, index, box, address)
    undrawn: list[Any] = []
    for number, item in enumerate(args.annotations, 1):
        if not _is_text(item):
            undrawn += add_field(pdf, item, _pages(pdf, item.pages), number)
    if args.fields:
        undrawn += fill(pdf, args.fields, log)
    draw_widgets(pdf, undrawn)
    if args.flatten:
        flatten(pdf)


def _is_text(item: AnnotationItem) -> bool:
    kind = item.type.strip().lower()
    if kind in _FIELDS:
        return False
    if kind in _TEXTS:
        return True
    raise failures.invalid_option(
        "type", "Text, Link, TextField, TextFieldMultiline, Checkbox or CheckboxChecked"
    )


def _plan_text(
    pdf: Pdf, item: AnnotationItem, drawings: Drawings
) -> list[tuple[int, drawing.DrawingBox, str]]:
    pages = _pages(pdf, item.pages)
    drawing.color(item.color)
    if item.text:
        for index in pages:
            drawings.setdefault(index, []).append(partial(drawing.draw_text, item=item))
    if not item.link:
        return []
    box = drawing.text_box(item)
    return [(index, box, item.link) for index in pages]


def _plan_image(
    pdf: Pdf, item: ImageItem, path: Path, drawings: Drawings
) -> list[tuple[int, drawing.DrawingBox, str]]:
    picture = drawing.open_picture(path)
    links: list[tuple[int, drawing.DrawingBox, str]] = []
    for index in _pages(pdf, item.pages):
        if picture is None:
            box = drawing.lay_page(pdf, index, path, item)
        else:
            box = drawing.image_box(item, picture.width, picture.height)
            drawings.setdefault(index, []).append(
                partial(drawing.draw_picture, picture=picture, box=box)
            )
        if item.link:
            links.append((index, box, item.link))
    return links


def _pages(pdf: Pdf, pages: str) -> list[int]:
    return page_list(pages, len(pdf.pages))
