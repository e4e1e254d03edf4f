"""What each box of the page holds, summed from the bottom up: texts, headings, links, fields and
images.

Tags, roles and what is drawn count; class names and ids never do, because they say what an author
called a thing, not what it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields

from checkback.kinds.pages.dom.colors import parse_color
from checkback.kinds.pages.dom.snapshot import ELEMENT, TEXT, Box, Node, Tree, is_visible, pixels

_PRICE = re.compile(r"[$€£¥￥]\s?\d|\d\s?(円|€|USD|EUR)|/\s?(mo|month|yr|year|月)\b")
_QUOTE = re.compile(r"^[\"“«『「‘']")
_WORD = re.compile(r"[^\W\d]{3}")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_BUTTON_DISPLAYS = frozenset({"inline-block", "inline-flex", "block", "flex"})
_BUTTON_TYPES = frozenset({"submit", "button"})
_TEXT_FIELDS = frozenset({"text", "email", "tel", "search", "password", "number", "url"})
_TITLE_TAGS = frozenset({"div", "p", "span", "a", "strong"})

#: A short text at least this large is a heading for the eye, whatever its tag.
VISUAL_HEADING_PX = 30
#: The ``top_level`` of a box without headings.
NO_HEADING = 9
_MAX_TEXT = 160


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading by tag, by role, or for the eye."""

    level: int
    text: str
    size: float
    y: float


@dataclass(frozen=True, slots=True)
class DrawnText:
    """One text as it is drawn."""

    size: float
    text: str
    y: float

    @property
    def is_question(self) -> bool:
        return self.text.rstrip().endswith(("?", "？"))


