"""Where a page breaks the rules of ``rules.py``: one finding for each broken rule, with its
evidence.

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

#: Each value of a lab measurement: name, rule, limits for fair and poor, unit.
_LIMITS = (
    ("lcpMs", "slow-largest-paint", 2500, 4000, "ms"),
    ("cls", "layout-shift", 0.1, 0.25, ""),
    ("tbtMs", "blocked-thread", 200, 600, "ms"),
)
_NO_ZOOM = re.compile(r"user-scalable\s*=\s*(no|0)|maximum-scale\s*=\s*1(\.0)?\b")
#: Properties that need a new layout on each frame.
_LAYOUT_PROPERTIES = frozenset(
    {"width", "height", "min-width", "min-height", "max-width", "max-height", "top", "right", "bottom",
     "left", "inset", "margin", "margin-top", "margin-right", "margin-bottom", "margin-left", "padding",
     "padding-top", "padding-right", "padding-bottom", "padding-left", "font-size", "line-height",
     "border-width", "flex-basis", "grid-template-columns", "grid-template-rows"}
)  # fmt: skip
_STOCK_ORDER = ("navigation", "hero", "feature", "testimonial", "pricing", "faq", "cta", "footer")


@dataclass(frozen=True, slots=True)
class Place:
    """An element that shows a finding."""

    selector: str
    box: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule. ``name`` is empty, except for axe, whose rules have their own names."""

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
class Expectations:
    """What the caller wants judged in addition to the page itself."""

    strict: bool = True
    industry: str | None = None
    audience: str | None = None


def find(report: Fields, expectations: Expectations) -> list[Finding]:
    """Every broken rule of a report, in the order of the rules."""
    findings = [
        *_content(report),
        *_accessibility(report, strict=expectations.strict),
        *_performance(report),
        *_files(report),
        *_metadata(report),
        *_links(report),
        *_windows(report),
        *_consistency(report),
        *_motion(report),
        *_structure(report),
        *_audience(report, expectations),
        *_originality(report),
    ]
    order = {name: index for index, name in enumerate(RULES)}
    return sorted(findings, key=lambda finding: order[finding.rule])


def _places(items: Iterable[Fields]) -> tuple[Place, ...]:
    return tuple(Place(str(item["selector"]), tuple(item.get("box") or ())) for item in items)


def _with_elements(rule: str, count: int, seo: Fields, name: str) -> Finding:
    """A finding with the elements that the page's facts list under a name."""
    elements: Fields = seo.get("elements", {})
    return Finding(rule, count, (), _places(elements.get(name, ())))


# --- content and accessibility ---


def _content(report: Fields) -> Iterator[Finding]:
    content: Fields = report.get("content", {})
    if not content:
        return
    length = content.get("textLength", 0)
    evidence = (f"{length} characters of text",)
    if length < 40:
        yield Finding("no-content", 1, evidence)
    elif length < 200 and not content["images"]:
        yield Finding("little-content", 1, evidence)


def _accessibility(report: Fields, *, strict: bool) -> Iterator[Finding]:
    part: Fields = report.get("accessibility", {})
    violations: list[Fields] = part.get("violations", [])
    axe_rules = {violation["id"] for violation in violations}
    yield from _axe_violations(violations, strict=strict)
    yield from _contrast(part.get("contrast", {}))
    yield from _labels(report, axe_rules)
    yield from _heading_levels(report, axe_rules)
    yield from _main_landmark(report, axe_rules)


def _axe_violations(violations: list[Fields], *, strict: bool) -> Iterator[Finding]:
    for violation in violations:
        impact = violation["impact"]
        rule = f"axe-{impact}" if f"axe-{impact}" in RULES else "axe-minor"
        if not strict and rule in ("axe-moderate", "axe-minor"):
            continue
        yield Finding(
            rule,
            violation["count"],
            (violation["help"],),
            _places(violation["nodes"]),
            f"axe-{violation['id']}",
            violation["help"],
        )


def _contrast(contrast: Fields) -> Iterator[Finding]:
    if not contrast.get("failed"):
        return
    failures: list[Fields] = contrast["failures"]
    evidence = tuple(f"{item['ratio']}:1 instead of {item['needed']:g}:1" for item in failures)
    yield Finding("low-contrast", contrast["failed"], evidence, _places(failures))


def _labels(report: Fields, axe_rules: set[str]) -> Iterator[Finding]:
    seo: Fields = report.get("seo", {})
    count = seo.get("unlabelledFields")
    if count and "label" not in axe_rules:
        yield _with_elements("field-without-label", count, seo, "unlabelledFields")


