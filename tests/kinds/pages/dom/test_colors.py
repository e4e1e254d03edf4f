"""Colours as browsers compute them, and the measures made from them."""

import pytest

from checkback.kinds.pages.dom.colors import (
    WHITE,
    Color,
    contrast_ratio,
    merged,
    parse_color,
    parse_hex,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rgb(255, 0, 0)", "#ff0000"),
        ("rgba(12, 38, 58, 0.5)", "#0c263a"),
        ("oklch(0.628 0.2577 29.23)", "#ff0000"),
        ("oklab(1 0 0)", "#ffffff"),
        ("lab(54.29 80.8 69.89)", "#ff0000"),
        ("color(srgb 0 0.5 1 / 0.5)", "#0080ff"),
        ("transparent", "#000000"),
    ],
)
def test_computed_colours_are_understood(text: str, expected: str) -> None:
    color = parse_color(text)
    assert color is not None
    assert color.hex == expected


@pytest.mark.parametrize(
    "text",
    ["", "none", "url(x)", "color(rec2020 1 0 0)", "rgb(1)", "color(srgb)", "color(srgb 1 0)"],
)
def test_what_is_not_understood_is_no_colour(text: str) -> None:
    assert parse_color(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "oklch(0.5 0.1 inf)",
        "oklab(1e200 0 0)",
        "lab(1e200 1e200 -1e200)",
        "rgb(nan inf -inf / nan)",
        "color(srgb 1e400 0 0 / 1e400)",
        "rgb(1 2 3 / 500%)",
    ],
)
def test_numbers_that_no_browser_computes_are_limited(text: str) -> None:
    """A custom property is text that the page chose, not a computed value."""
    color = parse_color(text)
    assert color is not None
    assert all(0 <= channel <= 255 for channel in color[:3])
    assert 0 <= color.alpha <= 1


def test_alpha_is_painted_over_what_lies_below() -> None:
    assert Color(0, 0, 0, 0.5).over(WHITE).hex == "#808080"


def test_contrast_is_that_of_wcag() -> None:
    assert contrast_ratio(Color(0, 0, 0), WHITE) == pytest.approx(21)
    assert contrast_ratio(parse_hex("#777777"), WHITE) == pytest.approx(4.48, abs=0.01)


def test_colours_that_look_alike_are_counted_together() -> None:
    shares = merged(
        [(Color(250, 250, 250), 60), (Color(252, 251, 250), 20), (Color(200, 0, 0), 20)]
    )
    assert [(color.hex, share) for color, share in shares] == [("#fafafa", 0.8), ("#c80000", 0.2)]
