"""What is found wrong on a site with flaws on purpose: contrast, motion, accessibility, window
sizes.
"""

from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.accessibility import axe_tier
from checkback.kinds.pages.audits.motion import find_patterns
from checkback.kinds.pages.report.builder import ReportBuilder
from checkback.kinds.pages.scoring.findings import Expectations, find


def test_every_text_with_too_little_contrast_is_found(parts: dict[str, Any]) -> None:
    contrast = parts["accessibility"]["contrast"]
    colors = sorted(failure["color"] for failure in contrast["failures"])
    assert colors == ["#8a979c", "#b9c2c4", "#cc99aa", "#cc99aa", "#cc99aa"]
    assert contrast["failed"] == 5
    assert contrast["checked"] > 50
    assert all(failure["ratio"] < failure["needed"] for failure in contrast["failures"])


def test_axe_and_our_own_checks_find_the_other_flaws(parts: dict[str, Any]) -> None:
    accessibility = parts["accessibility"]
    found = {rule["id"]: rule for rule in accessibility["violations"]}
    assert set(found) == {"image-alt", "heading-order"}
    assert found["image-alt"]["wcag"] == ["1.1.1"]
    assert accessibility["tier"] == "standard"
    assert accessibility["headings"] == {"total": 12, "h1Count": 1, "skippedLevels": 1}
    assert parts["seo"]["unlabelledFields"] == 1


def test_findings_say_where(parts: dict[str, Any]) -> None:
    parts["performance"] |= {"cls": 0.3, "clsSources": [{"element": "img#map", "value": 0.3}]}
    found = {finding.rule: finding.places for finding in find(parts, Expectations())}
    assert [place.selector for place in found["layout-shift"]] == ["img#map"]
    (sweep,) = [item for item in parts["motion"]["cssAnimations"] if item["name"] == "sweep"]
    assert [place.selector for place in found["motion-not-reduced"]] == [sweep["target"]]
    parts["accessibility"]["violations"] = []
    found = {finding.rule: finding.places for finding in find(parts, Expectations())}
    (skipped,) = found["skipped-heading-level"]
    assert skipped.box


def test_larger_pages_get_fewer_rules() -> None:
    assert [axe_tier(n)[0] for n in (100, 3000, 3001, 8001)] == [
        "standard",
        "standard",
        "reduced",
        "core",
    ]
    assert "color-contrast" not in axe_tier(8001)[1]["runOnly"]["values"]


def test_motion_of_the_front_page(parts: dict[str, Any]) -> None:
    motion = parts["motion"]
    patterns = {pattern["name"]: pattern for pattern in motion["patterns"]}
    assert patterns["bob"]["duration"] == 6000
    assert patterns["bob"]["infinite"]
    assert patterns["bob"]["performance"] == {
        "level": "good",
        "usesTransform": True,
        "usesOpacity": False,
    }
    assert patterns["bob"]["accessibility"] == {"respectsReducedMotion": True}
    assert patterns["sweep"]["accessibility"] == {"respectsReducedMotion": False}
    assert patterns["never-used"]["type"] == "keyframes"
    assert motion["scrollReveal"] >= 4
    assert motion["reducedMotion"] == {
        "mediaQueries": 1, "infiniteBefore": 2, "infiniteAfter": 1, "respected": False,
    }  # fmt: skip
    moved = {animation["name"]: animation["target"] for animation in motion["cssAnimations"]}
    assert set(moved) == {"bob", "sweep"}
    assert motion["libraries"] == []
    codes = {warning["code"] for warning in motion["warnings"]}
    assert codes == {"A11Y_MOTION_NOT_REDUCED", "UNUSED_KEYFRAMES"}


def test_a_page_without_motion_claims_nothing(tides: PageCapture) -> None:
    reading = ReportBuilder(tides)
    tides.sheets = []
    assert find_patterns(tides, reading.styles) == []


def test_the_page_at_three_sizes(parts: dict[str, Any]) -> None:
    viewports = {viewport["name"]: viewport for viewport in parts["responsive"]["viewports"]}
    assert viewports["desktop"]["navigation"] == "expanded"
    assert viewports["mobile"]["navigation"] == "collapsed"
    assert viewports["mobile"]["columns"] < viewports["desktop"]["columns"]
    assert not any(viewport["overflowX"] for viewport in viewports.values())
    told = {(item["category"], item["to"]) for item in parts["responsive"]["differences"]}
    assert ("navigation", "mobile") in told
    assert ("layout", "tablet") in told
    assert [item["width"] for item in parts["responsive"]["breakpoints"]] == [640, 900]


def test_weight_and_requests(parts: dict[str, Any]) -> None:
    assert parts["performance"]["requests"] == 9
    assert parts["performance"]["weight"]["byType"]["stylesheet"] > 5000
    assert parts["performance"]["lcpMs"] > 0
    assert parts["network"]["thirdParty"] == []
    assert parts["console"]["errorTotal"] == 0
