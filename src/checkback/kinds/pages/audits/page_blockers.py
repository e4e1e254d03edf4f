"""What stands between a visitor and the page: walls that ask for consent, checks for robots,
frames, canvas.

A page that could not be seen must not be judged as if it had been: each obstacle becomes a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.dom.snapshot import Box, Node, Tree, is_visible

Fields = dict[str, Any]

#: Texts shorter than this are no page of their own.
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
_OVERLAY_POSITIONS = frozenset({"fixed", "absolute", "sticky"})


def find_obstacles(bundle: PageCapture, tree: Tree | None) -> list[tuple[str, str]]:
    """Code and sentence of each obstacle; a sentence never holds the page's text."""
    if tree is None or tree.body is None:
        return []
    return list(_obstacles(bundle, tree))


def _obstacles(bundle: PageCapture, tree: Tree) -> Iterator[tuple[str, str]]:
    window = Box(0, 0, *map(float, bundle.viewport))
    shown = " ".join(node.text for node in tree.texts())
    if _is_robot_check(bundle, shown):
        yield (
            "ROBOT_CHECK",
            "The site asked for proof that a person visits; what it showed is not its page.",
        )
    overlay = _consent_wall(tree, window)
    if overlay is not None:
        share = overlay.overlap(window) / window.area
        yield "CONSENT_WALL", f"A request for consent covers {share:.0%} of the window."
    length = (bundle.facts or {}).get("textLength", 0)
    if length >= LITTLE_TEXT:
        return
    if _covered(tree, ("canvas",)) > 0.3 * window.area:
        yield "CANVAS_ONLY", "The page is drawn on a canvas; what is written there was not read."
    elif _covered(tree, ("iframe", "frame", "object", "embed")) > 0.3 * window.area:
        yield "CONTENT_IN_FRAMES", "Most of the page lies in frames, which are pages of their own."
    hidden = sum(
        len(node.text) for node in tree.nodes if node.text and node.box is None and _is_prose(node)
    )
    if hidden >= LITTLE_TEXT:
        yield (
            "HIDDEN_CONTENT",
            f"The document holds {hidden} characters that are not shown on a screen.",
        )


def _is_robot_check(bundle: PageCapture, shown: str) -> bool:
    if len(shown) > 1500:
        return False
    title = str((bundle.facts or {}).get("title", ""))
    scripts = " ".join(str(address) for address in (bundle.facts or {}).get("scripts", ()))
    asked = _ROBOT_CHECK.search(f"{title} {shown}") is not None
    return asked or (len(shown) < LITTLE_TEXT and _CAPTCHA_HOST.search(scripts) is not None)


def _consent_wall(tree: Tree, window: Box) -> Box | None:
    """The box of a layer over the page that asks for consent, when it covers half of the window."""
    looked = 0
    for node in tree.elements():
        box = node.box
        if (
            box is None
            or node.style.get("position") not in _OVERLAY_POSITIONS
            or node.tag == "body"
        ):
            continue
        if box.overlap(window) < 0.5 * window.area or not is_visible(node, tree.width):
            continue
        looked += 1
        if looked > MAX_OVERLAYS:
            break
        inside = list(node.descendants())
        words = " ".join(item.text for item in inside if item.text and item.box is not None)
        buttons = sum(item.tag in ("button", "a") or item.role == "button" for item in inside)
        if len(words) < 3000 and buttons and _CONSENT.search(words):
            return box
    return None


def _covered(tree: Tree, tags: tuple[str, ...]) -> float:
    return sum(
        node.box.overlap(Box(0, 0, tree.width, tree.height))
        for node in tree.elements()
        if node.tag in tags and node.box is not None and is_visible(node, tree.width)
    )


def _is_prose(node: Node) -> bool:
    unread = ("script", "style", "noscript", "template", "title", "head")
    return all(item.tag not in unread for item in node.ancestors())
