"""What a section is made of: its cards, columns and chapters, found by boxes and headings alone.

One level only. An agent that wants the third price or the second team member needs its box and
title, not a tree of wrappers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from checkback.kinds.pages.dom.content import Content, total
from checkback.kinds.pages.dom.snapshot import Box, Node, around
from checkback.kinds.pages.layout.splitter import Row, Splitter, rows_of

MAX_CHILDREN = 24
_MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class LayoutChild:
    """A part of a section: ``card`` and ``column`` stand beside others, ``row`` and ``chapter``
    below.
    """

    role: str
    heading: str | None
    box: Box
    content: Content
    node: Node


def find_children(splitter: Splitter, nodes: list[Node]) -> list[LayoutChild]:
    """The parts of a section that consists of these nodes; none when it is one piece."""
    parts = _entered(splitter, nodes)
    chapters = _chapters(splitter, parts)
    if chapters:
        return chapters
    found: list[LayoutChild] = []
    for row in _without_titles(splitter, rows_of(parts)):
        found += _of_row(splitter, row, 0)
    found = [child for child in found if child.role != "row" or _stands_alone(child.content)]
    return found if len(found) >= 2 else []


def _stands_alone(content: Content) -> bool:
    """Whether a row is more than a paragraph of what surrounds it."""
    return bool(content.headings or content.images or content.fields or _asks(content))


def _asks(content: Content) -> bool:
    asked = (words.text.rstrip() for words in content.texts)
    return content.disclosures > 0 or any(text.endswith(("?", "？")) for text in asked)


def _entered(splitter: Splitter, nodes: list[Node]) -> list[Node]:
    """The boxes inside, with wrappers that hold a single one taken off."""
    parts = nodes
    for _ in range(_MAX_DEPTH):
        if len(parts) != 1:
            break
        inside = [
            part for part in splitter.significant(parts[0]) if not _is_decoration(splitter, part)
        ]
        if not inside:
            break
        parts = inside
    return parts


def _is_decoration(splitter: Splitter, part: Node) -> bool:
    content = splitter.content(part)
    return not (content.characters or content.images or content.fields or content.buttons)


def _chapters(splitter: Splitter, parts: list[Node]) -> list[LayoutChild]:
    """The parts between headings of one level that lie in a line with what they head."""
    heads = [
        (place, part.heading_level or 9) for place, part in enumerate(parts) if part.heading_level
    ]
    if len(heads) > 1 and heads[0][0] == 0 and all(level > heads[0][1] for _, level in heads[1:]):
        heads = heads[1:]  # The first one names the section.
    if len(heads) < 2 or len(parts) < 2 * len(heads):
        return []
    level = min(level for _, level in heads)
    cuts = [place for place, own in heads if own == level] + [len(parts)]
    return [_child(splitter, "chapter", parts[start:end]) for start, end in pairwise(cuts)]


def _without_titles(splitter: Splitter, rows: list[Row]) -> list[Row]:
    """The rows below the section's own title and the line of text under it."""
    start = 0
    while start < len(rows) - 1 and start < 2:
        content = splitter.contents(rows[start])
        low = around([part.box for part in rows[start] if part.box]).height < 200
        plain = (
            not (content.images or content.fields) and content.buttons < 3 and content.words < 60
        )
        if len(rows[start]) > 1 or not low or not plain or len(content.headings) > 2:
            break
        if start and _asks(content):
            break
        start += 1
    return rows[start:]


def _of_row(splitter: Splitter, row: Row, depth: int) -> list[LayoutChild]:
    if len(row) > 1:
        ordered = sorted(row, key=lambda part: part.box.x if part.box else 0)
        widths = [part.box.width for part in ordered if part.box]
        role = "card" if max(widths) < 1.25 * min(widths) else "column"
        found: list[LayoutChild] = []
        for part in ordered:
            found += _inner_cards(splitter, part, depth) if role == "column" else []
            if not found or found[-1].node is part or not _holds(part, found[-1].node):
                found.append(_child(splitter, role, [part]))
        return found
    inside = rows_of(splitter.significant(row[0])) if depth < _MAX_DEPTH else []
    if len(inside) == 1 and inside[0] != row:
        return _of_row(splitter, inside[0], depth + 1)
    side_by_side = [inner for inner in inside if len(inner) > 1]
    if side_by_side and all(len(inner) > 1 or _is_small(splitter, inner) for inner in inside):
        return [child for inner in side_by_side for child in _of_row(splitter, inner, depth + 1)]
    return [_child(splitter, "row", row)]


def _inner_cards(splitter: Splitter, part: Node, depth: int) -> list[LayoutChild]:
    """The cards of a grid that is itself one column."""
    if len(splitter.content(part).headings) < 3 or depth > _MAX_DEPTH:
        return []
    inner = _of_row(splitter, [part], depth + 1)
    return inner if sum(child.role == "card" for child in inner) >= 3 else []


def _holds(outer: Node, inner: Node) -> bool:
    return any(item is outer for item in inner.ancestors())


def _is_small(splitter: Splitter, row: Row) -> bool:
    content = splitter.contents(row)
    return content.words < 60 and not content.images and not content.fields


def _child(splitter: Splitter, role: str, nodes: list[Node]) -> LayoutChild:
    content = (
        splitter.content(nodes[0])
        if len(nodes) == 1
        else total([splitter.content(n) for n in nodes])
    )
    heading = content.headings[0].text if content.headings else None
    return LayoutChild(
        role, heading, around([node.box for node in nodes if node.box]), content, nodes[0]
    )
