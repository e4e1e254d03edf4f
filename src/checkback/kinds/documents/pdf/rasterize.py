"""Pages turned into pictures of themselves, so that nothing on them can be searched or copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf, Stream

from checkback.kinds.documents.pdf.render import rendered

DPI = 200
QUALITY = 85


def make_unsearchable(
    document: Any, pdf: Pdf, pages: Sequence[int], page_done: Callable[[int, int], None]
) -> None:
    """Replace these pages of ``pdf`` by what PDFium draws of ``document``, the same file.

    Form fields and comments become part of the picture. Structure with texts for screen readers
    goes too.
    """
    for done, index in enumerate(pages, 1):
        content = BytesIO()
        with rendered(document, index, dpi=DPI) as image:
            image.save(content, "JPEG", quality=QUALITY)
            pixels = image.size
        width, height = document.get_page_size(index)
        _replace(pdf, index, content.getvalue(), pixels, (width, height))
        page_done(done, len(pages))
    for key in ("/StructTreeRoot", "/MarkInfo", "/PieceInfo"):
        if key in pdf.Root:
            del pdf.Root[key]
    _drop_lost_fields(pdf)


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
    # What the page would inherit from above it stands here, so that it does not.
    page.CropBox = Array([0, 0, width, height])
    page.Rotate = 0
    page.Resources = Dictionary(XObject=Dictionary(Im0=pdf.make_indirect(stream)))
    page.Contents = pdf.make_stream(f"q {width} 0 0 {height} 0 0 cm /Im0 Do Q".encode())


def _drop_lost_fields(pdf: Pdf) -> None:
    """Fields whose place is gone would still tell their values."""
    form = pdf.Root.get(Name.AcroForm)
    if form is None:
        return
    places = {
        annotation.objgen
        for page in pdf.pages
        for annotation in _annotations(page)
        if annotation.get(Name.Subtype) == Name.Widget
    }
    if not places:
        del pdf.Root[Name.AcroForm]
        return
    for field in list(pdf.acroform.fields):
        shown = [one.obj.objgen for one in pdf.acroform.get_annotations_for_field(field)]
        if not places.intersection(shown):
            pdf.acroform.remove_fields([field])


def _annotations(page: pikepdf.Page) -> list[Any]:
    found = page.obj.get(Name.Annots)
    return [one for one in found if isinstance(one, Dictionary)] if isinstance(found, Array) else []
