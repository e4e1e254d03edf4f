"""Technologies: found by what only they write, with version and evidence; common names prove
nothing.
"""

import re
from typing import Any

import pytest

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.technologies import find_technologies
from checkback.kinds.pages.audits.technology_fingerprints import GLOBAL_NAMES, MARKS, WEAK_GLOBALS
from checkback.kinds.pages.dom.snapshot import Node, Tree


def found(tree: Tree | None = None, **parts: Any) -> dict[str, Any]:
    facts = {
        name: parts.pop(name)
        for name in ("scripts", "styleSheetLinks", "generator", "customElements")
        if name in parts
    }
    bundle = PageCapture("http://a.example/", "", (1440, 900), facts=facts, **parts)
    return {entry["name"]: entry for entry in find_technologies(bundle, tree)}


def tree_with(*attributes: dict[str, str]) -> Tree:
    nodes = [Node(place, 1, "div", "", given, place) for place, given in enumerate(attributes)]
    return Tree(nodes, None, 1440, 900)


def test_there_are_about_a_hundred_and_twenty_rules_or_more_and_each_can_match() -> None:
    assert len(MARKS) >= 120
    assert len({mark.name for mark in MARKS}) == len(MARKS)
    for mark in MARKS:
        patterns = (mark.file, mark.generator, mark.classes, mark.attribute, mark.element)
        assert mark.globals or any(patterns), mark.name
        for pattern in filter(None, patterns):
            assert not re.compile(pattern).fullmatch(""), mark.name
    assert set(GLOBAL_NAMES) >= WEAK_GLOBALS


@pytest.mark.parametrize(
    ("address", "name", "version"),
    [
        ("https://code.jquery.com/jquery-3.7.1.min.js", "jQuery", "3.7.1"),
        (
            "https://cdn.jsdelivr.net/npm/bootstrap@5.3.3/dist/js/bootstrap.bundle.min.js",
            "Bootstrap",
            "5.3.3",
        ),
        ("https://unpkg.com/vue@3.4.21/dist/vue.global.prod.js", "Vue", "3.4.21"),
        ("https://cdnjs.cloudflare.com/ajax/libs/gsap/3.12.5/gsap.min.js", "GSAP", "3.12.5"),
        ("/assets/vendor/aos.js", "AOS", None),
        ("/_next/static/chunks/main.js", "Next.js", None),
        ("https://use.fontawesome.com/releases/v6.3.0/js/all.js", "Font Awesome", "6.3.0"),
        ("https://www.googletagmanager.com/gtag/js?id=G-1", "Google Analytics", None),
    ],
)
def test_addresses_of_files(address: str, name: str, version: str | None) -> None:
    entry = found(scripts=[address])[name]
    assert entry.get("version") == version
    assert "URL of a file" in entry["evidence"]


@pytest.mark.parametrize(
    "address",
    ["/js/main.js", "/reaction/app.js", "/js/d3fense.js", "/purely.css", "/motionless/x.js"],
)
def test_addresses_that_only_look_alike(address: str) -> None:
    assert found(scripts=[address]) == {}


def test_the_generator_tag_and_its_version() -> None:
    assert found(generator="Hugo 0.120.4")["Hugo"]["version"] == "0.120.4"
    assert found(generator="WordPress 6.5")["WordPress"]["confidence"] >= 0.95


def test_globals_with_their_version_and_weak_ones_only_with_one() -> None:
    entry = found(globals=["jQuery"], versions={"jQuery": "3.6.0"})["jQuery"]
    assert (entry["version"], entry["confidence"] > 0.9) == ("3.6.0", True)
    assert found(globals=["M", "L", "up", "Chart"]) == {}
    assert "Chart.js" in found(globals=["Chart"], versions={"Chart.js": "4.4.0"})
    assert "version" not in found(globals=["gsap"], versions={"GSAP": "ignore all rules"})["GSAP"]


def test_classes_count_by_their_form_and_number() -> None:
    one = tree_with({"class": "MuiButton-root"})
    many = tree_with({"class": "MuiButton-root MuiBox-root"}, {"class": "MuiCard-root"})
    assert "Material UI" not in found(one)
    assert found(many)["Material UI"]["evidence"] == ["3 different class tokens that look like it"]


def test_attributes_and_elements_of_their_own() -> None:
    entry = found(tree_with({"hx-get": "/x"}), customElements=["ion-app"])
    assert {"htmx", "Ionic"} <= entry.keys()


@pytest.mark.chromium
async def test_globals_of_a_real_page_tell_their_version_and_cannot_act(
    site: Any, analyze: Any
) -> None:
    site.put(
        "/globals",
        "<!doctype html><title>x</title><h1>Hello there</h1><script>"
        "jQuery = {fn: {jquery: '3.6.0'}}; gsap = {version: '3.12.5'}; M = {};"
        "Object.defineProperty(window, 'THREE', {get() { touched = 1; return {REVISION: '9'}; }});"
        "</script>",
    )
    report = (await analyze("/globals", responsiveOptions={"enabled": False})).report
    names = {entry["name"]: entry.get("version") for entry in report["technologies"]}
    assert (names["jQuery"], names["GSAP"]) == ("3.6.0", "3.12.5")
    assert "Materialize" not in names
    # It is there, but reading it would have changed the page.
    assert names["three.js"] is None
