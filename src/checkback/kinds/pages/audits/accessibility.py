"""Accessibility: which axe rules a page of this size gets, and what they and
our own checks found.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.contrast import check_contrast
from checkback.kinds.pages.dom.selectors import css_path
from checkback.kinds.pages.dom.snapshot import Node, Tree, is_visible

Fields = dict[str, Any]

# axe grows faster than the page: 0.2 s at 400 elements, 13 s at 16,000. Colour contrast, its
# slowest rule, is measured from the snapshot instead, in every tier.
STANDARD_UP_TO = 3000
REDUCED_UP_TO = 8000
_CORE_RULES = (
    "area-alt", "aria-required-attr", "aria-valid-attr", "button-name", "document-title", "duplicate-id-aria",
    "frame-title", "html-has-lang", "image-alt", "input-button-name", "label", "link-name",
)  # fmt: skip
_LANDMARKS = {
    "header": "banner", "nav": "navigation", "main": "main", "footer": "contentinfo",
    "aside": "complementary", "search": "search", "form": "form",
}  # fmt: skip
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
    part: Fields = {"coverage": []}
    axe = bundle.axe
    if axe is not None:
        part["tier"] = axe["tier"]
        if axe.get("stopped"):
            part["coverage"].append("axe was stopped; its rules are unknown")
        else:
            part |= {
                "engine": f"axe {axe['engine']}",
                "violations": [_violation(rule) for rule in axe["violations"][:MAX_VIOLATIONS]],
                "violationTotal": len(axe["violations"]),
                "undecided": axe["incomplete"],
            }
            part["coverage"].append(f"axe rules: {axe['tier']}")
    if tree is not None and "color" in bundle.snapshot_styles:
        part["contrast"] = check_contrast(tree)
        part["coverage"].append("contrast of text")
    if tree is not None:
        part["headings"] = check_headings(tree)
    return part


def _violation(rule: Fields) -> Fields:
    return {
        "id": rule["id"],
        "impact": rule["impact"],
        "count": rule["count"],
        "help": rule["help"],
        "wcag": [
            _criterion(tag) for tag in rule["tags"] if tag.startswith("wcag") and tag[4:].isdigit()
        ],
        "nodes": rule["nodes"],
    }


def _criterion(tag: str) -> str:
    digits = tag[4:]
    return f"{digits[0]}.{digits[1]}.{digits[2:]}"


def heading_outline(tree: Tree) -> list[list[Any]]:
    """Level, text and vertical position of every heading that shows."""
    found: list[list[Any]] = []
    for node in tree.elements():
        level = node.heading_level
        if level is not None and node.box is not None and is_visible(node, tree.width):
            text = " ".join(item.text for item in node.descendants() if item.text)[:160]
            found.append([level, text, round(node.box.y)])
    return found


def check_headings(tree: Tree) -> Fields:
    """Whether the outline has one beginning and leaves no level out."""
    levels = [entry[0] for entry in heading_outline(tree)]
    skipped = sum(1 for before, after in pairwise(levels) if after > before + 1)
    return {"total": len(levels), "h1Count": levels.count(1), "skippedLevels": skipped}


def landmarks(tree: Tree, most: int) -> tuple[list[Fields], int]:
    """Landmarks by tag or role with their boxes, so many at most, and how many there are."""
    found: list[Fields] = []
    total = 0
    for node in tree.elements():
        role = node.role if node.role in _LANDMARKS.values() else _LANDMARKS.get(node.tag, "")
        if not role or node.box is None or not _is_landmark(node, role):
            continue
        total += 1
        if total > most:
            continue
        label = node.attributes.get("aria-label", "")[:80]
        entry: Fields = {"role": role, "box": node.box.rounded(), "selector": css_path(node)}
        found.append(entry | ({"label": label} if label else {}))
    return found, total


def _is_landmark(node: Node, role: str) -> bool:
    """Header and footer of a part are no landmarks; a form is one only with a name."""
    if node.tag in ("header", "footer") and not node.role:
        inner = {"article", "section", "main", "aside", "nav", "blockquote"}
        return all(item.tag not in inner for item in node.ancestors())
    if role == "form":
        return "aria-label" in node.attributes or "aria-labelledby" in node.attributes
    return True
