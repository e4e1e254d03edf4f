"""The text of a PDF as JSON, XML and HTML: pages, rows and columns with fonts and positions.

The keys follow PDF.co's samples (spec section 1.6); there is no published schema. ``checkback`` is
the version of this format. Positions are in points from the top left of the page.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from checkback.kinds.documents.pdf.text.lines import Line, lines_of, pieces_of
from checkback.kinds.documents.pdf.text.reader import PageContent
from checkback.kinds.documents.pdf.text.words import Word, fonts

VERSION = 1
_X1, _TOP, _BOTTOM = map(attrgetter, ("x1", "top", "bottom"))
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class TextRun:
    """A piece of a line: words with gaps that are smaller than those between columns."""

    text: str
    x: float
    y: float
    width: float
    height: float
    font: str
    size: float


@dataclass(frozen=True, slots=True)
class TextPage:
    """A page as rows of runs."""

    index: int
    width: float
    height: float
    rows: list[list[TextRun]]


def text_pages(contents: Iterable[PageContent]) -> Iterator[TextPage]:
    """The pages as rows of runs. Each page is read while it is open."""
    for content in contents:
        pieces = list(map(pieces_of, lines_of(content.words)))
        width, height = round(content.frame.width, 2), round(content.frame.height, 2)
        yield TextPage(content.index, width, height, _rows(content, pieces))


def _rows(content: PageContent, pieces: list[list[list[Word]]]) -> list[list[TextRun]]:
    """The pieces of each line as runs. The fonts of all of them are read at once."""
    firsts = [piece[0] for row in pieces for piece in row]
    styles = iter(_styles(content, firsts))
    return [[_run(piece, *next(styles)) for piece in row] for row in pieces]


def _styles(content: PageContent, words: Sequence[Word]) -> list[tuple[str, float]]:
    """The font and its size for each word. A recognized word has no font."""
    if content.recognized:
        return [("", round(word.height, 2)) for word in words]
    return fonts(content.page, [word.at for word in words])


def to_json(pages: Iterable[TextPage]) -> str:
    """``document.page[].row[].column[].text`` with ``@fontName``, ``@x`` and so on."""
    page_objects = [_json_page(page) for page in pages]
    content = {"pageCount": len(page_objects), "page": page_objects}
    return json.dumps({"checkback": VERSION, "document": content}, ensure_ascii=False)


def _json_page(page: TextPage) -> dict[str, Any]:
    return {
        "@index": str(page.index),
        "@width": page.width,
        "@height": page.height,
        "row": list(map(_json_row, page.rows)),
    }


def _json_row(row: list[TextRun]) -> dict[str, Any]:
    return {"column": [{"text": _json_run(run)} for run in row]}


def to_xml(pages: Iterable[TextPage]) -> str:
    """``document/page/row/column/text`` with the same attributes."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>', f'<document checkback="{VERSION}">']
    for page in pages:
        parts.append(f'<page index="{page.index}" width="{page.width}" height="{page.height}">')
        parts += map(_xml_row, page.rows)
        parts.append("</page>")
    return "\n".join([*parts, "</document>", ""])


def _xml_row(row: list[TextRun]) -> str:
    columns = "".join(f"<column>{_xml_run(run)}</column>" for run in row)
    return f"<row>{columns}</row>"


def to_html(pages: Iterable[TextPage], title: str) -> str:
    """Each page as a box with its runs at their positions. The HTML runs and loads nothing."""
    parts = [
        "<!DOCTYPE html>\n<html>\n<head>\n<meta "
        f'charset="utf-8">\n<title>{html.escape(title)}</title>',
        "<style>.page{position:relative;margin:8px auto;border:1px solid #ccc;background:#fff}"
        ".page span{position:absolute;white-space:pre}</style>\n</head>\n<body>",
    ]
    for page in pages:
        size = f"width:{page.width}pt;height:{page.height}pt"
        parts.append(f'<div class="page" id="page{page.index}" style="{size}">')
        parts += map(_html_run, chain.from_iterable(page.rows))
        parts.append("</div>")
    return "\n".join([*parts, "</body>\n</html>\n"])


def _run(words: list[Word], font: str, size: float) -> TextRun:
    top, bottom = min(map(_TOP, words)), max(map(_BOTTOM, words))
    left, right = words[0].x0, max(map(_X1, words))
    return TextRun(
        Line(top, words).text,
        round(left, 2),
        round(top, 2),
        round(right - left, 2),
        round(bottom - top, 2),
        font,
        size,
    )


def _attributes(run: TextRun) -> dict[str, str]:
    return {
        "fontName": run.font,
        "fontSize": str(run.size),
        "x": str(run.x),
        "y": str(run.y),
        "width": str(run.width),
        "height": str(run.height),
    }


def _json_run(run: TextRun) -> dict[str, str]:
    return {f"@{name}": value for name, value in _attributes(run).items()} | {"#text": run.text}


def _xml_run(run: TextRun) -> str:
    attributes = "".join(
        f" {name}={quoteattr(_NOT_XML.sub('', value))}" for name, value in _attributes(run).items()
    )
    return f"<text{attributes}>{escape(_NOT_XML.sub('', run.text))}</text>"


def _html_run(run: TextRun) -> str:
    font = re.sub(r"[^A-Za-z0-9 _-]", "", run.font)
    style = f"left:{run.x}pt;top:{run.y}pt;font-size:{run.size or run.height}pt"
    family = f";font-family:'{font}',sans-serif" if font else ""
    return f'<span style="{style}{family}">{html.escape(run.text)}</span>'
