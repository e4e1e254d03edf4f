"""The page's score: three axes that start at 100 and lose points only for findings that are listed.

A score nobody can explain helps nobody, so there is no base score, no bonus and no hidden weight: the same
report gives the same score, and each lost point names its rule, how often it was broken and where.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from checkback.kinds.pages.cliches import find_cliches
from checkback.kinds.pages.colors import chroma, parse_hex
from checkback.kinds.pages.deduction import Deduction
from checkback.kinds.pages.recommendations import recommend

Fields = dict[str, Any]

AXES = ("originality", "craftsmanship", "contextuality")
GRADES = ((90, "A"), (80, "B"), (70, "C"), (60, "D"))
MOST_EVIDENCE = 5
#: axe alone may take at most this much, so that one bad widget does not hide everything else.
MOST_FOR_AXE = 45
_IMPACT = {"critical": 8.0, "serious": 5.0, "moderate": 2.0, "minor": 1.0}
_PLAIN_FAMILIES = frozenset(
    {"serif", "sans-serif", "monospace", "system-ui", "arial", "helvetica", "helvetica neue", "times",
     "times new roman", "-apple-system", "segoe ui", "roboto", "inter", "open sans", "verdana"}
)  # fmt: skip
_DEFAULT_ACCENTS = frozenset(
    {"#0d6efd", "#007bff", "#3b82f6", "#6366f1", "#4f46e5", "#3273dc", "#1779ba", "#0000ee"}
)


@dataclass(frozen=True, slots=True)
class Measure:
    """What the caller wants judged, beside the page itself."""

    weights: Mapping[str, float]
    strict: bool = True
    industry: str | None = None
    audience: str | None = None
    with_recommendations: bool = True


def score(report: Fields, measure: Measure) -> Fields:
    """The ``quality`` part for a report's other parts. What was not measured costs nothing."""
    cliches = find_cliches(report)
    deductions = [
        *_no_content(report),
        *_originality(report, cliches),
        *_accessibility(report, measure.strict),
        *_performance(report),
        *_craft(report),
        *_responsiveness(report),
        *_context(report, measure),
    ]
    axes = {axis: _axis([item for item in deductions if item.axis == axis]) for axis in AXES}
    total = sum(measure.weights[axis] for axis in AXES) or 1.0
    overall = round(sum(axes[axis]["score"] * measure.weights[axis] for axis in AXES) / total)
    part: Fields = {"overallScore": overall, "grade": grade(overall), "axes": axes, "cliches": cliches}
    if measure.with_recommendations:
        part["recommendations"] = recommend(deductions)
    return part


def grade(points: float) -> str:
    """A from 90, B from 80, C from 70, D from 60, else F."""
    return next((letter for least, letter in GRADES if points >= least), "F")


def _axis(deductions: list[Deduction]) -> Fields:
    points = max(0.0, 100 - sum(item.points for item in deductions))
    return {
        "score": round(points),
        "grade": grade(round(points)),
        "deductions": [
            {
                "rule": item.rule,
                "points": -round(item.points, 1),
                "count": item.count,
                "evidence": list(item.evidence[:MOST_EVIDENCE]),
            }
            for item in sorted(deductions, key=lambda item: (-item.points, item.rule))
        ],
    }


def _no_content(report: Fields) -> Iterator[Deduction]:
    """An empty page breaks no other rule, and would be perfect without this one."""
    content: Fields = report.get("content", {})
    if not content or content["textLength"] >= 200 or (content["textLength"] >= 40 and content["images"]):
        return
    almost = content["textLength"] >= 40
    for axis in AXES:
        yield Deduction(
            axis, "no-content", 35 if almost else 70, 1, (f"{content['textLength']} characters of text",)
        )


# --- originality ---