@dataclass(slots=True)
class Content:
    """The sum of what a box holds. Numbers add up, lists join in document order."""

    characters: int = 0
    words: int = 0
    links: int = 0
    link_characters: int = 0
    buttons: int = 0
    textareas: int = 0
    quotes: int = 0
    stars: int = 0
    prices: int = 0
    disclosures: int = 0
    graphics: int = 0
    tables: int = 0
    code: int = 0
    fields: list[str] = field(default_factory=list[str])
    images: list[Box] = field(default_factory=list[Box])
    portraits: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    headings: list[Heading] = field(default_factory=list[Heading])
    texts: list[DrawnText] = field(default_factory=list[DrawnText])

    def add(self, other: Content) -> None:
        """Take another box's content into this one."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _LISTS:
            getattr(self, name).extend(getattr(other, name))

    @property
    def top_level(self) -> int:
        """The smallest heading level in here."""
        return min((heading.level for heading in self.headings), default=NO_HEADING)

    @property
    def is_empty(self) -> bool:
        return not (self.characters or self.images or self.fields or self.graphics)

    @property
    def is_text_only(self) -> bool:
        """Whether it holds nothing but running text and links."""
        if self.headings or self.images or self.graphics or self.tables:
            return False
        if self.buttons or self.fields:
            return False
        return not self.quotes and not self.prices

    @property
    def is_mostly_links(self) -> bool:
        return self.link_characters > 0.6 * max(1, self.characters)

    @property
    def controls(self) -> int:
        return self.links + self.buttons

    @property
    def text(self) -> str:
        return " ".join(text.text for text in self.texts)


_NUMBERS = tuple(item.name for item in fields(Content) if item.type == "int")
_LISTS = tuple(item.name for item in fields(Content) if item.type != "int")


def total(contents: list[Content]) -> Content:
    """The content of several boxes together."""
    result = Content()
    for content in contents:
        result.add(content)
    return result


def read_contents(tree: Tree) -> dict[int, Content]:
    """The content of every node, by its index.

    Walks the document backwards, so children come before their parent and no depth is too deep.
    """
    contents: dict[int, Content] = {}
    for node in reversed(tree.nodes):
        if node.kind in (TEXT, ELEMENT):
            contents[node.index] = _content_of(node, contents, tree.width)
    return contents


def _content_of(node: Node, contents: dict[int, Content], page_width: float) -> Content:
    if node.kind == TEXT:
        return _content_of_text(node)
    return _content_of_element(node, contents, page_width)


def _content_of_element(node: Node, contents: dict[int, Content], page_width: float) -> Content:
    if not _counts(node, page_width):
        return Content()
    content = total([contents[child.index] for child in node.children if child.index in contents])
    if node.box is not None:
        _add_own(node, node.box, content)
    return content


def _counts(node: Node, page_width: float) -> bool:
    """Whether what an element holds can be seen."""
    if node.box is None or node.tag == "html":
        return True
    return is_visible(node, page_width)


def _content_of_text(node: Node) -> Content:
    content = Content()
    if node.box is None or not node.text:
        return content
    text = node.text
    size = pixels(node.style.get("font-size"), 16)
    content.characters = len(text)
    content.words = count_words(text)
    content.texts = [DrawnText(size, text[:_MAX_TEXT], node.box.y)]
    content.prices = bool(_PRICE.search(text))
    content.quotes = _is_quote(text)
    content.stars = "★" in text
    return content


def _is_quote(text: str) -> bool:
    return len(text) > 40 and _QUOTE.match(text) is not None


def count_words(text: str) -> int:
    """Words as they are separated; two ideographs or kana count as one."""
    count = len(text.split())
    return count if text.isascii() else count + len(_IDEOGRAPH.findall(text)) // 2


def _add_own(node: Node, box: Box, content: Content) -> None:
    """Add what an element is itself to what its children hold."""
    tag = node.tag
    _add_controls(node, box, content)
    _add_field(node, content)
    if _is_image(node, box):
        content.images.append(box)
    if _is_portrait(node, box, content):
        content.portraits.append((round(box.x), round(box.y)))
    content.quotes += tag in ("blockquote", "q")
    content.graphics += tag in ("canvas", "svg")
    content.tables += tag == "table"
    content.code += tag in ("pre", "code")
    _add_heading(node, box, content)


def _add_controls(node: Node, box: Box, content: Content) -> None:
    tag, attributes = node.tag, node.attributes
    if tag == "a" and "href" in attributes:
        content.links += 1
        content.link_characters += content.characters
    content.buttons += _is_button(node, box, content)
    content.disclosures += tag == "details" or "aria-expanded" in attributes


def _add_field(node: Node, content: Content) -> None:
    field_type = node.attributes.get("type", "text")
    is_text_field = node.tag == "input" and field_type in _TEXT_FIELDS
    if is_text_field or node.tag == "select":
        content.fields.append(field_type)
    content.textareas += node.tag == "textarea"


def _is_button(node: Node, box: Box, content: Content) -> bool:
    if node.tag == "input":
        return node.attributes.get("type") in _BUTTON_TYPES
    return node.tag == "button" or _is_button_link(node, box, content)


def _is_button_link(node: Node, box: Box, content: Content) -> bool:
    """Whether a link looks like a button: a small box with a background or a border."""
    if node.tag != "a" or node.style.get("display") not in _BUTTON_DISPLAYS:
        return False
    if box.height < 28 or box.width >= 420 or content.characters >= 40:
        return False
    return is_painted(node, 0.5) or _has_border(node)


def is_painted(node: Node, alpha: float = 0.3) -> bool:
    """Whether an element has its own background, a color or an image."""
    color = parse_color(node.style.get("background-color", ""))
    if color is not None and color.alpha > alpha:
        return True
    return node.style.get("background-image", "none") not in ("none", "")


def is_framed(node: Node) -> bool:
    """Whether an element looks like a card or panel: it has a background, a border or a shadow."""
    has_shadow = node.style.get("box-shadow", "none") not in ("none", "")
    return has_shadow or is_painted(node) or _has_border(node)


def _has_border(node: Node) -> bool:
    return pixels(node.style.get("border-top-width")) >= 1


def _is_image(node: Node, box: Box) -> bool:
    return node.tag in ("img", "picture", "video") or _has_background_image(node, box)


def _has_background_image(node: Node, box: Box) -> bool:
    image = node.style.get("background-image", "")
    return image.startswith("url") and box.width > 80 and box.height > 80


def _is_portrait(node: Node, box: Box, content: Content) -> bool:
    """Whether a box is round, square in its outline, and holds an image."""
    if not content.images or not 48 <= box.width <= 280:
        return False
    if abs(box.width - box.height) >= 0.15 * box.width:
        return False
    radius = node.style.get("border-top-left-radius", "")
    return "50%" in radius or pixels(radius) >= box.width / 2 - 1


def _add_heading(node: Node, box: Box, content: Content) -> None:
    level = node.heading_level
    if level is not None:
        _add_declared_heading(level, box, content)
    elif _is_visual_heading(node, box, content):
        first = content.texts[0]
        content.headings.append(_visual_heading(first, box))


def _visual_heading(text: DrawnText, box: Box) -> Heading:
    level = 2 if text.size < 40 else 1
    return Heading(level, text.text[:_MAX_TEXT], text.size, box.y)


def _add_declared_heading(level: int, box: Box, content: Content) -> None:
    text = content.text.strip()
    if text:
        size = max((text.size for text in content.texts), default=16.0)
        content.headings.append(Heading(level, text[:_MAX_TEXT], size, box.y))


def _is_visual_heading(node: Node, box: Box, content: Content) -> bool:
    """Whether a short, large text is a heading for the eye."""
    if node.tag not in _TITLE_TAGS or content.headings or not _is_short(content):
        return False
    first = content.texts[0]
    is_large = first.size >= VISUAL_HEADING_PX and box.height < 260
    return is_large and _WORD.search(first.text) is not None


def _is_short(content: Content) -> bool:
    """Whether there are one or two texts, which together have the length of a title."""
    return 1 <= len(content.texts) <= 2 and 3 < content.characters < 110
