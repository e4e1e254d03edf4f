"""The report in a few lines for an agent that has no room for more: at most 1 KB, and no text from
the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Fields = dict[str, Any]

MAX_BYTES = 1000


def summarize(report: Fields) -> str:
    """What matters most, in numbers and fixed phrases."""
    lines: list[str] = []
    for line in _lines(report):
        if len("\n".join([*lines, line]).encode()) > MAX_BYTES:
            break
        lines.append(line)
    return "\n".join(lines)


def _lines(report: Fields) -> Iterator[str]:
    quality: Fields = report.get("quality", {})
    yield from _failed_phases(report["failedPhases"])
    yield from _score(quality)
    yield from _layout(report)
    yield from _findings(report)
    for place, item in enumerate(quality.get("recommendations", ())[:3], 1):
        yield f"{place}. {item['title']} ({item['count']}, +{item['gain']:g}): {item['fix']}"


def _failed_phases(failed: list[Fields]) -> Iterator[str]:
    if failed:
        names = ", ".join(f"{item['phase']} ({item['code']})" for item in failed)
        yield f"Not finished: {names}."


def _score(quality: Fields) -> Iterator[str]:
    if quality:
        axes = ", ".join(f"{name} {axis['score']}" for name, axis in quality["axes"].items())
        yield f"Score {quality['overallScore']} of 100, grade {quality['grade']}: {axes}."


def _layout(report: Fields) -> Iterator[str]:
    layout: Fields | None = report.get("layout")
    if layout is not None:
        yield _sections(layout)
    design: Fields = report.get("design", {})
    if "colors" in design:
        yield _look(design)


def _sections(layout: Fields) -> str:
    count = layout["sectionCount"]
    order = ", ".join(section["type"] for section in layout["sections"][:14])
    more = ", ..." if count > 14 else ""
    width, height = layout["pageSize"]
    return f"{count} sections on {width} x {height} px: {order}{more}."


def _look(design: Fields) -> str:
    accents = ", ".join(design["colors"]["accent"][:2]) or "none"
    grounds = ", ".join(design["colors"]["dominant"][:2])
    base = design["spacing"].get("base")
    spacing = f", spacing on {base} px" if base else ""
    return f"Look: {design['theme']}, {grounds}, accent {accents}{spacing}."


def _findings(report: Fields) -> Iterator[str]:
    yield from _accessibility(report.get("accessibility", {}))
    yield from _speed(report.get("performance", {}))
    yield from _overflow(report.get("responsive", {}).get("viewports", []))


def _accessibility(part: Fields) -> Iterator[str]:
    if part:
        rules = part.get("violationTotal", "unknown")
        contrast = part.get("contrast", {}).get("failed", "unknown")
        yield f"Accessibility: axe rules broken {rules}, texts with too little contrast {contrast}."


def _speed(speed: Fields) -> Iterator[str]:
    if not speed:
        return
    values: list[str] = []
    for name, key, unit in (
        ("LCP", "lcpMs", " ms"),
        ("CLS", "cls", ""),
        ("blocked", "tbtMs", " ms"),
    ):
        if speed.get(key) is not None:
            values.append(f"{name} {speed[key]:g}{unit}")
    values.append(f"{speed['requests']} requests")
    values.append(f"{speed['weight']['total'] / 1e6:.2f} MB")
    yield f"Lab, unthrottled: {', '.join(values)}."


def _overflow(viewports: list[Fields]) -> Iterator[str]:
    widths = [str(viewport["width"]) for viewport in viewports if viewport["overflowX"]]
    if widths:
        yield f"Too wide at {', '.join(widths)} px."
