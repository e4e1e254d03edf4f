"""The blocks of a page: the rows of the splitter, with what is too small joined to its neighbor."""

from __future__ import annotations

from dataclasses import dataclass

from checkback.kinds.pages.dom.content import Content, is_painted
from checkback.kinds.pages.dom.snapshot import Box, Node
from checkback.kinds.pages.layout.neighbors import join_neighbors, join_pairs
from checkback.kinds.pages.layout.page_boxes import PageBoxes
from checkback.kinds.pages.layout.rows import Row, box_of_row


@dataclass(slots=True)
class Block:
    """A part of the page: the boxes that make it up, and what they hold."""

    nodes: list[Node]
    box: Box
    content: Content
    is_navigation: bool
    is_footer: bool

    @property
    def is_painted(self) -> bool:
        return any(is_painted(node) for node in self.nodes)

    @property
    def is_landmark(self) -> bool:
        return self.is_navigation or self.is_footer


def make_blocks(page: PageBoxes, rows: list[Row]) -> list[Block]:
    """The page's parts in reading order; slivers and titles are joined to what they belong to."""
    joiner = _BlockJoiner(page)
    blocks = [joiner.block(row) for row in rows]
    blocks = joiner.join_titles(joiner.join_slivers(blocks))
    blocks = [block for block in blocks if not block.content.is_empty]
    blocks.sort(key=_reading_order)
    return blocks


class _BlockJoiner:
    def __init__(self, page: PageBoxes) -> None:
        self._page = page
        self._has_footer = False

    def block(self, nodes: list[Node]) -> Block:
        box = box_of_row(nodes)
        is_navigation = len(nodes) == 1 and self._page.is_navigation(nodes[0])
        is_bar = box.height < 140 and any(node.tag in ("nav", "header") for node in nodes)
        is_footer = any(_is_footer(node) for node in nodes)
        content = self._page.contents(nodes)
        return Block(nodes, box, content, is_navigation or is_bar, is_footer)

    def _joined(self, block: Block, other: Block) -> Block:
        return self.block(block.nodes + other.nodes)

    # --- slivers ---

    def join_slivers(self, blocks: list[Block]) -> list[Block]:
        self._has_footer = any(block.is_footer for block in blocks)
        return join_neighbors(blocks, self._is_sliver_of, self._joined)

    def _is_sliver_of(self, before: Block, block: Block) -> bool:
        """Whether a block belongs to the one before it."""
        if block.is_landmark or before.is_navigation or block.is_painted:
            return False
        if _is_prose(block.content) and _are_aligned(block.box, before.box):
            return True
        return self._is_remainder(block) and self._continues(block.box, before.box)

    def _is_remainder(self, block: Block) -> bool:
        """Whether a block is too small, and holds too little, to be a section."""
        content = block.content
        if content.headings and content.words > 15:
            return False  # Short, but a chapter with a title and a text.
        if block.box.height >= 130 or len(content.images) >= 3:
            return False
        return not content.buttons and not content.fields

    def _continues(self, box: Box, before: Box) -> bool:
        if self._is_end_of_page(box):
            return False
        return abs(before.x - box.x) < 200 and box.width > 0.3 * self._page.width

    def _is_end_of_page(self, box: Box) -> bool:
        """The last strip of a page is its footer, unless there is one."""
        return not self._has_footer and box.bottom > self._page.tree.height - 120

    # --- titles ---

    def join_titles(self, blocks: list[Block]) -> list[Block]:
        # A title that has found its section is not the title of the next one.
        return join_pairs(blocks, self._is_title_of, self._joined)

    def _is_title_of(self, block: Block, after: Block) -> bool:
        if block.is_navigation or after.is_landmark or block.is_painted:
            return False
        if not _is_title(block) or self._is_page_header(block.box):
            return False
        return after.content.top_level >= block.content.top_level

    def _is_page_header(self, box: Box) -> bool:
        """Whether a box reaches across the whole top of the page."""
        return box.y <= 150 and box.width >= 0.95 * self._page.width


def _is_footer(node: Node) -> bool:
    return node.tag == "footer" or node.role == "contentinfo"


def _is_title(block: Block) -> bool:
    """A short block with a heading and no fields or images."""
    content = block.content
    if content.fields or content.images or not content.headings:
        return False
    return block.box.height < 170 and content.words < 40


def _is_prose(content: Content) -> bool:
    """Paragraphs without a heading: they continue what is above them."""
    if not content.is_text_only:
        return False
    if content.words < 8 or content.links >= 3:
        return False
    return max(text.size for text in content.texts) < 24


def _are_aligned(box: Box, other: Box) -> bool:
    return abs(other.x - box.x) + abs(other.width - box.width) < 40


def _reading_order(block: Block) -> tuple[float, bool, float, float]:
    # Near the top a bar comes before what it lies over; further down the position alone decides.
    box = block.box
    band = round(box.y / 90)
    is_bar = block.is_navigation or box.height < 60
    is_first = is_bar and box.y < 180
    return (band - is_first, not is_first, box.y if is_first else 0.0, box.x)
