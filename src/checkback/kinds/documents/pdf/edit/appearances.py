"""How form fields look: drawn by PDFium, which finds a font for every character.

Other ways print question marks for accents and for Chinese. PDFium draws the fields that have no
appearance while it opens a page; the drawings are taken from its copy of the file, the rest of the
copy is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pypdfium2
from pikepdf import Array, Dictionary, Name, Pdf


def draw_widgets(pdf: Pdf, widgets: Sequence[Any]) -> None:
    """Give these widgets of ``pdf`` their appearances; they have none yet."""
    wanted = {widget.objgen for widget in widgets}
    if not wanted:
        return
    pdf.Root.AcroForm.NeedAppearances = True
    places = [
        (index, position)
        for index, page in enumerate(pdf.pages)
        for position, annotation in enumerate(_annotations(page.obj))
        if isinstance(annotation, Dictionary) and annotation.objgen in wanted
    ]
    with Pdf.open(BytesIO(_drawn_copy(pdf, sorted({index for index, _ in places})))) as drawn:
        for index, position in places:
            widget = _annotations(pdf.pages[index].obj)[position]
            appearance = _annotations(drawn.pages[index].obj)[position].get(Name.AP)
            if isinstance(appearance, Dictionary):
                widget.AP = pdf.copy_foreign(drawn.make_indirect(appearance))


def flatten(pdf: Pdf) -> None:
    """Make all fields and comments part of their pages, as they look now. Links stay links."""
    undrawn = [
        annotation
        for page in pdf.pages
        for annotation in _annotations(page.obj)
        if isinstance(annotation, Dictionary)
        and annotation.get(Name.Subtype) == Name.Widget
        and Name.AP not in annotation
    ]
    if undrawn and Name.AcroForm in pdf.Root:
        draw_widgets(pdf, undrawn)
    if Name.AcroForm in pdf.Root:
        pdf.Root.AcroForm.NeedAppearances = False
    pdf.flatten_annotations()
    for page in pdf.pages:
        left = [
            one
            for one in _annotations(page.obj)
            if not (isinstance(one, Dictionary) and one.get(Name.Subtype) == Name.Widget)
        ]
        if Name.Annots in page.obj:
            page.obj.Annots = Array(left)
    if Name.AcroForm in pdf.Root:
        del pdf.Root[Name.AcroForm]


def _drawn_copy(pdf: Pdf, pages: Sequence[int]) -> bytes:
    given, made = BytesIO(), BytesIO()
    pdf.save(given, encryption=False)
    document = pypdfium2.PdfDocument(given.getvalue())
    try:
        document.init_forms()
        for index in pages:
            document[index].close()
        document.save(made)
    finally:
        document.close()
    return made.getvalue()


def _annotations(page: Any) -> Any:
    found = page.get(Name.Annots)
    return found if isinstance(found, Array) else []
