"""What a section is made of: its cards, columns and chapters, found by boxes and headings alone.

One level only. An agent that wants the third price or the second team member needs its box and
title, not a tree of wrappers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise

from checkback.kinds.pages.dom.content import Content
from checkback.kinds.pages.dom.snapshot import Box, Node, around
from checkback.kinds.pages.layout.page_boxes import PageBoxes
from checkback.kinds.pages.layout.rows import Row, from_left, rows_of

MAX_CHILDREN = 24
_MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class LayoutChild:
    """A part of a section: a ``card`` or ``column`` next to others, or a ``row`` or ``chapter``
    below them.
    """

    role: str
    heading: str | None
    box: Box
    content: Content
    node: Node


def find_children(page: PageBoxes, nodes: list[Node]) -> list[LayoutChild]:
    """The parts of a section that consists of these nodes; empty if it is one piece."""
    parts = _unwrapped(page, nodes)
    return _chapters(page, parts) or _cards_and_rows(page, parts)


def _cards_and_rows(page: PageBoxes, parts: list[Node]) -> list[LayoutChild]:
    """The parts below the section's title, if there are two or more."""
    children: list[LayoutChild] = []
    for row in _without_titles(page, rows_of(parts)):
        children += _children_of_row(page, row, 0)
    listed = [child for child in children if _is_worth_listing(child)]
    return listed if len(listed) >= 2 else []


def _is_worth_listing(child: LayoutChild) -> bool:
    """Whether a part is more than a paragraph of what surrounds it."""
    if child.role != "row":
        return True
    content = child.content
    return bool(content.headings or content.images or content.fields or _asks(content))


def _asks(content: Content) -> bool:
    """Whether a part holds a question."""
    if content.disclosures > 0:
        return True
    return any(text.is_question for text in content.texts)


def _unwrapped(page: PageBoxes, parts: list[Node]) -> list[Node]:
    """The boxes inside, without wrappers that hold a single one."""
    for _ in range(_MAX_DEPTH):
        inside = _boxes_within(page, parts)
        if not inside:
            break
        parts = inside
    return parts


def _boxes_within(page: PageBoxes, parts: list[Node]) -> list[Node]:
    """What a single box holds, without decoration; nothing for several boxes."""
    if len(parts) != 1:
        return []
    inside = page.significant(parts[0])
    return [part for part in inside if not _is_decoration(page.content(part))]


def _is_decoration(content: Content) -> bool:
    return not (content.characters or content.images or content.fields or content.buttons)


def _chapters(page: PageBoxes, parts: list[Node]) -> list[LayoutChild]:
    """The parts between headings of one level that are siblings of what they head."""
    headings = _own_headings(parts)
    if len(headings) < 2 or len(parts) < 2 * len(headings):
        return []
    cuts = [*_top_positions(headings), len(parts)]
    return [_child(page, "chapter", parts[start:end]) for start, end in pairwise(cuts)]


def _top_positions(headings: list[tuple[int, int]]) -> list[int]:
    """Where the headings of the top level are."""
    top = min(level for _, level in headings)
    return [at for at, level in headings if level == top]


def _own_headings(parts: list[Node]) -> list[tuple[int, int]]:
    """Position and level of the headings, without the one that names the section."""
    levels = [(at, part.heading_level) for at, part in enumerate(parts)]
    headings = [(at, level) for at, level in levels if level]
    if len(headings) >= 2 and _names_section(headings):
        return headings[1:]
    return headings


def _names_section(headings: list[tuple[int, int]]) -> bool:
    """Whether the first heading comes first of all parts, and all others are below its level."""
    (at, first), *others = headings
    return at == 0 and all(level > first for _, level in others)


def _without_titles(page: PageBoxes, rows: list[Row]) -> list[Row]:
    """The rows below the section's title and the line of text under it."""
    start = 0
    most = min(2, len(rows) - 1)
    while start < most and _is_above_parts(page, rows[start], is_first=start == 0):
        start += 1
    return rows[start:]


def _is_above_parts(page: PageBoxes, row: Row, *, is_first: bool) -> bool:
    """Whether a row belongs to the title. Only the title itself may be a question."""
    return _is_title(page, row) and (is_first or not _asks(page.contents(row)))


def _is_title(page: PageBoxes, row: Row) -> bool:
    """A low row with little text and at most two headings."""
    if len(row) > 1 or _box_of(row).height >= 200:
        return False
    content = page.contents(row)
    if content.images or content.fields or content.buttons >= 3:
        return False
    return content.words < 60 and len(content.headings) <= 2


def _children_of_row(page: PageBoxes, row: Row, depth: int) -> list[LayoutChild]:
    if len(row) > 1:
        return _columns(page, row, depth)
    return _children_of_box(page, row, depth)


def _children_of_box(page: PageBoxes, row: Row, depth: int) -> list[LayoutChild]:
    """The columns inside a row that is a single box, or the row itself."""
    inside = rows_of(page.significant(row[0])) if depth < _MAX_DEPTH else []
    if len(inside) == 1 and inside[0] != row:
        return _children_of_row(page, inside[0], depth + 1)
    if not _holds_only_columns(page, inside):
        return [_child(page, "row", row)]
    return _columns_of_rows(page, inside, depth + 1)


def _columns_of_rows(page: PageBoxes, rows: list[Row], depth: int) -> list[LayoutChild]:
    children: list[LayoutChild] = []
    for row in rows:
        if len(row) > 1:
            children += _columns(page, row, depth)
    return children


def _holds_only_columns(page: PageBoxes, rows: list[Row]) -> bool:
    """Whether some rows have several boxes, and the others are small."""
    single = [row for row in rows if len(row) == 1]
    has_columns = len(single) < len(rows)
    return has_columns and all(_is_small(page, row) for row in single)


def _columns(page: PageBoxes, row: Row, depth: int) -> list[LayoutChild]:
    """Equal cards, or columns; a column that is a grid of cards is listed as its cards."""
    ordered = from_left(row)
    if _are_equally_wide(ordered):
        return [_child(page, "card", [part]) for part in ordered]
    return list(chain.from_iterable(_column(page, part, depth) for part in ordered))


def _column(page: PageBoxes, part: Node, depth: int) -> list[LayoutChild]:
    return _inner_cards(page, part, depth) or [_child(page, "column", [part])]


def _are_equally_wide(parts: list[Node]) -> bool:
    widths = [part.box.width for part in parts if part.box]
    return max(widths) < 1.25 * min(widths)


def _inner_cards(page: PageBoxes, part: Node, depth: int) -> list[LayoutChild]:
    """The cards of a grid that is itself one column."""
    if len(page.content(part).headings) < 3 or depth > _MAX_DEPTH:
        return []
    children = _children_of_row(page, [part], depth + 1)
    cards = [child for child in children if child.role == "card"]
    return children if len(cards) >= 3 else []


def _is_small(page: PageBoxes, row: Row) -> bool:
    content = page.contents(row)
    return content.words < 60 and not content.images and not content.fields


def _box_of(row: Row) -> Box:
    return around([node.box for node in row if node.box])


def _child(page: PageBoxes, role: str, nodes: list[Node]) -> LayoutChild:
    content = page.contents(nodes)
    heading = content.headings[0].text if content.headings else None
    return LayoutChild(role, heading, _box_of(nodes), content, nodes[0])
