"""Accessibility: which axe rules run on a page of this size, and what they and our own checks
found.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.contrast import check_contrast
from checkback.kinds.pages.dom.selectors import css_path
from checkback.kinds.pages.dom.snapshot import Box, Node, Tree

Fields = dict[str, Any]

# axe grows faster than the page: 0.2 s at 400 elements, 13 s at 16,000. Color contrast, its
# slowest rule, is measured from the snapshot instead, in every tier.
STANDARD_UP_TO = 3000
REDUCED_UP_TO = 8000
_CORE_RULES = (
    "area-alt", "aria-required-attr", "aria-valid-attr", "button-name", "document-title",
    "duplicate-id-aria", "frame-title", "html-has-lang", "image-alt", "input-button-name", "label",
    "link-name",
)  # fmt: skip
_LANDMARKS = {
    "header": "banner", "nav": "navigation", "main": "main", "footer": "contentinfo",
    "aside": "complementary", "search": "search", "form": "form",
}  # fmt: skip
_LANDMARK_ROLES = frozenset(_LANDMARKS.values())
_PARTS = frozenset({"article", "section", "main", "aside", "nav", "blockquote"})
MAX_VIOLATIONS = 60


@lru_cache
def axe_source() -> str:
    """The text of axe itself."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text()


def axe_tier(elements: int) -> tuple[str, Fields]:
    """The name of the set of rules for a page of that many elements, and axe's options for it."""
    options: Fields = {
        "resultTypes": ["violations"],
        "elementRef": False,
        "iframes": False,
        # Style sheets would be loaded for one rule that is not in any tier.
        "preload": {"assets": ["media"], "timeout": 2000},
    }
    if elements <= STANDARD_UP_TO:
        return "standard", options | {"rules": {"color-contrast": {"enabled": False}}}
    if elements <= REDUCED_UP_TO:
        levels = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
        off = {"color-contrast": {"enabled": False}, "target-size": {"enabled": False}}
        return "reduced", options | {"runOnly": levels, "rules": off}
    return "core", options | {"runOnly": {"type": "rule", "values": list(_CORE_RULES)}}


def describe_accessibility(bundle: PageCapture, tree: Tree | None) -> Fields:
    """The ``accessibility`` part of the report. What was not run is not listed as passed."""
    coverage: list[str] = []
    part: Fields = {"coverage": coverage}
    if bundle.axe is not None:
        part |= _axe_part(bundle.axe, coverage)
    if tree is None:
        return part
    if "color" in bundle.snapshot_styles:
        part["contrast"] = check_contrast(tree)
        coverage.append("contrast of text")
    part["headings"] = check_headings(tree)
    return part


def _axe_part(axe: Fields, coverage: list[str]) -> Fields:
    tier = axe["tier"]
    if axe.get("stopped"):
        coverage.append("axe was stopped; its rules are unknown")
        return {"tier": tier}
    coverage.append(f"axe rules: {tier}")
    return {
        "tier": tier,
        "engine": f"axe {axe['engine']}",
        "violations": [_violation(rule) for rule in axe["violations"][:MAX_VIOLATIONS]],
        "violationTotal": len(axe["violations"]),
        "undecided": axe["incomplete"],
    }


def _violation(rule: Fields) -> Fields:
    return {
        "id": rule["id"],
        "impact": rule["impact"],
        "count": rule["count"],
        "help": rule["help"],
        "wcag": [_criterion(tag) for tag in rule["tags"] if _is_criterion(tag)],
        "nodes": rule["nodes"],
    }


def _is_criterion(tag: str) -> bool:
    return tag.startswith("wcag") and tag[4:].isdigit()


def _criterion(tag: str) -> str:
    digits = tag[4:]
    return f"{digits[0]}.{digits[1]}.{digits[2:]}"


def heading_outline(tree: Tree) -> list[list[Any]]:
    """Level, text and vertical position of every heading that is visible."""
    outline: list[list[Any]] = []
    for node, box in tree.visible_elements():
        level = node.heading_level
        if level is not None:
            outline.append([level, node.inner_text[:160], round(box.y)])
    return outline


def check_headings(tree: Tree) -> Fields:
    """Whether the outline has one main heading and skips no level."""
    levels = [entry[0] for entry in heading_outline(tree)]
    skipped = sum(1 for before, after in pairwise(levels) if after > before + 1)
    return {"total": len(levels), "h1Count": levels.count(1), "skippedLevels": skipped}


def landmarks(tree: Tree, limit: int) -> tuple[list[Fields], int]:
    """The first landmarks by tag or role with their boxes, and how many there are."""
    entries = list(_landmarks(tree))
    listed = [_landmark(node, box, role) for node, box, role in entries[:limit]]
    return listed, len(entries)


def _landmarks(tree: Tree) -> Iterator[tuple[Node, Box, str]]:
    """Each landmark with its box and role."""
    for node in tree.elements():
        role = _landmark_role(node)
        if role and node.box is not None:
            yield node, node.box, role


def _landmark(node: Node, box: Box, role: str) -> Fields:
    entry: Fields = {"role": role, "box": box.rounded(), "selector": css_path(node)}
    label = node.attributes.get("aria-label", "")[:80]
    return entry | ({"label": label} if label else {})


def _landmark_role(node: Node) -> str:
    """The role of a landmark, or an empty text. The header and footer of a part are not landmarks;
    a form is one only with a name.
    """
    is_explicit = node.role in _LANDMARK_ROLES
    role = node.role if is_explicit else _LANDMARKS.get(node.tag, "")
    is_nameless_form = role == "form" and not _has_name(node)
    return "" if is_nameless_form or _heads_part(node) else role


def _heads_part(node: Node) -> bool:
    """Whether an element is the header or footer of a part of the page."""
    return node.tag in ("header", "footer") and not node.role and _is_in_part(node)


def _is_in_part(node: Node) -> bool:
    return any(item.tag in _PARTS for item in node.ancestors())


def _has_name(node: Node) -> bool:
    return "aria-label" in node.attributes or "aria-labelledby" in node.attributes
