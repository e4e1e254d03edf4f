"""New form fields on PDF pages: text fields and check boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pikepdf import Array, Dictionary, Name, Pdf, String

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.making_args import AnnotationItem
from checkback.kinds.documents.pdf.edit.drawing import append_annotation, color
from checkback.kinds.documents.pdf.geometry import view

MULTILINE = 1 << 12
PRINTED = 4
_TICK = "4"
"""The check mark of ZapfDingbats."""


def add_field(pdf: Pdf, item: AnnotationItem, pages: Sequence[int], number: int) -> list[Any]:
    """Make a field with one widget on each of these pages; returns the text widgets, which have no
    appearance yet.

    ``number`` counts the items of the job, for fields without a name. A name that is already used
    is refused: readers would treat two fields of one name as one field.
    """
    form = _form(pdf)
    name = _field_name(pdf, item, number)
    is_checkbox = item.type.lower().startswith("checkbox")
    field = pdf.make_indirect(_checkbox(item) if is_checkbox else _text(item))
    field.T = String(name)
    widgets = _widgets(pdf, field, len(pages))
    for widget, index in zip(widgets, pages, strict=True):
        _place(pdf, widget, item, index, checkbox=is_checkbox)
        append_annotation(pdf, index, widget)
    form.Fields.append(field)
    return [] if is_checkbox else widgets


def _widgets(pdf: Pdf, field: Any, count: int) -> list[Any]:
    """The widgets of a new field: the field itself if it has only one."""
    if count == 1:
        return [field]
    widgets = [pdf.make_indirect(Dictionary(Parent=field)) for _ in range(count)]
    field.Kids = Array(widgets)
    return widgets


def _field_name(pdf: Pdf, item: AnnotationItem, number: int) -> str:
    name = item.id.strip() or f"field{number}"
    used = {field.fully_qualified_name for field in pdf.acroform.fields}
    if name in used or "." in name:
        raise failures.invalid_option("id", "a new name for a field, without dots", name)
    return name


def _form(pdf: Pdf) -> Any:
    """The document's form, with the fonts that new fields use."""
    if not isinstance(pdf.Root.get(Name.AcroForm), Dictionary):
        pdf.Root.AcroForm = pdf.make_indirect(Dictionary(Fields=Array([])))
    form: Any = pdf.Root.AcroForm
    _set_missing(form, Name.Fields, Array([]))
    _set_missing(form, Name.DA, String("/Helv 0 Tf 0 g"))
    fonts = _dictionary_in(_dictionary_in(form, Name.DR), Name.Font)
    if Name.Helv not in fonts:
        fonts.Helv = pdf.make_indirect(_font(Name.Helvetica, Encoding=Name.WinAnsiEncoding))
    if Name.ZaDb not in fonts:
        fonts.ZaDb = pdf.make_indirect(_font(Name.ZapfDingbats))
    return form


def _set_missing(parent: Any, name: Name, value: Any) -> None:
    if name not in parent:
        parent[name] = value


def _dictionary_in(parent: Any, name: Name) -> Any:
    """The dictionary of this name in another one; it is made if it is missing."""
    if not isinstance(parent.get(name), Dictionary):
        parent[name] = Dictionary()
    return parent[name]


def _font(base: Name, **entries: Any) -> Dictionary:
    return Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=base, **entries)


def _text(item: AnnotationItem) -> Dictionary:
    red, green, blue = color(item.color)
    field = Dictionary(
        FT=Name.Tx,
        DA=String(f"/Helv {item.size:g} Tf {red:.3f} {green:.3f} {blue:.3f} rg"),
        V=String(item.text),
    )
    if item.type.lower() == "textfieldmultiline":
        field.Ff = MULTILINE
    quadding = {"center": 1, "right": 2}.get(item.alignment.lower())
    if quadding is not None:
        field.Q = quadding
    return field


def _checkbox(item: AnnotationItem) -> Dictionary:
    checked = item.type.lower() == "checkboxchecked"
    state = Name.Yes if checked else Name.Off
    return Dictionary(FT=Name.Btn, V=state, DV=Name.Off, DA=String("/ZaDb 0 Tf 0 g"))


def _place(pdf: Pdf, widget: Any, item: AnnotationItem, index: int, *, checkbox: bool) -> None:
    """Set the widget's entries: its position on the page, its border and its states."""
    page = view(pdf.pages[index])
    width, height = _size(item, checkbox=checkbox)
    widget.Type, widget.Subtype, widget.F = Name.Annot, Name.Widget, PRINTED
    widget.Rect = page.rectangle(item.x, item.y, width, height)
    widget.P = pdf.pages[index].obj
    widget.MK = Dictionary(BC=Array([0.4, 0.4, 0.4]))
    widget.BS = Dictionary(W=1, S=Name.S)
    if page.rotation:
        widget.MK.R = page.rotation
    if checkbox:
        widget.MK.CA = String(_TICK)
        widget.AS = Name.Yes if item.type.lower() == "checkboxchecked" else Name.Off
        widget.AP = Dictionary(
            N=Dictionary(
                Yes=_box_drawing(pdf, width, height, page.rotation, ticked=True),
                Off=_box_drawing(pdf, width, height, page.rotation, ticked=False),
            )
        )


def _size(item: AnnotationItem, *, checkbox: bool) -> tuple[float, float]:
    """Width and height of the field; defaults depend on the font size."""
    if checkbox:
        side = item.width or item.height or item.size
        return side, item.height or side
    if item.type.lower() == "textfieldmultiline":
        return item.width or 250.0, item.height or round(item.size * 6, 1)
    return item.width or 150.0, item.height or round(item.size * 1.7, 1)


def _box_drawing(pdf: Pdf, width: float, height: float, rotation: int, *, ticked: bool) -> Any:
    content = f"q 0.4 G 1 w 0.5 0.5 {width - 1:.2f} {height - 1:.2f} re S Q"
    if ticked:
        size = min(width, height) * 0.9
        x, y = (width - size * 0.846) / 2, (height - size * 0.69) / 2
        content += f" q BT 0 g /ZaDb {size:.2f} Tf {x:.2f} {y:.2f} Td ({_TICK}) Tj ET Q"
    stream = pdf.make_stream(content.encode())
    stream.Type, stream.Subtype = Name.XObject, Name.Form
    stream.BBox = Array([0, 0, width, height])
    stream.Resources = Dictionary(Font=Dictionary(ZaDb=pdf.Root.AcroForm.DR.Font.ZaDb))
    if rotation:
        cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotation]
        stream.Matrix = Array([cosine, sine, -sine, cosine, 0, 0])
    return stream
