"""The appearances of form fields, drawn by PDFium, which finds a font for every character.

Other libraries print question marks for accents and for Chinese. PDFium draws the fields without an
appearance when it opens a page. The appearances are copied from its copy of the file, and the rest
of the copy is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pypdfium2
from pikepdf import Array, Dictionary, Name, Pdf

from checkback.kinds.documents.pdf.annotations import annotations_of, is_widget


def draw_widgets(pdf: Pdf, widgets: Sequence[Any]) -> None:
    """Give these widgets of ``pdf``, which have no appearance yet, their appearances."""
    if not widgets:
        return
    pdf.Root.AcroForm.NeedAppearances = True
    positions = _positions(pdf, {widget.objgen for widget in widgets})
    pages = sorted({page_index for page_index, _ in positions})
    _copy_appearances(_drawn_copy(pdf, pages), pdf, positions)


def _copy_appearances(copy: bytes, pdf: Pdf, positions: Sequence[tuple[int, int]]) -> None:
    with Pdf.open(BytesIO(copy)) as drawn:
        for position in positions:
            _copy_appearance(drawn, pdf, *position)


def _copy_appearance(drawn: Pdf, pdf: Pdf, page_index: int, position: int) -> None:
    """Give a widget the appearance that it has in the copy."""
    drawn_widget = annotations_of(drawn.pages[page_index])[position]
    appearance = drawn_widget.get(Name.AP)
    if isinstance(appearance, Dictionary):
        widget = annotations_of(pdf.pages[page_index])[position]
        widget.AP = pdf.copy_foreign(drawn.make_indirect(appearance))


def _positions(pdf: Pdf, object_ids: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """The page of each of these annotations, and its position among those of the page."""
    positions: list[tuple[int, int]] = []
    for page_index, page in enumerate(pdf.pages):
        for position, annotation in enumerate(annotations_of(page)):
            if isinstance(annotation, Dictionary) and annotation.objgen in object_ids:
                positions.append((page_index, position))
    return positions


def flatten(pdf: Pdf) -> None:
    """Make all fields and comments part of their pages, as they look now. Links stay links."""
    if Name.AcroForm in pdf.Root:
        draw_widgets(pdf, _undrawn_widgets(pdf))
        pdf.Root.AcroForm.NeedAppearances = False
    pdf.flatten_annotations()
    for page in filter(_has_annotations, pdf.pages):
        page.obj.Annots = Array(_without_widgets(page))
    if Name.AcroForm in pdf.Root:
        del pdf.Root[Name.AcroForm]


def _has_annotations(page: Any) -> bool:
    return Name.Annots in page.obj


def _undrawn_widgets(pdf: Pdf) -> list[Any]:
    widgets: list[Any] = []
    for page in pdf.pages:
        shown = filter(is_widget, annotations_of(page))
        widgets += [widget for widget in shown if Name.AP not in widget]
    return widgets


def _without_widgets(page: Any) -> list[Any]:
    return [annotation for annotation in annotations_of(page) if not is_widget(annotation)]


def _drawn_copy(pdf: Pdf, pages: Sequence[int]) -> bytes:
    """A copy of the file in which PDFium has drawn the widgets of these pages."""
    source, target = BytesIO(), BytesIO()
    pdf.save(source, encryption=False)
    document = pypdfium2.PdfDocument(source.getvalue())
    try:
        document.init_forms()
        for index in pages:
            document[index].close()
        document.save(target)
    finally:
        document.close()
    return target.getvalue()
