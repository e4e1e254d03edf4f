"""A short selector for a node, for people and tools that look for it in the page."""

from __future__ import annotations

import re

from checkback.kinds.pages.dom.snapshot import ELEMENT, Node

_PLAIN = re.compile(r"^[A-Za-z][\w-]{0,60}$")


def css_path(node: Node, most_parts: int = 5) -> str:
    """From the nearest id, or the last few levels, down to the node."""
    parts: list[str] = []
    for item in (node, *node.ancestors()):
        if item.kind != ELEMENT or len(parts) >= most_parts:
            break
        name = _own_name(item)
        parts.append(name or item.tag + _position(item))
        if name or item.tag == "body":
            break
    return " > ".join(reversed(parts))


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