def _originality(report: Fields, cliches: list[Fields]) -> Iterator[Deduction]:
    weights = {"high": 8.0, "medium": 5.0, "low": 3.0}
    for cliche in cliches:
        yield Deduction(
            "originality", f"cliche-{cliche['type']}", weights[cliche["severity"]], cliche["count"], ()
        )
    design: Fields | None = report.get("design")
    if design is None or "colors" not in design:
        return
    colors: Fields = design["colors"]
    if not any(chroma(parse_hex(color)) > 0.04 for color, _ in colors["palette"]) and not colors["accent"]:
        yield Deduction("originality", "no-own-color", 10, 1, ("every colour of the palette is grey",))
    default = [color for color in colors["accent"][:2] if color in _DEFAULT_ACCENTS]
    if default:
        yield Deduction("originality", "default-accent", 8, len(default), tuple(default))
    families = [family["declared"].lower() for family in design["typography"]["families"]]
    if families and all(family in _PLAIN_FAMILIES for family in families):
        yield Deduction("originality", "default-type", 6, len(families), ("only fonts that every page has",))
    types: Fields = report.get("layout", {}).get("sectionTypes", {})
    if sum(types.values()) >= 4 and len(types) <= 2:
        yield Deduction("originality", "uniform-sections", 6, 1, (f"{len(types)} kinds of section",))


# --- craftsmanship ---


def _accessibility(report: Fields, strict: bool) -> Iterator[Deduction]:
    part: Fields = report.get("accessibility", {})
    left = float(MOST_FOR_AXE)
    for rule in part.get("violations", ()):
        weight = _IMPACT.get(rule["impact"], 1.0)
        if not strict and weight <= 2:
            continue
        points = min(left, weight * min(2.0, 1 + math.log10(max(1, rule["count"]))))
        left -= points
        if points > 0:
            where = tuple(node["selector"] for node in rule["nodes"])
            yield Deduction("craftsmanship", f"axe-{rule['id']}", points, rule["count"], where)
    contrast: Fields = part.get("contrast", {})
    if contrast.get("failed"):
        share = contrast["failed"] / max(1, contrast["checked"])
        where = tuple(f"{item['selector']} {item['ratio']}:1" for item in contrast["failures"])
        yield Deduction("craftsmanship", "low-contrast", min(15, 4 + 40 * share), contrast["failed"], where)
    seo: Fields = report.get("seo", {})
    if seo.get("unlabelledFields"):
        count = seo["unlabelledFields"]
        yield Deduction("craftsmanship", "field-without-label", min(8, 3 * count), count)


def _performance(report: Fields) -> Iterator[Deduction]:
    part: Fields = report.get("performance", {})
    limits = (
        ("lcpMs", "slow-largest-paint", 2500, 6, 4000, 12, "ms"),
        ("cls", "layout-shift", 0.1, 5, 0.25, 10, ""),
        ("tbtMs", "blocked-thread", 200, 4, 600, 8, "ms"),
    )
    for name, rule, fair, some, poor, many, unit in limits:
        value = part.get(name)
        if value is not None and value > fair:
            yield Deduction(
                "craftsmanship", rule, many if value > poor else some, 1, (f"{value:g} {unit}".strip(),)
            )
    weight = part.get("weight", {}).get("total", 0)
    if weight > 3_000_000:
        points = 8 if weight > 6_000_000 else 4
        yield Deduction("craftsmanship", "heavy-page", points, 1, (f"{weight / 1e6:.1f} MB",))
    failed = part.get("failedTotal", 0)
    if failed:
        yield Deduction("craftsmanship", "failed-requests", min(6, 2 * failed), failed)


