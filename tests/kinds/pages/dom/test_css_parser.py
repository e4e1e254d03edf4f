"""Style sheets as they come: nested, minified, broken, hostile."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import tinycss2

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.motion import find_patterns
from checkback.kinds.pages.dom.css_facts import breakpoints
from checkback.kinds.pages.dom.css_parser import StyleFacts, read_sheet


def read(text: str) -> StyleFacts:
    facts = StyleFacts()
    read_sheet(text, facts)
    return facts


def told(text: str) -> list[tuple[str, str, str, str]]:
    return [(item.selector, item.name, item.value, item.media) for item in read(text).declarations]


def test_rules_and_what_surrounds_them() -> None:
    assert told("a , b{COLOR:red;margin:0 auto}@media (min-width:9px){ c { top : 1px } }") == [
        ("a , b", "color", "red", ""),
        ("a , b", "margin", "0 auto", ""),
        ("c", "top", "1px", "(min-width:9px)"),
    ]


def test_nested_rules_and_conditions() -> None:
    text = (
        ".a { color: red; &:hover { color: blue } b { top: 0 } @media print { left: 0 } right: 0 }"
    )
    assert told(text) == [
        (".a", "color", "red", ""),
        (".a:hover", "color", "blue", ""),
        (".a b", "top", "0", ""),
        (".a", "left", "0", "print"),
        (".a", "right", "0", ""),
    ]
    assert told("@media screen{@supports(display:grid){@media(width>9px){a{top:0}}}}") == [
        ("a", "top", "0", "screen and (width>9px)")
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('a{content:"}{;";top:0}', '"}{;"'),
        (r'a{content:"\"}";top:0}', r'"\"}"'),
        ("a{content:'/* no comment */';top:0}", "'/* no comment */'"),
        ("a{background:url(data:image/png;base64,AA==);top:0}", "url(data:image/png;base64,AA==)"),
        ("a{background:URL( 'x;}y' );top:0}", "URL( 'x;}y' )"),
        ("a{width:calc( (1px + 2px) * 3 );top:0}", "calc( (1px + 2px) * 3 )"),
        ("a{--x:{color:red;top:1px};top:0}", "{color:red;top:1px}"),
        ("a{color/* why */:/* so */red;top:0}", "red"),
    ],
)
def test_where_a_value_ends(text: str, value: str) -> None:
    first, second = read(text).declarations
    assert first.value == value
    assert (second.name, second.value) == ("top", "0")


def test_important_and_custom_properties() -> None:
    facts = read(":root{--Main-Color:RED}a{color:red!important;top:0 ! IMPORTANT }")
    assert [(item.name, item.value, item.important) for item in facts.declarations] == [
        ("--Main-Color", "RED", False),
        ("color", "red", True),
        ("top", "0", True),
    ]
    assert facts.important == 2


def test_at_rules() -> None:
    facts = read(
        "@charset 'utf-8';@import url(x.css);@layer base, theme;@layer base{a{top:0}}"
        "@-webkit-keyframes Turn{from,50%{transform:none;opacity:0}to{LEFT:0}}@keyframes 'quoted'{}"
        "@font-face{font-family:'Own Font';src:url(a.woff2)}@page{margin:1cm}@property --x{syntax:'*'}"
        "@MEDIA print{a{left:0}}@container side (width>9px){b{top:0}}"
    )
    assert facts.keyframes == {"Turn": ["left", "opacity", "transform"], "quoted": []}
    assert facts.layers == ["base", "theme"]
    assert (facts.font_faces, facts.web_fonts) == (1, {"Own Font"})
    assert dict(facts.media) == {"print": 1}
    assert [item.name for item in facts.declarations] == ["top", "left", "top"]
    assert facts.rules == 3


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a{color:red", ["color"]),
        ("a{color:red;}}}b{top:0}", ["color", "top"]),
        ("a{nonsense;*zoom:1;color:red}", ["color"]),
        ("a{:red;color:red}", ["color"]),
        ("<!-- a{color:red} -->", ["color"]),
        ('a{content:"no end\n;color:red}', ["content", "color"]),
        ("/* no end a{color:red}", []),
        ("", []),
    ],
)
def test_what_is_broken_costs_only_itself(text: str, names: list[str]) -> None:
    assert [item.name for item in read(text).declarations] == names


@pytest.mark.parametrize(
    "text",
    ["{" * 200_000, "url(" * 100_000, '"' * 399_999, "/*" * 200_000, "\\" * 400_000, "a{b:(" * 80_000,
     "'\n" * 200_000, "a:b;" * 100_000, "@media x{" * 44_000, "--x:{" * 80_000],
    ids=range(10),
)  # fmt: skip
def test_a_hostile_sheet_costs_no_more_than_its_length(text: str) -> None:
    begun = time.process_time()
    read(text)
    assert time.process_time() - begun < 4


# --- Against a full parser ------------------------------------------------------------------------


GROUPS = frozenset({"media", "supports", "layer"})


def parsed(nodes: Iterable[Any]) -> list[tuple[str, str]]:
    """Selector and names of each style rule, as tinycss2 reads them, groups looked into."""
    found: list[tuple[str, str]] = []
    for node in nodes:
        if node.type == "qualified-rule":
            inside = tinycss2.parse_blocks_contents(
                node.content, skip_comments=True, skip_whitespace=True
            )
            names = [item.name if item.name.startswith("--") else item.lower_name
                     for item in inside if item.type == "declaration"]  # fmt: skip
            selector = " ".join(tinycss2.serialize(node.prelude).split())
            found += [(selector, name) for name in names]
        elif node.type == "at-rule" and node.content and node.lower_at_keyword in GROUPS:
            found += parsed(
                tinycss2.parse_rule_list(node.content, skip_comments=True, skip_whitespace=True)
            )
    return found


def styles_of_installed_packages() -> list[Path]:
    """Real style sheets: those that came with this environment's packages."""
    return sorted(
        path for path in Path(sys.prefix).rglob("*.css") if path.stat().st_size < 120_000
    )[:12]


@pytest.mark.parametrize("path", styles_of_installed_packages(), ids=lambda path: path.name)
def test_real_style_sheets_are_read_as_a_full_parser_reads_them(path: Path) -> None:
    text = path.read_text("utf-8", "replace")
    facts = StyleFacts()
    read_sheet(text, facts)
    expected = parsed(tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True))
    # Names are kept as they are written, with their escapes.
    assert [item.name.replace("\\", "") for item in facts.declarations] == [
        name for _, name in expected
    ]
    assert [item.selector[:100] for item in facts.declarations] == [
        selector[:100] for selector, _ in expected
    ]


def test_what_merely_looks_like_a_number_is_passed_over(home: PageCapture) -> None:
    facts = StyleFacts()
    huge = "9" * 400
    text = f"""
        @media (min-width: 1.2.3px) {{ a {{ transition: top 1.2.3s }} }}
        @media (max-width: {huge}px) {{ a {{ animation: turn {huge}s }} }}
        @media (width >= ..em) {{ a {{ transition: left ..ms }} }}
        @media (min-width: .5em) {{ a {{ transition: right .5s }} }}
        @keyframes turn {{ to {{ top: 0 }} }}
    """
    read_sheet(text, facts)
    assert breakpoints(facts) == [{"width": 8, "uses": 1}]
    declared = [pattern for pattern in find_patterns(home, facts) if pattern.type != "script"]
    assert [(pattern.type, pattern.duration_ms) for pattern in declared] == [
        ("css_animation", 0), ("css_transition", 500),
    ]  # fmt: skip
