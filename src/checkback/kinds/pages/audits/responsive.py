"""The page at other window sizes: what overflows, collapses, disappears or gets other columns."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.design import column_count
from checkback.kinds.pages.dom.snapshot import ELEMENT, LIGHT_STYLES, Node, Tree, is_visible, parse
from checkback.kinds.pages.layout.section import Section

Fields = dict[str, Any]


def describe_responsive(
    bundle: PageCapture, viewports: list[Fields], breakpoints: list[Fields]
) -> Fields:
    """The ``responsive`` part of the report: each window size, and the differences between
    neighbours.

    ``viewports`` are what ``describe_size`` said of each of the bundle's sizes.
    """
    widest_first = sorted(viewports, key=lambda viewport: -viewport["width"])
    differences: list[Fields] = []
    for wider, narrower in pairwise(widest_first):
        differences += _compare(wider, narrower)
    told = [
        {key: viewport[key] for key in viewport if key != "sectionColumns"}
        for viewport in viewports
    ]
    return {
        "method": "reload" if any(entry.get("reloaded") for entry in bundle.resized) else "resize",
        "viewports": told,
        "differences": differences,
        "breakpoints": breakpoints,
    }


def describe_size(entry: Fields, sections: list[Section]) -> Fields:
    """The page at one window size."""
    facts: Fields = entry["facts"]
    width = float(facts["innerWidth"])
    hidden: list[str] = []
    columns: dict[str, int] = {}
    navigation = "unknown"
    if entry["snapshot"] is not None:
        tree = parse(entry["snapshot"], entry.get("styles", LIGHT_STYLES))
        navigation = _navigation(tree, width)
        find = _finder(tree, reloaded=bool(entry.get("reloaded")))
        for number, section in enumerate(sections, 1):
            nodes = [node for node in map(find, section.nodes) if node is not None]
            if nodes and not any(is_visible(node, width) for node in nodes):
                hidden.append(f"s{number}")
            elif nodes:
                columns[f"s{number}"] = max(_columns_within(node, width) for node in nodes)
    return {
        "name": entry["name"],
        "width": entry["width"],
        "height": entry["height"],
        "pageHeight": facts["pageHeight"],
        # One pixel may be a matter of rounding.
        "overflowX": facts["pageWidth"] > facts["innerWidth"] + 1,
        "overflowPixels": max(0, facts["pageWidth"] - facts["innerWidth"]),
        "navigation": navigation,
        "hiddenSections": hidden,
        "columns": max(columns.values(), default=1),
        "sectionColumns": columns,
        "smallTapTargets": facts["smallTapTargets"],
        "smallText": facts["smallText"],
    }


def _finder(tree: Tree, *, reloaded: bool) -> Callable[[Node], Node | None]:
    """What finds an element of the first layout in another one: by its id, or by its place after a
    reload.
    """
    if not reloaded:
        by_id = {node.backend_id: node for node in tree.elements()}
        return lambda node: by_id.get(node.backend_id)

    def find(node: Node) -> Node | None:
        if node.tag == "body" or node.parent is None:
            return tree.body
        parent = find(node.parent)
        if parent is None:
            return None
        before = _alike(node.parent, node.tag).index(node)
        alike = _alike(parent, node.tag)
        return alike[before] if before < len(alike) else None

    return find


def _alike(parent: Node, tag: str) -> list[Node]:
    return [child for child in parent.children if child.kind == ELEMENT and child.tag == tag]


def _columns_within(node: Node, width: float) -> int:
    return max((column_count(item, width) for item in (node, *node.descendants())), default=1)


def _navigation(tree: Tree, width: float) -> str:
    """``expanded`` when the top navigation shows its links, ``collapsed`` when it hides them, or
    ``none``.
    """
    found = [node for node in tree.elements() if node.tag == "nav" or node.role == "navigation"]
    top = [node for node in found if node.box is None or node.box.y < 400]
    if not top:
        return "none"
    for node in top:
        inside = [
            item for item in node.descendants() if item.tag == "a" and "href" in item.attributes
        ]
        shown = [
            item for item in inside if is_visible(item, width) and not _is_hidden_above(item, width)
        ]
        if len(shown) >= max(2, len(inside) // 2):
            return "expanded"
    return "collapsed"


def _is_hidden_above(node: Node, width: float) -> bool:
    above = (item for item in node.ancestors() if item.kind == ELEMENT and item.box is not None)
    return any(not is_visible(item, width) for item in above)


def _compare(wider: Fields, narrower: Fields) -> list[Fields]:
    found: list[Fields] = []

    def note(category: str, detail: str, **more: object) -> None:
        where = {"from": wider["name"], "to": narrower["name"]}
        found.append({"category": category, **where, "detail": detail, **more})

    known = "unknown" not in (wider["navigation"], narrower["navigation"])
    if known and wider["navigation"] != narrower["navigation"]:
        note("navigation", f"{wider['navigation']} becomes {narrower['navigation']}")
    for name in sorted(set(narrower["hiddenSections"]) - set(wider["hiddenSections"])):
        note("visibility", "section is hidden", section=name)
    for name, before in wider["sectionColumns"].items():
        after = narrower["sectionColumns"].get(name)
        if after is not None and after != before:
            note("layout", f"{before} columns become {after}", section=name)
    if narrower["overflowX"] and not wider["overflowX"]:
        note("overflow", f"page is {narrower['overflowPixels']} px wider than the window")
    return found
