"""A short selector for a node, for people and tools that look for it in the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice, takewhile

from checkback.kinds.pages.dom.snapshot import ELEMENT, Node

_PLAIN = re.compile(r"^[A-Za-z][\w-]{0,60}$")


def css_path(node: Node, most_parts: int = 5) -> str:
    """From the nearest id, or the last few levels, down to the node."""
    parts: list[str] = []
    for item in islice(_elements_up_from(node), most_parts):
        parts.append(_own_name(item) or item.tag + _position(item))
        if _is_start(item):
            break
    return " > ".join(reversed(parts))


def _elements_up_from(node: Node) -> Iterator[Node]:
    return takewhile(lambda item: item.kind == ELEMENT, chain([node], node.ancestors()))


def _is_start(node: Node) -> bool:
    """Whether a selector needs nothing above this node."""
    return node.tag == "body" or bool(_own_name(node))


def _own_name(node: Node) -> str:
    """A node's tag and id, if the id can be used in a selector."""
    name = node.attributes.get("id", "")
    return f"{node.tag}#{name}" if _PLAIN.match(name) else ""


def _position(node: Node) -> str:
    """The position among siblings with the same tag, if there are any."""
    if node.parent is None or node.tag in ("html", "body"):
        return ""
    siblings = [item for item in node.parent.children if item.tag == node.tag]
    if len(siblings) < 2 or node not in siblings:
        return ""
    return f":nth-of-type({siblings.index(node) + 1})"
