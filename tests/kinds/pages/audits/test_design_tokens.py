"""Design tokens in the W3C format, and as CSS that no page can break out of."""

import re
from typing import Any

import pytest
import tinycss2

from checkback.kinds.pages.audits.design_tokens import design_tokens, tokens_as_css

TYPES = {
    "color",
    "dimension",
    "fontFamily",
    "fontWeight",
    "duration",
    "cubicBezier",
    "shadow",
    "typography",
}


def tokens_in(group: dict[str, Any]) -> list[dict[str, Any]]:
    if "$value" in group:
        return [group]
    return [token for item in group.values() for token in tokens_in(item)]


def test_every_token_has_a_type_and_a_value_of_its_form(parts: dict[str, Any]) -> None:
    parts["design"]["cssVariables"].append(
        {"name": "--quick", "value": "200ms", "scope": ":root", "uses": 1}
    )
    tokens = design_tokens(parts["design"])
    found = tokens_in(tokens)
    assert {token["$type"] for token in found} == TYPES
    for token in found:
        value = token["$value"]
        if token["$type"] == "color":
            assert value["colorSpace"] == "srgb"
            assert all(0 <= part <= 1 for part in value["components"])
        if token["$type"] in ("dimension", "duration"):
            assert value["unit"] in ("px", "rem", "ms", "s")
    assert tokens["color"]["background"]["1"]["$value"]["hex"] == "#fbf8f1"
    assert tokens["own"]["ease-out"] == {
        "$type": "cubicBezier",
        "$value": [0.2, 0.7, 0.2, 1.0],
        "$description": tokens["own"]["ease-out"]["$description"],
    }


def test_the_css_is_one_rule_of_custom_properties(parts: dict[str, Any]) -> None:
    css = tokens_as_css(design_tokens(parts["design"]))
    (rule,) = tinycss2.parse_stylesheet(css, skip_whitespace=True)
    assert tinycss2.serialize(rule.prelude).strip() == ":root"
    declarations = tinycss2.parse_blocks_contents(rule.content or [], skip_whitespace=True)
    assert all(item.type == "declaration" and item.name.startswith("--") for item in declarations)
    assert "--color-background-1: #fbf8f1;" in css
    assert "--breakpoint-1: 640px;" in css


@pytest.mark.parametrize(
    "value",
    [
        "1.2.3px",
        ".s",
        f"{'9' * 400}px",
        "cubic-bezier(-, 1-2, ., 0)",
        "color(srgb)",
        "hsl(1)",
    ],
)
def test_a_variable_that_merely_looks_like_a_value_is_no_token(value: str) -> None:
    variable = {"name": "--a", "value": value, "scope": ":root", "uses": 1}
    assert design_tokens({"cssVariables": [variable]}) == {}


def test_names_of_a_page_cannot_end_a_declaration() -> None:
    evil = 'x"; } body { display: none } a { b: "'
    design: dict[str, Any] = {
        "typography": {"families": [{"declared": evil, "share": 1.0}], "scale": []},
        "cssVariables": [{"name": "--a{}.$b c;}", "value": "4px", "scope": ":root", "uses": 1}],
    }
    css = tokens_as_css(design_tokens(design))
    (rule,) = tinycss2.parse_stylesheet(css, skip_whitespace=True)
    declared = tinycss2.parse_blocks_contents(rule.content or [], skip_whitespace=True)
    assert [item.type for item in declared] == ["declaration", "declaration"]
    assert not re.search(r"[{}$.]", "".join(design_tokens(design)["own"]))


def test_what_was_not_measured_has_no_group() -> None:
    assert design_tokens({}) == {}
    assert set(design_tokens({"breakpoints": [600]})) == {"breakpoint"}
