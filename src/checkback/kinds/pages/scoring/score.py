"""The page's score: axes that start at 100 and lose only points that are listed.

There is no base score, no bonus and no hidden weight, so that every score can be explained: the
same report gives the same score, and each lost point names its rule, how often it was broken and
where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from checkback.kinds.pages.audits.stock_phrases import find_cliches
from checkback.kinds.pages.scoring.findings import Expectations, Finding, find
from checkback.kinds.pages.scoring.rules import AXES, DIMENSIONS, EVERY, MAX_FOR_AXE, RULES, Rule

Fields = dict[str, Any]

GRADES = ((90, "A"), (80, "B"), (70, "C"), (60, "D"))
MAX_EVIDENCE = 5
MAX_RECOMMENDED = 20


@dataclass(frozen=True, slots=True)
class Measure:
    """How the caller wants the page judged."""

    weights: Mapping[str, float]
    strict: bool = True
    industry: str | None = None
    audience: str | None = None
    with_recommendations: bool = True


@dataclass(frozen=True, slots=True)
class _Loss:
    """A finding with the points that it costs after the limit for axe."""

    finding: Finding
    points: float

    def counts_for(self, axis: str) -> bool:
        rule = RULES[self.finding.rule]
        return axis in (rule.axis, rule.dimension) or rule.axis == EVERY

    def reduced_to(self, share: float) -> _Loss:
        """The same loss with a share of its points; rules of every axis count in full."""
        counts_in_full = RULES[self.finding.rule].axis == EVERY
        return _Loss(self.finding, self.points * (1.0 if counts_in_full else share))


def score(report: Fields, measure: Measure) -> Fields:
    """The ``quality`` part for a report's other parts. What was not measured costs nothing."""
    losses = _losses(find(report, Expectations(measure.strict, measure.industry, measure.audience)))
    axes = {axis: _axis(axis, losses) for axis in _measured_axes(report)}
    dimensions = {axis: _axis(axis, losses, share) for axis, share in DIMENSIONS.items()}
    overall = _mean(axes, AXES)
    part: Fields = {
        **_judged(axes, overall),
        "reftrix": _judged(dimensions, _mean(dimensions, measure.weights)),
        "cliches": find_cliches(report),
    }
    if measure.with_recommendations:
        part["recommendations"] = _recommend(losses, axes)
    return part


def _measured_axes(report: Fields) -> list[str]:
    """The axes whose part is in the report, or all axes."""
    return [axis for axis in AXES if _PART_OF[axis] in report] or list(AXES)


#: The part of the report that an axis is judged by; without it the axis is absent.
_PART_OF = {
    "accessibility": "accessibility",
    "performance": "performance",
    "seo": "seo",
    "responsive": "responsive",
    "consistency": "design",
    "motion": "motion",
}


def _judged(axes: Fields, overall: int) -> Fields:
    return {"overallScore": overall, "grade": grade(overall), "axes": axes}


def grade(points: float) -> str:
    """A from 90, B from 80, C from 70, D from 60, else F."""
    return next((letter for least, letter in GRADES if points >= least), "F")


def _losses(findings: list[Finding]) -> list[_Loss]:
    left = MAX_FOR_AXE
    losses: list[_Loss] = []
    for finding in findings:
        points = finding.points
        if finding.rule.startswith("axe-"):
            points = min(left, points)
            left -= points
        if points > 0:
            losses.append(_Loss(finding, points))
    return losses


def _mean(axes: Mapping[str, Fields], weights: Mapping[str, float]) -> int:
    total = sum(weights.get(axis, 0.0) for axis in axes) or 1.0
    return round(sum(axes[axis]["score"] * weights.get(axis, 0.0) for axis in axes) / total)


def _axis(axis: str, losses: list[_Loss], share: float = 1.0) -> Fields:
    counted = [loss.reduced_to(share) for loss in losses if loss.counts_for(axis)]
    points = max(0.0, 100 - _total(counted))
    ordered = sorted(counted, key=lambda loss: (-loss.points, _name(loss.finding)))
    return {
        "score": round(points),
        "grade": grade(round(points)),
        "deductions": [_deduction(loss) for loss in ordered],
    }


def _total(losses: Iterable[_Loss]) -> float:
    return sum(loss.points for loss in losses)


def _name(finding: Finding) -> str:
    return finding.name or finding.rule


def _deduction(loss: _Loss) -> Fields:
    finding = loss.finding
    return {
        "rule": _name(finding),
        "points": -round(loss.points, 1),
        "count": finding.count,
        "evidence": list(finding.evidence[:MAX_EVIDENCE]),
        "where": _where(finding),
    }


def _where(finding: Finding) -> list[Fields]:
    return [
        {"selector": place.selector} | ({"box": list(place.box)} if place.box else {})
        for place in finding.places[:MAX_EVIDENCE]
    ]


def _recommend(losses: list[_Loss], axes: Mapping[str, Fields]) -> list[Fields]:
    """One recommendation for each broken rule, first the one that would raise the overall score
    most.

    Rules without an axis in the report follow, by the points that they cost a ReftrixMCP client.
    """
    entries = [_recommendation(loss, _gain(loss, losses, axes)) for loss in losses]
    entries.sort(key=lambda entry: (-entry["gain"], -entry["points"], entry["rule"]))
    return entries[:MAX_RECOMMENDED]


def _gain(loss: _Loss, losses: list[_Loss], axes: Mapping[str, Fields]) -> float:
    """How many points the overall score would rise without this loss; an axis
    at 0 may stay there.
    """
    gain = 0.0
    for axis in AXES:
        if axis in axes and loss.counts_for(axis):
            gain += AXES[axis] * _rise(axis, loss, losses)
    return round(gain / (sum(AXES[axis] for axis in axes) or 1), 2)


def _rise(axis: str, loss: _Loss, losses: list[_Loss]) -> float:
    """How many points an axis would have more without this loss."""
    lost = _total(other for other in losses if other.counts_for(axis))
    before = max(0.0, 100 - lost)
    after = max(0.0, 100 - lost + loss.points)
    return after - before


def _title(finding: Finding, rule: Rule) -> str:
    detail = finding.detail
    if not detail:
        return rule.title
    # An abbreviation such as ARIA keeps its capitals.
    if detail[1:2].islower():
        detail = detail[0].lower() + detail[1:]
    return f"{rule.title}: {detail}"


def _priority(points: float) -> str:
    if points >= 8:
        return "high"
    return "medium" if points >= 4 else "low"


def _recommendation(loss: _Loss, gain: float) -> Fields:
    finding, rule = loss.finding, RULES[loss.finding.rule]
    return {
        "rule": _name(finding),
        "axis": rule.axis,
        "dimension": rule.dimension,
        "priority": _priority(loss.points),
        "gain": gain,
        "points": round(loss.points, 1),
        "count": finding.count,
        "title": _title(finding, rule),
        "why": rule.why,
        "fix": rule.fix,
        "where": _where(finding),
    }
