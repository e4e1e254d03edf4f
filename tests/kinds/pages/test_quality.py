"""The score: every point is explained, and an empty page is no good page."""

from typing import Any

from checkback.kinds.pages.args import PageAnalyzeArgs
from checkback.kinds.pages.cliches import find_cliches
from checkback.kinds.pages.quality import AXES, Measure, grade, score
from checkback.kinds.pages.report import measure_of

MEASURE = Measure({"originality": 0.35, "craftsmanship": 0.4, "contextuality": 0.25})


def test_every_lost_point_is_listed(parts: dict[str, Any]) -> None:
    quality = score(parts, MEASURE)
    for axis in AXES:
        part = quality["axes"][axis]
        lost = sum(item["points"] for item in part["deductions"])
        assert abs(100 + lost - part["score"]) <= 0.6
    rules = {item["rule"] for item in quality["axes"]["craftsmanship"]["deductions"]}
    assert rules == {
        "axe-image-alt", "axe-heading-order", "low-contrast", "field-without-label", "motion-not-reduced",
    }  # fmt: skip
    assert quality["overallScore"] == 90


def test_the_same_report_gives_the_same_score(parts: dict[str, Any]) -> None:
    assert score(parts, MEASURE) == score(parts, MEASURE)


def test_an_empty_page_scores_low() -> None:
    empty: dict[str, Any] = {
        "title": "",
        "description": "",
        "content": {"elements": 4, "textLength": 0, "images": 0},
        "layout": {"sectionCount": 0, "sectionTypes": {}, "sections": [], "landmarks": [], "headings": []},
    }
    quality = score(empty, MEASURE)
    assert quality["overallScore"] < 40
    assert quality["grade"] == "F"
    assert quality["axes"]["originality"]["deductions"][0]["rule"] == "no-content"


def test_what_was_not_measured_costs_nothing(parts: dict[str, Any]) -> None:
    less = {name: parts[name] for name in parts if name not in ("responsive", "motion", "accessibility")}
    assert score(less, MEASURE)["axes"]["craftsmanship"]["score"] >= 95


def test_weights_only_count_by_their_proportions(parts: dict[str, Any]) -> None:
    only = Measure({"originality": 0, "craftsmanship": 0.1, "contextuality": 0})
    quality = score(parts, only)
    assert quality["overallScore"] == quality["axes"]["craftsmanship"]["score"]


def test_lenient_judging_forgives_minor_findings(parts: dict[str, Any]) -> None:
    args = PageAnalyzeArgs.model_validate({"url": "https://example.com", "qualityOptions": {"strict": False}})
    rules = {item["rule"] for item in score(parts, measure_of(args))["axes"]["craftsmanship"]["deductions"]}
    assert "axe-heading-order" not in rules
    assert "axe-image-alt" in rules


def test_the_words_of_the_target_must_occur(parts: dict[str, Any]) -> None:
    def lost(industry: str) -> bool:
        measure = Measure(MEASURE.weights, industry=industry)
        axis = score(parts, measure)["axes"]["contextuality"]
        return any(item["rule"] == "industry-not-named" for item in axis["deductions"])

    assert lost("dental surgery")
    assert not lost("sailing clubs")


def test_recommendations_name_the_rule_and_can_be_left_out(parts: dict[str, Any]) -> None:
    listed = score(parts, MEASURE)["recommendations"]
    assert listed[0]["id"] == "axe-image-alt"
    assert listed[0]["priority"] == "high"
    assert "recommendations" not in score(parts, Measure(MEASURE.weights, with_recommendations=False))


def test_cliches_in_words_and_looks() -> None:
    report: dict[str, Any] = {
        "title": "Welcome to our website",
        "description": "Take your business to the next level",
        "layout": {"headings": [[1, "Lorem ipsum dolor", 0]], "sections": []},
        "design": {
            "colors": {
                "gradients": [{"value": "linear-gradient(90deg, rgb(124, 58, 237), rgb(59, 130, 246))"}]
            }
        },
    }
    kinds = {cliche["type"] for cliche in find_cliches(report)}
    assert kinds == {"welcome-heading", "generic-promise", "placeholder-text", "violet-gradient"}


def test_grades() -> None:
    assert [grade(points) for points in (100, 90, 89, 80, 70, 60, 59, 0)] == list("AABBCDFF")
