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
        name = item.attributes.get("id", "")
        if _PLAIN.match(name):
            parts.append(f"{item.tag}#{name}")
            break
        parts.append(item.tag + _place(item))
        if item.tag == "body":
            break
    return " > ".join(reversed(parts))


def _place(node: Node) -> str:
    if node.parent is None or node.tag in ("html", "body"):
        return ""
    alike = [item for item in node.parent.children if item.tag == node.tag]
    return f":nth-of-type({alike.index(node) + 1})" if len(alike) > 1 and node in alike else ""
