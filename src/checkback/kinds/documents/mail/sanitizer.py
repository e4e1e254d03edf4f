"""Removes from the HTML of an e-mail everything that runs code, loads something or imitates the
page around it: only known elements and attributes remain.
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
#: Elements whose content is not shown as text.
_SILENT = frozenset(
    ("script", "style", "head", "title", "noscript", "iframe", "object", "embed", "template",
     "svg", "math", "select", "textarea", "audio", "video", "canvas", "noembed", "noframes",
     "xmp", "plaintext")
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
_DATA_IMAGE = re.compile(
    r"data:image/(png|jpe?g|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE
)
# What could load something, cover the header of the e-mail, or hide in a comment or an escape.
_BAD_STYLE = re.compile(
    r"url\s*\(|image-set|@import|expression|behavior|position\s*:|\\|/\*|[<>]", re.IGNORECASE
)
MAX_DEPTH = 400

Attributes = list[tuple[str, str | None]]


def safe_html(source: str, images: Mapping[str, str]) -> str:
    """The body of the e-mail without scripts, style sheets, forms, frames and remote images.

    ``images`` are those that the e-mail contains, as ``data:`` URLs by their content id.
    """
    cleaner = _Cleaner(images)
    try:
        cleaner.feed(source)
        cleaner.close()
    except AssertionError as error:  # the parser cannot continue
        raise failures.invalid_document("an e-mail") from error
    return cleaner.result()


class _Cleaner(HTMLParser):
    def __init__(self, images: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self._images = images
        self._parts: list[str] = []
        self._open: list[str] = []
        self._silent: list[str] = []

    def result(self) -> str:
        return "".join(self._parts) + "".join(f"</{name}>" for name in reversed(self._open))

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """A section such as ``<![if !mso]>`` is a comment to browsers, whatever is in it."""
        return self.parse_bogus_comment(i, report=False)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self._note_silence(tag)
        if self._is_hidden(tag):
            return
        if tag == "img":
            self._add_image(attrs)
        else:
            self._add_element(tag, attrs)

    def _note_silence(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag == "body":
            # The files of Outlook lack end tags in the head.
            self._silent.clear()

    def _is_hidden(self, tag: str) -> bool:
        return bool(self._silent) or tag not in _ELEMENTS or len(self._open) > MAX_DEPTH

    def _add_element(self, tag: str, attrs: Attributes) -> None:
        self._parts.append(f"<{tag}{_attributes(tag, attrs)}>")
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif not self._silent and tag in self._open:
            self._close(tag)

    def _close(self, tag: str) -> None:
        """Close the element, and the elements that are open inside of it."""
        last = None
        while last != tag:
            last = self._open.pop()
            self._parts.append(f"</{last}>")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(html.escape(data, quote=False))

    def _add_image(self, attrs: Attributes) -> None:
        """Add an image that the e-mail contains; for every other image its alternative text."""
        source = self._image_source(attrs)
        if _DATA_IMAGE.fullmatch(source):
            others = _attributes("img", attrs)
            self._parts.append(f'<img src="{html.escape(source)}"{others}>')
        else:
            self._add_alternative(attrs)

    def _add_alternative(self, attrs: Attributes) -> None:
        alternative = _value_of("alt", attrs)
        if alternative:
            self._parts.append(html.escape(f"[{alternative}]"))

    def _image_source(self, attrs: Attributes) -> str:
        """The URL of an image; that of its content for an image in the e-mail."""
        source = _value_of("src", attrs)
        if source.lower().startswith("cid:"):
            return self._images.get(unquote(source[4:]), "")
        return source


def _value_of(name: str, attrs: Attributes) -> str:
    return (dict(attrs).get(name) or "").strip()


def _attributes(tag: str, attrs: Attributes) -> str:
    """The safe attributes of an element, as HTML."""
    kept: list[str] = []
    for name, value in attrs:
        text = _safe_value(tag, name, value or "")
        if text or name in ("alt", "border"):
            kept.append(f' {name}="{html.escape(text)}"')
    return "".join(kept)


def _safe_value(tag: str, name: str, value: str) -> str:
    """The value of an attribute; of a style what is safe; empty if it is not allowed."""
    if name == "style":
        return _safe_style(value)
    return value if _is_allowed(tag, name, value) else ""


def _is_allowed(tag: str, name: str, value: str) -> bool:
    if name == "href":
        return tag == "a" and _LINKS.match(value.strip()) is not None
    return name in _ATTRIBUTES


def _safe_style(style: str) -> str:
    """The declarations of a style that only change how the element looks."""
    kept: list[str] = []
    for declaration in style.split(";"):
        plain = declaration.strip()
        if plain and not _BAD_STYLE.search(plain):
            kept.append(plain)
    return ";".join(kept)
