"""Sections that are one for the eye are joined: alternating rows, bars, columns of a footer."""

from __future__ import annotations

from checkback.kinds.pages.dom.content import total
from checkback.kinds.pages.dom.snapshot import Box, around
from checkback.kinds.pages.layout.section import Section
from checkback.kinds.pages.layout.type_rules import IMAGE_BESIDE_TEXT

MAX_SECTIONS = 40
_TOO_MANY = "joined with its neighbor because the page has too many parts"


def join_alternating(sections: list[Section]) -> list[Section]:
    """Rows with an image left, then right, then left are one section of features."""
    joined: list[Section] = []
    for section in sections:
        if joined and _continues_alternating(joined[-1], section):
            before = joined[-1]
            before.box = around([before.box, section.box])
            before.content.add(section.content)
            before.nodes = before.nodes + section.nodes
        else:
            joined.append(section)
    return joined


def _continues_alternating(before: Section, section: Section) -> bool:
    """Whether both are rows with an image, of about the same height."""
    if not _is_image_row(before) or not _is_image_row(section):
        return False
    rows = max(1, round(before.box.height / max(1.0, section.box.height)))
    return abs(before.box.height / rows - section.box.height) < 40


def _is_image_row(section: Section) -> bool:
    return section.type == "feature" and IMAGE_BESIDE_TEXT in section.evidence


def join_bands(sections: list[Section], page_width: float) -> list[Section]:
    """One navigation for the bars at the top, one footer for columns of links and the line below
    them.
    """
    joined: list[Section] = []
    for section in sections:
        if joined and _are_one_band(joined[-1], section, page_width):
            joined[-1] = _merged(joined[-1], section)
        else:
            joined.append(section)
    return joined


def _are_one_band(before: Section, section: Section, page_width: float) -> bool:
    if before.type != section.type:
        return False
    if before.type == "footer":
        return True
    narrower = min(before.box.width, section.box.width)
    is_bar = before.type == "navigation" and narrower > 0.7 * page_width
    return is_bar and section.box.bottom < 260 and _are_adjacent(before.box, section.box)


def _are_adjacent(upper: Box, lower: Box) -> bool:
    return -2 <= lower.y - upper.bottom < 20


def _merged(section: Section, other: Section) -> Section:
    """One section of two of the same type."""
    return Section(
        section.type,
        section.heading,
        around([section.box, other.box]),
        max(section.confidence, other.confidence),
        list(dict.fromkeys([*section.evidence, *other.evidence])),
        total([section.content, other.content]),
        section.nodes + other.nodes,
    )


def limit_sections(sections: list[Section]) -> list[Section]:
    """Join pairs of neighbors until there are at most 40: first those of one type, then any."""
    same_type = True
    while len(sections) > MAX_SECTIONS:
        joined = _join_pairs(sections, same_type=same_type)
        same_type = len(joined) < len(sections)
        sections = joined
    return sections


def _join_pairs(sections: list[Section], *, same_type: bool) -> list[Section]:
    joined: list[Section] = []
    is_single = False
    for section in sections:
        if is_single and (not same_type or joined[-1].type == section.type):
            joined[-1] = _squeezed(joined[-1], section)
            is_single = False
        else:
            joined.append(section)
            is_single = True
    return joined


def _squeezed(section: Section, other: Section) -> Section:
    """One section of two that may differ in type."""
    kind = section.type if section.type == other.type else "content"
    return Section(
        kind,
        section.heading,
        around([section.box, other.box]),
        min(section.confidence, other.confidence),
        list(dict.fromkeys([*section.evidence, _TOO_MANY])),
        total([section.content, other.content]),
        section.nodes + other.nodes,
    )