def _heading_levels(report: Fields, axe_rules: set[str]) -> Iterator[Finding]:
    headings: Fields = report.get("accessibility", {}).get("headings", {})
    skipped = headings.get("skippedLevels", 0)
    if skipped and "heading-order" not in axe_rules:
        seo: Fields = report.get("seo", {})
        yield _with_elements("skipped-heading-level", skipped, seo, "skippedHeadings")


def _main_landmark(report: Fields, axe_rules: set[str]) -> Iterator[Finding]:
    landmarks: list[Fields] | None = report.get("layout", {}).get("landmarks")
    if landmarks is None or "landmark-one-main" in axe_rules:
        return
    if all(landmark["role"] != "main" for landmark in landmarks):
        yield Finding("no-main-landmark")


# --- performance and files ---


def _performance(report: Fields) -> Iterator[Finding]:
    part: Fields = report.get("performance", {})
    first_byte = part.get("ttfbMs") or 0
    if first_byte > 800:
        yield Finding("slow-first-byte", 1, (f"{first_byte:g} ms",))
    yield from _slow_values(part)
    yield from _weight(part)
    if part.get("failedTotal"):
        urls = tuple(str(item["url"]) for item in part.get("failed", ()))
        yield Finding("failed-requests", part["failedTotal"], urls)


def _slow_values(part: Fields) -> Iterator[Finding]:
    for name, rule, fair, poor, unit in _LIMITS:
        value = part.get(name)
        if value is None or value <= fair:
            continue
        count = 2 if value > poor else 1
        evidence = f"{value:g} {unit}".strip()
        yield Finding(rule, count, (evidence,), _slow_elements(part, name))


def _slow_elements(part: Fields, name: str) -> tuple[Place, ...]:
    """The elements that a measured value is about."""
    elements: list[str] = []
    if name == "lcpMs":
        elements = [str(part.get("lcpElement") or "")]
    elif name == "cls":
        elements = [str(item["element"]) for item in part.get("clsSources", ())]
    return tuple(Place(element) for element in dict.fromkeys(elements) if element)


def _weight(part: Fields) -> Iterator[Finding]:
    weight = part.get("weight", {}).get("total", 0)
    if weight > 3_000_000:
        yield Finding("heavy-page", 2 if weight > 6_000_000 else 1, (f"{weight / 1e6:.1f} MB",))
    requests = part.get("requests", 0)
    if requests > 120:
        yield Finding("many-requests", 1, (f"{requests} requests",))


def _files(report: Fields) -> Iterator[Finding]:
    images: Fields = report.get("seo", {}).get("images", {})
    for name, rule in (("broken", "broken-images"), ("oversized", "oversized-images")):
        if images.get(name):
            yield Finding(rule, images[name])
    errors = report.get("console", {}).get("errorTotal", 0)
    if errors:
        yield Finding("script-errors", errors)
    yield from _unused_css(report.get("css", {}))


def _unused_css(css: Fields) -> Iterator[Finding]:
    if not css or css["bytes"] <= 100_000:
        return
    unused = css["unusedPercent"] or 0
    if unused > 70:
        yield Finding("unused-css", 1, (f"{unused:.0f} % of {css['bytes'] // 1000} kB",))


# --- metadata, links and window sizes ---


def _metadata(report: Fields) -> Iterator[Finding]:
    seo: Fields | None = report.get("seo")
    if seo is None:
        return
    broken = {
        "no-title": not report.get("title"),
        "no-description": not seo["description"],
        "no-language": not report.get("lang"),
        "no-canonical": not seo["canonical"],
        "no-icon": not report.get("favicon"),
        "no-preview-image": not report.get("ogImage"),
        "not-indexed": "noindex" in str(seo["robots"]).lower(),
        "invalid-json-ld": "(not valid JSON)" in seo["jsonLd"],
    }
    for rule, is_broken in broken.items():
        if is_broken:
            yield Finding(rule)
    yield from _main_headings(seo)


def _main_headings(seo: Fields) -> Iterator[Finding]:
    count = seo.get("h1Count", 1)
    if count == 0:
        yield Finding("no-main-heading")
    elif count > 1:
        yield _with_elements("several-main-headings", count - 1, seo, "furtherMainHeadings")


def _links(report: Fields) -> Iterator[Finding]:
    seo: Fields = report.get("seo", {})
    links: Fields = seo.get("links", {})
    counts = (
        ("images-without-alt", seo.get("imagesWithoutAlt", 0), "imagesWithoutAlt"),
        ("empty-links", links.get("empty", 0), "emptyLinks"),
        ("vague-links", links.get("vague", 0), "vagueLinks"),
    )
    for rule, count, name in counts:
        if count:
            yield _with_elements(rule, count, seo, name)


