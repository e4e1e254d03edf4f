"""The report in a few lines for an agent that has no room for more: at most 1 KB, and no text of
the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Fields = dict[str, Any]

MAX_BYTES = 1000


def summarize(report: Fields) -> str:
    """What matters most, in numbers and words of our own."""
    text = ""
    for line in _lines(report):
        longer = f"{text}\n{line}" if text else line
        if len(longer.encode()) > MAX_BYTES:
            break
        text = longer
    return text


def _lines(report: Fields) -> Iterator[str]:
    if report["failedPhases"]:
        failed = ", ".join(f"{item['phase']} ({item['code']})" for item in report["failedPhases"])
        yield f"Not finished: {failed}."
    quality: Fields = report.get("quality", {})
    if quality:
        axes = ", ".join(f"{name} {axis['score']}" for name, axis in quality["axes"].items())
        yield f"Score {quality['overallScore']} of 100, grade {quality['grade']}: {axes}."
    yield from _layout(report)
    yield from _findings(report)
    for place, item in enumerate(quality.get("recommendations", ())[:3], 1):
        yield f"{place}. {item['title']} ({item['count']}, +{item['gain']:g}): {item['fix']}"


def _layout(report: Fields) -> Iterator[str]:
    layout: Fields | None = report.get("layout")
    if layout is not None:
        order = ", ".join(section["type"] for section in layout["sections"][:14])
        more = ", ..." if layout["sectionCount"] > 14 else ""
        width, height = layout["pageSize"]
        yield f"{layout['sectionCount']} sections on {width} x {height} px: {order}{more}."
    design: Fields = report.get("design", {})
    if "colors" in design:
        accents = ", ".join(design["colors"]["accent"][:2]) or "none"
        grounds = ", ".join(design["colors"]["dominant"][:2])
        base = design["spacing"].get("base")
        spacing = f", spacing on {base} px" if base else ""
        yield f"Look: {design['theme']}, {grounds}, accent {accents}{spacing}."


def _findings(report: Fields) -> Iterator[str]:
    part: Fields = report.get("accessibility", {})
    if part:
        rules = part.get("violationTotal", "unknown")
        contrast = part.get("contrast", {}).get("failed", "unknown")
        yield f"Accessibility: axe rules broken {rules}, texts with too little contrast {contrast}."
    speed: Fields = report.get("performance", {})
    if speed:
        known = [("LCP", "lcpMs", " ms"), ("CLS", "cls", ""), ("blocked", "tbtMs", " ms")]
        told = [
            f"{name} {speed[key]:g}{unit}"
            for name, key, unit in known
            if speed.get(key) is not None
        ]
        told += [f"{speed['requests']} requests", f"{speed['weight']['total'] / 1e6:.2f} MB"]
        yield f"Lab, unthrottled: {', '.join(told)}."
    wide = [
        viewport
        for viewport in report.get("responsive", {}).get("viewports", ())
        if viewport["overflowX"]
    ]
    if wide:
        yield f"Too wide at {', '.join(str(viewport['width']) for viewport in wide)} px."
