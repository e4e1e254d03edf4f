"""Cuts a page into its sections, from boxes, headings and landmarks alone.

The page is split from the top: first the bars that float over it, then rows of boxes, while each
row consists of parts that stand on their own. ``blocks.py`` joins what is too small.
"""

from __future__ import annotations

from typing import NamedTuple

from checkback.kinds.pages.dom.content import is_painted
from checkback.kinds.pages.dom.snapshot import Node
from checkback.kinds.pages.layout.neighbors import join_neighbors
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
        children = self._divisible(node) if depth <= _MAX_DEPTH else []
        if not children:
            return [[node]]
        parts = self._split_at_bars(node, children, depth)
        return parts or self._split_children(node, children, depth)

    def _divisible(self, node: Node) -> list[Node]:
        """The boxes within a node; none if it must stay in one piece."""
        if self._is_one_piece(node) or self._page.is_link_list(node):
            return []
        return self._page.significant(node)

    def _split_at_bars(self, node: Node, children: list[Node], depth: int) -> list[Row]:
        """Each bar, and the rows of the page that the bars lie over; empty without bars."""
        bars = [child for child in children if self._page.is_bar(child)]
        self._note_side_bars(bars)
        inside = self._below_bars(node, children, bars) if bars else None
        if inside is None:
            return []
        return [[bar] for bar in bars] + self.split(inside, depth + 1)

    def _split_children(self, node: Node, children: list[Node], depth: int) -> list[Row]:
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
            return self._enter(node, columns[0], depth)
        main = self._main_column(columns)
        if main is not None:
            return self._around_main(columns, main, depth)
        return self._split_parallel(node, columns, depth)

    def _enter(self, node: Node, child: Node, depth: int) -> list[Row]:
        """The rows of a single child, or the node itself if there is only one."""
        inner = self.split(child, depth + 1)
        return inner if len(inner) > 1 else [[node]]

    def _split_parallel(self, node: Node, columns: Row, depth: int) -> list[Row]:
        """Separate layers and broad panels; other columns are one piece."""
        if self._is_header_over_hero(columns):
            return self._split_layers(columns, depth)
        if self._are_two_panels(columns) and self._are_broad(columns):
            return [[column] for column in columns]
        return [[node]]

    def _main_column(self, columns: Row) -> Node | None:
        """The wide one of tall columns, if all others are narrow."""
        widest = max(columns, key=width_of)
        is_main = self._dominates_window(widest, columns) or self._dominates_row(widest, columns)
        return widest if is_main else None

    def _dominates_window(self, widest: Node, columns: Row) -> bool:
        is_tall = _tallest(columns) > 0.6 * self._page.height
        return is_tall and _dominates(widest, columns, self._page.width, 0.3)

    def _dominates_row(self, widest: Node, columns: Row) -> bool:
        """The same within a narrower page, if the columns are too tall to be an image and its
        text.
        """
        room = box_of_row(columns).width
        is_tall = _tallest(columns) > 1.2 * self._page.height and len(columns) <= 3
        is_broad = 0.55 * room > 0.3 * self._page.width
        return is_tall and is_broad and _dominates(widest, columns, room, 0.36)

    def _around_main(self, columns: Row, main: Node, depth: int) -> list[Row]:
        """The rows of the main column, and each other column as a row."""
        self._note_side_bars([column for column in columns if column is not main])
        rows: list[Row] = []
        for column in from_left(columns):
            rows += self.split(column, depth + 1) if column is main else [[column]]
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
        return self._split_group(node, rows, depth)

    def _split_group(self, node: Node, rows: list[Row], depth: int) -> list[Row]:
        """The rows as sections, or the node in one piece if they are the parts of one section."""
        group = RowGroup(self._page, node, rows)
        if not group.are_sections():
            return [[node]]
        return group.cut_at_headings() or self._split_each(rows, depth)

    def _split_each(self, rows: list[Row], depth: int) -> list[Row]:
        parts: list[Row] = []
        for row in rows:
            parts += self._split_row(row, depth)
        return parts

    def _split_row(self, row: Row, depth: int) -> list[Row]:
        if len(row) == 1:
            return self.split(row[0], depth + 1)
        if self._are_layers(row):
            return self._split_layers(row, depth)
        return self._split_side_by_side(row, depth)

    def _split_side_by_side(self, row: Row, depth: int) -> list[Row]:
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
        boards = [_Board(row, self._panel_widths(row)) for row in rows]
        has_panels = sum(board.widths is not None for board in boards) >= 2
        return _joined_boards(boards) if has_panels else None

    def _panel_widths(self, row: Row) -> tuple[int, ...] | None:
        """The widths of a row's columns, or None if it does not consist of panels."""
        return self._page.column_widths(row) if self._page.is_row_of_panels(row) else None

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


class _Board(NamedTuple):
    """A row of a dashboard, with the widths of its panels."""

    row: Row
    widths: tuple[int, ...] | None


def _have_equal_columns(before: _Board, board: _Board) -> bool:
    return board.widths is not None and board.widths == before.widths


def _below(before: _Board, board: _Board) -> _Board:
    """Both rows as one."""
    return _Board(before.row + board.row, board.widths)


def _joined_boards(boards: list[_Board]) -> list[Row] | None:
    """The rows, those with equal columns as one; None if no more than one is left."""
    parts = [part.row for part in join_neighbors(boards, _have_equal_columns, _below)]
    return parts if len(parts) >= 2 else None


def _tallest(columns: Row) -> float:
    return max(height_of(column) for column in columns)


def _dominates(widest: Node, columns: Row, room: float, share: float) -> bool:
    """Whether a column takes most of the room, and each other one less than ``share`` of it."""
    is_wide = box_of(widest).width > 0.55 * room
    others = [column for column in columns if column is not widest]
    return is_wide and all(width_of(other) < share * room for other in others)
