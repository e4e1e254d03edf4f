"""What search engines, shared links and screen readers get to know, and which elements tell them
nothing.
"""

from __future__ import annotations

import re
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.dom.selectors import css_path
from checkback.kinds.pages.dom.snapshot import Node, Tree, is_visible

Fields = dict[str, Any]

MAX_ELEMENTS = 10
_VAGUE = re.compile(r"(click here|here|more|read more|learn more)", re.I)
_UNLABELLED_INPUTS = frozenset({"hidden", "submit", "button", "image", "reset"})


def describe_seo(bundle: PageCapture, tree: Tree | None, levels: list[int]) -> Fields:
    """The ``seo`` part of the report; ``levels`` are those of the headings that show."""
    facts = bundle.facts or {}
    names = (
        "description",
        "canonical",
        "robots",
        "generator",
        "viewport",
        "themeColor",
        "compatMode",
    )
    social: dict[str, str] = facts.get("social", {})
    images: Fields = facts.get("images", {})
    part: Fields = {name: facts.get(name, "") for name in names}
    part |= {
        "og": {name: value for name, value in social.items() if name.lower().startswith("og:")},
        "twitter": {
            name: value for name, value in social.items() if name.lower().startswith("twitter:")
        },
        "jsonLd": facts.get("jsonLd", []),
        "hreflang": facts.get("hreflang", []),
        "imagesWithoutAlt": images.get("withoutAlt", 0),
        "links": facts.get("links", {"internal": 0, "external": 0, "empty": 0, "vague": 0}),
        "images": images,
        "fields": facts.get("fields", 0),
        "unlabelledFields": facts.get("unlabelledFields", 0),
    }
    if tree is not None:
        part["h1Count"] = levels.count(1)
        part["elements"] = _elements(tree)
    return part


def _elements(tree: Tree) -> Fields:
    """For each kind of silent element the first ones, with selector and box."""
    labelled = {
        node.attributes["for"]
        for node in tree.elements()
        if node.tag == "label" and "for" in node.attributes
    }
    found: dict[str, list[Node]] = {
        name: [] for name in ("imagesWithoutAlt", "emptyLinks", "vagueLinks", "unlabelledFields")
    }
    for node in tree.elements():
        name = _fault(node, labelled)
        if name is not None and len(found[name]) < MAX_ELEMENTS:
            found[name].append(node)
    found |= _headings(tree)
    return {name: [_place(node, tree) for node in nodes] for name, nodes in found.items() if nodes}


def _headings(tree: Tree) -> dict[str, list[Node]]:
    """Main headings after the first, and headings that leave a level out."""
    further: list[Node] = []
    skipped: list[Node] = []
    before: int | None = None
    main = 0
    for node in tree.elements():
        level = node.heading_level
        if level is None or not is_visible(node, tree.width):
            continue
        main += level == 1
        if level == 1 and main > 1:
            further.append(node)
        if before is not None and level > before + 1:
            skipped.append(node)
        before = level
    return {
        "furtherMainHeadings": further[:MAX_ELEMENTS],
        "skippedHeadings": skipped[:MAX_ELEMENTS],
    }


def _fault(node: Node, labelled: set[str]) -> str | None:
    attributes = node.attributes
    if node.tag == "img" and "alt" not in attributes:
        return "imagesWithoutAlt"
    if node.tag == "a" and "href" in attributes:
        target = attributes["href"].strip().lower()
        if target in ("", "#") or target.startswith("javascript:"):
            return "emptyLinks"
        text = " ".join(item.text for item in node.descendants() if item.text)
        return "vagueLinks" if _VAGUE.fullmatch(text.strip()) else None
    kind = attributes.get("type", "text").lower()
    is_field = node.tag in ("select", "textarea") or (
        node.tag == "input" and kind not in _UNLABELLED_INPUTS
    )
    if not is_field or attributes.get("title") or attributes.get("id") in labelled:
        return None
    if attributes.get("aria-label") or attributes.get("aria-labelledby"):
        return None
    inside_label = any(item.tag == "label" for item in node.ancestors())
    return None if inside_label else "unlabelledFields"


def _place(node: Node, tree: Tree) -> Fields:
    place: Fields = {"selector": css_path(node)}
    if node.box is not None and is_visible(node, tree.width):
        place["box"] = node.box.rounded()
    return place
