"""Turns of phrase and looks that a great many pages share; each kind is a rule of ``rules.py``."""

from __future__ import annotations

import re
from typing import Any

from checkback.kinds.pages.dom.colors import chroma, hue, parse_color

Fields = dict[str, Any]

_PHRASES = (
    ("placeholder-text", "high", r"lorem ipsum|your (title|text|heading) here", "Placeholder text"),
    (
        "welcome-heading",
        "medium",
        r"^welcome to (our|my|the) (web)?site|^welcome!?$",
        "A heading that says welcome",
    ),
    (
        "empty-superlatives",
        "medium",
        r"world[- ]class|cutting[- ]edge|best[- ]in[- ]class|next[- ]gen(eration)?\b|game[- ]chang",
        "Superlatives without a fact",
    ),
    (
        "generic-promise",
        "medium",
        r"(take|bring) your .{1,40} to the next level|unlock the (power|potential)|supercharge your"
        r"|elevate your|all[- ]in[- ]one (platform|solution)|the future of ",
        "A promise that fits every product",
    ),
    (
        "buzz-words",
        "low",
        r"\b(seamless(ly)?|revolutioni[sz]e|empower(ing)?|synergy|effortless(ly)?)\b",
        "Buzz-words",
    ),
)
_RULES = tuple(
    (kind, severity, re.compile(rule, re.I), text) for kind, severity, rule, text in _PHRASES
)
_COLOR = re.compile(r"(?:rgba?|color|oklch|oklab|lab|lch)\([^()]*\)")


def find_cliches(report: Fields) -> list[Fields]:
    """Clichés in headings and in the look, with how often each was met."""
    layout: Fields = report.get("layout", {})
    headings = [str(text) for _, text, _ in layout.get("headings", ())]
    headings += [str(section.get("heading") or "") for section in layout.get("sections", ())]
    texts = dict.fromkeys(
        [str(report.get("title", "")), str(report.get("description", "")), *headings]
    )
    found: list[Fields] = []
    for kind, severity, rule, description in _RULES:
        count = sum(1 for text in texts if rule.search(text))
        if count:
            found.append(
                {"type": kind, "description": description, "severity": severity, "count": count}
            )
    gradients: list[Fields] = report.get("design", {}).get("colors", {}).get("gradients", [])
    violet = sum(1 for gradient in gradients if _is_violet_to_blue(gradient["value"]))
    if violet:
        text = "A gradient from violet to blue"
        found.append(
            {"type": "violet-gradient", "description": text, "severity": "medium", "count": violet}
        )
    return found


def _is_violet_to_blue(value: str) -> bool:
    stops = [color for part in _COLOR.findall(value) if (color := parse_color(part)) is not None]
    strong = [hue(color) for color in stops if chroma(color) > 0.1]
    # In OKLab blue lies at about 260 degrees, violet at about 300.
    return (
        len(strong) >= 2
        and all(245 <= angle <= 330 for angle in strong)
        and max(strong) - min(strong) > 12
    )
