"""Cuts a page into its sections, from boxes, headings and landmarks alone.

The page is split from the top: first the bars that float over it, then rows of boxes, while each
row consists of parts that stand on their own. ``blocks.py`` joins what is too small.
"""

from __future__ import annotations

from checkback.kinds.pages.dom.content import is_painted
from checkback.kinds.pages.dom.snapshot import Node
from checkback.kinds.pages.layout.page_boxes import PageBoxes
from checkback.kinds.pages.layout.row_group import RowGroup
from checkback.kinds.pages.layout.rows import (
    Row,
    box_of,
    box_of_row,
    from_left,
    from_top,
    height_of,
    rows_of,
    width_of,
)

_MAX_DEPTH = 40


class Splitter:
    """Splits one page into rows of boxes that stand on their own."""

    def __init__(self, page: PageBoxes) -> None:
        self._page = page
        #: Whether a tall column of links was next to the page: then it is an application, not a
        #: document.
        self.is_application = False

    def split(self, node: Node, depth: int = 0) -> list[Row]:
        """The rows of boxes that stand on their own within a node, or one row with the node
        itself.
        """
        if depth > _MAX_DEPTH or self._is_one_piece(node):
            return [[node]]
        children = self._page.significant(node)
        if not children or self._page.is_link_list(node):
            return [[node]]
        bars = [child for child in children if self._page.is_bar(child)]
        if bars:
            self._note_side_bars(bars)
            inside = self._below_bars(node, children, bars)
            if inside is not None:
                return [[bar] for bar in bars] + self.split(inside, depth + 1)
        rows = rows_of(children)
        if len(rows) == 1:
            return self._split_columns(node, rows[0], depth)
        return self._split_rows(node, rows, depth)

    def _is_one_piece(self, node: Node) -> bool:
        if node.tag == "footer" or node.role == "contentinfo":
            return True
        return self._page.is_navigation(node)

    def _note_side_bars(self, nodes: list[Node]) -> None:
        if any(self._page.is_side_bar(node) for node in nodes):
            self.is_application = True

    def _below_bars(self, node: Node, children: list[Node], bars: list[Node]) -> Node | None:
        """What the bars lie over, when that is a page."""
        known = {bar.index for bar in bars}
        rest = [child for child in children if child.index not in known]
        if not any(height_of(child) > 0.5 * self._page.height for child in rest):
            return None
        return rest[0] if len(rest) == 1 else self._page.without_bars(node, rest)

    # --- one row ---

    def _split_columns(self, node: Node, columns: Row, depth: int) -> list[Row]:
        """Enter a single child, split a main column, and keep parallel columns together."""
        if len(columns) == 1:
            inner = self.split(columns[0], depth + 1)
            return inner if len(inner) > 1 else [[node]]
        main = self._main_column(columns)
        if main is not None:
            return self._around_main(columns, main, depth)
        if self._is_header_over_hero(columns):
            return self._split_layers(columns, depth)
        if self._are_two_panels(columns) and self._are_broad(columns):
            return [[column] for column in columns]
        return [[node]]

    def _main_column(self, columns: Row) -> Node | None:
        """The wide one of tall columns, if all others are narrow."""
        page = self._page
        widest = max(columns, key=width_of)
        others = [column for column in columns if column is not widest]
        height = max(height_of(column) for column in columns)
        if height > 0.6 * page.height and _dominates(widest, others, page.width, 0.3):
            return widest
        # The same within a narrower page, if the columns are too tall to be an image and its text.
        room = box_of_row(columns).width
        is_tall = height > 1.2 * page.height and len(columns) <= 3
        is_broad = 0.55 * room > 0.3 * page.width
        if is_tall and is_broad and _dominates(widest, others, room, 0.36):
            return widest
        return None

    def _around_main(self, columns: Row, main: Node, depth: int) -> list[Row]:
        """The rows of the main column, and each other column as a row."""
        self._note_side_bars([column for column in columns if column is not main])
        rows: list[Row] = []
        for column in from_left(columns):
            if column is main:
                rows += self.split(column, depth + 1)
            else:
                rows.append([column])
        return rows

    def _is_header_over_hero(self, columns: Row) -> bool:
        """A hero below a transparent header that lies over it."""
        if not self._are_layers(columns):
            return False
        return any(self._is_header(column) for column in columns)

    def _is_header(self, node: Node) -> bool:
        return node.tag in ("header", "nav") or self._page.is_navigation(node)

    def _are_layers(self, row: Row) -> bool:
        """Whether the boxes of a row are so wide that they lie over each other."""
        return all(self._page.is_wide(node) for node in row)

    def _split_layers(self, layers: Row, depth: int) -> list[Row]:
        rows: list[Row] = []
        for layer in from_top(layers):
            rows += self.split(layer, depth + 1)
        return rows

    def _are_two_panels(self, columns: Row) -> bool:
        if len(columns) != 2:
            return False
        if max(height_of(column) for column in columns) <= 0.7 * self._page.height:
            return False
        return all(self._is_painted_chapter(column) for column in columns)

    def _is_painted_chapter(self, node: Node) -> bool:
        return is_painted(node) and bool(self._page.content(node).headings)

    def _are_broad(self, columns: Row) -> bool:
        return min(width_of(column) for column in columns) > 0.2 * self._page.width

    # --- several rows ---

    def _split_rows(self, node: Node, rows: list[Row], depth: int) -> list[Row]:
        board = self._split_board(node, rows)
        if board is not None:
            return board
        if self._has_logo_strip(node, rows):
            return list(rows)
        group = RowGroup(self._page, node, rows)
        if not group.are_sections():
            return [[node]]
        chapters = group.cut_at_headings()
        if chapters is not None:
            return chapters
        parts: list[Row] = []
        for row in rows:
            parts += self._split_row(row, depth)
        return parts

    def _split_row(self, row: Row, depth: int) -> list[Row]:
        if len(row) == 1:
            return self.split(row[0], depth + 1)
        if self._are_layers(row):
            return self._split_layers(row, depth)
        main = self._main_column(row)
        if main is not None:
            return self._around_main(row, main, depth)
        if self._are_two_panels(row):
            return [[panel] for panel in from_left(row)]
        return [row]

    def _split_board(self, node: Node, rows: list[Row]) -> list[Row] | None:
        """A dashboard's rows of panels; neighbors with the same columns stay together."""
        if not self.is_application or height_of(node) < 0.6 * self._page.height:
            return None
        boards = [self._page.is_row_of_panels(row) for row in rows]
        if boards.count(True) < 2:
            return None
        parts: list[Row] = []
        last_widths: tuple[int, ...] | None = None
        for row, is_board in zip(rows, boards, strict=True):
            widths = self._page.column_widths(row) if is_board else None
            if widths is not None and widths == last_widths:
                parts[-1] = parts[-1] + row
            else:
                parts.append(row)
            last_widths = widths
        return parts if len(parts) >= 2 else None

    def _has_logo_strip(self, node: Node, rows: list[Row]) -> bool:
        """Whether a row of logos shares a box with something that stands on its own."""
        height = self._page.height
        if len(rows) != 2 or not 0.3 * height < height_of(node) < 2 * height:
            return False
        others = [row for row in rows if not self._is_logo_strip(row)]
        return len(others) == 1 and len(self._page.contents(others[0]).headings) >= 3

    def _is_logo_strip(self, row: Row) -> bool:
        content = self._page.contents(row)
        if content.headings or content.words >= 10:
            return False
        return len(content.images) >= 4 and box_of_row(row).height < 220


def _dominates(widest: Node, others: list[Node], room: float, share: float) -> bool:
    """Whether a column takes most of the room, and each other one less than ``share`` of it."""
    is_wide = box_of(widest).width > 0.55 * room
    return is_wide and all(width_of(other) < share * room for other in others)
