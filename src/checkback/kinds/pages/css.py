"""The page's style sheets, read: variables, breakpoints, keyframes, transitions, sizes that adapt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import tinycss2

from checkback.kinds.pages.bundle import Bundle

Fields = dict[str, Any]

MOST_LISTED = 300
MOST_SHEETS = 40
VALUE_LENGTH = 200
_CONDITIONAL = frozenset({"media", "supports", "layer", "container", "scope", "starting-style"})
_WIDTH = re.compile(r"(min|max)-width\s*:\s*([\d.]+)(px|em|rem)|width\s*[<>]=?\s*([\d.]+)(px|em|rem)")
_VARIABLE = re.compile(r"var\(\s*(--[\w-]+)")
_FACE = re.compile(r"@font-face\s*\{([^}]{0,4000})\}", re.I)
_FAMILY = re.compile(r"(?:^|[;\s])font-family\s*:\s*([^;}]{1,200})", re.I)
_FLUID = re.compile(r"\b(clamp|calc|min|max)\(")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One property of one rule, with what surrounds it."""

    selector: str
    name: str
    value: str
    media: str = ""
    important: bool = False


def _no_declarations() -> list[Declaration]:
    return []


@dataclass(slots=True)
class StyleFacts:
    """What all style sheets of a page say, taken together."""

    declarations: list[Declaration] = field(default_factory=_no_declarations)
    #: Name of a keyframes rule -> the properties that it changes.
    keyframes: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    media: Counter[str] = field(default_factory=Counter[str])
    rules: int = 0
    font_faces: int = 0
    layers: list[str] = field(default_factory=list[str])
    size_bytes: int = 0
    used_rules: int = 0
    important: int = 0

    def named(self, *names: str) -> Iterable[Declaration]:
        """The declarations of some properties, with or without a vendor's prefix."""
        wanted = set(names)
        return (item for item in self.declarations if item.name.removeprefix("-webkit-") in wanted)


def read_styles(bundle: Bundle) -> StyleFacts:
    """Parse every style sheet of the bundle that applies."""
    facts = StyleFacts()
    for sheet in bundle.sheets:
        if sheet["disabled"]:
            continue
        facts.size_bytes += sheet["bytes"]
        facts.used_rules += sheet["usedRules"]
        rules = tinycss2.parse_stylesheet(sheet["text"], skip_comments=True, skip_whitespace=True)
        _read_rules(rules, facts, media="", outer="", depth=0)
    return facts


def _read_rules(
    rules: Iterable[tinycss2.Node], facts: StyleFacts, *, media: str, outer: str, depth: int
) -> None:
    for rule in rules:
        if rule.type == "qualified-rule":
            _read_style_rule(rule, facts, media, outer, depth)
        elif rule.type == "at-rule":
            _read_at_rule(rule, facts, media, outer, depth)
        elif rule.type == "declaration":
            _read_declaration(rule, facts, media, outer)


def _read_style_rule(rule: tinycss2.Node, facts: StyleFacts, media: str, outer: str, depth: int) -> None:
    facts.rules += 1
    selector = _text(rule.prelude)
    if outer:
        selector = selector.replace("&", outer) if "&" in selector else f"{outer} {selector}"
    inside = tinycss2.parse_blocks_contents(rule.content or [], skip_comments=True, skip_whitespace=True)
    if depth < 10:
        _read_rules(inside, facts, media=media, outer=selector[:VALUE_LENGTH], depth=depth + 1)


def _read_at_rule(rule: tinycss2.Node, facts: StyleFacts, media: str, outer: str, depth: int) -> None:
    keyword = rule.lower_at_keyword.removeprefix("-webkit-").removeprefix("-moz-")
    prelude = _text(rule.prelude)
    if keyword == "keyframes":
        facts.keyframes.setdefault(prelude.strip("\"'"), _animated_properties(rule.content or []))
    elif keyword == "font-face":
        facts.font_faces += 1
    elif keyword in _CONDITIONAL:
        if keyword == "media":
            facts.media[prelude] += 1
            media = f"{media} and {prelude}" if media else prelude
        elif keyword == "layer" and prelude:
            facts.layers += [name.strip() for name in prelude.split(",") if name.strip() not in facts.layers]
        if rule.content is not None and depth < 10:
            inside = tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True)
            _read_rules(inside, facts, media=media, outer=outer, depth=depth + 1)


def _read_declaration(rule: tinycss2.Node, facts: StyleFacts, media: str, selector: str) -> None:
    facts.important += rule.important
    name = rule.name if rule.name.startswith("--") else rule.lower_name
    value = _text(rule.value)
    facts.declarations.append(Declaration(selector, name, value, media, rule.important))


