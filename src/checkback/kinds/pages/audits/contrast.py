"""Contrast of every text with what is behind it, from the snapshot.

This takes milliseconds where a rule in the page takes seconds. What is behind a text is not always
known: an image, a gradient, a bar that floats over something. Such text counts as unknown, never
as passed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checkback.kinds.pages.dom.colors import WHITE, Color, contrast_ratio, parse_color
from checkback.kinds.pages.dom.selectors import css_path
from checkback.kinds.pages.dom.snapshot import (
    ELEMENT,
    Box,
    Node,
    Tree,
    is_visible,
    pixels,
    text_style,
)

MAX_LISTED = 40
#: Pixels down the page.
BAND = 250.0
LARGE_PX = 24.0
LARGE_BOLD_PX = 18.66
#: axe, too, cuts ratios off after the second digit before it compares.
_TOLERANCE = 0.005
_MAX_BANDS = 8
_COLOR = re.compile(r"(?:rgba?|color|oklch|oklab|lab|lch)\([^()]*\)")
_CONTROLS = frozenset({"button", "input", "select", "textarea", "fieldset", "option", "optgroup"})
#: Types of inputs that show no text in their own color.
_TEXTLESS_INPUTS = frozenset({"hidden", "range", "color", "checkbox", "radio", "image"})
_IMAGE_TAGS = frozenset({"img", "video", "canvas", "svg", "picture", "iframe", "object", "embed"})

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Paint:
    """Something painted that may be below a text without being its ancestor."""

    box: Box
    order: int
    node: Node


class Paints:
    """What is painted, by its position down the page, so that each text is compared only with what
    is near it.
    """

    def __init__(self, paints: list[Paint]) -> None:
        self._bands: defaultdict[int, list[Paint]] = defaultdict(list)
        self._tall: list[Paint] = []
        for paint in paints:
            self._add(paint)

    def _add(self, paint: Paint) -> None:
        bands = _bands(paint.box)
        if len(bands) > _MAX_BANDS + 1:
            self._tall.append(paint)
            return
        for band in bands:
            self._bands[band].append(paint)

    def near(self, box: Box) -> Iterator[Paint]:
        """Everything that may overlap a box; some of it twice."""
        yield from self._tall
        for band in _bands(box):
            yield from self._bands.get(band, ())


def _bands(box: Box) -> range:
    """The bands of the page that a box is in."""
    return range(int(box.y // BAND), int(box.bottom // BAND) + 1)


@dataclass(frozen=True, slots=True)
class TextContrast:
    """The contrast of one text; ``node`` is the element that holds it."""

    node: Node
    text: str
    needed: float
    #: The best it may have; None if that is unknown, and ``reason`` says why.
    ratio: float | None = None
    color: Color | None = None
    ground: Color | None = None
    reason: str = ""

    @property
    def fails(self) -> bool:
        return self.ratio is not None and self.ratio < self.needed - _TOLERANCE


def judge_texts(tree: Tree) -> Iterator[TextContrast]:
    """The contrast of every text that can be read, and of every field that can be filled in."""
    paints = Paints(_paints(tree))
    disabled = _disabled_controls(tree)
    for node, parent in _readable_texts(tree, disabled):
        yield _judge(node, parent, node.text, paints)
    for node in _readable_fields(tree, disabled):
        yield _judge(node, node, _field_text(node), paints)


def _readable_texts(tree: Tree, disabled: set[int]) -> Iterator[tuple[Node, Node]]:
    """The texts to judge, each with the element that it is drawn in."""
    for node in tree.texts():
        parent = next((item for item in node.ancestors() if item.style), None)
        if parent is None or not _is_readable(node, parent, tree.width):
            continue
        if not _is_exempt(node, disabled):
            yield node, parent


def _readable_fields(tree: Tree, disabled: set[int]) -> Iterator[Node]:
    for node in tree.elements():
        if node.index not in disabled and _is_readable_field(node, tree.width):
            yield node


def _field_text(node: Node) -> str:
    """What is in a field, its value or its placeholder: the document has no text node for it."""
    return node.attributes.get("value") or node.attributes.get("placeholder", "")


def _judge(node: Node, parent: Node, text: str, paints: Paints) -> TextContrast:
    style = text_style(node)
    needed = _needed(style)
    color = _plain_color(style)
    if color is None:
        return TextContrast(parent, text, needed, reason="painted text")
    grounds = _grounds(node, parent, paints)
    if isinstance(grounds, str):
        return TextContrast(parent, text, needed, reason=grounds)
    best, worst, ground = _ratios(color, grounds)
    if worst < needed - _TOLERANCE <= best:
        # It depends on where on the gradient the text is, which is not measured.
        return TextContrast(parent, text, needed, reason="gradient")
    return TextContrast(parent, text, needed, best, color.over(ground), ground)


def _plain_color(style: dict[str, str]) -> Color | None:
    """The color of a text, or None if it is drawn with an image or an unknown color."""
    if style.get("-webkit-background-clip") == "text":
        return None
    return parse_color(style.get("color", ""))


def _ratios(color: Color, grounds: list[Color]) -> tuple[float, float, Color]:
    """The best and the worst contrast of a color, and what it is the best on."""
    ratios = [(contrast_ratio(color.over(ground), ground), ground) for ground in grounds]
    best, ground = max(ratios)
    worst, _ = min(ratios)
    return best, worst, ground


def _is_readable_field(node: Node, page_width: float) -> bool:
    return _is_field(node) and _is_readable(node, node, page_width)


def _is_field(node: Node) -> bool:
    if node.tag == "input":
        return node.attributes.get("type", "text").lower() not in _TEXTLESS_INPUTS
    return node.tag in ("textarea", "select")


def check_contrast(tree: Tree) -> Fields:
    """How many texts were checked, how many fail WCAG AA, and for how many the background is
    unknown.
    """
    checked = unknown = 0
    failures: dict[int, tuple[Node, Fields]] = {}
    unknowns: dict[int, tuple[Node, Fields]] = {}
    for text in judge_texts(tree):
        node = text.node
        if text.ratio is None:
            unknown += 1
            unknowns.setdefault(node.index, (node, {"box": _box(node), "reason": text.reason}))
            continue
        checked += 1
        if text.fails:
            _, entry = failures.setdefault(node.index, (node, _failure(text)))
            entry["characters"] += len(text.text)
    worst_first = sorted(failures.values(), key=lambda entry: (entry[1]["ratio"], entry[0].index))
    return {
        "checked": checked,
        "failed": len(failures),
        "unknown": unknown,
        "failures": _listed(worst_first),
        "unknowns": _listed(list(unknowns.values())),
        "unknownsTotal": len(unknowns),
    }


def _listed(entries: list[tuple[Node, Fields]]) -> list[Fields]:
    # A selector takes time in a long list of siblings, so only what is shown gets one.
    return [{"selector": css_path(node)} | entry for node, entry in entries[:MAX_LISTED]]


def _is_readable(node: Node, parent: Node, page_width: float) -> bool:
    box = node.box
    if box is None or box.width < 2 or box.height < 2:
        return False
    if text_style(node).get("visibility") == "hidden" or not is_visible(parent, page_width):
        return False
    return not any(_is_faded(item) for item in (parent, *parent.ancestors()))


def _is_exempt(node: Node, disabled: set[int]) -> bool:
    """Signs without letters, what is folded away, and disabled controls: WCAG 1.4.3 exempts
    these.
    """
    if not any(character.isalnum() for character in node.text):
        return True
    return any(
        item.index in disabled or _is_folded(item, below) for item, below in _levels_above(node)
    )


def _levels_above(node: Node) -> Iterator[tuple[Node, Node]]:
    """Each ancestor with the element below it."""
    below = node
    for item in node.ancestors():
        yield item, below
        # What the browser puts between a details element and its content is not an element of the
        # page.
        if item.kind == ELEMENT and item.tag != "slot":
            below = item


def _is_folded(node: Node, child: Node) -> bool:
    """Whether a node hides this child until a reader opens it."""
    if node.attributes.get("hidden") == "until-found":
        return True
    is_closed = node.tag == "details" and "open" not in node.attributes
    return is_closed and child.tag != "summary"


def _disabled_controls(tree: Tree) -> set[int]:
    """Disabled controls and their labels, by index."""
    controls = [node for node in tree.elements() if _is_disabled(node)]
    disabled = {node.index for node in controls}
    for node in controls:
        disabled.update(item.index for item in node.ancestors() if item.tag == "label")
    disabled.update(_labels(tree, _names(controls)))
    return disabled


def _names(controls: list[Node]) -> set[str]:
    """The ids of controls, and of what labels them."""
    names: set[str] = set()
    for node in controls:
        names.add(node.attributes.get("id", ""))
        names.update(node.attributes.get("aria-labelledby", "").split())
    return names - {""}


def _labels(tree: Tree, names: set[str]) -> set[int]:
    """What has one of these names, and the labels for it, by index."""
    if not names:
        return set()
    return {node.index for node in tree.elements() if _is_named(node, names)}


def _is_disabled(node: Node) -> bool:
    if node.attributes.get("aria-disabled") == "true":
        return True
    return "disabled" in node.attributes and node.tag in _CONTROLS


def _is_named(node: Node, names: set[str]) -> bool:
    """Whether a node has one of these ids, or is the label of a control that has."""
    if node.attributes.get("id") in names:
        return True
    return node.tag == "label" and node.attributes.get("for") in names


def _is_faded(node: Node) -> bool:
    return pixels(node.style.get("opacity", "1"), 1.0) < 0.02


def _needed(style: dict[str, str]) -> float:
    """The contrast that WCAG AA asks for: less for large texts."""
    size = pixels(style.get("font-size"), 16)
    is_bold = pixels(style.get("font-weight"), 400) >= 700
    return 3.0 if size >= (LARGE_BOLD_PX if is_bold else LARGE_PX) else 4.5


class _Backdrop:
    """What the ancestors of a text paint behind it, the nearest first."""

    def __init__(self) -> None:
        #: Colors through which something below can be seen, and the opaque one at the end.
        self.layers: list[Color] = []
        #: What is below the layers: one color, or the stops of a gradient.
        self.bottoms = [WHITE]
        #: The element that hides everything below it.
        self.base: Node | None = None
        #: Why the colors behind the text are unknown.
        self.reason = ""

    def add(self, node: Node) -> bool:
        """Take the background of the next ancestor. Returns whether it is the last that counts."""
        image = node.style.get("background-image", "none")
        if pixels(node.style.get("opacity", "1"), 1.0) < 1:
            self.reason = "opacity"
        elif image not in ("none", ""):
            self._add_image(node, image)
        else:
            self._add_color(node)
        return self._is_complete

    @property
    def _is_complete(self) -> bool:
        return self.base is not None or bool(self.reason)

    def _add_image(self, node: Node, image: str) -> None:
        self.base, self.bottoms = node, _gradient_stops(image)
        if not self.bottoms:
            self.reason = "picture behind" if "url(" in image else "gradient"

    def _add_color(self, node: Node) -> None:
        color = parse_color(node.style.get("background-color", ""))
        if color is None or color.alpha <= 0:
            return
        self.layers.append(color)
        if color.alpha >= 1:
            self.base = node


def _backdrop(parent: Node) -> _Backdrop:
    backdrop = _Backdrop()
    for item in (parent, *parent.ancestors()):
        if item.style and backdrop.add(item):
            break
    return backdrop


def _grounds(node: Node, parent: Node, paints: Paints) -> list[Color] | str:
    """The opaque colors that may be behind a text: one, or the stops of a gradient. Returns the
    reason if they are unknown.
    """
    backdrop = _backdrop(parent)
    if backdrop.reason:
        return backdrop.reason
    if _is_covered(node, parent, backdrop.base, paints):
        return "something between"
    return _blended(backdrop.layers, backdrop.bottoms)


def _blended(layers: list[Color], bottoms: list[Color]) -> list[Color]:
    """Each bottom color with the layers, the lowest of which is the last, on top of it."""
    for layer in reversed(layers):
        bottoms = [layer.over(bottom) for bottom in bottoms]
    return bottoms


def _gradient_stops(image: str) -> list[Color]:
    """The colors of one opaque gradient; empty for an image or anything transparent."""
    if "url(" in image or image.count("gradient(") != 1:
        return []
    stops = [parse_color(value) for value in _COLOR.findall(image)]
    opaque = [color for color in stops if color is not None and color.alpha >= 1]
    return opaque if len(opaque) == len(stops) else []


def _is_covered(node: Node, parent: Node, base: Node | None, paints: Paints) -> bool:
    """Whether something else is painted between a text and the background of its ancestors."""
    box = node.box
    assert box is not None
    lowest = base.paint_order if base is not None else -1
    between = (paint for paint in paints.near(box) if lowest < paint.order < node.paint_order)
    return any(_is_behind(paint, box, parent) for paint in between)


def _is_behind(paint: Paint, box: Box, parent: Node) -> bool:
    """Whether a paint covers some of a text's box and does not belong to one of its ancestors."""
    if paint.box.overlap(box) < 0.2 * box.area:
        return False
    return not _is_same_or_ancestor(paint.node, parent)


