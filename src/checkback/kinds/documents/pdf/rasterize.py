"""Rasterizes pages, so that their text can no longer be selected or searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from pikepdf import Array, Dictionary, Name, Pdf, Stream

from checkback.kinds.documents.pdf.annotations import annotations_of, is_widget
from checkback.kinds.documents.pdf.render import rendered

DPI = 200
QUALITY = 85


def make_unsearchable(
    document: Any, pdf: Pdf, pages: Sequence[int], page_done: Callable[[int, int], None]
) -> None:
    """Replace these pages of ``pdf`` by images that PDFium draws from ``document``, the same file.

    Form fields and comments become part of the image. The structure with texts for screen readers
    is removed too.
    """
    for done, index in enumerate(pages, 1):
        content = BytesIO()
        with rendered(document, index, dpi=DPI) as image:
            image.save(content, "JPEG", quality=QUALITY)
            pixels = image.size
        width, height = document.get_page_size(index)
        _replace(pdf, index, content.getvalue(), pixels, (width, height))
        page_done(done, len(pages))
    _drop_structure(pdf)
    _drop_lost_fields(pdf)


def _drop_structure(pdf: Pdf) -> None:
    """Remove the structure of the text, which screen readers use."""
    for key in ("/StructTreeRoot", "/MarkInfo", "/PieceInfo"):
        if key in pdf.Root:
            del pdf.Root[key]


def _replace(
    pdf: Pdf, index: int, jpeg: bytes, pixels: tuple[int, int], size: tuple[float, float]
) -> None:
    stream = Stream(pdf, jpeg)
    for key, value in {
        "/Type": Name.XObject,
        "/Subtype": Name.Image,
        "/Width": pixels[0],
        "/Height": pixels[1],
        "/ColorSpace": Name.DeviceRGB,
        "/BitsPerComponent": 8,
        "/Filter": Name.DCTDecode,
    }.items():
        stream[key] = value
    page = pdf.pages[index].obj
    for key in list(page.keys()):
        if key not in ("/Type", "/Parent"):
            del page[key]
    width, height = (round(value, 3) for value in size)
    page.MediaBox = Array([0, 0, width, height])
    # These entries override what the page would inherit.
    page.CropBox = Array([0, 0, width, height])
    page.Rotate = 0
    page.Resources = Dictionary(XObject=Dictionary(Im0=pdf.make_indirect(stream)))
    page.Contents = pdf.make_stream(f"q {width} 0 0 {height} 0 0 cm /Im0 Do Q".encode())


def _drop_lost_fields(pdf: Pdf) -> None:
    """Remove the fields without a widget: their values would still be in the file."""
    if Name.AcroForm not in pdf.Root:
        return
    widgets = _widgets(pdf)
    if widgets:
        _drop_fields_without(pdf, widgets)
    else:
        del pdf.Root[Name.AcroForm]


def _drop_fields_without(pdf: Pdf, widgets: set[tuple[int, int]]) -> None:
    """Remove the fields that none of these widgets displays."""
    for field in list(pdf.acroform.fields):
        shown = [widget.obj.objgen for widget in pdf.acroform.get_annotations_for_field(field)]
        if widgets.isdisjoint(shown):
            pdf.acroform.remove_fields([field])


def _widgets(pdf: Pdf) -> set[tuple[int, int]]:
    """The object ids of the widgets on all pages."""
    widgets: set[tuple[int, int]] = set()
    for page in pdf.pages:
        shown = filter(is_widget, annotations_of(page))
        widgets.update(widget.objgen for widget in shown)
    return widgets
