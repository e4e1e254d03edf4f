"""What is between a visitor and the page: walls that ask for consent, checks for robots, frames,
canvases.

A page that could not be seen must not be judged as if it had been: each obstacle becomes a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.dom.snapshot import Box, Node, Tree

Fields = dict[str, Any]

#: A shorter text is not a page.
LITTLE_TEXT = 200
_CONSENT = re.compile(
    r"cookie|consent|gdpr|einwillig|zustimm|datenschutz|consentement|confidentialité|consentimiento"
    r"|privacidad|informativa|クッキー|プライバシー|隐私|同意",
    re.I,
)
_ROBOT_CHECK = re.compile(
    r"verify(ing)? (that )?you are (a )?human|are you a robot|not a robot|checking your browser"
    r"|just a moment\.\.\.|enable javascript and cookies to continue|unusual traffic|attention required"
    r"|ddos protection|security check",
    re.I,
)
_CAPTCHA_HOST = re.compile(r"recaptcha|hcaptcha|challenges\.cloudflare|arkoselabs|captcha", re.I)
MAX_OVERLAYS = 30
_UNREAD_TAGS = frozenset({"script", "style", "noscript", "template", "title", "head"})
_OVERLAY_POSITIONS = frozenset({"fixed", "absolute", "sticky"})


def find_obstacles(bundle: PageCapture, tree: Tree | None) -> list[tuple[str, str]]:
    """Code and sentence of each obstacle; a sentence never holds the page's text."""
    if tree is None or tree.body is None:
        return []
    return list(_obstacles(bundle, tree))


def _obstacles(bundle: PageCapture, tree: Tree) -> Iterator[tuple[str, str]]:
    window = Box(0, 0, *map(float, bundle.viewport))
    facts: Fields = bundle.facts or {}
    if _is_robot_check(facts, _shown_text(tree)):
        yield (
            "ROBOT_CHECK",
            "The site asked for proof that the visitor is human; what it showed is not the page.",
        )
    yield from _consent_request(tree, window)
    if facts.get("textLength", 0) < LITTLE_TEXT:
        yield from _missing_text(tree, window)


def _consent_request(tree: Tree, window: Box) -> Iterator[tuple[str, str]]:
    overlay = _consent_wall(tree, window)
    if overlay is not None:
        share = overlay.overlap(window) / window.area
        yield "CONSENT_WALL", f"A request for consent covers {share:.0%} of the window."


def _shown_text(tree: Tree) -> str:
    return " ".join(node.text for node in tree.texts())


def _missing_text(tree: Tree, window: Box) -> Iterator[tuple[str, str]]:
    """Where the text of a page with little text may be."""
    large = 0.3 * window.area
    if _covered(tree, ("canvas",)) > large:
        yield "CANVAS_ONLY", "The page is drawn on a canvas; text on a canvas cannot be read."
    elif _covered(tree, ("iframe", "frame", "object", "embed")) > large:
        yield (
            "CONTENT_IN_FRAMES",
            "Most of the page is in frames, which are separate pages and were not read.",
        )
    hidden = _hidden_characters(tree)
    if hidden >= LITTLE_TEXT:
        yield (
            "HIDDEN_CONTENT",
            f"The document has {hidden} characters of text that are not visible.",
        )


def _hidden_characters(tree: Tree) -> int:
    return sum(len(node.text) for node in tree.nodes if _is_hidden_prose(node))


def _is_robot_check(facts: Fields, shown: str) -> bool:
    if len(shown) > 1500:
        return False
    if _ROBOT_CHECK.search(f"{facts.get('title', '')} {shown}"):
        return True
    return len(shown) < LITTLE_TEXT and _loads_captcha(facts)


def _loads_captcha(facts: Fields) -> bool:
    scripts = " ".join(str(url) for url in facts.get("scripts", ()))
    return _CAPTCHA_HOST.search(scripts) is not None


def _consent_wall(tree: Tree, window: Box) -> Box | None:
    """The box of a layer over the page that asks for consent, if it covers half of the window."""
    overlays = islice(_overlays(tree, window), MAX_OVERLAYS)
    return next((box for node, box in overlays if _asks_for_consent(node)), None)


def _overlays(tree: Tree, window: Box) -> Iterator[tuple[Node, Box]]:
    for node, box in tree.visible_elements():
        if _is_overlay(node, box, window):
            yield node, box


def _is_overlay(node: Node, box: Box, window: Box) -> bool:
    if node.style.get("position") not in _OVERLAY_POSITIONS or node.tag == "body":
        return False
    return box.overlap(window) >= 0.5 * window.area


def _asks_for_consent(node: Node) -> bool:
    """Whether a layer has a short text about consent and a button."""
    inside = list(node.descendants())
    if not any(item.tag in ("button", "a") or item.role == "button" for item in inside):
        return False
    text = " ".join(item.text for item in inside if item.text and item.box is not None)
    return len(text) < 3000 and _CONSENT.search(text) is not None


def _covered(tree: Tree, tags: tuple[str, ...]) -> float:
    """The area of the page that visible elements with these tags cover."""
    page = Box(0, 0, tree.width, tree.height)
    area = 0.0
    for node, box in tree.visible_elements():
        if node.tag in tags:
            area += box.overlap(page)
    return area


def _is_hidden_prose(node: Node) -> bool:
    """Whether a node is a text of the document that has no box."""
    if not node.text or node.box is not None:
        return False
    return all(item.tag not in _UNREAD_TAGS for item in node.ancestors())
