"""The page as a tree of boxes, made from a DOMSnapshot. Everything about geometry starts here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

LIGHT_STYLES = (
    "display", "visibility", "opacity", "position", "font-size", "grid-template-columns",
    "flex-direction", "background-color", "background-image",
)  # fmt: skip
#: The styles that are read at the further window sizes.
RESIZED_STYLES = ("display", "visibility", "opacity", "grid-template-columns", "flex-direction")
STYLES = (
    *LIGHT_STYLES,
    "color", "font-weight", "font-family", "line-height", "padding-top", "padding-right",
    "padding-bottom", "padding-left", "margin-top", "margin-bottom", "row-gap", "column-gap",
    "border-top-left-radius", "border-top-width", "box-shadow", "-webkit-background-clip",
    "text-shadow",
)  # fmt: skip

ELEMENT, TEXT = 1, 3
UNSEEN_TAGS = frozenset(
    {"script", "style", "noscript", "template", "head", "meta", "link", "title"}
)

Fields = dict[str, Any]
NO_STYLE: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in page coordinates, CSS pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def area(self) -> float:
        return self.width * self.height

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.x, other.x)
        height = min(self.bottom, other.bottom) - max(self.y, other.y)
        return width * height if width > 0 and height > 0 else 0.0

    def rounded(self) -> list[int]:
        return [round(self.x), round(self.y), round(self.width), round(self.height)]


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box around some boxes."""
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    return Box(x, y, max(box.right for box in boxes) - x, max(box.bottom for box in boxes) - y)


def _no_nodes() -> list[Node]:
    return []


@dataclass(slots=True, eq=False)
class Node:
    """An element or a text; without a box it is not rendered."""

    index: int
    kind: int
    tag: str
    text: str
    attributes: dict[str, str]
    backend_id: int
    parent: Node | None = None
    children: list[Node] = field(default_factory=_no_nodes)
    box: Box | None = None
    style: dict[str, str] = field(default_factory=dict[str, str])
    paint_order: int = 0

    def ancestors(self) -> Iterator[Node]:
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def descendants(self) -> Iterator[Node]:
        stack = self.children[::-1]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    @property
    def role(self) -> str:
        return self.attributes.get("role", "")

    @property
    def inner_text(self) -> str:
        """All texts inside, visible or not, separated by a space."""
        return " ".join(item.text for item in self.descendants() if item.text)

    @property
    def heading_level(self) -> int | None:
        """1 to 6 for a heading, by tag or by role."""
        if len(self.tag) == 2 and self.tag[0] == "h" and self.tag[1] in "123456":
            return int(self.tag[1])
        if self.role == "heading":
            level = self.attributes.get("aria-level", "2")
            return int(level) if level.isdigit() else 2
        return None


@dataclass(slots=True)
class Tree:
    """All nodes of the page in document order."""

    nodes: list[Node]
    body: Node | None
    width: float
    height: float
    #: Elements with a shadow tree of the page's own, whose content the tree holds as theirs.
    shadow_roots: int = 0

    def elements(self) -> Iterator[Node]:
        return (node for node in self.nodes if node.kind == ELEMENT)

    def visible_elements(self) -> Iterator[tuple[Node, Box]]:
        """The elements that show anything, with their boxes."""
        for node in self.elements():
            if node.box is not None and is_visible(node, self.width):
                yield node, node.box

    def texts(self) -> Iterator[Node]:
        """Rendered texts that hold more than space."""
        return (
            node for node in self.nodes if node.kind == TEXT and node.box is not None and node.text
        )


def parse(snapshot: Fields, styles: Sequence[str]) -> Tree:
    """The tree of a snapshot's first document."""
    strings: list[str] = snapshot["strings"]
    document: Fields = snapshot["documents"][0]
    nodes = _nodes(document["nodes"], strings)
    _link(nodes, document["nodes"]["parentIndex"])
    _lay_out(nodes, document["layout"], strings, styles)
    body = next((node for node in nodes if node.tag == "body"), None)
    width, height = float(document["contentWidth"]), float(document["contentHeight"])
    return Tree(nodes, body, width, height, _count_shadow_roots(document["nodes"], strings))


def _nodes(raw: Fields, strings: list[str]) -> list[Node]:
    """The nodes in document order, not linked to each other yet."""
    # The index -1 stands for no text.
    texts = [*strings, ""]
    columns: Iterator[tuple[int, int, int, list[int], int]] = zip(
        raw["nodeName"],
        raw["nodeType"],
        raw["nodeValue"],
        raw["attributes"],
        raw["backendNodeId"],
        strict=True,
    )
    nodes: list[Node] = []
    for index, (name, kind, value, pairs, backend_id) in enumerate(columns):
        text = " ".join(texts[value].split()) if kind == TEXT else ""
        attributes = {
            texts[key]: texts[item] for key, item in zip(pairs[::2], pairs[1::2], strict=True)
        }
        nodes.append(Node(index, kind, texts[name].lower(), text, attributes, backend_id))
    return nodes


