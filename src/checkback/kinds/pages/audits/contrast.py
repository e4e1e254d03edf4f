"""Contrast of every text with what lies behind it, from the snapshot.

This takes milliseconds where a rule in the page takes seconds. What lies behind a text is not
always known: a picture, a gradient, a bar that floats over something. Such text counts as unknown,
never as passed.
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
_COLOR = re.compile(r"(?:rgba?|color|oklch|oklab|lab|lch)\([^()]*\)")
_CONTROLS = frozenset({"button", "input", "select", "textarea", "fieldset", "option", "optgroup"})
#: Types of inputs that show no words in their own colour.
_WORDLESS = frozenset({"hidden", "range", "color", "checkbox", "radio", "image"})
_PICTURES = frozenset({"img", "video", "canvas", "svg", "picture", "iframe", "object", "embed"})


@dataclass(frozen=True, slots=True)
class Paint:
    """Something painted that may lie below a text without being its ancestor."""

    box: Box
    order: int
    node: Node


class Paints:
    """What is painted, by its place down the page, so that each text looks only
    at what is near it.
    """

    def __init__(self, paints: list[Paint]) -> None:
        self._bands: defaultdict[int, list[Paint]] = defaultdict(list)
        self._tall: list[Paint] = []
        for paint in paints:
            first, last = int(paint.box.y // BAND), int(paint.box.bottom // BAND)
            if last - first > 8:
                self._tall.append(paint)
                continue
            for band in range(first, last + 1):
                self._bands[band].append(paint)

    def near(self, box: Box) -> Iterator[Paint]:
        """Everything that may overlap a box; some of it twice."""
        yield from self._tall
        for band in range(int(box.y // BAND), int(box.bottom // BAND) + 1):
            yield from self._bands.get(band, ())


@dataclass(frozen=True, slots=True)
class Judged:
    """One text: ``node`` is the element it stands in."""

    node: Node
    text: str
    needed: float
    #: The best it may have; None where that is unknown, and ``reason`` says why.
    ratio: float | None = None
    color: Color | None = None
    ground: Color | None = None
    reason: str = ""

    @property
    def fails(self) -> bool:
        # axe, too, cuts ratios off after the second digit before it compares.
        return self.ratio is not None and self.ratio < self.needed - 0.005


def judge_texts(tree: Tree) -> Iterator[Judged]:
    """Every text that can be read, and every field that can be filled in, with its contrast where
    known.
    """
    paints = Paints(_paints(tree))
    off = _switched_off(tree)
    for node in tree.texts():
        parent = next((item for item in node.ancestors() if item.style), None)
        if parent is None or not _is_readable(node, parent, tree.width) or _is_exempt(node, off):
            continue
        yield _judge(node, parent, node.text, paints)
    # What stands in a field is no text of the document: its value, or what somebody will type.
    for node in tree.elements():
        if _is_field(node) and node.index not in off and _is_readable(node, node, tree.width):
            text = node.attributes.get("value") or node.attributes.get("placeholder", "")
            yield _judge(node, node, text, paints)


def _judge(node: Node, parent: Node, text: str, paints: Paints) -> Judged:
    style = text_style(node)
    needed = _needed(style)
    color = parse_color(style.get("color", ""))
    if color is None or style.get("-webkit-background-clip") == "text":
        return Judged(parent, text, needed, reason="painted text")
    grounds = _grounds(node, parent, paints)
    if isinstance(grounds, str):
        return Judged(parent, text, needed, reason=grounds)
    ratios = [(contrast_ratio(color.over(ground), ground), ground) for ground in grounds]
    (best, ground), (worst, _) = max(ratios), min(ratios)
    if worst < needed - 0.005 <= best:
        # Where on the gradient the text lies decides, and that is not looked at.
        return Judged(parent, text, needed, reason="gradient")
    return Judged(parent, text, needed, best, color.over(ground), ground)


def _is_field(node: Node) -> bool:
    if node.tag == "input":
        return node.attributes.get("type", "text").lower() not in _WORDLESS
    return node.tag in ("textarea", "select")


def check_contrast(tree: Tree) -> dict[str, Any]:
    """How many texts were checked, how many fail WCAG AA, and for how many what lies behind is
    unknown.
    """
    checked = unknown = 0
    failures: dict[int, tuple[Node, dict[str, Any]]] = {}
    unknowns: dict[int, tuple[Node, dict[str, Any]]] = {}
    for text in judge_texts(tree):
        checked += text.ratio is not None
        unknown += text.ratio is None
        index = text.node.index
        if text.ratio is None:
            unknowns.setdefault(index, (text.node, {"box": _box(text.node), "reason": text.reason}))
        elif text.fails:
            told = failures.setdefault(index, (text.node, _failure(text)))[1]
            told["characters"] += len(text.text)
    worst_first = sorted(failures.values(), key=lambda entry: (entry[1]["ratio"], entry[0].index))
    return {
        "checked": checked,
        "failed": len(failures),
        "unknown": unknown,
        "failures": _listed(worst_first),
        "unknowns": _listed(list(unknowns.values())),
        "unknownsTotal": len(unknowns),
    }


def _listed(entries: list[tuple[Node, dict[str, Any]]]) -> list[dict[str, Any]]:
    # A selector takes time in a long list of siblings, so only what is shown gets one.
    return [{"selector": css_path(node)} | told for node, told in entries[:MAX_LISTED]]


def _is_readable(node: Node, parent: Node, page_width: float) -> bool:
    box = node.box
    if (
        box is None
        or box.width < 2
        or box.height < 2
        or text_style(node).get("visibility") == "hidden"
    ):
        return False
    return is_visible(parent, page_width) and not any(
        _is_faded(item) for item in (parent, *parent.ancestors())
    )


def _is_exempt(node: Node, off: set[int]) -> bool:
    """Signs without letters, what is folded away, and controls that are off: WCAG 1.4.3 leaves
    these out.
    """
    if not any(character.isalnum() for character in node.text):
        return True
    below = node
    for item in node.ancestors():
        if item.index in off or item.attributes.get("hidden") == "until-found":
            return True
        if item.tag == "details" and "open" not in item.attributes and below.tag != "summary":
            return True
        # What the browser puts between a details element and its content is no element of the page.
        below = item if item.kind == ELEMENT and item.tag != "slot" else below
    return False


def _switched_off(tree: Tree) -> set[int]:
    """Controls that are off, and their labels, by index."""
    off: set[int] = set()
    names: set[str] = set()
    labels: list[Node] = []
    for node in tree.elements():
        attributes = node.attributes
        if node.tag == "label":
            labels.append(node)
        is_off = "disabled" in attributes and node.tag in _CONTROLS
        if is_off or attributes.get("aria-disabled") == "true":
            off.add(node.index)
            names |= {attributes.get("id", ""), *attributes.get("aria-labelledby", "").split()}
            off |= {item.index for item in node.ancestors() if item.tag == "label"}
    names.discard("")
    off |= {label.index for label in labels if label.attributes.get("for") in names}
    return off | {
        node.index for node in tree.elements() if names and node.attributes.get("id") in names
    }


def _is_faded(node: Node) -> bool:
    return pixels(node.style.get("opacity", "1"), 1.0) < 0.02


def _needed(style: dict[str, str]) -> float:
    size, weight = pixels(style.get("font-size"), 16), pixels(style.get("font-weight"), 400)
    return 3.0 if size >= LARGE_PX or (size >= LARGE_BOLD_PX and weight >= 700) else 4.5


def _grounds(node: Node, parent: Node, paints: Paints) -> list[Color] | str:
    """The opaque colours that may lie behind a text: one, or the stops of a gradient. Else why not
    known.
    """
    layers: list[Color] = []
    bottoms: list[Color] = [WHITE]
    base: Node | None = None
    for item in (parent, *parent.ancestors()):
        if not item.style:
            continue
        if pixels(item.style.get("opacity", "1"), 1.0) < 1:
            return "opacity"
        image = item.style.get("background-image", "none")
        if image not in ("none", ""):
            bottoms, base = _gradient_stops(image), item
            if not bottoms:
                return "picture behind" if "url(" in image else "gradient"
            break
        color = parse_color(item.style.get("background-color", ""))
        if color is not None and color.alpha > 0:
            layers.append(color)
            if color.alpha >= 1:
                base = item
                break
    if _is_covered(node, parent, base, paints):
        return "something between"
    for layer in reversed(layers):
        bottoms = [layer.over(bottom) for bottom in bottoms]
    return bottoms


def _gradient_stops(image: str) -> list[Color]:
    """The colours of one opaque gradient; empty for a picture or anything that shines through."""
    if "url(" in image or image.count("gradient(") != 1:
        return []
    stops = [parse_color(match) for match in _COLOR.findall(image)]
    known = [color for color in stops if color is not None and color.alpha >= 1]
    return known if known and len(known) == len(stops) else []


def _is_covered(node: Node, parent: Node, base: Node | None, paints: Paints) -> bool:
    """Whether something else is painted between a text and the ground that its
    ancestors give it.
    """
    box = node.box
    assert box is not None
    lowest = base.paint_order if base is not None else -1
    for paint in paints.near(box):
        if not lowest < paint.order < node.paint_order or paint.box.overlap(box) < 0.2 * box.area:
            continue
        if paint.node is not parent and all(paint.node is not item for item in parent.ancestors()):
            return True
    return False


def _paints(tree: Tree) -> list[Paint]:
    """Pictures and painted boxes that could lie below a text; small ones cannot carry one."""
    found: list[Paint] = []
    for node in tree.elements():
        if (
            node.box is None
            or node.box.width < 40
            or node.box.height < 15
            or not is_visible(node, tree.width)
        ):
            continue
        color = parse_color(node.style.get("background-color", ""))
        painted = color is not None and color.alpha > 0.05
        painted = painted or node.style.get("background-image", "none") not in ("none", "")
        # Only what is positioned, or a picture, can lie below a text that is not inside it.
        if node.tag in _PICTURES or (painted and node.style.get("position", "static") != "static"):
            found.append(Paint(node.box, node.paint_order, node))
    return found


def _failure(text: Judged) -> dict[str, Any]:
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
