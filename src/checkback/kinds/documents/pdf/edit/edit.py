"""One edit of a PDF: images and text over pages, links, new fields, values and flattening, in that
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
Link = tuple[int, drawing.DrawingBox, str]
"""Page, position and URL."""


def edit(pdf: Pdf, args: EditArgs, images: Sequence[Path], log: Callable[[str], None]) -> None:
    """Change ``pdf`` as the arguments say. ``images`` are the files of ``args.images``, in the same
    order.
    """
    _draw(pdf, args, images)
    undrawn = _add_fields(pdf, args.annotations)
    if args.fields:
        undrawn += fill(pdf, args.fields, log)
    draw_widgets(pdf, undrawn)
    if args.flatten:
        flatten(pdf)


def _add_fields(pdf: Pdf, items: Sequence[AnnotationItem]) -> list[Any]:
    """Make the new form fields; returns the widgets that must be drawn."""
    undrawn: list[Any] = []
    for number, item in enumerate(items, 1):
        if not _is_text(item):
            undrawn += add_field(pdf, item, _pages(pdf, item.pages), number)
    return undrawn


def _draw(pdf: Pdf, args: EditArgs, images: Sequence[Path]) -> None:
    """Draw the images, then the texts, and add the links of both."""
    drawings: Drawings = {}
    links: list[Link] = []
    for image, path in zip(args.images, images, strict=True):
        links += _plan_image(pdf, image, path, drawings)
    for text in list(filter(_is_text, args.annotations)):
        links += _plan_text(pdf, text, drawings)
    _check_number(drawings)
    drawing.draw_over(pdf, dict(sorted(drawings.items())))
    for index, box, address in links:
        drawing.add_link(pdf, index, box, address)


def _check_number(drawings: Drawings) -> None:
    if sum(map(len, drawings.values())) > MAX_DRAWINGS:
        raise failures.too_large("The number of texts and images", f"{MAX_DRAWINGS:,}")


def _is_text(item: AnnotationItem) -> bool:
    kind = item.type.strip().lower()
    if kind in _FIELDS:
        return False
    if kind in _TEXTS:
        return True
    raise failures.invalid_option(
        "type", "Text, Link, TextField, TextFieldMultiline, Checkbox or CheckboxChecked", item.type
    )


def _plan_text(pdf: Pdf, item: AnnotationItem, drawings: Drawings) -> list[Link]:
    """Add the drawing of a text; returns its links."""
    pages = _pages(pdf, item.pages)
    drawing.color(item.color)  # raises the failure of an invalid color
    if item.text:
        _add_drawing(drawings, pages, partial(drawing.draw_text, item=item))
    if not item.link:
        return []
    box = drawing.text_box(item)
    return [(index, box, item.link) for index in pages]


def _add_drawing(drawings: Drawings, pages: Sequence[int], draw: Callable[..., None]) -> None:
    for index in pages:
        drawings.setdefault(index, []).append(draw)


def _plan_image(pdf: Pdf, item: ImageItem, path: Path, drawings: Drawings) -> list[Link]:
    """Add the drawing of an image, or draw the page of a PDF; returns its links."""
    image = drawing.open_image(path)
    links: list[Link] = []
    for index in _pages(pdf, item.pages):
        if image is None:
            box = drawing.lay_page(pdf, index, path, item)
        else:
            box = drawing.image_box(item, image.width, image.height)
            draw = partial(drawing.draw_image, image=image, box=box)
            _add_drawing(drawings, [index], draw)
        if item.link:
            links.append((index, box, item.link))
    return links


def _pages(pdf: Pdf, pages: str) -> list[int]:
    return page_list(pages, len(pdf.pages))
