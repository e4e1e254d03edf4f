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
    {"width", "height", "min-width", "min-height", "max-width", "max-height", "top", "right",
     "bottom", "left", "inset", "margin", "margin-top", "margin-right", "margin-bottom",
     "margin-left", "padding", "padding-top", "padding-right", "padding-bottom", "padding-left",
     "font-size", "line-height", "border-width", "flex-basis", "grid-template-columns",
     "grid-template-rows"}
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


#: What costs points only if the caller is strict.
_LENIENT_AXE = frozenset({"axe-moderate", "axe-minor"})


def _axe_violations(violations: list[Fields], *, strict: bool) -> Iterator[Finding]:
    for violation in violations:
        rule = _axe_rule(violation["impact"])
        if strict or rule not in _LENIENT_AXE:
            yield _axe_finding(rule, violation)


def _axe_rule(impact: str) -> str:
    rule = f"axe-{impact}"
    return rule if rule in RULES else "axe-minor"


def _axe_finding(rule: str, violation: Fields) -> Finding:
    return Finding(
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
    yield from _first_byte(part.get("ttfbMs") or 0)
    yield from _slow_values(part)
    yield from _weight(part)
    yield from _failed_requests(part)


def _first_byte(milliseconds: float) -> Iterator[Finding]:
    if milliseconds > 800:
        yield Finding("slow-first-byte", 1, (f"{milliseconds:g} ms",))


def _failed_requests(part: Fields) -> Iterator[Finding]:
    if part.get("failedTotal"):
        urls = tuple(str(item["url"]) for item in part.get("failed", ()))
        yield Finding("failed-requests", part["failedTotal"], urls)


def _slow_values(part: Fields) -> Iterator[Finding]:
    for name, rule, fair, poor, unit in _LIMITS:
        value = part.get(name) or 0
        if value > fair:
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
    yield from _images(report.get("seo", {}).get("images", {}))
    errors = report.get("console", {}).get("errorTotal", 0)
    if errors:
        yield Finding("script-errors", errors)
    yield from _unused_css(report.get("css", {}))


def _images(images: Fields) -> Iterator[Finding]:
    for name, rule in (("broken", "broken-images"), ("oversized", "oversized-images")):
        if images.get(name):
            yield Finding(rule, images[name])


def _unused_css(css: Fields) -> Iterator[Finding]:
    if not css or css["bytes"] <= 100_000:
        return
    unused = css["unusedPercent"] or 0
    if unused > 70:
        yield Finding("unused-css", 1, (f"{unused:.0f} % of {css['bytes'] // 1000} kB",))


# --- metadata, links and window sizes ---


def _broken(rules: dict[str, bool]) -> Iterator[Finding]:
    """A finding for each rule that is broken."""
    for rule, is_broken in rules.items():
        if is_broken:
            yield Finding(rule)


def _metadata(report: Fields) -> Iterator[Finding]:
    seo: Fields | None = report.get("seo")
    if seo is None:
        return
    yield from _broken(
        {
            "no-title": not report.get("title"),
            "no-description": not seo["description"],
            "no-language": not report.get("lang"),
            "no-canonical": not seo["canonical"],
            "no-icon": not report.get("favicon"),
            "no-preview-image": not report.get("ogImage"),
            "not-indexed": "noindex" in str(seo["robots"]).lower(),
            "invalid-json-ld": "(not valid JSON)" in seo["jsonLd"],
        }
    )
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
    yield from _lost_navigation(viewports, narrow)
    yield from _viewport_tag(report.get("seo", {}).get("viewport"))


def _lost_navigation(viewports: list[Fields], narrow: list[Fields]) -> Iterator[Finding]:
    navigations = {viewport["navigation"] for viewport in viewports}
    on_phones = {viewport["navigation"] for viewport in narrow}
    if "expanded" in navigations and "none" in on_phones:
        yield Finding("lost-navigation")


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
    yield from _broken({"quirks-mode": report.get("seo", {}).get("compatMode") == "BackCompat"})


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
    yield from _many_families(families)
    yield from _missing_fonts(families)


def _many_families(families: list[Fields]) -> Iterator[Finding]:
    if len(families) > 3:
        names = tuple(item["declared"] for item in families)
        yield Finding("many-families", len(families) - 3, names)


def _missing_fonts(families: list[Fields]) -> Iterator[Finding]:
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
    yield from _ignored_preference(part, moving)
    yield from _costly_motion(moving)
    yield from _slow_motion(moving)


def _ignored_preference(part: Fields, moving: list[Fields]) -> Iterator[Finding]:
    """Motion in spite of the visitor's preference for less."""
    reduced: Fields = part.get("reducedMotion", {})
    if reduced.get("infiniteAfter"):
        yield _motion_not_reduced(part, reduced["infiniteAfter"])
    if len(moving) >= 3 and not reduced.get("mediaQueries"):
        yield Finding("no-reduced-motion", 1, (f"{len(moving)} patterns of motion",))


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
    needs_footer = layout["sectionCount"] >= 3
    rules = {
        "no-navigation": not _has_part(layout, "navigation", "navigation"),
        "no-footer": needs_footer and not _has_part(layout, "contentinfo", "footer"),
    }
    yield from _broken(rules)


def _has_part(layout: Fields, role: str, section_type: str) -> bool:
    """Whether the page has a landmark with this role, or a section of this type."""
    roles = {landmark["role"] for landmark in layout["landmarks"]}
    return role in roles or bool(layout["sectionTypes"].get(section_type))


def _audience(report: Fields, expectations: Expectations) -> Iterator[Finding]:
    """The given industry and audience must occur where a reader sees them first."""
    first = _first_texts(report)
    expected = (
        ("industry-not-named", _long_words(expectations.industry)),
        ("audience-not-named", _long_words(expectations.audience)),
    )
    for rule, words in expected:
        if _are_missing(words, first):
            yield Finding(rule, 1, words)


def _first_texts(report: Fields) -> str:
    """Title, description and headings, in small letters."""
    outline = " ".join(text for _, text, _ in report.get("layout", {}).get("headings", ()))
    return f"{report.get('title', '')} {report.get('description', '')} {outline}".lower()


def _are_missing(words: tuple[str, ...], text: str) -> bool:
    """Whether there are words, and none of them is in the text."""
    return bool(words) and not any(word in text for word in words)


def _long_words(name: str | None) -> tuple[str, ...]:
    words = re.split(r"[^\w]+", (name or "").lower())
    return tuple(word for word in words if len(word) > 2)


# --- originality ---


def _originality(report: Fields) -> Iterator[Finding]:
    for cliche in find_cliches(report):
        yield Finding(cliche["type"], cliche["count"], (cliche["description"],))
    layout: Fields = report.get("layout", {})
    yield from _uniform_sections(layout.get("sectionTypes", {}))
    yield from _stock_order([section["type"] for section in layout.get("sections", ())])
    yield from _look(report)


def _uniform_sections(types: Fields) -> Iterator[Finding]:
    if sum(types.values()) >= 4 and len(types) <= 2:
        counts = tuple(f"{number} of {name}" for name, number in types.items())
        yield Finding("uniform-sections", 1, counts)


def _stock_order(order: list[str]) -> Iterator[Finding]:
    """A finding if a page has nothing but the usual sections, in the usual order."""
    usual = [name for name in _STOCK_ORDER if name in order]
    if len(order) >= 5 and order == usual:
        yield Finding("stock-order", 1, (", ".join(order),))


def _look(report: Fields) -> Iterator[Finding]:
    design: Fields = report.get("design", {})
    if "colors" not in design:
        return
    colors: Fields = design["colors"]
    yield from _broken({"no-own-color": not _has_own_color(colors)})
    yield from _defaults(report, colors["accent"][:2], design["typography"]["families"])


def _has_own_color(colors: Fields) -> bool:
    return bool(colors["accent"]) or _is_colorful(colors["palette"])


def _defaults(report: Fields, accents: list[str], families: list[Fields]) -> Iterator[Finding]:
    """Accent colors and fonts that a framework or the browser brings along."""
    names = [family["declared"].lower() for family in families]
    is_plain = bool(names) and PLAIN_FAMILIES.issuperset(names)
    yield from _framework_look(report, accents, is_plain=is_plain)
    if is_plain:
        yield Finding("default-type", 1, tuple(names))


def _is_colorful(palette: list[list[Any]]) -> bool:
    return any(chroma(parse_hex(color)) > 0.04 for color, _ in palette)


def _framework_look(report: Fields, accents: list[str], *, is_plain: bool) -> Iterator[Finding]:
    """Accent colors that a framework brings along, with its fonts or without."""
    css_framework: Fields = report.get("layout", {}).get("cssFramework", {})
    framework = str(css_framework.get("framework", ""))
    defaults = default_accents(framework)
    unchanged = tuple(color for color in accents if color in defaults)
    if unchanged:
        yield _default_accent(framework, unchanged, is_plain=is_plain)


def _default_accent(framework: str, unchanged: tuple[str, ...], *, is_plain: bool) -> Finding:
    if not is_plain or framework in ("", "vanilla", "unknown"):
        return Finding("default-accent", 1, unchanged)
    evidence = f"{framework} with {', '.join(unchanged)} and its own fonts"
    return Finding("unmodified-theme", 1, (evidence,))
