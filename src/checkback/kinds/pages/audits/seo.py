"""What search engines, shared links and screen readers learn about a page, and which elements say
nothing to them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.dom.selectors import css_path
from checkback.kinds.pages.dom.snapshot import Node, Tree, is_visible

Fields = dict[str, Any]

MAX_ELEMENTS = 10
_VAGUE = re.compile(r"(click here|here|more|read more|learn more)", re.I)
_FACTS = (
    "description", "canonical", "robots", "generator", "viewport", "themeColor", "compatMode",
)  # fmt: skip
_NO_LINKS = {"internal": 0, "external": 0, "empty": 0, "vague": 0}
_PROBLEMS = ("imagesWithoutAlt", "emptyLinks", "vagueLinks", "unlabelledFields")
_UNLABELLED_INPUTS = frozenset({"hidden", "submit", "button", "image", "reset"})


def describe_seo(bundle: PageCapture, tree: Tree | None, levels: list[int]) -> Fields:
    """The ``seo`` part of the report; ``levels`` are those of the visible headings."""
    facts = bundle.facts or {}
    social: dict[str, str] = facts.get("social", {})
    images: Fields = facts.get("images", {})
    part: Fields = {name: facts.get(name, "") for name in _FACTS}
    part |= {
        "og": _with_prefix(social, "og:"),
        "twitter": _with_prefix(social, "twitter:"),
        "jsonLd": facts.get("jsonLd", []),
        "hreflang": facts.get("hreflang", []),
        "imagesWithoutAlt": images.get("withoutAlt", 0),
        "links": facts.get("links", dict(_NO_LINKS)),
        "images": images,
        "fields": facts.get("fields", 0),
        "unlabelledFields": facts.get("unlabelledFields", 0),
    }
    if tree is not None:
        part["h1Count"] = levels.count(1)
        part["elements"] = _elements(tree)
    return part


def _with_prefix(social: dict[str, str], prefix: str) -> dict[str, str]:
    return {name: value for name, value in social.items() if name.lower().startswith(prefix)}


def _elements(tree: Tree) -> Fields:
    """The first elements with each problem, with selector and box."""
    problems = _problems(tree)
    nodes = {name: problems[name][:MAX_ELEMENTS] for name in _PROBLEMS} | _headings(tree)
    return {name: _places(listed, tree) for name, listed in nodes.items() if listed}


def _problems(tree: Tree) -> defaultdict[str, list[Node]]:
    """The elements with each problem."""
    problems: defaultdict[str, list[Node]] = defaultdict(list)
    labelled = _labelled_ids(tree)
    for node in tree.elements():
        name = _problem(node, labelled)
        if name is not None:
            problems[name].append(node)
    return problems


def _labelled_ids(tree: Tree) -> set[str]:
    labels = [node for node in tree.elements() if node.tag == "label"]
    return {label.attributes["for"] for label in labels if "for" in label.attributes}


def _headings(tree: Tree) -> dict[str, list[Node]]:
    """Main headings after the first, and headings that skip a level."""
    headings = [node for node in tree.elements() if _is_visible_heading(node, tree.width)]
    main = [node for node in headings if node.heading_level == 1]
    return {
        "furtherMainHeadings": main[1 : MAX_ELEMENTS + 1],
        "skippedHeadings": _skipping(headings)[:MAX_ELEMENTS],
    }


def _skipping(headings: list[Node]) -> list[Node]:
    """The headings that are more than one level below the one before."""
    return [after for before, after in pairwise(headings) if _skips_level(before, after)]


def _is_visible_heading(node: Node, page_width: float) -> bool:
    return node.heading_level is not None and is_visible(node, page_width)


def _skips_level(before: Node, after: Node) -> bool:
    return (after.heading_level or 0) > (before.heading_level or 0) + 1


def _problem(node: Node, labelled: set[str]) -> str | None:
    """The name of an element's problem, if it has one."""
    if node.tag == "img" and "alt" not in node.attributes:
        return "imagesWithoutAlt"
    if node.tag == "a" and "href" in node.attributes:
        return _link_problem(node, node.attributes["href"].strip().lower())
    return _field_problem(node, labelled)


def _field_problem(node: Node, labelled: set[str]) -> str | None:
    is_unlabelled = _is_field(node) and not _has_label(node, labelled)
    return "unlabelledFields" if is_unlabelled else None


def _link_problem(node: Node, target: str) -> str | None:
    if target in ("", "#") or target.startswith("javascript:"):
        return "emptyLinks"
    return "vagueLinks" if _VAGUE.fullmatch(node.inner_text.strip()) else None


def _is_field(node: Node) -> bool:
    if node.tag == "input":
        return node.attributes.get("type", "text").lower() not in _UNLABELLED_INPUTS
    return node.tag in ("select", "textarea")


def _has_label(node: Node, labelled: set[str]) -> bool:
    attributes = node.attributes
    if any(attributes.get(name) for name in ("title", "aria-label", "aria-labelledby")):
        return True
    if attributes.get("id") in labelled:
        return True
    return any(item.tag == "label" for item in node.ancestors())


def _places(nodes: list[Node], tree: Tree) -> list[Fields]:
    return [_place(node, tree) for node in nodes]


def _place(node: Node, tree: Tree) -> Fields:
    place: Fields = {"selector": css_path(node)}
    if node.box is not None and is_visible(node, tree.width):
        place["box"] = node.box.rounded()
    return place
