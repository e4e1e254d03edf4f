"""``page.compare``: what was added, removed and changed between two page analyses.

A pure function of two reports; nothing is loaded. Lists are capped; totals say how long they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from checkback.kinds.context import JobContext
from checkback.kinds.pages.jobs.stored_report import PageJob, read_report
from checkback.kinds.registry import MemoryLimit, job

MAX_LISTED = 40
#: A section that grows or shrinks by at most this many pixels has not changed.
SAME_HEIGHT = 8
_MEASURES = (
    "ttfbMs", "fcpMs", "lcpMs", "cls", "longTasks", "tbtMs", "loadMs", "requests", "failedTotal",
)  # fmt: skip

Fields = dict[str, Any]


class PageCompareArgs(BaseModel):
    """Two analyses, the earlier one first."""

    model_config = ConfigDict(extra="forbid")

    job_a: PageJob
    job_b: PageJob


@job(
    "page.compare",
    title="Compare two page analyses",
    read_only=True,
    sandbox=True,
    deterministic=True,
    deadline_seconds=120,
    memory_bytes=1 << 30,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
)
def compare(args: PageCompareArgs, ctx: JobContext) -> Fields:
    """Compare two completed page.analyze jobs: what was added, removed and changed from job_a to
    job_b.

    Covers scores, sections, palette, fonts, technologies, accessibility findings and performance.
    Use it before and after a change, or to compare two sites.
    """
    before, after = read_report(args.job_a, ctx), read_report(args.job_b, ctx)
    return compare_reports(before, after)


def compare_reports(before: Fields, after: Fields) -> Fields:
    """The differences of two reports."""
    return {
        "a": _about(before),
        "b": _about(after),
        "scores": _scores(_at(before, "quality"), _at(after, "quality")),
        "sections": _sections(
            _list(before, "layout", "sections"), _list(after, "layout", "sections")
        ),
        "palette": _came_and_went(_colors(before), _colors(after)),
        "fonts": _came_and_went(_fonts(before), _fonts(after)),
        "technologies": _came_and_went(_technologies(before), _technologies(after)),
        "findings": _changes(_findings(before), _findings(after)),
        "performance": _measures(_at(before, "performance"), _at(after, "performance")),
    }


def _about(report: Fields) -> Fields:
    names = ("jobId", "finalUrl", "fetchedAt", "title", "partialSuccess")
    return {name: report[name] for name in names if name in report}


# --- scores ---


def _scores(before: Fields, after: Fields) -> Fields:
    if not before or not after:
        return {}
    axes_a, axes_b = _at(before, "axes"), _at(after, "axes")
    return {
        "overall": _pair(before.get("overallScore"), after.get("overallScore")),
        "axes": _axis_scores(axes_a, axes_b),
        "deductions": _changes(_deductions(axes_a), _deductions(axes_b)),
    }


def _axis_scores(before: Fields, after: Fields) -> Fields:
    """The scores of the axes that both reports have."""
    common = [name for name in before if name in after]
    return {name: _pair(before[name].get("score"), after[name].get("score")) for name in common}


def _deductions(axes: Fields) -> dict[str, float]:
    """Rule -> points lost, over all axes."""
    return {
        f"{axis}: {item['rule']}": float(item.get("points", 0))
        for axis, part in axes.items()
        for item in part.get("deductions", [])
    }


# --- sections ---


def _sections(before: list[Fields], after: list[Fields]) -> Fields:
    """Sections paired in their order, by type and heading; then by type alone."""
    alignment = _align(before, after)
    return {
        "count": _pair(len(before), len(after)),
        **_capped("came", _brief(alignment.new)),
        **_capped("went", _brief(alignment.gone)),
        **_capped("changed", _changed_sections(alignment.pairs)),
    }


def _changed_sections(pairs: list[tuple[Fields, Fields]]) -> list[Fields]:
    changed: list[Fields] = []
    for a, b in pairs:
        changes = _section_changes(a, b)
        if changes:
            changed.append({"a": a["id"], "b": b["id"], "type": b["type"], **changes})
    return changed


def _section_changes(a: Fields, b: Fields) -> Fields:
    changes = _changed_values(a, b, "heading")
    height_a, height_b = a["box"][3], b["box"][3]
    if abs(height_a - height_b) > SAME_HEIGHT:
        changes["height"] = _pair(height_a, height_b)
    return changes | _changed_values(a, b, "links", "buttons", "images", "fields")


def _changed_values(a: Fields, b: Fields, *names: str) -> Fields:
    changed = [name for name in names if a.get(name) != b.get(name)]
    return {name: _pair(a.get(name), b.get(name)) for name in changed}


class _Alignment:
    """Which sections of two reports belong together, and which have no counterpart."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Fields, Fields]] = []
        self.gone: list[Fields] = []
        self.new: list[Fields] = []

    def add_stretch(self, before: list[Fields], after: list[Fields]) -> None:
        """Pair sections with different headings by their type, in their order."""
        left = after
        for item in before:
            at = _position_of_type(item["type"], left)
            if at is None:
                self.gone.append(item)
                continue
            # Everything before it in this stretch is new, so that pairs never cross.
            self.new += left[:at]
            self.pairs.append((item, left[at]))
            left = left[at + 1 :]
        self.new += left


