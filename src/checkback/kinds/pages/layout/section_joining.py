"""Sections that are one for the eye are joined: alternating rows, bars, columns of a footer."""

from __future__ import annotations

from checkback.kinds.pages.dom.content import total
from checkback.kinds.pages.dom.snapshot import Box, around
from checkback.kinds.pages.layout.neighbors import join_neighbors, join_pairs
from checkback.kinds.pages.layout.section import Section
from checkback.kinds.pages.layout.type_rules import IMAGE_BESIDE_TEXT

MAX_SECTIONS = 40
_TOO_MANY = "joined with its neighbor because the page has too many parts"


def join_alternating(sections: list[Section]) -> list[Section]:
    """Rows with an image left, then right, then left are one section of features."""
    return join_neighbors(sections, _continues_alternating, _extended)


def _extended(before: Section, section: Section) -> Section:
    """The section, with the box, content and nodes of another added to it."""
    before.box = around([before.box, section.box])
    before.content.add(section.content)
    before.nodes = before.nodes + section.nodes
    return before


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

    def are_one_band(before: Section, section: Section) -> bool:
        return _are_one_band(before, section, page_width)

    return join_neighbors(sections, are_one_band, _merged)


def _are_one_band(before: Section, section: Section, page_width: float) -> bool:
    if before.type != section.type:
        return False
    return before.type == "footer" or _are_top_bars(before, section, page_width)


def _are_top_bars(before: Section, section: Section, page_width: float) -> bool:
    """Whether both are bars of one navigation at the top of the page."""
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
    belongs = _are_of_one_type
    while len(sections) > MAX_SECTIONS:
        joined = join_pairs(sections, belongs, _squeezed)
        belongs = _are_of_one_type if len(joined) < len(sections) else _are_neighbors
        sections = joined
    return sections


def _are_of_one_type(before: Section, section: Section) -> bool:
    return before.type == section.type


def _are_neighbors(before: Section, section: Section) -> bool:
    return True


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
