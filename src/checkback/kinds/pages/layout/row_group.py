"""Whether the rows of a box are sections, or the title, text and cards of one section."""

from __future__ import annotations

from itertools import pairwise

from checkback.kinds.pages.dom.content import NO_HEADING, Content, is_painted
from checkback.kinds.pages.dom.snapshot import Node
from checkback.kinds.pages.layout.page_boxes import PageBoxes
from checkback.kinds.pages.layout.rows import Row, box_of, box_of_row, height_of, width_of

_LANDMARKS = frozenset({"section", "header", "footer", "nav", "main", "aside", "article"})
_MAX_CUTTING_LEVEL = 4


class RowGroup:
    """The rows of one node, judged together."""

    def __init__(self, page: PageBoxes, node: Node, rows: list[Row]) -> None:
        self._page = page
        self._node = node
        self._rows = rows
        self._box = box_of(node)
        #: The top heading level of each row.
        self._levels = [page.contents(row).top_level for row in rows]
        #: Positions of the rows that have headings.
        self._headed = [at for at, level in enumerate(self._levels) if level < NO_HEADING]

    def are_sections(self) -> bool:
        """Whether each row stands on its own."""
        if self._is_page():
            return True
        if self._is_one_chapter() or self._is_grid() or self._box.height < 0.45 * self._page.height:
            return False
        return self._stand_apart()

    def _stand_apart(self) -> bool:
        """Whether the rows of a large box, which is neither a chapter nor a grid, are sections."""
        is_titled = self._is_titled()
        if self._has_painted_bands() or self._has_own_landmarks(is_titled=is_titled):
            return True
        if is_titled and self._box.height < 2.2 * self._page.height:
            return False
        return self._has_own_parts()

    def _is_page(self) -> bool:
        return self._node.tag in ("body", "main") or self._node.role == "main"

    def _is_one_chapter(self) -> bool:
        """A titled block below the document's top level, whose rows are its subsections."""
        if self._box.height <= 1.2 * self._page.height or not self._starts_with_heading():
            return False
        own = self._levels[self._headed[0]]
        return own > self._page.document_level and self._is_deeper_than(own)

    def _starts_with_heading(self) -> bool:
        """Whether the first or second row has a heading."""
        return bool(self._headed) and self._headed[0] <= 1

    def _is_deeper_than(self, level: int) -> bool:
        """Whether all headings after the first row that has one are below this level."""
        return all(self._levels[at] > level for at in self._headed[1:])

    def _is_titled(self) -> bool:
        """A short row with the title, then content of a deeper level only."""
        if not self._starts_with_heading():
            return False
        first = self._headed[0]
        height = box_of_row(self._rows[first]).height
        is_short = height < 0.4 * self._box.height and height < 260
        return is_short and self._is_deeper_than(self._levels[first])

    def _is_grid(self) -> bool:
        """Rows of equal cards. An image next to a text, then a text next to an image, is not a
        grid.
        """
        if not self._has_several_columns() or not _are_of_one_size(self._nodes()):
            return False
        shapes = {_shape(self._page.content(card)) for card in self._nodes()}
        return len(shapes) == 1

    def _has_several_columns(self) -> bool:
        """Whether each of several rows has more than one box; the last may have a single one."""
        return len(self._rows) >= 2 and all(len(row) >= 2 for row in self._rows[:-1])

    def _nodes(self) -> list[Node]:
        return [node for row in self._rows for node in row]

    def _has_own_landmarks(self, *, is_titled: bool) -> bool:
        """Landmarks are sections, but not within a section that has a title."""
        if is_titled and self._node.tag == "section":
            return False
        return any(self._is_landmark(node) for node in self._nodes())

    def _is_landmark(self, node: Node) -> bool:
        if node.tag in _LANDMARKS and height_of(node) > 60:
            return True
        return self._page.is_navigation(node) and self._page.is_wide(node)

    def _has_painted_bands(self) -> bool:
        """Whether two rows reach across the window and have a background."""
        bands = [row[0] for row in self._rows if len(row) == 1]
        painted = [band for band in bands if self._page.is_wide(band, 0.9) and is_painted(band)]
        return len(painted) >= 2

    def _has_own_parts(self) -> bool:
        height, window = self._box.height, self._page.height
        if self._has_tall_chapters() or self._is_inner_column():
            return True
        if height > 1.5 * window and not self._page.content(self._node).headings:
            return True
        return height > 4 * window and len(self._rows) >= 3

    def _heights(self) -> list[float]:
        return [box_of_row(row).height for row in self._rows]

    def _has_tall_chapters(self) -> bool:
        """Whether two rows or more are tall and have headings."""
        if len(self._headed) < 2 or self._box.height <= 0.9 * self._page.height:
            return False
        heights = self._heights()
        tall = [at for at in self._headed if heights[at] > 140]
        return len(tall) >= 2 and min(self._levels) <= 3

    def _is_inner_column(self) -> bool:
        """The main column of an application, with several rows that hold more than one box."""
        if len(self._rows) < 3 or not self._is_inset():
            return False
        rich = [row for row in self._rows if self._is_rich(row)]
        tall = [height for height in self._heights() if height > 90]
        return len(rich) >= 2 and len(tall) >= 3

    def _is_inset(self) -> bool:
        """Whether the box is taller than the window and leaves room at its left."""
        box, page = self._box, self._page
        is_column = box.height > page.height and box.width < 0.9 * page.width
        return is_column and box.x > 0.1 * page.width

    def _is_rich(self, row: Row) -> bool:
        return len(row) >= 2 or len(self._page.significant(row[0])) >= 2

    # --- documents that flow ---

    def cut_at_headings(self) -> list[Row] | None:
        """Cut a document that flows, many small rows in a line, at its top-level headings."""
        headings = self._single_headings()
        if not headings or not self._flows():
            return None
        level = _cutting_level(headings)
        cuts = [at for at, own in headings if own <= level]
        return self._parts_between([0, *cuts, len(self._rows)])

    def _parts_between(self, cuts: list[int]) -> list[Row]:
        """The nodes of the rows from each cut to the next, where there are any."""
        parts: list[Row] = []
        for start, end in pairwise(cuts):
            parts.append([node for row in self._rows[start:end] for node in row])
        return [part for part in parts if part]

    def _single_headings(self) -> list[tuple[int, int]]:
        """Position and level of the rows that are a heading."""
        headings: list[tuple[int, int]] = []
        for at, row in enumerate(self._rows):
            level = row[0].heading_level if len(row) == 1 else None
            if level is not None and level <= _MAX_CUTTING_LEVEL:
                headings.append((at, level))
        return headings

    def _flows(self) -> bool:
        if len(self._rows) < 6 or self._box.height <= 0.8 * self._page.height:
            return False
        small = [height for height in self._heights() if height < 220]
        return len(small) > 0.7 * len(self._rows)


def _are_of_one_size(cards: list[Node]) -> bool:
    widths = [width_of(card) for card in cards]
    heights = [height_of(card) for card in cards]
    return max(widths) <= 1.15 * min(widths) and max(heights) <= 1.5 * min(heights)


def _shape(content: Content) -> tuple[bool, bool]:
    """Whether a card has images, and whether it has headings."""
    return bool(content.images), bool(content.headings)


def _cutting_level(headings: list[tuple[int, int]]) -> int:
    """The level to cut at: the top one, or the next if the top one is only the title at the
    start.
    """
    levels = sorted({level for _, level in headings})
    if len(levels) > 1 and _is_only_title(headings, levels[0]):
        return levels[1]
    return levels[0]


def _is_only_title(headings: list[tuple[int, int]], top: int) -> bool:
    """Whether the top level has a single heading, and the first one is at the start."""
    top_headings = [at for at, level in headings if level == top]
    return len(top_headings) == 1 and headings[0][0] <= 1