def _craft(report: Fields) -> Iterator[Deduction]:
    seo, css, design = report.get("seo", {}), report.get("css", {}), report.get("design", {})
    images: Fields = seo.get("images", {})
    if images.get("broken"):
        yield Deduction("craftsmanship", "broken-images", min(12, 4 * images["broken"]), images["broken"])
    errors = report.get("console", {}).get("errorTotal", 0)
    if errors:
        yield Deduction("craftsmanship", "script-errors", min(5, errors), errors)
    if css and css["unusedPercent"] > 70 and css["bytes"] > 100_000:
        yield Deduction("craftsmanship", "unused-css", 3, 1, (f"{css['unusedPercent']:.0f} % of the rules",))
    spacing: Fields = design.get("spacing", {})
    if spacing.get("values", 0) > 10 and spacing.get("onBase", 1) < 0.6:
        yield Deduction("craftsmanship", "irregular-spacing", 3, spacing["values"])
    sizes = design.get("typography", {}).get("sizes", 0)
    if sizes > 12:
        yield Deduction("craftsmanship", "many-font-sizes", 3, sizes)
    after = report.get("motion", {}).get("reducedMotion", {}).get("infiniteAfter", 0)
    if after:
        yield Deduction("craftsmanship", "motion-not-reduced", 4, after)
    if seo.get("compatMode") == "BackCompat":
        yield Deduction("craftsmanship", "quirks-mode", 4)


def _responsiveness(report: Fields) -> Iterator[Deduction]:
    viewports: list[Fields] = report.get("responsive", {}).get("viewports", [])
    over = [viewport for viewport in viewports if viewport["overflowX"]]
    if over:
        sizes = tuple(f"{viewport['overflowPixels']} px at {viewport['width']} px" for viewport in over)
        yield Deduction("craftsmanship", "overflow", min(12, 6 * len(over)), len(over), sizes)
    narrow = [viewport for viewport in viewports if viewport["width"] < 600]
    taps = max((viewport["smallTapTargets"] for viewport in narrow), default=0)
    if taps:
        yield Deduction("craftsmanship", "small-targets", min(4, taps), taps)
    if report.get("seo") and not report["seo"]["viewport"]:
        yield Deduction("craftsmanship", "no-viewport", 8)


# --- contextuality ---


def _context(report: Fields, measure: Measure) -> Iterator[Deduction]:
    seo: Fields | None = report.get("seo")
    if seo is None:
        return
    missing = (
        ("no-title", 15, not report.get("title")),
        ("no-description", 8, not seo["description"]),
        ("no-language", 5, not report.get("lang")),
        ("no-icon", 2, not report.get("favicon")),
        ("no-preview-image", 3, not report.get("ogImage")),
    )
    for rule, points, applies in missing:
        if applies:
            yield Deduction("contextuality", rule, points)
    if seo["links"]["empty"]:
        yield Deduction("contextuality", "empty-links", min(5, seo["links"]["empty"]), seo["links"]["empty"])
    if seo["links"]["vague"]:
        yield Deduction("contextuality", "vague-links", min(4, seo["links"]["vague"]), seo["links"]["vague"])
    yield from _structure(report)
    yield from _audience(report, measure)


def _structure(report: Fields) -> Iterator[Deduction]:
    layout: Fields | None = report.get("layout")
    if layout is None:
        return
    headings: list[list[Any]] = layout["headings"]
    types: Fields = layout["sectionTypes"]
    if not any(level == 1 for level, _, _ in headings):
        yield Deduction("contextuality", "no-main-heading", 10)
    roles = {landmark["role"] for landmark in layout["landmarks"]}
    if "main" not in roles:
        yield Deduction("contextuality", "no-main-landmark", 4)
    if "navigation" not in roles and not types.get("navigation"):
        yield Deduction("contextuality", "no-navigation", 4)
    if layout["sectionCount"] >= 3 and not types.get("footer"):
        yield Deduction("contextuality", "no-footer", 3)


def _audience(report: Fields, measure: Measure) -> Iterator[Deduction]:
    """The words that the caller named must occur where a reader meets them first."""
    outline = " ".join(text for _, text, _ in report.get("layout", {}).get("headings", ()))
    first = f"{report.get('title', '')} {report.get('description', '')} {outline}".lower()
    for rule, points, wanted in (
        ("industry-not-named", 10, measure.industry),
        ("audience-not-named", 6, measure.audience),
    ):
        words = [word for word in (wanted or "").lower().replace(",", " ").split() if len(word) > 3]
        if words and not any(word in first for word in words):
            yield Deduction("contextuality", rule, points, len(words))
