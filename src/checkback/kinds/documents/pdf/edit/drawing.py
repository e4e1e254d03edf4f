"""Draws text and images over PDF pages, in fonts that are embedded in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pikepdf import Array, Dictionary, Name, Pdf, Rectangle, String
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.making_args import AnnotationItem, ImageItem
from checkback.kinds.documents.files.sniff import IMAGES, FileType, sniff
from checkback.kinds.documents.pdf.edit.fonts import typeface
from checkback.kinds.documents.pdf.from_images import DEFAULT_DPI, MAX_PIXELS, has_transparency
from checkback.kinds.documents.pdf.from_text import draw_line
from checkback.kinds.documents.pdf.geometry import PageView, view
from checkback.kinds.documents.pdf.merge import open_with

LEADING = 1.2
_COLOR = re.compile(r"#?(?:[0-9a-f]{2})?([0-9a-f]{6})", re.IGNORECASE)
_LINK = re.compile(r"(https?://|mailto:|tel:|www\.)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DrawingBox:
    """The position of a drawing, in points from the top left of the page as it is displayed."""

    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class DrawnImage:
    """An image that is drawn on pages, opened once."""

    reader: ImageReader
    width: float
    height: float


def draw_over(pdf: Pdf, drawings: Mapping[int, Sequence[Any]]) -> None:
    """Draw over each page with the functions for its index, which take a canvas and the page's
    view.
    """
    if not drawings:
        return
    views = {index: view(pdf.pages[index]) for index in drawings}
    _lay_over(pdf, _drawn(drawings, views), views)


def _drawn(drawings: Mapping[int, Sequence[Any]], views: Mapping[int, PageView]) -> BytesIO:
    """A PDF with a page for each page to draw over."""
    content = BytesIO()
    canvas = Canvas(content, pageCompression=1)
    for index, functions in drawings.items():
        _draw_page(canvas, views[index], functions)
    canvas.save()
    return content


def _lay_over(pdf: Pdf, content: BytesIO, views: Mapping[int, PageView]) -> None:
    with Pdf.open(content) as overlay:
        for number, (index, page) in enumerate(views.items()):
            # The overlay is rotated with the page, so that it is displayed upright.
            pdf.pages[index].add_overlay(overlay.pages[number], page.box)


def _draw_page(canvas: Canvas, page: PageView, functions: Sequence[Any]) -> None:
    canvas.setPageSize((page.width, page.height))
    for draw in functions:
        canvas.saveState()
        draw(canvas, page)
        canvas.restoreState()
    canvas.showPage()


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
    available = box.width if item.width is None else item.width
    baseline = page.height - box.y - face.ascent(item.size)
    for line in _lines(item):
        line_width = face.width(line, item.size)
        x = box.x + _indent(item.alignment, available - line_width)
        draw_line(canvas, face, line, x, baseline, item.size)
        _draw_rules(canvas, item, x, baseline, line_width)
        baseline -= item.size * LEADING


def _indent(alignment: str, free_width: float) -> float:
    """How far from the left a line begins."""
    return {"center": free_width / 2, "right": free_width}.get(alignment.lower(), 0.0)


def _draw_rules(
    canvas: Canvas, item: AnnotationItem, x: float, baseline: float, width: float
) -> None:
    """Underline the line of text and strike it out, if the item says so."""
    for is_wanted, offset in ((item.font_underline, -0.12), (item.font_strikeout, 0.27)):
        if is_wanted:
            y = baseline + offset * item.size
            canvas.line(x, y, x + width, y)


def text_box(item: AnnotationItem) -> DrawingBox:
    """The box that the item's text fills."""
    face = typeface(item.font_name, bold=item.font_bold, italic=item.font_italic)
    lines = _lines(item)
    width = item.width or max((face.width(line, item.size) for line in lines), default=0.0)
    height = item.height or len(lines) * item.size * LEADING
    return DrawingBox(item.x, item.y, width, height)


def color(text: str) -> tuple[float, float, float]:
    """Red, green and blue, 0 to 1; black for an empty text. An alpha value before them is
    ignored.
    """
    if not text.strip():
        return 0.0, 0.0, 0.0
    match = _COLOR.fullmatch(text.strip())
    if match is None:
        raise failures.invalid_option("color", "a color such as #FF0000", text)
    red, green, blue = bytes.fromhex(match[1])
    return red / 255, green / 255, blue / 255


def open_image(path: Path) -> DrawnImage | None:
    """The image at ``path``; None if it is a PDF. Raises the failure of another type of file."""
    file_type = sniff(path)
    if file_type is FileType.PDF:
        return None
    if file_type not in IMAGES:
        raise failures.invalid_document("an image or a PDF file")
    try:
        image = _loaded(path)
    except (OSError, SyntaxError, ValueError) as error:
        raise failures.invalid_document("an image") from error
    scale = 72 / DEFAULT_DPI
    return DrawnImage(ImageReader(image), image.width * scale, image.height * scale)


def _loaded(path: Path) -> Image.Image:
    with Image.open(path) as image:
        if image.width * image.height > MAX_PIXELS:
            raise failures.too_large("The image", f"{MAX_PIXELS // 1_000_000} megapixels")
        return image.convert("RGBA" if has_transparency(image) else "RGB")


def image_box(item: ImageItem, width: float, height: float) -> DrawingBox:
    """The position of an image of that size. If one side is given, the image keeps its
    proportions.
    """
    box_width, box_height = _image_size(item, width, height)
    return DrawingBox(item.x, item.y, box_width, box_height)


def _image_size(item: ImageItem, width: float, height: float) -> tuple[float, float]:
    if item.width:
        return item.width, item.height or height * item.width / width
    if item.height:
        return width * item.height / height, item.height
    return width, height


def draw_image(canvas: Canvas, page: PageView, image: DrawnImage, box: DrawingBox) -> None:
    """Draw the image into the box."""
    bottom = page.height - box.y - box.height
    canvas.drawImage(image.reader, box.x, bottom, box.width, box.height, mask="auto")


def lay_page(pdf: Pdf, index: int, path: Path, item: ImageItem) -> DrawingBox:
    """Draw the first page of the PDF at ``path`` over a page, like an image; returns its
    position.
    """
    with open_with(path, "") as other:
        source = view(other.pages[0])
        box = image_box(item, source.width, source.height)
        target = view(pdf.pages[index]).rectangle(box.x, box.y, box.width, box.height)
        pdf.pages[index].add_overlay(other.pages[0], Rectangle(target))
    return box


def add_link(pdf: Pdf, index: int, box: DrawingBox, address: str) -> None:
    """Make a box on a page open an address: one of the web, of e-mail or of telephones."""
    target = address.strip()
    if not _LINK.match(target):
        raise failures.invalid_option(
            "link", "a URL that begins with https://, http://, mailto: or tel:", address
        )
    if target.lower().startswith("www."):
        target = f"https://{target}"
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
    indirect = annotation if annotation.is_indirect else pdf.make_indirect(annotation)
    if not isinstance(page.get(Name.Annots), Array):
        page.Annots = Array([])
    page.Annots.append(indirect)
    return indirect


def _lines(item: AnnotationItem) -> list[str]:
    text = item.text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    if item.width is None:
        return text.split("\n")
    face = typeface(item.font_name, bold=item.font_bold, italic=item.font_italic)
    return face.wrap(text, item.size, item.width)
