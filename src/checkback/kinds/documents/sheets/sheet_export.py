"""A worksheet as CSV, JSON, HTML, text or XML."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape, quoteattr

from checkback.kinds.documents.sheets.read import Sheet, Value

# Characters that XML 1.0 does not allow, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_csv(sheet: Sheet) -> str:
    """Comma-separated, as in RFC 4180."""
    target = io.StringIO()
    csv.writer(target).writerows([[shown(value) for value in row] for row in sheet.rows])
    return target.getvalue()


def to_json(sheet: Sheet) -> str:
    """The rows as lists of values: numbers stay numbers."""
    return json.dumps(
        {"worksheet": sheet.name, "index": sheet.index, "rows": sheet.rows}, ensure_ascii=False
    )


def to_html(sheet: Sheet) -> str:
    """A page with one table."""
    title = html.escape(sheet.name)
    rows = "\n".join(
        "<tr>"
        + "".join(f"<td{_align(value)}>{html.escape(shown(value))}</td>" for value in row)
        + "</tr>"
        for row in sheet.rows
    )
    return (
        f'<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        "<style>table{border-collapse:collapse}td{border:1px solid #999;padding:2px 6px}"
        "td.n{text-align:right}</style>\n</head>\n"
        f"<body>\n<table>\n{rows}\n</table>\n</body>\n</html>\n"
    )


def to_txt(sheet: Sheet) -> str:
    """Columns aligned with spaces, numbers to the right, lines ending with CRLF."""
    texts = [list(map(_one_line, row)) for row in sheet.rows]
    widths = [max(map(_columns, column), default=0) for column in zip(*texts, strict=True)]
    lines = [_aligned(*row, widths) for row in zip(texts, sheet.rows, strict=True)]
    return "".join(lines)


def _one_line(value: Value) -> str:
    return " ".join(shown(value).split())


def _aligned(texts: list[str], values: list[Value], widths: list[int]) -> str:
    """A line with the texts of the values, each as wide as its column."""
    cells = map(_padded, texts, widths, map(is_number, values))
    return "  ".join(cells).rstrip() + "\r\n"


def to_xml(sheet: Sheet) -> str:
    """One element for each row and column."""
    rows = "\n".join(
        "<row>" + "".join(f"<column>{_xml(shown(value))}</column>" for value in row) + "</row>"
        for row in sheet.rows
    )
    name = quoteattr(_NOT_XML.sub("", sheet.name))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<document>\n<worksheet index="{sheet.index}" '
        f"name={name}>\n{rows}\n</worksheet>\n</document>\n"
    )


FORMATS: Mapping[str, Callable[[Sheet], str]] = {
    "csv": to_csv,
    "json": to_json,
    "html": to_html,
    "txt": to_txt,
    "xml": to_xml,
}


def shown(value: Value) -> str:
    """A value as text."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return repr(value) if isinstance(value, float) else str(value)


def is_number(value: Value) -> bool:
    """Whether a value is shown at the right of its cell."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _align(value: Value) -> str:
    return ' class="n"' if is_number(value) else ""


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("", text))


def _columns(text: str) -> int:
    """The width of a text in a fixed-width font, where East Asian characters take two columns."""
    if text.isascii():
        return len(text)
    return sum(map(_character_columns, text))


def _character_columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - _columns(text))
    return blanks + text if right else text + blanks