def _is_same_or_ancestor(node: Node, inner: Node) -> bool:
    return node is inner or any(node is item for item in inner.ancestors())


def _paints(tree: Tree) -> list[Paint]:
    """Images and painted boxes that could be below a text; small ones cannot carry one."""
    paints: list[Paint] = []
    for node, box in tree.visible_elements():
        is_large = box.width >= 40 and box.height >= 15
        if is_large and _can_be_below(node):
            paints.append(Paint(box, node.paint_order, node))
    return paints


def _can_be_below(node: Node) -> bool:
    """Only what is positioned, or an image, can be below a text that is not inside it."""
    if node.tag in _IMAGE_TAGS:
        return True
    return node.style.get("position", "static") != "static" and _is_painted(node)


def _is_painted(node: Node) -> bool:
    if node.style.get("background-image", "none") not in ("none", ""):
        return True
    color = parse_color(node.style.get("background-color", ""))
    return color is not None and color.alpha > 0.05


def _failure(text: TextContrast) -> Fields:
    assert text.ratio is not None and text.color is not None and text.ground is not None
    return {
        "box": _box(text.node),
        "color": text.color.hex,
        "background": text.ground.hex,
        "ratio": round(text.ratio, 2),
        "needed": text.needed,
        "characters": 0,
    }


def _box(node: Node) -> list[int]:
    return node.box.rounded() if node.box else []
