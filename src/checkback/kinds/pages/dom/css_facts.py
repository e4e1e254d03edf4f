"""What the report says about style sheets: variables, breakpoints, fonts, sizes that adapt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.dom.css_parser import NUMBER, Declaration, StyleFacts, read_sheet

Fields = dict[str, Any]

MAX_LISTED = 300
MAX_SHEETS = 40
VALUE_LENGTH = 200
_WIDTH = re.compile(
    rf"(min|max)-width\s*:\s*({NUMBER})(px|em|rem)|width\s*[<>]=?\s*({NUMBER})(px|em|rem)"
)
_VARIABLE = re.compile(r"var\(\s*(--[\w-]+)")
_FACE = re.compile(r"@font-face\s*\{([^}]{0,4000})\}", re.I)
_FAMILY = re.compile(r"(?:^|[;\s])font-family\s*:\s*([^;}]{1,200})", re.I)
_FLUID = re.compile(r"\b(clamp|calc|min|max)\(")


def read_styles(bundle: PageCapture) -> StyleFacts:
    """Read every style sheet of the bundle that applies."""
    facts = StyleFacts()
    applied = [sheet for sheet in bundle.sheets if not sheet["disabled"]]
    for sheet in applied:
        facts.size_bytes += sheet["bytes"]
        read_sheet(sheet["text"], facts)
    return facts


# --- What the report says of them ---


def variables(facts: StyleFacts) -> list[Fields]:
    """Custom properties with their scope, category and number of uses, the most used first."""
    uses: Counter[str] = Counter()
    for item in facts.declarations:
        uses.update(_VARIABLE.findall(item.value))
    entries = [_variable(item, uses[item.name]) for item in _custom_properties(facts)]
    return sorted(entries, key=lambda entry: (-entry["uses"], entry["name"]))


def _custom_properties(facts: StyleFacts) -> Iterable[Declaration]:
    """The first declaration of each custom property in each scope."""
    properties: dict[tuple[str, str], Declaration] = {}
    for item in facts.declarations:
        if item.name.startswith("--"):
            properties.setdefault((item.name, item.selector), item)
    return properties.values()


def _variable(item: Declaration, uses: int) -> Fields:
    return {
        "name": item.name[:80],
        "value": item.value,
        "category": _category(item.name, item.value),
        "scope": item.selector[:80],
        "uses": uses,
    }


_CATEGORIES = (
    (
        "color",
        r"#[0-9a-f]{3,8}\b|\b(rgb|hsl|oklch|oklab|lab|lch|color)a?\(|^(white|black|transparent)$",
    ),
    ("easing", r"cubic-bezier|^(linear|ease|ease-in|ease-out|ease-in-out)$|steps\("),
    ("duration", r"^[\d.]+m?s$"),
    ("shadow", r"^(inset )?-?[\d.]+(px|rem|em)? -?[\d.]+(px|rem|em)? "),
    ("size", r"^-?[\d.]+(px|rem|em|%|vw|vh|ch)$|\b(clamp|calc|min|max)\("),
    ("font", r"serif|sans|mono|system-ui"),
    ("number", r"^-?[\d.]+$"),
)


#: The category of a custom property whose value says nothing, by a part of its name.
_NAMES = {"color": "color", "shadow": "shadow", "font": "font", "radius": "size", "space": "size"}


def _category(name: str, value: str) -> str:
    for category, pattern in _CATEGORIES:
        if re.search(pattern, value, re.I):
            return category
    name = name.lower()
    return next((category for word, category in _NAMES.items() if word in name), "other")


def fluid_values(facts: StyleFacts, function: str) -> list[Fields]:
    """Where a size adapts by ``clamp()`` or ``calc()``."""
    pattern = re.compile(rf"\b{function}\(")
    return [
        {"property": item.name[:80], "value": item.value, "selector": item.selector[:80]}
        for item in facts.declarations
        if pattern.search(item.value)
    ]


def web_fonts(bundle: PageCapture) -> set[str]:
    """The families that the style sheets bring along."""
    families: set[str] = set()
    for sheet in bundle.sheets:
        matches = [_FAMILY.search(face) for face in _FACE.findall(sheet["text"])]
        families.update(match[1].strip().strip("\"'") for match in matches if match is not None)
    return families


def breakpoints(facts: StyleFacts) -> list[Fields]:
    """Widths in pixels at which media queries switch, each with the number of blocks that
    use it.
    """
    widths: Counter[int] = Counter()
    for query, count in facts.media.items():
        for match in _WIDTH.finditer(query):
            size, unit = match[2] or match[4], match[3] or match[5]
            widths[round(float(size) * (1 if unit == "px" else 16))] += count
    return [{"width": width, "uses": widths[width]} for width in sorted(widths)][:60]


def _unused_percent(used: int | None, rules: int) -> float | None:
    """The share of style rules that matched nothing; None if they were not counted."""
    if used is None:
        return None
    if not rules:
        return 0.0
    return round(max(0.0, min(100.0, 100 * (1 - used / rules))), 1)


def summary(bundle: PageCapture, facts: StyleFacts) -> Fields:
    """The numbers of the report's ``css`` part."""
    return {
        "bytes": facts.size_bytes,
        "rules": facts.rules,
        "declarations": len(facts.declarations),
        "unusedPercent": _unused_percent(bundle.rules_used, facts.rules),
        "importantCount": facts.important,
        "layers": facts.layers[:40],
        "fontFaces": facts.font_faces,
        "fluidValues": sum(1 for item in facts.declarations if _FLUID.search(item.value)),
        "sheets": [
            {"url": sheet["url"], "inline": sheet["inline"], "bytes": sheet["bytes"]}
            for sheet in bundle.sheets[:MAX_SHEETS]
        ],
        "sheetsTotal": len(bundle.sheets),
    }