def _link(nodes: list[Node], parents: list[int]) -> None:
    for node, parent in zip(nodes, parents, strict=True):
        if parent >= 0:
            node.parent = nodes[parent]
            nodes[parent].children.append(node)


def _lay_out(nodes: list[Node], layout: Fields, strings: list[str], styles: Sequence[str]) -> None:
    """Give each node that is rendered its box, style and paint order."""
    indexes: list[int] = layout["nodeIndex"]
    orders: list[int] = [*layout.get("paintOrders", ())]
    orders += [0] * (len(indexes) - len(orders))

    # Most elements share their styles with others, so few different ones are made, and they are
    # never changed.
    @cache
    def style(values: tuple[int, ...]) -> dict[str, str]:
        return _style(styles, values, strings)

    for at, index in enumerate(indexes):
        node = nodes[index]
        if node.box is not None:
            continue  # A box of generated content; the first one is the element's own.
        node.box = Box(*layout["bounds"][at])
        node.style = style(tuple(layout["styles"][at])) or _inherited_style(node)
        node.paint_order = orders[at]


def _style(names: Sequence[str], values: tuple[int, ...], strings: list[str]) -> dict[str, str]:
    pairs = zip(names, values, strict=False)
    return {name: strings[value] if value >= 0 else "" for name, value in pairs}


def _inherited_style(node: Node) -> dict[str, str]:
    """The style of a text without one: that of its parent."""
    if node.kind == TEXT and node.parent is not None:
        return node.parent.style
    return {}


def _count_shadow_roots(raw: Fields, strings: list[str]) -> int:
    marked: Fields = raw.get("shadowRootType", {})
    pairs = zip(marked.get("index", ()), marked.get("value", ()), strict=True)
    inside = {index for index, value in pairs if strings[value] in ("open", "closed")}
    return len({raw["parentIndex"][index] for index in inside} - inside)


def is_visible(node: Node, page_width: float) -> bool:
    """Whether an element shows anything: rendered, not transparent, not pushed off the page."""
    if node.kind != ELEMENT or node.tag in UNSEEN_TAGS or node.box is None:
        return False
    return not _is_hidden(node.style, node.box) and _is_on_page(node.box, page_width)


def _is_hidden(style: dict[str, str], box: Box) -> bool:
    if style.get("visibility") == "hidden" or style.get("display") == "none":
        return True
    # Tall and transparent is a section that fades in when it is scrolled to, not something hidden.
    return box.height <= 200 and pixels(style.get("opacity", "1"), 1.0) < 0.02


def _is_on_page(box: Box, page_width: float) -> bool:
    if box.width <= 2 or box.height <= 2:
        return False
    return box.right > 0 and box.x < page_width and box.bottom > 0


def pixels(value: str | None, default: float = 0.0) -> float:
    """The number at the start of a computed value such as ``16px``."""
    if not value:
        return default
    try:
        return float(value.removesuffix("px"))
    except ValueError:
        return default


def text_style(node: Node) -> dict[str, str]:
    """The style that a text is drawn with: its own box's, else that of the nearest ancestor with
    one.
    """
    if node.style:
        return node.style
    return next((parent.style for parent in node.ancestors() if parent.style), NO_STYLE)


def first_family(declared: str) -> str:
    """The first name of a font-family list, without quotes."""
    return declared.split(",")[0].strip().strip("\"'")[:80]


def font_samples(tree: Tree, most: int = 5) -> list[tuple[str, int]]:
    """For each main font family of the page an element with much text in it, by its backend id."""
    longest: dict[str, tuple[int, int]] = {}
    weight: Counter[str] = Counter()
    for family, length, backend_id in _lengths_by_family(tree):
        weight[family] += length
        known_length, _ = longest.setdefault(family, (length, backend_id))
        if length > known_length:
            longest[family] = (length, backend_id)
    return [(family, longest[family][1]) for family, _ in weight.most_common(most)]


def _lengths_by_family(tree: Tree) -> Iterator[tuple[str, int, int]]:
    """Font family, length, and the element's backend id, of each text."""
    for node in tree.texts():
        family = first_family(text_style(node).get("font-family", ""))
        if family and node.parent is not None:
            yield family, len(node.text), node.parent.backend_id