def _windows(report: Fields) -> Iterator[Finding]:
    viewports: list[Fields] = report.get("responsive", {}).get("viewports", [])
    narrow = [viewport for viewport in viewports if viewport["width"] < 600]
    yield from _overflow(viewports)
    yield from _on_phones(narrow, report.get("content", {}).get("textLength", 0))
    navigations = {viewport["navigation"] for viewport in viewports}
    on_phones = {viewport["navigation"] for viewport in narrow}
    if "expanded" in navigations and "none" in on_phones:
        yield Finding("lost-navigation")
    yield from _viewport_tag(report.get("seo", {}).get("viewport"))


def _overflow(viewports: list[Fields]) -> Iterator[Finding]:
    wide = [viewport for viewport in viewports if viewport["overflowX"]]
    if wide:
        evidence = tuple(f"{item['overflowPixels']} px at {item['width']} px" for item in wide)
        yield Finding("overflow", len(wide), evidence)


def _on_phones(narrow: list[Fields], text_length: int) -> Iterator[Finding]:
    targets = max((viewport["smallTapTargets"] for viewport in narrow), default=0)
    if targets:
        yield Finding("small-targets", targets)
    if any(viewport["smallText"] > 0.1 * max(1, text_length) for viewport in narrow):
        yield Finding("small-text")


def _viewport_tag(tag: str | None) -> Iterator[Finding]:
    if tag == "":
        yield Finding("no-viewport")
    elif tag and _NO_ZOOM.search(tag):
        yield Finding("zoom-forbidden", 1, (tag[:100],))


# --- consistency ---


def _consistency(report: Fields) -> Iterator[Finding]:
    design: Fields = report.get("design", {})
    yield from _spacing(design.get("spacing", {}))
    yield from _typography(design.get("typography", {}))
    if design.get("radiiTotal", 0) > 6:
        yield Finding("many-radii", design["radiiTotal"] - 6)
    yield from _important_rules(report.get("css", {}))
    if report.get("seo", {}).get("compatMode") == "BackCompat":
        yield Finding("quirks-mode")


def _spacing(spacing: Fields) -> Iterator[Finding]:
    if spacing.get("values", 0) <= 10:
        return
    on_base = spacing.get("onBase", 1)
    if on_base < 0.6:
        yield Finding("irregular-spacing", 1, (f"{on_base:.0%} on a base of {spacing['base']} px",))


def _typography(typography: Fields) -> Iterator[Finding]:
    sizes = typography.get("sizes", 0)
    if sizes > 12:
        yield Finding("many-font-sizes", sizes - 12, (f"{sizes} sizes",))
    families = [item for item in typography.get("families", ()) if item["share"] >= 0.02]
    if len(families) > 3:
        names = tuple(item["declared"] for item in families)
        yield Finding("many-families", len(families) - 3, names)
    missing = [item for item in families if item.get("isFallback")]
    if missing:
        yield Finding("missing-font", len(missing), tuple(_fallback(item) for item in missing))


def _fallback(family: Fields) -> str:
    return f"{family['declared']} is shown as {', '.join(family['rendered'])}"


def _important_rules(css: Fields) -> Iterator[Finding]:
    declarations = css.get("declarations", 0)
    if declarations <= 200:
        return
    important = css["importantCount"]
    if important > 0.05 * declarations:
        yield Finding("important-rules", 1, (f"{important} of {declarations}",))


# --- motion ---


def _motion(report: Fields) -> Iterator[Finding]:
    part: Fields = report.get("motion", {})
    patterns: list[Fields] = part.get("patterns", [])
    moving = [pattern for pattern in patterns if pattern["type"] != "keyframes"]
    reduced: Fields = part.get("reducedMotion", {})
    if reduced.get("infiniteAfter"):
        yield _motion_not_reduced(part, reduced["infiniteAfter"])
    if len(moving) >= 3 and not reduced.get("mediaQueries"):
        yield Finding("no-reduced-motion", 1, (f"{len(moving)} patterns of motion",))
    yield from _costly_motion(moving)
    yield from _slow_motion(moving)


def _motion_not_reduced(part: Fields, count: int) -> Finding:
    names = [pattern["name"] for pattern in part["patterns"] if _ignores_reduced_motion(pattern)]
    endless = [item for item in part.get("cssAnimations", ()) if item["infinite"]]
    places = tuple(Place(str(item["target"])) for item in endless if item["name"] in names)
    return Finding("motion-not-reduced", count, tuple(names), places)


