"""The page at other window sizes: what overflows, collapses, disappears or gets other columns."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from checkback.kinds.pages.bundle import Bundle
from checkback.kinds.pages.design import column_count
from checkback.kinds.pages.sectiontypes import Section
from checkback.kinds.pages.snapshot import ELEMENT, LIGHT_STYLES, Node, Tree, is_visible, parse

Fields = dict[str, Any]


def describe_responsive(bundle: Bundle, sections: list[Section], breakpoints: list[Fields]) -> Fields:
    """The ``responsive`` part of the report: each window size, and the differences between neighbours."""
    viewports = [_describe(entry, sections) for entry in bundle.resized]
    widest_first = sorted(viewports, key=lambda viewport: -viewport["width"])
    differences: list[Fields] = []
    for wider, narrower in pairwise(widest_first):
        differences += _compare(wider, narrower)
    for viewport in viewports:
        del viewport["sectionColumns"]
    return {
        "method": "resize",
        "viewports": viewports,
        "differences": differences,
        "breakpoints": breakpoints,
    }


def _describe(entry: Fields, sections: list[Section]) -> Fields:
    facts: Fields = entry["facts"]
    tree = parse(entry["snapshot"], LIGHT_STYLES)
    by_id = {node.backend_id: node for node in tree.elements()}
    width = float(facts["innerWidth"])
    hidden: list[str] = []
    columns: dict[str, int] = {}
    for number, section in enumerate(sections, 1):
        nodes = [by_id[node.backend_id] for node in section.nodes if node.backend_id in by_id]
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
        "navigation": _navigation(tree, width),
        "hiddenSections": hidden,
        "columns": max(columns.values(), default=1),
        "sectionColumns": columns,
        "smallTapTargets": facts["smallTapTargets"],
        "smallText": facts["smallText"],
    }


def _columns_within(node: Node, width: float) -> int:
    return max((column_count(item, width) for item in (node, *node.descendants())), default=1)


def _navigation(tree: Tree, width: float) -> str:
    """``expanded`` when the top navigation shows its links, ``collapsed`` when it hides them, or ``none``."""
    found = [node for node in tree.elements() if node.tag == "nav" or node.role == "navigation"]
    top = [node for node in found if node.box is None or node.box.y < 400]
    if not top:
        return "none"
    for node in top:
        inside = [item for item in node.descendants() if item.tag == "a" and "href" in item.attributes]
        shown = [item for item in inside if is_visible(item, width) and not _is_hidden_above(item, width)]
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

    if wider["navigation"] != narrower["navigation"]:
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
