"""What each section of a page is for: the evidence is weighed, and listed in the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

from checkback.kinds.pages.dom.content import Content, Heading, is_painted
from checkback.kinds.pages.dom.snapshot import Box, Node, Tree, around, is_visible
from checkback.kinds.pages.layout.blocks import Block, make_blocks
from checkback.kinds.pages.layout.page_boxes import PageBoxes
from checkback.kinds.pages.layout.section import Section
from checkback.kinds.pages.layout.section_joining import (
    join_alternating,
    join_bands,
    limit_sections,
)
from checkback.kinds.pages.layout.section_parts import LayoutChild, find_children
from checkback.kinds.pages.layout.splitter import Splitter
from checkback.kinds.pages.layout.type_rules import NOTHING_ELSE, RULES, BlockPosition, Evidence


def find_sections(tree: Tree, window_width: float, window_height: float) -> list[Section]:
    """The page's sections from top to bottom, at most 40: beyond that, neighbors of one type are
    joined.
    """
    page = PageBoxes(tree, window_width, window_height)
    splitter = Splitter(page)
    blocks = _blocks(page, splitter)
    if not blocks:
        return _sections_without_text(tree)
    sections = _judge_all(blocks, page, is_application=splitter.is_application)
    sections = join_bands(join_alternating(sections), window_width)
    sections = limit_sections(sections)
    for section in sections:
        section.children = find_children(page, section.nodes)
        if not splitter.is_application:
            _judge_by_cards(section)
    return sections


def _blocks(page: PageBoxes, splitter: Splitter) -> list[Block]:
    body = page.tree.body
    if body is None or body.box is None:
        return []
    return make_blocks(page, splitter.split(body))


def _judge_all(blocks: list[Block], page: PageBoxes, *, is_application: bool) -> list[Section]:
    sections: list[Section] = []
    hero_seen = False
    for index, block in enumerate(blocks):
        position = BlockPosition(
            page.width,
            page.tree.height,
            page.height,
            index,
            len(blocks),
            hero_seen,
            is_application,
        )
        section = _judge(block, position)
        hero_seen = hero_seen or section.type == "hero"
        sections.append(section)
    return sections


def _sections_without_text(tree: Tree) -> list[Section]:
    """A page of painted boxes alone has one section; a blank one has none."""
    boxes = _painted_boxes(tree)
    if not boxes or tree.body is None:
        return []
    evidence = ["painted boxes without text"]
    return [Section("content", None, around(boxes), 0.3, evidence, Content(), [tree.body])]


def _painted_boxes(tree: Tree) -> list[Box]:
    boxes: list[Box] = []
    for node in tree.elements():
        if node.box is not None and _is_painted_part(node, node.box, tree.width):
            boxes.append(node.box)
    return boxes


def _is_painted_part(node: Node, box: Box, page_width: float) -> bool:
    if node.tag in ("html", "body") or box.area <= 2000:
        return False
    return is_visible(node, page_width) and is_painted(node)


def _judge_by_cards(section: Section) -> None:
    """Equal cards of text under a heading are features, even if their titles are not headings."""
    cards = [child for child in section.children if _is_text_card(child)]
    if len(cards) >= 3 and _has_only_heading(section):
        section.type = "feature"
        section.confidence = 0.55
        section.evidence = ["three or more equal cards with text"]


def _has_only_heading(section: Section) -> bool:
    """Whether nothing is known of what a section is for but its heading."""
    is_plain = section.type == "content" and section.evidence == [NOTHING_ELSE]
    return is_plain and bool(section.heading)


def _is_text_card(child: LayoutChild) -> bool:
    return child.role == "card" and 8 <= child.content.characters <= 300


def _judge(block: Block, position: BlockPosition) -> Section:
    """Give a block the type with the most evidence."""
    weights, reasons = _weigh(block, position)
    # Of equal weights the one that was found first counts.
    kind = max(weights, key=lambda kind: weights[kind])
    confidence = _confidence(weights)
    heading = None if kind == "navigation" else main_heading(block.content)
    return Section(kind, heading, block.box, confidence, reasons[kind], block.content, block.nodes)


def _weigh(block: Block, position: BlockPosition) -> tuple[dict[str, float], dict[str, list[str]]]:
    """The sum of the evidence for each type, and its reasons."""
    weights: defaultdict[str, float] = defaultdict(float)
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for kind, weight, reason in _evidence(block, position):
        weights[kind] += weight
        reasons[kind].append(reason)
    return weights, reasons


def _evidence(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    return chain.from_iterable(rule(block, position) for rule in RULES)


def _confidence(weights: dict[str, float]) -> float:
    """How far the type with the most evidence is ahead of the next, 0.2 to 0.99."""
    best, second = [*sorted(weights.values(), reverse=True), 0][:2]
    return round(max(0.2, min(0.99, 0.5 + (best - second) / 2)), 2)


def main_heading(content: Content) -> str | None:
    """The heading that names a block; parallel headings of one size are the titles of its cards."""
    if not content.headings:
        return None
    headings = sorted(content.headings, key=lambda heading: heading.y)
    top = _first_large(headings)
    is_name = _is_above(top, headings) or not _is_card_title(top, headings)
    return top.text if is_name else None


def _first_large(headings: list[Heading]) -> Heading:
    """The first heading that is about as large as the largest."""
    largest = max(heading.size for heading in headings)
    return next(heading for heading in headings if heading.size >= largest - 1)


def _is_above(top: Heading, headings: list[Heading]) -> bool:
    """Whether a heading is the first, and all others are below its level."""
    first, *others = headings
    return first is top and all(heading.level > first.level for heading in others)


def _is_card_title(top: Heading, headings: list[Heading]) -> bool:
    largest = max(heading.size for heading in headings)
    alike = [heading for heading in headings if _is_like(heading, largest, top.level)]
    return _are_card_titles(alike, len(headings))


def _is_like(heading: Heading, size: float, level: int) -> bool:
    return abs(heading.size - size) < 1 and heading.level == level


def _are_card_titles(alike: list[Heading], count: int) -> bool:
    """Whether headings of one size are in one or two lines, or are all ``count`` headings there
    are.
    """
    if len(alike) < 3:
        return False
    lines = {round(heading.y / 30) for heading in alike}
    return len(lines) <= 2 or len(alike) == count >= 4
