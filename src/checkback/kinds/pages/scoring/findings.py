"""Where a page breaks the rules of ``rules.py``: one finding for each broken rule, with what shows
it.

Pure functions of the report's other parts. What was not measured is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from checkback.kinds.pages.audits.framework_defaults import PLAIN_FAMILIES, default_accents
from checkback.kinds.pages.audits.stock_phrases import find_cliches
from checkback.kinds.pages.dom.colors import chroma, parse_hex
from checkback.kinds.pages.scoring.rules import RULES

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """An element that shows a finding."""

    selector: str
    box: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule. ``name`` differs from the rule's only for axe, whose rules have names of their
    own.
    """

    rule: str
    count: int = 1
    evidence: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    name: str = ""
    detail: str = ""

    @property
    def points(self) -> float:
        return RULES[self.rule].points(self.count)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller wants judged, beside the page itself."""

    strict: bool = True
    industry: str | None = None
    audience: str | None = None


def find(report: Fields, wishes: Wishes) -> list[Finding]:
    """Every broken rule of a report, in the order of the rules."""
    found = [
        *_content(report),
        *_accessibility(report, wishes.strict),
        *_performance(report),
        *_files(report),
        *_metadata(report),
        *_links(report),
        *_windows(report),
        *_consistency(report),
        *_motion(report),
        *_structure(report),
        *_wishes(report, wishes),
        *_originality(report),
    ]
    order = {name: place for place, name in enumerate(RULES)}
    return sorted(found, key=lambda finding: order[finding.rule])


def _places(items: Iterable[Fields]) -> tuple[Place, ...]:
    return tuple(Place(str(item["selector"]), tuple(item.get("box") or ())) for item in items)


def _content(report: Fields) -> Iterator[Finding]:
    content: Fields = report.get("content", {})
    length = content.get("textLength", 0)
    if not content or length >= 200 or (length >= 40 and content["images"]):
        return
    rule = "little-content" if length >= 40 else "no-content"
    yield Finding(rule, 1, (f"{length} characters of text",))


def _accessibility(report: Fields, strict: bool) -> Iterator[Finding]:
    part: Fields = report.get("accessibility", {})
    for violation in part.get("violations", ()):
        impact = violation["impact"] if f"axe-{violation['impact']}" in RULES else "minor"
        if not strict and impact in ("moderate", "minor"):
            continue
        yield Finding(
            f"axe-{impact}",
            violation["count"],
            (violation["help"],),
            _places(violation["nodes"]),
            f"axe-{violation['id']}",
            violation["help"],
        )
    contrast: Fields = part.get("contrast", {})
    if contrast.get("failed"):
        worst = tuple(
            f"{item['ratio']}:1 instead of {item['needed']:g}:1" for item in contrast["failures"]
        )
        yield Finding("low-contrast", contrast["failed"], worst, _places(contrast["failures"]))
    seo: Fields = report.get("seo", {})
    seen = {violation["id"] for violation in part.get("violations", ())}
    if seo.get("unlabelledFields") and "label" not in seen:
        yield _with_elements(
            "field-without-label", seo["unlabelledFields"], seo, "unlabelledFields"
        )
    skipped = part.get("headings", {}).get("skippedLevels", 0)
    if skipped and "heading-order" not in seen:
        yield _with_elements("skipped-heading-level", skipped, seo, "skippedHeadings")
    landmarks = report.get("layout", {}).get("landmarks")
    without = landmarks is not None and all(landmark["role"] != "main" for landmark in landmarks)
    if without and "landmark-one-main" not in seen:
        yield Finding("no-main-landmark")


_LIMITS = (
    ("lcpMs", "slow-largest-paint", 2500, 4000, "ms"),
    ("cls", "layout-shift", 0.1, 0.25, ""),
    ("tbtMs", "blocked-thread", 200, 600, "ms"),
)


def _performance(report: Fields) -> Iterator[Finding]:
    part: Fields = report.get("performance", {})
    if (part.get("ttfbMs") or 0) > 800:
        yield Finding("slow-first-byte", 1, (f"{part['ttfbMs']:g} ms",))
    for name, rule, fair, poor, unit in _LIMITS:
        value = part.get(name)
        if value is not None and value > fair:
            places = ()
            if name == "lcpMs" and part.get("lcpElement"):
                places = (Place(str(part["lcpElement"])),)
            elif name == "cls":
                moved = dict.fromkeys(str(item["element"]) for item in part.get("clsSources", ()))
                places = tuple(Place(element) for element in moved if element)
            yield Finding(rule, 2 if value > poor else 1, (f"{value:g} {unit}".strip(),), places)
    weight = part.get("weight", {}).get("total", 0)
    if weight > 3_000_000:
        yield Finding("heavy-page", 2 if weight > 6_000_000 else 1, (f"{weight / 1e6:.1f} MB",))
    if part.get("requests", 0) > 120:
        yield Finding("many-requests", 1, (f"{part['requests']} requests",))
    if part.get("failedTotal"):
        addresses = tuple(str(item["url"]) for item in part.get("failed", ()))
        yield Finding("failed-requests", part["failedTotal"], addresses)


def _files(report: Fields) -> Iterator[Finding]:
    images: Fields = report.get("seo", {}).get("images", {})
    for name, rule in (("broken", "broken-images"), ("oversized", "oversized-images")):
        if images.get(name):
            yield Finding(rule, images[name])
    errors = report.get("console", {}).get("errorTotal", 0)
    if errors:
        yield Finding("script-errors", errors)
    css: Fields = report.get("css", {})
    if css and (css["unusedPercent"] or 0) > 70 and css["bytes"] > 100_000:
        yield Finding(
            "unused-css", 1, (f"{css['unusedPercent']:.0f} % of {css['bytes'] // 1000} kB",)
        )


def _metadata(report: Fields) -> Iterator[Finding]:
    seo: Fields | None = report.get("seo")
    if seo is None:
        return
    missing = {
        "no-title": not report.get("title"),
        "no-description": not seo["description"],
        "no-language": not report.get("lang"),
        "no-canonical": not seo["canonical"],
        "no-icon": not report.get("favicon"),
        "no-preview-image": not report.get("ogImage"),
        "not-indexed": "noindex" in str(seo["robots"]).lower(),
        "invalid-json-ld": "(not valid JSON)" in seo["jsonLd"],
    }
    yield from (Finding(rule) for rule, applies in missing.items() if applies)
    if seo.get("h1Count") == 0:
        yield Finding("no-main-heading")
    elif seo.get("h1Count", 1) > 1:
        yield _with_elements(
            "several-main-headings", seo["h1Count"] - 1, seo, "furtherMainHeadings"
        )


def _links(report: Fields) -> Iterator[Finding]:
    seo: Fields = report.get("seo", {})
    counts = {
        "images-without-alt": (seo.get("imagesWithoutAlt", 0), "imagesWithoutAlt"),
        "empty-links": (seo.get("links", {}).get("empty", 0), "emptyLinks"),
        "vague-links": (seo.get("links", {}).get("vague", 0), "vagueLinks"),
    }
    for rule, (count, name) in counts.items():
        if count:
            yield _with_elements(rule, count, seo, name)


def _with_elements(rule: str, count: int, seo: Fields, name: str) -> Finding:
    return Finding(rule, count, (), _places(seo.get("elements", {}).get(name, ())))


def _windows(report: Fields) -> Iterator[Finding]:
    viewports: list[Fields] = report.get("responsive", {}).get("viewports", [])
    over = [viewport for viewport in viewports if viewport["overflowX"]]
    if over:
        sizes = tuple(f"{item['overflowPixels']} px at {item['width']} px" for item in over)
        yield Finding("overflow", len(over), sizes)
    narrow = [viewport for viewport in viewports if viewport["width"] < 600]
    taps = max((viewport["smallTapTargets"] for viewport in narrow), default=0)
    if taps:
        yield Finding("small-targets", taps)
    length = report.get("content", {}).get("textLength", 0)
    if any(viewport["smallText"] > 0.1 * max(1, length) for viewport in narrow):
        yield Finding("small-text")
    shown = any(viewport["navigation"] == "expanded" for viewport in viewports)
    if shown and any(viewport["navigation"] == "none" for viewport in narrow):
        yield Finding("lost-navigation")
    tag: str | None = report.get("seo", {}).get("viewport")
    if tag == "":
        yield Finding("no-viewport")
    elif tag and re.search(r"user-scalable\s*=\s*(no|0)|maximum-scale\s*=\s*1(\.0)?\b", tag):
        yield Finding("zoom-forbidden", 1, (tag[:100],))


def _consistency(report: Fields) -> Iterator[Finding]:
    design: Fields = report.get("design", {})
    spacing: Fields = design.get("spacing", {})
    if spacing.get("values", 0) > 10 and spacing.get("onBase", 1) < 0.6:
        yield Finding(
            "irregular-spacing", 1, (f"{spacing['onBase']:.0%} on a base of {spacing['base']} px",)
        )
    typography: Fields = design.get("typography", {})
    if typography.get("sizes", 0) > 12:
        yield Finding(
            "many-font-sizes", typography["sizes"] - 12, (f"{typography['sizes']} sizes",)
        )
    families = [item for item in typography.get("families", ()) if item["share"] >= 0.02]
    if len(families) > 3:
        yield Finding(
            "many-families", len(families) - 3, tuple(item["declared"] for item in families)
        )
    missing = [item for item in families if item.get("isFallback")]
    if missing:
        shown = tuple(
            f"{item['declared']} is shown as {', '.join(item['rendered'])}" for item in missing
        )
        yield Finding("missing-font", len(missing), shown)
    if design.get("radiiTotal", 0) > 6:
        yield Finding("many-radii", design["radiiTotal"] - 6)
    css: Fields = report.get("css", {})
    if css.get("declarations", 0) > 200 and css["importantCount"] > 0.05 * css["declarations"]:
        yield Finding("important-rules", 1, (f"{css['importantCount']} of {css['declarations']}",))
    if report.get("seo", {}).get("compatMode") == "BackCompat":
        yield Finding("quirks-mode")


def _motion(report: Fields) -> Iterator[Finding]:
    part: Fields = report.get("motion", {})
    reduced: Fields = part.get("reducedMotion", {})
    if reduced.get("infiniteAfter"):
        names = [
            pattern["name"]
            for pattern in part["patterns"]
            if pattern["accessibility"].get("respectsReducedMotion") is False
        ]
        running = [item for item in part.get("cssAnimations", ()) if item["infinite"]]
        places = tuple(Place(str(item["target"])) for item in running if item["name"] in names)
        yield Finding("motion-not-reduced", reduced["infiniteAfter"], tuple(names), places)
    moving = [pattern for pattern in part.get("patterns", ()) if pattern["type"] != "keyframes"]
    if len(moving) >= 3 and not reduced.get("mediaQueries"):
        yield Finding("no-reduced-motion", 1, (f"{len(moving)} patterns of motion",))
    costly = [pattern for pattern in moving if _LAYOUT.intersection(pattern["properties"])]
    if costly:
        yield Finding("costly-animation", len(costly), tuple(pattern["name"] for pattern in costly))
    slow = [
        p
        for p in moving
        if not p["infinite"] and p["duration"] > 2000 and p["type"] == "css_transition"
    ]
    if slow:
        yield Finding(
            "slow-motion", len(slow), tuple(f"{p['name']}: {p['duration']:g} ms" for p in slow)
        )


#: Properties that need a new layout on each frame.
_LAYOUT = frozenset(
    {"width", "height", "min-width", "min-height", "max-width", "max-height", "top", "right", "bottom",
     "left", "inset", "margin", "margin-top", "margin-right", "margin-bottom", "margin-left", "padding",
     "padding-top", "padding-right", "padding-bottom", "padding-left", "font-size", "line-height",
     "border-width", "flex-basis", "grid-template-columns", "grid-template-rows"}
)  # fmt: skip


def _structure(report: Fields) -> Iterator[Finding]:
    layout: Fields | None = report.get("layout")
    if layout is None:
        return
    types: Fields = layout["sectionTypes"]
    roles = {landmark["role"] for landmark in layout["landmarks"]}
    if "navigation" not in roles and not types.get("navigation"):
        yield Finding("no-navigation")
    if layout["sectionCount"] >= 3 and not types.get("footer") and "contentinfo" not in roles:
        yield Finding("no-footer")


def _wishes(report: Fields, wishes: Wishes) -> Iterator[Finding]:
    """The words that the caller named must occur where a reader meets them first."""
    outline = " ".join(text for _, text, _ in report.get("layout", {}).get("headings", ()))
    first = f"{report.get('title', '')} {report.get('description', '')} {outline}".lower()
    for rule, wanted in (
        ("industry-not-named", wishes.industry),
        ("audience-not-named", wishes.audience),
    ):
        words = [word for word in re.split(r"[^\w]+", (wanted or "").lower()) if len(word) > 2]
        if words and not any(word in first for word in words):
            yield Finding(rule, 1, tuple(words))


def _originality(report: Fields) -> Iterator[Finding]:
    for cliche in find_cliches(report):
        yield Finding(cliche["type"], cliche["count"], (cliche["description"],))
    layout: Fields = report.get("layout", {})
    types: Fields = layout.get("sectionTypes", {})
    if sum(types.values()) >= 4 and len(types) <= 2:
        yield Finding(
            "uniform-sections", 1, tuple(f"{number} of {name}" for name, number in types.items())
        )
    order = [section["type"] for section in layout.get("sections", ())]
    if order == [name for name in _STOCK_ORDER if name in order] and len(order) >= 5:
        yield Finding("stock-order", 1, (", ".join(order),))
    yield from _look(report)


_STOCK_ORDER = ("navigation", "hero", "feature", "testimonial", "pricing", "faq", "cta", "footer")


def _look(report: Fields) -> Iterator[Finding]:
    design: Fields = report.get("design", {})
    if "colors" not in design:
        return
    colors: Fields = design["colors"]
    colourful = any(chroma(parse_hex(color)) > 0.04 for color, _ in colors["palette"])
    if not colourful and not colors["accent"]:
        yield Finding("no-own-color")
    families = [family["declared"].lower() for family in design["typography"]["families"]]
    plain = bool(families) and all(family in PLAIN_FAMILIES for family in families)
    framework = str(report.get("layout", {}).get("cssFramework", {}).get("framework", ""))
    default = [color for color in colors["accent"][:2] if color in default_accents(framework)]
    if default and plain and framework not in ("", "vanilla", "unknown"):
        yield Finding(
            "unmodified-theme", 1, (f"{framework} with {', '.join(default)} and its own fonts",)
        )
    elif default:
        yield Finding("default-accent", 1, tuple(default))
    if plain:
        yield Finding("default-type", 1, tuple(families))
