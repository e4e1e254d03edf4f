"""What a PDF says of itself, and its form's fields, in PDF.co's words (spec section 1.6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pikepdf
from pikepdf import Name, Pdf
from pikepdf.models.metadata import decode_pdf_date

from checkback.kinds.documents import failures
from checkback.kinds.documents.pdf.geometry import view

MAX_FIELDS = 20_000
_DATED = {"CreationDate": "/CreationDate", "ModificationDate": "/ModDate"}
_TEXTS = {"Author": "/Author", "Title": "/Title", "Producer": "/Producer", "Subject": "/Subject",
          "Keywords": "/Keywords", "Creator": "/Creator"}  # fmt: skip
_RADIO, _PUSH, _COMBO = 1 << 15, 1 << 16, 1 << 17


def information(path: Path, pdf: Pdf, *, password_given: bool) -> dict[str, Any]:
    """Page count, texts, dates, the first page's box, protection and permissions."""
    if not pdf.pages:
        raise failures.invalid_document()
    info: dict[str, Any] = {"PageCount": len(pdf.pages)}
    docinfo = pdf.docinfo
    info |= {name: _text(docinfo.get(key)) for name, key in _TEXTS.items()}
    info |= {name: _moment(docinfo.get(key)) for name, key in _DATED.items()}
    info["Bookmarks"] = _has_outline(pdf)
    info["FileSize"] = path.stat().st_size
    info["PdfVersion"] = pdf.pdf_version
    info["PageRectangle"] = _rectangle(pdf)
    return info | _protection(pdf, password_given=password_given)


def form_fields(pdf: Pdf) -> list[dict[str, Any]]:
    """Every field with a value, by its whole name. Raises ``unsupported`` for a form that is XFA
    only.
    """
    form: Any = pdf.Root.get("/AcroForm")
    if form is None:
        return []
    pages = {page.obj.objgen: index for index, page in enumerate(pdf.pages)}
    placed = _widget_pages(pdf)
    found: list[dict[str, Any]] = []
    for field in pdf.acroform.fields:
        kind = field.field_type
        if not kind or len(found) >= MAX_FIELDS:
            continue
        found.append(
            {
                "FieldName": field.fully_qualified_name,
                "Value": _value(field),
                "Type": _type(str(kind), int(field.flags)),
                "AltFieldName": field.alternate_name or "",
                "PageIndex": _page_index(field.obj, pages, placed),
            }
        )
    if not found and "/XFA" in form:
        raise failures.unsupported(
            "An XFA form", "Open it in its own program and save it as an ordinary PDF."
        )
    return found


def _value(field: Any) -> str:
    value: Any = field.value
    if value is None:
        return ""
    if isinstance(value, pikepdf.Array):
        return ", ".join(str(item) for item in cast("Any", value))
    text = str(value)
    return (
        text.removeprefix("/")
        if isinstance(value, pikepdf.Object) and text.startswith("/")
        else text
    )


def _type(kind: str, flags: int) -> str:
    match kind:
        case "/Tx":
            return "EditBox"
        case "/Btn":
            return (
                "PushButton" if flags & _PUSH else "RadioButton" if flags & _RADIO else "CheckBox"
            )
        case "/Ch":
            return "ComboBox" if flags & _COMBO else "ListBox"
        case "/Sig":
            return "Signature"
        case _:
            return kind.removeprefix("/")


def _widget_pages(pdf: Pdf) -> dict[tuple[int, int], int]:
    """On which page each widget stands: not every one tells its page itself."""
    placed: dict[tuple[int, int], int] = {}
    for index, page in enumerate(pdf.pages):
        annotations: Any = page.obj.get("/Annots")
        if isinstance(annotations, pikepdf.Array):
            for annotation in cast("Any", annotations):
                placed.setdefault(annotation.objgen, index)
    return placed


def _page_index(
    field: Any, pages: dict[tuple[int, int], int], placed: dict[tuple[int, int], int]
) -> int | None:
    kids: Any = field.get("/Kids")
    widgets: list[Any] = [field, *(kids or [])]
    for widget in widgets:
        found = placed.get(widget.objgen)
        page: Any = widget.get("/P") if isinstance(widget, pikepdf.Dictionary) else None
        if found is None and page is not None:
            found = pages.get(page.objgen)
        if found is not None:
            return found
    return None


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
    return {2: "RC4_40bit", 3: "RC4_128bit", 5: "AES_256bit", 6: "AES_256bit"}.get(
        encryption.R,
        "AES_128bit" if "aes" in str(encryption.stream_method).lower() else "RC4_128bit",
    )


def _rectangle(pdf: Pdf) -> dict[str, Any]:
    seen = view(pdf.pages[0])
    box = {"X": seen.left, "Y": seen.bottom, "Width": seen.width, "Height": seen.height}
    edges = {"Left": seen.left, "Top": seen.top, "Right": seen.right, "Bottom": seen.bottom}
    return {name: round(value, 2) for name, value in {**box, **edges}.items()}


def _has_outline(pdf: Pdf) -> bool:
    outlines: Any = pdf.Root.get("/Outlines")
    return isinstance(outlines, pikepdf.Dictionary) and Name.First in outlines


def _moment(value: Any) -> str | None:
    """A date as ISO 8601; as the document has it where that is no date."""
    text = _text(value)
    try:
        return decode_pdf_date(text).isoformat() if text else None
    except ValueError:
        return text


def _text(value: Any) -> str | None:
    return str(value)[:2000] if value is not None else None
