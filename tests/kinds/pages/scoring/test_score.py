"""The score: every point is explained, and an empty page does not score well."""

import copy
from typing import Any

import pytest

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.stock_phrases import find_cliches
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs
from checkback.kinds.pages.report.builder import ReportBuilder
from checkback.kinds.pages.report.report import measure_of
from checkback.kinds.pages.scoring.rules import AXES, DIMENSIONS, EVERY, RULES
from checkback.kinds.pages.scoring.score import Measure, grade, score

MEASURE = Measure({"originality": 0.35, "craftsmanship": 0.4, "contextuality": 0.25})


def lost(quality: dict[str, Any], axis: str) -> dict[str, float]:
    axes: dict[str, Any] = quality["axes"] if axis in AXES else quality["reftrix"]["axes"]
    return {item["rule"]: item["points"] for item in axes[axis]["deductions"]}


def test_every_lost_point_is_listed(parts: dict[str, Any]) -> None:
    quality = score(parts, MEASURE)
    assert set(quality["axes"]) == set(AXES)
    assert set(quality["reftrix"]["axes"]) == set(DIMENSIONS)
    for axis, part in (quality["axes"] | quality["reftrix"]["axes"]).items():
        assert abs(100 + sum(lost(quality, axis).values()) - part["score"]) <= 0.6
    assert lost(quality, "accessibility") == {
        "axe-image-alt": -8, "low-contrast": -7.2, "field-without-label": -3, "axe-heading-order": -2,
    }  # fmt: skip
    assert lost(quality, "motion") == {"motion-not-reduced": -20}
    assert quality["overallScore"] == 91


def test_the_overall_score_is_the_weighted_mean_of_the_axes(parts: dict[str, Any]) -> None:
    quality = score(parts, MEASURE)
    mean = sum(quality["axes"][axis]["score"] * share for axis, share in AXES.items())
    assert quality["overallScore"] == round(mean)
    assert sum(AXES.values()) == pytest.approx(1)


def test_the_same_bundle_gives_the_same_score(home: PageCapture) -> None:
    def judged(bundle: PageCapture) -> dict[str, Any]:
        reading = ReportBuilder(bundle)
        return score({**reading.ingest(), **reading.layout(), **reading.quality()}, MEASURE)

    assert judged(home) == judged(copy.deepcopy(home))


def test_an_empty_page_scores_low() -> None:
    empty: dict[str, Any] = {
        "title": "",
        "description": "",
        "content": {"elements": 4, "textLength": 0, "images": 0},
        "layout": {
            "sectionCount": 0,
            "sectionTypes": {},
            "sections": [],
            "landmarks": [],
            "headings": [],
        },
    }
    quality = score(empty, MEASURE)
    assert quality["overallScore"] <= 30
    assert quality["grade"] == "F"
    assert quality["reftrix"]["grade"] == "F"
    for axis in (*AXES, *DIMENSIONS):
        assert lost(quality, axis)["no-content"] == -70


def test_what_was_not_measured_costs_nothing_and_has_no_axis(parts: dict[str, Any]) -> None:
    less = {
        name: parts[name] for name in parts if name not in ("responsive", "motion", "accessibility")
    }
    quality = score(less, MEASURE)
    assert set(quality["axes"]) == {"performance", "seo", "consistency"}
    assert quality["reftrix"]["axes"]["craftsmanship"]["score"] >= 95


def test_weights_only_count_by_their_proportions(parts: dict[str, Any]) -> None:
    only = Measure({"originality": 0, "craftsmanship": 0.1, "contextuality": 0})
    theirs = score(parts, only)["reftrix"]
    assert theirs["overallScore"] == theirs["axes"]["craftsmanship"]["score"]


def test_lenient_judging_forgives_minor_findings(parts: dict[str, Any]) -> None:
    args = PageAnalyzeArgs.model_validate(
        {"url": "https://example.com", "qualityOptions": {"strict": False}}
    )
    rules = lost(score(parts, measure_of(args)), "accessibility")
    assert "axe-heading-order" not in rules
    assert "axe-image-alt" in rules