def _position_of_type(kind: str, sections: list[Fields]) -> int | None:
    places = (at for at, section in enumerate(sections) if section["type"] == kind)
    return next(places, None)


def _align(before: list[Fields], after: list[Fields]) -> _Alignment:
    alignment = _Alignment()
    same = SequenceMatcher(None, list(map(_name, before)), list(map(_name, after)), False)
    for tag, a1, a2, b1, b2 in same.get_opcodes():
        if tag == "equal":
            alignment.pairs += zip(before[a1:a2], after[b1:b2], strict=True)
        else:
            alignment.add_stretch(before[a1:a2], after[b1:b2])
    return alignment


def _name(section: Fields) -> str:
    return f"{section['type']}\0{section.get('heading') or ''}"


def _brief(sections: list[Fields]) -> list[Fields]:
    return [_section(section) for section in sections]


def _section(section: Fields) -> Fields:
    return {name: section[name] for name in ("id", "type", "heading", "box") if name in section}


# --- look and technology ---


def _colors(report: Fields) -> list[str]:
    palette: list[list[Any]] = _at(report, "design", "colors").get("palette", [])
    return [str(entry[0]) for entry in palette]


def _fonts(report: Fields) -> list[str]:
    families = _at(report, "design", "typography").get("families", [])
    return [str(name) for family in families for name in family.get("rendered", [])]


def _technologies(report: Fields) -> list[str]:
    return [
        f"{item['name']} {item.get('version') or ''}".strip()
        for item in _list(report, "technologies")
    ]


# --- findings ---


def _findings(report: Fields) -> dict[str, float]:
    """Accessibility rule -> how many elements break it; our own contrast measure among them."""
    part = _at(report, "accessibility")
    counts = {str(rule["id"]): float(rule["count"]) for rule in part.get("violations", [])}
    contrast = _at(report, "accessibility", "contrast")
    if "failed" in contrast:
        counts["color-contrast"] = float(contrast["failed"])
    return {rule: count for rule, count in counts.items() if count}


def _measures(before: Fields, after: Fields) -> Fields:
    values = {name: (before.get(name), after.get(name)) for name in _MEASURES}
    values["weightBytes"] = (_at(before, "weight").get("total"), _at(after, "weight").get("total"))
    return {name: _pair(*pair) for name, pair in values.items() if None not in pair}


# --- forms of an answer ---


def _pair(before: Any, after: Any) -> Fields:
    pair: Fields = {"a": before, "b": after}
    if isinstance(before, int | float) and isinstance(after, int | float):
        pair["change"] = round(after - before, 4)
    return pair


def _came_and_went(before: Iterable[str], after: Iterable[str]) -> Fields:
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    return {
        **_capped("came", [name for name in new if name not in old]),
        **_capped("went", [name for name in old if name not in new]),
    }


def _changes(before: Mapping[str, float], after: Mapping[str, float]) -> Fields:
    changed = [
        {"rule": rule, **_pair(before[rule], after[rule])}
        for rule in before
        if rule in after and before[rule] != after[rule]
    ]
    return {**_came_and_went(before, after), **_capped("changed", changed)}


def _capped(name: str, items: list[Any]) -> Fields:
    return {name: items[:MAX_LISTED], f"{name}Total": len(items)}


def _at(report: Fields, *path: str) -> Fields:
    part: Any = report
    for name in path:
        part = cast("Fields", part).get(name) if isinstance(part, dict) else None
    return cast("Fields", part) if isinstance(part, dict) else {}


def _list(report: Fields, *path: str) -> list[Fields]:
    part: Any = _at(report, *path[:-1]).get(path[-1])
    return cast("list[Fields]", part) if isinstance(part, list) else []
