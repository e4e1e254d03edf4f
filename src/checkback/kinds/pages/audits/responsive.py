"""The page at other window sizes: what overflows, collapses, disappears or gets other columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.design import column_count
from checkback.kinds.pages.dom.snapshot import ELEMENT, LIGHT_STYLES, Node, Tree, is_visible, parse
from checkback.kinds.pages.layout.section import Section

Fields = dict[str, Any]
FindNode = Callable[[Node], Node | None]


def describe_responsive(
    bundle: PageCapture, viewports: list[Fields], breakpoints: list[Fields]
) -> Fields:
    """The ``responsive`` part of the report: each window size, and the differences between
    neighbors.

    ``viewports`` is what ``describe_size`` returned for each of the capture's sizes.
    """
    is_reloaded = any(entry.get("reloaded") for entry in bundle.resized)
    return {
        "method": "reload" if is_reloaded else "resize",
        "viewports": [_without_columns(viewport) for viewport in viewports],
        "differences": _all_differences(viewports),
        "breakpoints": breakpoints,
    }


def _all_differences(viewports: list[Fields]) -> list[Fields]:
    """What changes from each window to the next narrower one."""
    widest_first = sorted(viewports, key=lambda viewport: -viewport["width"])
    differences: list[Fields] = []
    for wider, narrower in pairwise(widest_first):
        differences += _differences(wider, narrower)
    return differences


def _without_columns(viewport: Fields) -> Fields:
    return {key: value for key, value in viewport.items() if key != "sectionColumns"}


def describe_size(entry: Fields, sections: list[Section]) -> Fields:
    """The page at one window size."""
    facts: Fields = entry["facts"]
    width = float(facts["innerWidth"])
    navigation, hidden, columns = "unknown", list[str](), dict[str, int]()
    if entry["snapshot"] is not None:
        tree = parse(entry["snapshot"], entry.get("styles", LIGHT_STYLES))
        navigation = _navigation(tree, width)
        find = _find_by_path(tree) if entry.get("reloaded") else _find_by_id(tree)
        hidden, columns = _sections_at(sections, find, width)
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


def _sections_at(
    sections: list[Section], find: FindNode, width: float
) -> tuple[list[str], dict[str, int]]:
    """The sections that are hidden at a window width, and the columns of the others."""
    hidden: list[str] = []
    columns: dict[str, int] = {}
    for name, nodes in _nodes_of_sections(sections, find):
        if any(is_visible(node, width) for node in nodes):
            columns[name] = _most_columns(nodes, width)
        else:
            hidden.append(name)
    return hidden, columns


def _most_columns(nodes: list[Node], width: float) -> int:
    return max(_columns_within(node, width) for node in nodes)


def _nodes_of_sections(sections: list[Section], find: FindNode) -> Iterator[tuple[str, list[Node]]]:
    """The id of each section with its nodes, if any of them is there."""
    for number, section in enumerate(sections, 1):
        nodes = [node for node in map(find, section.nodes) if node is not None]
        if nodes:
            yield f"s{number}", nodes


def _find_by_id(tree: Tree) -> FindNode:
    """Finds an element of the first layout in another one of the same document."""
    by_id = {node.backend_id: node for node in tree.elements()}
    return lambda node: by_id.get(node.backend_id)


def _find_by_path(tree: Tree) -> FindNode:
    """Finds an element of the first layout after a reload, by its position in the document."""

    def find(node: Node) -> Node | None:
        if node.tag == "body" or node.parent is None:
            return tree.body
        parent = find(node.parent)
        return _child_like(node, node.parent, parent) if parent is not None else None

    return find


def _child_like(node: Node, parent: Node, other_parent: Node) -> Node | None:
    """The child of another element that has the position which a node has in its own parent."""
    index = _siblings(parent, node.tag).index(node)
    siblings = _siblings(other_parent, node.tag)
    return siblings[index] if index < len(siblings) else None


def _siblings(parent: Node, tag: str) -> list[Node]:
    return [child for child in parent.children if child.kind == ELEMENT and child.tag == tag]


def _columns_within(node: Node, width: float) -> int:
    return max(column_count(item, width) for item in (node, *node.descendants()))


def _navigation(tree: Tree, width: float) -> str:
    """``expanded`` if the top navigation shows its links, ``collapsed`` if it hides them, or
    ``none``.
    """
    bars = [node for node in tree.elements() if _is_top_navigation(node)]
    if not bars:
        return "none"
    return "expanded" if any(_shows_links(bar, width) for bar in bars) else "collapsed"


def _is_top_navigation(node: Node) -> bool:
    if node.tag != "nav" and node.role != "navigation":
        return False
    return node.box is None or node.box.y < 400


def _shows_links(bar: Node, width: float) -> bool:
    """Whether at least half of a navigation's links are visible."""
    links = [node for node in bar.descendants() if node.tag == "a" and "href" in node.attributes]
    shown = [link for link in links if _is_shown(link, width)]
    return len(shown) >= max(2, len(links) // 2)


def _is_shown(node: Node, width: float) -> bool:
    """Whether an element and everything around it is visible."""
    parents = [item for item in node.ancestors() if item.kind == ELEMENT and item.box is not None]
    return all(is_visible(item, width) for item in (node, *parents))


def _differences(wider: Fields, narrower: Fields) -> list[Fields]:
    where = {"from": wider["name"], "to": narrower["name"]}
    return [
        {"category": category, **where, "detail": detail, **more}
        for category, detail, more in _changes(wider, narrower)
    ]


def _changes(wider: Fields, narrower: Fields) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Category and description of each change, and the section that it is in."""
    before, after = wider["navigation"], narrower["navigation"]
    if before != after and "unknown" not in (before, after):
        yield "navigation", f"{before} becomes {after}", {}
    yield from _section_changes(wider, narrower)
    if narrower["overflowX"] and not wider["overflowX"]:
        yield "overflow", f"page is {narrower['overflowPixels']} px wider than the window", {}


def _section_changes(wider: Fields, narrower: Fields) -> Iterator[tuple[str, str, dict[str, str]]]:
    for name in sorted(set(narrower["hiddenSections"]) - set(wider["hiddenSections"])):
        yield "visibility", "section is hidden", {"section": name}
    for name, columns in wider["sectionColumns"].items():
        fewer = narrower["sectionColumns"].get(name, columns)
        if fewer != columns:
            yield "layout", f"{columns} columns become {fewer}", {"section": name}