@pytest.mark.parametrize(
    ("wanted", "is_lost"), [("dental surgery", True), ("sailing clubs", False), ("AI", False)]
)
def test_the_words_of_the_target_must_occur(
    parts: dict[str, Any], wanted: str, is_lost: bool
) -> None:
    rules = lost(score(parts, Measure(MEASURE.weights, industry=wanted)), "contextuality")
    assert ("industry-not-named" in rules) == is_lost


def test_recommendations_come_by_gain_and_say_where_and_how(parts: dict[str, Any]) -> None:
    quality = score(parts, MEASURE)
    listed = quality["recommendations"]
    assert [item["rule"] for item in listed[:2]] == ["axe-image-alt", "low-contrast"]
    gains = [item["gain"] for item in listed]
    assert gains == sorted(gains, reverse=True)
    # 8 points of an axis that makes 30 % of the score.
    assert (listed[0]["priority"], gains[0]) == ("high", 2.4)
    assert listed[1]["where"][0]["selector"]
    assert len(listed[1]["where"][0]["box"]) == 4
    assert all(item["fix"] and item["why"] for item in listed)
    assert "recommendations" not in score(
        parts, Measure(MEASURE.weights, with_recommendations=False)
    )


def test_mending_the_first_recommendation_gains_what_it_says(parts: dict[str, Any]) -> None:
    before = score(parts, MEASURE)
    first = before["recommendations"][0]
    rules = parts["accessibility"]["violations"]
    parts["accessibility"]["violations"] = [r for r in rules if f"axe-{r['id']}" != first["rule"]]
    after = score(parts, MEASURE)
    assert after["overallScore"] - before["overallScore"] == pytest.approx(first["gain"], abs=1)


def test_axe_alone_does_not_take_everything(parts: dict[str, Any]) -> None:
    node = {"selector": "a", "box": [0, 0, 1, 1], "summary": ""}
    rule = {"impact": "critical", "count": 100, "help": "", "wcag": [], "nodes": [node]}
    parts["accessibility"]["violations"] = [{"id": f"r{number}", **rule} for number in range(20)]
    rules = lost(score(parts, MEASURE), "accessibility")
    assert sum(
        points for name, points in rules.items() if name.startswith("axe-")
    ) == pytest.approx(-45)


def test_a_framework_as_it_was_delivered_is_named() -> None:
    design: dict[str, Any] = {
        "colors": {"palette": [["#ffffff", 1.0]], "accent": ["#0d6efd"], "gradients": []},
        "typography": {"families": [{"declared": "system-ui", "share": 1.0}], "sizes": 3},
        "spacing": {},
    }
    layout: dict[str, Any] = {
        "cssFramework": {"framework": "bootstrap"}, "sections": [], "sectionTypes": {}, "sectionCount": 0,
        "headings": [], "landmarks": [],
    }  # fmt: skip
    rules = lost(score({"layout": layout, "design": design}, MEASURE), "originality")
    assert rules == {"unmodified-theme": -15, "default-type": -6}
    design["colors"]["accent"] = ["#a83279"]
    assert lost(score({"layout": layout, "design": design}, MEASURE), "originality") == {
        "default-type": -6
    }


def test_cliches_in_words_and_looks() -> None:
    report: dict[str, Any] = {
        "title": "Welcome to our website",
        "description": "Take your business to the next level",
        "layout": {"headings": [[1, "Lorem ipsum dolor", 0]], "sections": []},
        "design": {
            "colors": {
                "gradients": [
                    {"value": "linear-gradient(90deg, rgb(124, 58, 237), rgb(59, 130, 246))"}
                ]
            }
        },
    }
    kinds = {cliche["type"] for cliche in find_cliches(report)}
    assert kinds == {"welcome-heading", "generic-promise", "placeholder-text", "violet-gradient"}
    assert kinds <= RULES.keys()


def test_every_rule_counts_for_an_axis_that_there_is() -> None:
    for rule in RULES.values():
        assert rule.axis in (None, EVERY, *AXES)
        assert rule.dimension in (EVERY, *DIMENSIONS)
        assert 0 < rule.first <= rule.most
        assert rule.points(1) == rule.first
        assert rule.points(1000) == (rule.most if rule.each else rule.first)


def test_grades() -> None:
    assert [grade(points) for points in (100, 90, 89, 80, 70, 60, 59, 0)] == list("AABBCDFF")