def _animated_properties(content: list[tinycss2.Node]) -> list[str]:
    found: set[str] = set()
    for frame in tinycss2.parse_rule_list(content, skip_comments=True, skip_whitespace=True):
        if frame.type == "qualified-rule":
            inside = tinycss2.parse_blocks_contents(
                frame.content or [], skip_comments=True, skip_whitespace=True
            )
            found |= {item.lower_name for item in inside if item.type == "declaration"}
    return sorted(found - {"animation-timing-function", "animation-composition"})


def _text(nodes: Iterable[tinycss2.Node]) -> str:
    return " ".join(tinycss2.serialize(nodes).split())[:VALUE_LENGTH]


# --- What the report says of them ---


def variables(facts: StyleFacts) -> list[Fields]:
    """Custom properties with their scope, category and number of uses, the most used first."""
    uses = Counter(name for item in facts.declarations for name in _VARIABLE.findall(item.value))
    found: dict[tuple[str, str], Fields] = {}
    for item in facts.declarations:
        if item.name.startswith("--"):
            key = (item.name, item.selector)
            found.setdefault(
                key,
                {
                    "name": item.name[:80],
                    "value": item.value,
                    "category": _category(item.name, item.value),
                    "scope": item.selector[:80],
                    "uses": uses[item.name],
                },
            )
    return sorted(found.values(), key=lambda entry: (-entry["uses"], entry["name"]))


_CATEGORIES = (
    ("color", r"#[0-9a-f]{3,8}\b|\b(rgb|hsl|oklch|oklab|lab|lch|color)a?\(|^(white|black|transparent)$"),
    ("easing", r"cubic-bezier|^(linear|ease|ease-in|ease-out|ease-in-out)$|steps\("),
    ("duration", r"^[\d.]+m?s$"),
    ("shadow", r"^(inset )?-?[\d.]+(px|rem|em)? -?[\d.]+(px|rem|em)? "),
    ("size", r"^-?[\d.]+(px|rem|em|%|vw|vh|ch)$|\b(clamp|calc|min|max)\("),
    ("font", r"serif|sans|mono|system-ui"),
    ("number", r"^-?[\d.]+$"),
)


def _category(name: str, value: str) -> str:
    for category, pattern in _CATEGORIES:
        if re.search(pattern, value, re.I):
            return category
    for word in ("color", "shadow", "font", "radius", "space"):
        if word in name.lower():
            return {"radius": "size", "space": "size"}.get(word, word)
    return "other"


def fluid_values(facts: StyleFacts, function: str) -> list[Fields]:
    """Where a size adapts by ``clamp()`` or ``calc()``."""
    pattern = re.compile(rf"\b{function}\(")
    found = [
        {"property": item.name[:80], "value": item.value, "selector": item.selector[:80]}
        for item in facts.declarations
        if pattern.search(item.value)
    ]
    return found


def web_fonts(bundle: Bundle) -> set[str]:
    """The families that the style sheets bring along."""
    found: set[str] = set()
    for sheet in bundle.sheets:
        for face in _FACE.findall(sheet["text"]):
            match = _FAMILY.search(face)
            if match is not None:
                found.add(match[1].strip().strip("\"'"))
    return found


def breakpoints(facts: StyleFacts) -> list[Fields]:
    """Widths in pixels at which media queries switch, each with the number of rules blocks that use it."""
    found: Counter[int] = Counter()
    for query, count in facts.media.items():
        for match in _WIDTH.finditer(query):
            size, unit = match[2] or match[4], match[3] or match[5]
            found[round(float(size) * (1 if unit == "px" else 16))] += count
    return [{"width": width, "uses": found[width]} for width in sorted(found)][:60]


def summary(bundle: Bundle, facts: StyleFacts) -> Fields:
    """The numbers of the report's ``css`` part."""
    unused = 100 * (1 - facts.used_rules / facts.rules) if facts.rules else 0.0
    return {
        "bytes": facts.size_bytes,
        "rules": facts.rules,
        "declarations": len(facts.declarations),
        "unusedPercent": round(max(0.0, min(100.0, unused)), 1),
        "importantCount": facts.important,
        "layers": facts.layers[:40],
        "fontFaces": facts.font_faces,
        "fluidValues": sum(1 for item in facts.declarations if _FLUID.search(item.value)),
        "sheets": [
            {"url": sheet["url"], "inline": sheet["inline"], "bytes": sheet["bytes"]}
            for sheet in bundle.sheets[:MOST_SHEETS]
        ],
        "sheetsTotal": len(bundle.sheets),
    }
