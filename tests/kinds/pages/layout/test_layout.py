"""Sections, outline, look and style sheets, read from saved bundles."""

import time
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.dom.snapshot import Box, Node
from checkback.kinds.pages.layout.rows import rows_of
from checkback.kinds.pages.report.builder import ReportBuilder


def test_the_sections_of_the_front_page(parts: dict[str, Any]) -> None:
    layout = parts["layout"]
    assert [section["type"] for section in layout["sections"]] == [
        "navigation", "hero", "stats", "feature", "testimonial", "pricing", "faq", "contact", "footer",
    ]  # fmt: skip
    headings = [section.get("heading") for section in layout["sections"]]
    assert headings[1] == "Every boat home before the tide turns"
    assert headings[5] == "Pricing by the length of your jetty"
    assert layout["sectionCount"] == 9
    assert layout["sectionTypes"]["navigation"] == 1


def test_sections_have_boxes_from_top_to_bottom_and_tell_their_evidence(
    parts: dict[str, Any],
) -> None:
    tops = [section["box"][1] for section in parts["layout"]["sections"]]
    assert tops == sorted(tops)
    width = parts["layout"]["pageSize"][0]
    for section in parts["layout"]["sections"]:
        assert section["box"][2] <= width
        assert section["evidence"]
        assert 0.2 <= section["confidence"] <= 0.99


def test_class_names_do_not_matter(home: PageCapture) -> None:
    before = [section.type for section in ReportBuilder(home).sections]
    assert home.snapshot is not None
    strings: list[str] = home.snapshot["strings"]
    document = home.snapshot["documents"][0]
    for attributes in document["nodes"]["attributes"]:
        for at in range(0, len(attributes), 2):
            if strings[attributes[at]] in ("class", "id"):
                attributes[at + 1] = strings.index("class")
    assert [section.type for section in ReportBuilder(home).sections] == before


def test_an_article_is_cut_at_its_headings(tides: PageCapture) -> None:
    sections = ReportBuilder(tides).sections
    assert len(sections) == 6
    assert [section.heading for section in sections if section.type == "content"] == [
        "A short guide to tides", "Springs and neaps", "The rule of twelfths", "Over the sill",
    ]  # fmt: skip


def test_outline_and_landmarks(parts: dict[str, Any]) -> None:
    levels = [level for level, _, _ in parts["layout"]["headings"]]
    assert levels[:3] == [1, 2, 4]
    roles = [landmark["role"] for landmark in parts["layout"]["landmarks"]]
    assert roles == ["banner", "navigation", "main", "contentinfo", "navigation"]


def test_colours_are_weighed_by_area_and_text(parts: dict[str, Any]) -> None:
    colors = parts["design"]["colors"]
    assert colors["dominant"][0] == "#fbf8f1"
    assert colors["text"][0][0] == "#12263a"
    assert colors["accent"][0] == "#0d3b4f"
    assert sum(share for _, share in colors["palette"]) <= 1.001
    assert {gradient["type"] for gradient in colors["gradients"]} == {"linear", "radial"}


def test_theme_type_and_spacing(parts: dict[str, Any]) -> None:
    design = parts["design"]
    assert design["theme"] == "light"
    assert design["themeMeasured"]["contrastRatio"] > 12
    assert [family["declared"] for family in design["typography"]["families"]] == [
        "DejaVu Sans",
        "DejaVu Serif",
    ]
    assert design["typography"]["families"][0]["rendered"] == ["DejaVu Sans"]
    assert design["spacing"]["base"] == 4
    assert parts["layout"]["grid"]["containerWidth"] == 1200


def test_style_sheets_as_they_apply(parts: dict[str, Any]) -> None:
    design, css = parts["design"], parts["css"]
    assert design["breakpoints"] == [640, 900]
    assert design["clampValues"][0]["property"] == "--step-3"
    names = {variable["name"]: variable for variable in design["cssVariables"]}
    assert names["--lamp"]["category"] == "color"
    assert names["--space-3"]["uses"] > 5
    assert "--ease-out: cubic-bezier(0.2, 0.7, 0.2, 1)" in design["designTokens"]["easing"]
    assert 0 < css["unusedPercent"] < 30
    assert parts["layout"]["cssFramework"]["framework"] == "vanilla"


def test_each_section_tells_its_parts(parts: dict[str, Any]) -> None:
    sections = {section["type"]: section for section in parts["layout"]["sections"]}
    plans = sections["pricing"]["children"]
    assert [(plan["id"], plan["role"], plan["heading"]) for plan in plans] == [
        ("s6.1", "card", "Dinghy"), ("s6.2", "card", "Sloop"), ("s6.3", "card", "Schooner"),
    ]  # fmt: skip
    left, top, width, height = sections["pricing"]["box"]
    for plan in plans:
        x, y, wide, high = plan["box"]
        assert left <= x <= x + wide <= left + width
        assert top <= y <= y + high <= top + height
    assert sections["faq"]["childrenTotal"] == 4
    assert all(child["text"].endswith("?") for child in sections["faq"]["children"][1:])


def test_ten_thousand_rows_take_no_time() -> None:
    nodes = [
        Node(place, 1, "p", "", {}, place, box=Box(0, 30 * place, 800, 24))
        for place in range(20_000)
    ]
    begun = time.process_time()
    assert len(rows_of(nodes)) == 20_000
    # Compared with each other it would be minutes.
    assert time.process_time() - begun < 5


def test_a_bundle_without_a_snapshot_makes_no_layout_up(home: PageCapture) -> None:
    home.snapshot = None
    assert ReportBuilder(home).sections == []
    assert "contrast" not in ReportBuilder(home).quality()["accessibility"]
