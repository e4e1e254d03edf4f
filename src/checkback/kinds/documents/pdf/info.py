"""The metadata of a PDF and the fields of its form, in PDF.co's terms (spec section 1.6)."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, cast

import pikepdf
from pikepdf import Name, Pdf
from pikepdf.models.metadata import decode_pdf_date

from checkback.kinds.documents import failures
from checkback.kinds.documents.pdf.annotations import annotations_of
from checkback.kinds.documents.pdf.geometry import view

MAX_FIELDS = 20_000
_DATED = {"CreationDate": "/CreationDate", "ModificationDate": "/ModDate"}
_TEXTS = {"Author": "/Author", "Title": "/Title", "Producer": "/Producer", "Subject": "/Subject",
          "Keywords": "/Keywords", "Creator": "/Creator"}  # fmt: skip
_ALGORITHMS = {2: "RC4_40bit", 3: "RC4_128bit", 5: "AES_256bit", 6: "AES_256bit"}
_RADIO, _PUSH, _COMBO = 1 << 15, 1 << 16, 1 << 17


def information(path: Path, pdf: Pdf, *, password_given: bool) -> dict[str, Any]:
    """Page count, metadata, dates, the box of the first page, protection and permissions."""
    if not pdf.pages:
        raise failures.invalid_document()
    info: dict[str, Any] = {"PageCount": len(pdf.pages)}
    info |= _metadata(pdf.docinfo)
    info["Bookmarks"] = _has_outline(pdf)
    info["FileSize"] = path.stat().st_size
    info["PdfVersion"] = pdf.pdf_version
    info["PageRectangle"] = _rectangle(pdf)
    return info | _protection(pdf, password_given=password_given)


def _metadata(docinfo: Any) -> dict[str, Any]:
    texts = {name: _text(docinfo.get(key)) for name, key in _TEXTS.items()}
    moments = {name: _moment(docinfo.get(key)) for name, key in _DATED.items()}
    return texts | moments


def form_fields(pdf: Pdf) -> list[dict[str, Any]]:
    """Every field with its value, by its full name. Raises ``unsupported`` for a form with XFA
    only.
    """
    form: Any = pdf.Root.get("/AcroForm")
    if form is None:
        return []
    pages = _PageIndexes(pdf)
    typed = islice(filter(_has_type, pdf.acroform.fields), MAX_FIELDS)
    fields = [_field(field, pages) for field in typed]
    if not fields and "/XFA" in form:
        raise failures.unsupported(
            "An XFA form", "Open it in its own program and save it as an ordinary PDF."
        )
    return fields


def _has_type(field: Any) -> bool:
    return bool(field.field_type)


def _field(field: Any, pages: _PageIndexes) -> dict[str, Any]:
    return {
        "FieldName": field.fully_qualified_name,
        "Value": _value(field),
        "Type": _type(str(field.field_type), int(field.flags)),
        "AltFieldName": field.alternate_name or "",
        "PageIndex": pages.of_field(field.obj),
    }


def _value(field: Any) -> str:
    value: Any = field.value
    if value is None:
        return ""
    if isinstance(value, pikepdf.Array):
        return ", ".join(map(str, cast("Any", value)))
    if isinstance(value, pikepdf.Object):
        return str(value).removeprefix("/")  # the slash of a name
    return str(value)


def _type(kind: str, flags: int) -> str:
    if kind == "/Btn":
        return _button_type(flags)
    if kind == "/Ch":
        return "ComboBox" if flags & _COMBO else "ListBox"
    return {"/Tx": "EditBox", "/Sig": "Signature"}.get(kind, kind.removeprefix("/"))


def _button_type(flags: int) -> str:
    if flags & _PUSH:
        return "PushButton"
    return "RadioButton" if flags & _RADIO else "CheckBox"


class _PageIndexes:
    """Finds the page of a form field."""

    def __init__(self, pdf: Pdf) -> None:
        self._pages: dict[tuple[int, int], int] = {}
        self._widgets: dict[tuple[int, int], int] = {}
        for index, page in enumerate(pdf.pages):
            self._pages[page.obj.objgen] = index
            for annotation in annotations_of(page):
                self._widgets.setdefault(annotation.objgen, index)

    def of_field(self, field: Any) -> int | None:
        """The page of the field's first widget with a known page."""
        kids: Any = field.get("/Kids")
        for widget in (field, *(kids or ())):
            index = self._of_widget(widget)
            if index is not None:
                return index
        return None

    def _of_widget(self, widget: Any) -> int | None:
        index = self._widgets.get(widget.objgen)
        if index is not None or not isinstance(widget, pikepdf.Dictionary):
            return index
        page: Any = widget.get("/P")
        return None if page is None else self._pages.get(page.objgen)


def _protection(pdf: Pdf, *, password_given: bool) -> dict[str, Any]:
    if not pdf.is_encrypted:
        return {"Encrypted": False, "PasswordProtected": False, "EncryptionAlgorithm": "None"}
    allow = pdf.allow
    return {
        "Encrypted": True,
        "PasswordProtected": password_given,
        "EncryptionAlgorithm": _algorithm(pdf),
        "PermissionPrinting": allow.print_lowres,
        "PermissionPrintHighResolution": allow.print_highres,
        "PermissionModifyDocument": allow.modify_other,
        "PermissionContentExtraction": allow.extract,
        "PermissionModifyAnnotations": allow.modify_annotation,
        "PermissionFillForms": allow.modify_form,
        "PermissionAccessibilitySupport": allow.accessibility,
        "PermissionAssemblyDocument": allow.modify_assembly,
    }


def _algorithm(pdf: Pdf) -> str:
    encryption = pdf.encryption
    if encryption.R in _ALGORITHMS:
        return _ALGORITHMS[encryption.R]
    return "AES_128bit" if "aes" in str(encryption.stream_method).lower() else "RC4_128bit"


def _rectangle(pdf: Pdf) -> dict[str, Any]:
    seen = view(pdf.pages[0])
    box = {"X": seen.left, "Y": seen.bottom, "Width": seen.width, "Height": seen.height}
    edges = {"Left": seen.left, "Top": seen.top, "Right": seen.right, "Bottom": seen.bottom}
    return {name: round(value, 2) for name, value in {**box, **edges}.items()}


def _has_outline(pdf: Pdf) -> bool:
    outlines: Any = pdf.Root.get("/Outlines")
    return isinstance(outlines, pikepdf.Dictionary) and Name.First in outlines


def _moment(value: Any) -> str | None:
    """A date in ISO 8601; unchanged if it is not a PDF date."""
    text = _text(value)
    try:
        return decode_pdf_date(text).isoformat() if text else None
    except ValueError:
        return text


def _text(value: Any) -> str | None:
    return str(value)[:2000] if value is not None else None
