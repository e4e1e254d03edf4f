"""Turns of phrase and looks that a great many pages share; each kind is a rule of ``rules.py``."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
    """Clichés in headings and in the look, with how often each was found."""
    gradients: list[Fields] = report.get("design", {}).get("colors", {}).get("gradients", [])
    return [*_phrases(_prominent_texts(report)), *_violet_gradients(gradients)]


def _phrases(texts: set[str]) -> Iterator[Fields]:
    for kind, severity, rule, description in _RULES:
        count = sum(1 for text in texts if rule.search(text))
        if count:
            yield _cliche(kind, description, severity, count)


def _violet_gradients(gradients: list[Fields]) -> Iterator[Fields]:
    count = sum(1 for gradient in gradients if _is_violet_to_blue(gradient["value"]))
    if count:
        yield _cliche("violet-gradient", "A gradient from violet to blue", "medium", count)


def _cliche(kind: str, description: str, severity: str, count: int) -> Fields:
    return {"type": kind, "description": description, "severity": severity, "count": count}


def _prominent_texts(report: Fields) -> set[str]:
    """Title, description and headings."""
    layout: Fields = report.get("layout", {})
    texts = {str(report.get("title", "")), str(report.get("description", ""))}
    texts.update(str(text) for _, text, _ in layout.get("headings", ()))
    texts.update(str(section.get("heading") or "") for section in layout.get("sections", ()))
    return texts


def _is_violet_to_blue(value: str) -> bool:
    angles = _strong_hues(value)
    # In OKLab blue is at about 260 degrees, violet at about 300.
    if len(angles) < 2 or min(angles) < 245 or max(angles) > 330:
        return False
    return max(angles) - min(angles) > 12


def _strong_hues(value: str) -> list[float]:
    """The hues of a gradient's stops that are not gray."""
    hues: list[float] = []
    for part in _COLOR.findall(value):
        color = parse_color(part)
        if color is not None and chroma(color) > 0.1:
            hues.append(hue(color))
    return hues