def _ignores_reduced_motion(pattern: Fields) -> bool:
    return pattern["accessibility"].get("respectsReducedMotion") is False


def _costly_motion(moving: list[Fields]) -> Iterator[Finding]:
    costly = [item for item in moving if _LAYOUT_PROPERTIES.intersection(item["properties"])]
    if costly:
        yield Finding("costly-animation", len(costly), tuple(item["name"] for item in costly))


def _slow_motion(moving: list[Fields]) -> Iterator[Finding]:
    slow = [pattern for pattern in moving if _is_slow_transition(pattern)]
    if slow:
        evidence = tuple(f"{item['name']}: {item['duration']:g} ms" for item in slow)
        yield Finding("slow-motion", len(slow), evidence)


def _is_slow_transition(pattern: Fields) -> bool:
    if pattern["infinite"] or pattern["type"] != "css_transition":
        return False
    return pattern["duration"] > 2000


# --- structure and expectations ---


def _structure(report: Fields) -> Iterator[Finding]:
    layout: Fields | None = report.get("layout")
    if layout is None:
        return
    types: Fields = layout["sectionTypes"]
    roles = {landmark["role"] for landmark in layout["landmarks"]}
    has_navigation = "navigation" in roles or types.get("navigation")
    if not has_navigation:
        yield Finding("no-navigation")
    has_footer = "contentinfo" in roles or types.get("footer")
    if layout["sectionCount"] >= 3 and not has_footer:
        yield Finding("no-footer")


def _audience(report: Fields, expectations: Expectations) -> Iterator[Finding]:
    """The given industry and audience must occur where a reader sees them first."""
    outline = " ".join(text for _, text, _ in report.get("layout", {}).get("headings", ()))
    first = f"{report.get('title', '')} {report.get('description', '')} {outline}".lower()
    expected = (
        ("industry-not-named", expectations.industry),
        ("audience-not-named", expectations.audience),
    )
    for rule, name in expected:
        words = _long_words(name or "")
        if words and not any(word in first for word in words):
            yield Finding(rule, 1, words)


def _long_words(name: str) -> tuple[str, ...]:
    words = re.split(r"[^\w]+", name.lower())
    return tuple(word for word in words if len(word) > 2)


# --- originality ---


def _originality(report: Fields) -> Iterator[Finding]:
    for cliche in find_cliches(report):
        yield Finding(cliche["type"], cliche["count"], (cliche["description"],))
    layout: Fields = report.get("layout", {})
    types: Fields = layout.get("sectionTypes", {})
    if sum(types.values()) >= 4 and len(types) <= 2:
        counts = tuple(f"{number} of {name}" for name, number in types.items())
        yield Finding("uniform-sections", 1, counts)
    order = [section["type"] for section in layout.get("sections", ())]
    if len(order) >= 5 and order == [name for name in _STOCK_ORDER if name in order]:
        yield Finding("stock-order", 1, (", ".join(order),))
    yield from _look(report)


def _look(report: Fields) -> Iterator[Finding]:
    design: Fields = report.get("design", {})
    if "colors" not in design:
        return
    colors: Fields = design["colors"]
    if not colors["accent"] and not _is_colorful(colors["palette"]):
        yield Finding("no-own-color")
    families = [family["declared"].lower() for family in design["typography"]["families"]]
    is_plain = bool(families) and all(family in PLAIN_FAMILIES for family in families)
    yield from _framework_look(report, colors["accent"][:2], is_plain=is_plain)
    if is_plain:
        yield Finding("default-type", 1, tuple(families))


def _is_colorful(palette: list[list[Any]]) -> bool:
    return any(chroma(parse_hex(color)) > 0.04 for color, _ in palette)


def _framework_look(report: Fields, accents: list[str], *, is_plain: bool) -> Iterator[Finding]:
    """Accent colors that a framework brings along, with its fonts or without."""
    css_framework: Fields = report.get("layout", {}).get("cssFramework", {})
    framework = str(css_framework.get("framework", ""))
    defaults = default_accents(framework)
    unchanged = tuple(color for color in accents if color in defaults)
    if not unchanged:
        return
    if is_plain and framework not in ("", "vanilla", "unknown"):
        evidence = f"{framework} with {', '.join(unchanged)} and its own fonts"
        yield Finding("unmodified-theme", 1, (evidence,))
    else:
        yield Finding("default-accent", 1, unchanged)
