"""A mail's HTML with everything taken out that runs, loads or pretends: only
known elements remain.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import unquote

from checkback.kinds.documents import failures

_ELEMENTS = frozenset(
    (
        "a",
        "abbr",
        "address",
        "article",
        "aside",
        "b",
        "bdi",
        "bdo",
        "big",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "details",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "font",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "main",
        "mark",
        "nav",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "section",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
        "wbr",
    )
)  # fmt: skip
_EMPTY = frozenset(("br", "col", "hr", "img", "wbr"))
#: Elements whose content is no text of the mail.
_SILENT = frozenset(
    ("script", "style", "head", "title", "noscript", "iframe", "object", "embed", "template", "svg", "math",
     "select", "textarea", "audio", "video", "canvas", "noembed", "noframes", "xmp", "plaintext")
)  # fmt: skip
_ATTRIBUTES = frozenset(
    (
        "align",
        "alt",
        "bgcolor",
        "border",
        "cellpadding",
        "cellspacing",
        "class",
        "color",
        "colspan",
        "dir",
        "face",
        "height",
        "lang",
        "rowspan",
        "size",
        "span",
        "start",
        "title",
        "type",
        "valign",
        "width",
    )
)  # fmt: skip
_LINKS = re.compile(r"(https?:|mailto:|tel:)", re.IGNORECASE)
_PICTURE = re.compile(
    r"data:image/(png|jpe?g|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE
)
# Whatever could load something, lie over the mail's head, or hide in a comment or escape.
_BAD_STYLE = re.compile(
    r"url\s*\(|image-set|@import|expression|behavior|position\s*:|\\|/\*|[<>]", re.IGNORECASE
)
MAX_DEPTH = 400


def safe_html(source: str, pictures: Mapping[str, str]) -> str:
    """The mail's body without scripts, styles sheets, forms, frames and pictures from elsewhere.

    ``pictures`` are those that the mail brings along, as ``data:`` addresses by their content id.
    """
    cleaner = _Cleaner(pictures)
    try:
        cleaner.feed(source)
        cleaner.close()
    except AssertionError as error:  # how the parser says that it does not go on
        raise failures.invalid_document("mail") from error
    return cleaner.result()


class _Cleaner(HTMLParser):
    def __init__(self, pictures: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self._pictures = pictures
        self._parts: list[str] = []
        self._open: list[str] = []
        self._silent: list[str] = []

    def result(self) -> str:
        return "".join(self._parts) + "".join(f"</{name}>" for name in reversed(self._open))

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """A section such as ``<![if !mso]>`` is a comment to browsers, whatever is in it."""
        return self.parse_bogus_comment(i, report=False)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag == "body":
            # Outlook's files lack ends of what stands in the head.
            self._silent.clear()
        if self._silent or tag not in _ELEMENTS or len(self._open) > MAX_DEPTH:
            return
        written = self._picture(attrs) if tag == "img" else self._attributes(tag, attrs)
        if written is None:
            return
        self._parts.append(f"<{tag}{written}>")
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif not self._silent and tag in self._open:
            while True:
                last = self._open.pop()
                self._parts.append(f"</{last}>")
                if last == tag:
                    break

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(html.escape(data, quote=False))

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> str:
        kept: list[str] = []
        for name, value in attrs:
            text = value or ""
            if name == "style":
                text = _safe_style(text)
            elif name == "href":
                if tag != "a" or not _LINKS.match(text.strip()):
                    continue
            elif name not in _ATTRIBUTES:
                continue
            if text or name in ("alt", "border"):
                kept.append(f' {name}="{html.escape(text)}"')
        return "".join(kept)

    def _picture(self, attrs: list[tuple[str, str | None]]) -> str | None:
        """A picture that the mail brings along; the others leave their words behind."""
        source = (dict(attrs).get("src") or "").strip()
        if source.lower().startswith("cid:"):
            source = self._pictures.get(unquote(source[4:]), "")
        if not _PICTURE.fullmatch(source):
            words = (dict(attrs).get("alt") or "").strip()
            self._parts.append(html.escape(f"[{words}]") if words else "")
            return None
        return f' src="{html.escape(source)}"' + self._attributes("img", attrs)


def _safe_style(style: str) -> str:
    declarations = (one.strip() for one in style.split(";"))
    return ";".join(one for one in declarations if one and not _BAD_STYLE.search(one))
