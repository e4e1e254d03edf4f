"""Text and pictures laid over PDF pages, in fonts that go into the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pikepdf import Array, Dictionary, Name, Pdf, String
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.making_args import AnnotationItem, ImageItem
from checkback.kinds.documents.files.sniff import IMAGES, FileType, sniff
from checkback.kinds.documents.pdf.edit.fonts import typeface
from checkback.kinds.documents.pdf.from_images import DEFAULT_DPI, MAX_PIXELS
from checkback.kinds.documents.pdf.from_text import draw_line
from checkback.kinds.documents.pdf.geometry import PageView, view
from checkback.kinds.documents.pdf.merge import open_with

LEADING = 1.2
_COLOR = re.compile(r"#?(?:[0-9a-f]{2})?([0-9a-f]{6})", re.IGNORECASE)
_LINK = re.compile(r"(https?://|mailto:|tel:|www\.)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DrawingBox:
    """Where something ended up, in points from the top left of the page as seen."""

    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class DrawnImage:
    """A picture that is drawn on pages, opened once."""

    reader: ImageReader
    width: float
    height: float


def draw_over(pdf: Pdf, drawings: Mapping[int, Sequence[Any]]) -> None:
    """Lay over each page what is to be drawn on it: callables that take a canvas and the page's
    view.
    """
    if not drawings:
        return
    content = BytesIO()
    canvas = Canvas(content, pageCompression=1)
    views = {index: view(pdf.pages[index]) for index in drawings}
    for index, calls in drawings.items():
        canvas.setPageSize((views[index].width, views[index].height))
        for draw in calls:
            canvas.saveState()
            draw(canvas, views[index])
            canvas.restoreState()
        canvas.showPage()
    canvas.save()
    with Pdf.open(content) as overlay:
        for number, index in enumerate(drawings):
            # Turned with the page where it has a rotation, so that it is seen upright.
            pdf.pages[index].add_overlay(overlay.pages[number], views[index].box)


def draw_text(canvas: Canvas, page: PageView, item: AnnotationItem) -> None:
    """Draw the item's text with its style."""
    face = typeface(item.font_name, bold=item.font_bold, italic=item.font_italic)
    box = text_box(item)
    if not item.transparent:
        canvas.setFillColorRGB(1, 1, 1)
        canvas.rect(
            box.x, page.height - box.y - box.height, box.width, box.height, stroke=0, fill=1
        )
    red, green, blue = color(item.color)
    canvas.setFillColorRGB(red, green, blue)
    canvas.setStrokeColorRGB(red, green, blue)
    canvas.setLineWidth(item.size / 18)
    baseline = page.height - box.y - face.ascent(item.size)
    for line in _lines(item):
        wide = face.width(line, item.size)
        room = (box.width if item.width is None else item.width) - wide
        x = box.x + {"center": room / 2, "right": room}.get(item.alignment.lower(), 0.0)
        draw_line(canvas, face, line, x, baseline, item.size)
        for wanted, offset in ((item.font_underline, -0.12), (item.font_strikeout, 0.27)):
            if wanted:
                y = baseline + offset * item.size
                canvas.line(x, y, x + wide, y)
        baseline -= item.size * LEADING


def text_box(item: AnnotationItem) -> DrawingBox:
    """The box that the item's text fills."""
    face = typeface(item.font_name, bold=item.font_bold, italic=item.font_italic)
    lines = _lines(item)
    width = item.width or max((face.width(line, item.size) for line in lines), default=0.0)
    height = item.height or len(lines) * item.size * LEADING
    return DrawingBox(item.x, item.y, width, height)


def color(text: str) -> tuple[float, float, float]:
    """Red, green and blue, 0 to 1; black where no colour is named. An alpha value before them is
    left out.
    """
    if not text.strip():
        return 0.0, 0.0, 0.0
    found = _COLOR.fullmatch(text.strip())
    if found is None:
        raise failures.invalid_option("color", "a colour as in #FF0000")
    red, green, blue = (int(found[1][at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def open_picture(path: Path) -> DrawnImage | None:
    """The picture at ``path``; None when it is a PDF. Raises the failures of what is neither."""
    file_type = sniff(path)
    if file_type is FileType.PDF:
        return None
    if file_type not in IMAGES:
        raise failures.invalid_document("picture")
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise failures.too_large("The picture", f"{MAX_PIXELS // 1_000_000} megapixels")
            has_alpha = "A" in image.getbands() or "transparency" in image.info
            loaded = image.convert("RGBA" if has_alpha else "RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise failures.invalid_document("picture") from error
    scale = 72 / DEFAULT_DPI
    return DrawnImage(ImageReader(loaded), loaded.width * scale, loaded.height * scale)


def image_box(item: ImageItem, width: float, height: float) -> DrawingBox:
    """Where a picture of that size goes; with one side given it keeps its shape."""
    if item.width and item.height:
        return DrawingBox(item.x, item.y, item.width, item.height)
    if item.width:
        return DrawingBox(item.x, item.y, item.width, height * item.width / width)
    if item.height:
        return DrawingBox(item.x, item.y, width * item.height / height, item.height)
    return DrawingBox(item.x, item.y, width, height)


def draw_picture(canvas: Canvas, page: PageView, picture: DrawnImage, box: DrawingBox) -> None:
    """Draw the picture into the box."""
    bottom = page.height - box.y - box.height
    canvas.drawImage(picture.reader, box.x, bottom, box.width, box.height, mask="auto")


def lay_page(pdf: Pdf, index: int, path: Path, item: ImageItem) -> DrawingBox:
    """Lay the first page of the PDF at ``path`` over a page, as a picture; returns where."""
    with open_with(path, "") as other:
        given = view(other.pages[0])
        box = image_box(item, given.width, given.height)
        target = view(pdf.pages[index]).rectangle(box.x, box.y, box.width, box.height)
        from pikepdf import Rectangle

        pdf.pages[index].add_overlay(other.pages[0], Rectangle(target))
    return box


def add_link(pdf: Pdf, index: int, box: DrawingBox, address: str) -> None:
    """Make a box on a page open an address. Only addresses of the web, of mail
    and of telephones.
    """
    given = address.strip()
    if not _LINK.match(given):
        raise failures.invalid_option(
            "link", "an address that begins with https://, http:// or mailto:"
        )
    target = f"https://{given}" if given.lower().startswith("www.") else given
    page = pdf.pages[index]
    link = Dictionary(
        Type=Name.Annot,
        Subtype=Name.Link,
        Rect=view(page).rectangle(box.x, box.y, box.width, box.height),
        Border=Array([0, 0, 0]),
        A=Dictionary(Type=Name.Action, S=Name.URI, URI=String(target)),
    )
    append_annotation(pdf, index, link)


def append_annotation(pdf: Pdf, index: int, annotation: Any) -> Any:
    """Put an annotation on a page; returns its object."""
    page = pdf.pages[index].obj
    made = annotation if annotation.is_indirect else pdf.make_indirect(annotation)
    found = page.get(Name.Annots)
    if not isinstance(found, Array):
        page.Annots = Array([])
        found = page.Annots
    found.append(made)
    return made


def _lines(item: AnnotationItem) -> list[str]:
    text = item.text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    if item.width is None:
        return text.split("\n")
    face = typeface(item.font_name, bold=item.font_bold, italic=item.font_italic)
    return face.wrap(text, item.size, item.width)
