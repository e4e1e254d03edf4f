"""Cuts a page into its sections, from boxes, headings and landmarks alone.

The page is split from the top: bars that float over it first, then rows of boxes, as long as a row
is made of parts that stand on their own. What is left over and too small joins its neighbour.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from checkback.kinds.pages.dom.content import Content, is_framed, is_painted, read_contents, total
from checkback.kinds.pages.dom.snapshot import (
    ELEMENT,
    UNSEEN_TAGS,
    Box,
    Node,
    Tree,
    around,
    is_visible,
)

MAX_SECTIONS = 40
_MAX_DEPTH = 40
#: Less than a line of text.
MIN_HEIGHT = 14
_LANDMARKS = frozenset({"section", "header", "footer", "nav", "main", "aside", "article"})
_FLOATING = frozenset({"fixed", "sticky", "absolute"})

Row = list[Node]


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


class Splitter:
    """Splits one page; ``window_height`` is the yardstick for what counts as large."""

    def __init__(self, tree: Tree, window_width: float, window_height: float) -> None:
        self.width = window_width
        self.height = window_height
        self._tree = tree
        self._contents = read_contents(tree)
        body = self._contents[tree.body.index] if tree.body else Content()
        levels = Counter(heading.level for heading in body.headings)
        self._document_level = min(levels) if levels else 1
        #: Whether a tall column of links stood beside the page: then it is an application, not a
        #: document.
        self.is_application = False
        self._has_footer = False

    # --- questions about nodes ---

    def content(self, node: Node) -> Content:
        return self._contents[node.index]

    def contents(self, nodes: list[Node]) -> Content:
        if len(nodes) == 1:
            return self.content(nodes[0])
        return total([self.content(node) for node in nodes])

    def significant(self, node: Node) -> list[Node]:
        """The children that show something; wrappers without a box of their own
        are looked through.
        """
        found: list[Node] = []
        for child in node.children:
            if not is_visible(child, self.width):
                if child.kind == ELEMENT and child.box is None and child.tag not in UNSEEN_TAGS:
                    found += self.significant(child)
                continue
            box = _box(child)
            fixed = child.style.get("position") == "fixed"
            if fixed and box.width <= 0.8 * self.width and box.height <= 0.8 * self.height:
                continue  # A chat bubble, a button back to the top.
            if box.height >= MIN_HEIGHT and box.width >= 40 and not self.content(child).is_empty:
                found.append(child)
        return found

    def is_navigation(self, node: Node) -> bool:
        """A navigation landmark, or a strip or narrow column that is mostly links."""
        if node.tag == "nav" or node.role == "navigation":
            return True
        content, box = self.content(node), _box(node)
        mostly_links = content.links >= 3 and content.link_characters > 0.6 * max(
            1, content.characters
        )
        slim = box.height < 150 or box.width < 0.35 * self.width
        return mostly_links and slim and not content.headings and len(content.images) < 4

    # --- splitting ---

    def split(self, node: Node, depth: int = 0) -> list[Row]:
        """The rows of boxes that stand on their own within a node; one row, the node itself, when
        none do.
        """
        if depth > _MAX_DEPTH or self.is_navigation(node):
            return [[node]]
        if node.tag == "footer" or node.role == "contentinfo":
            return [[node]]
        children = self.significant(node)
        if not children or self._is_link_list(node):
            return [[node]]
        bars = [child for child in children if self._is_bar(child)]
        known = {bar.index for bar in bars}
        rest = [child for child in children if child.index not in known]
        self.is_application = self.is_application or any(self._is_side_bar(bar) for bar in bars)
        if bars and any(_box(child).height > 0.5 * self.height for child in rest):
            inside = rest[0] if len(rest) == 1 else self._stand_in(node, rest)
            return [[bar] for bar in bars] + self.split(inside, depth + 1)
        rows = rows_of(children)
        if len(rows) == 1:
            return self._split_columns(node, rows[0], depth)
        return self._split_rows(node, rows, depth)

    def _is_link_list(self, node: Node) -> bool:
        content = self.content(node)
        mostly_links = content.links >= 8 and content.link_characters > 0.6 * max(
            1, content.characters
        )
        return mostly_links and not content.headings and node.tag not in ("body", "main")

    def _is_bar(self, node: Node) -> bool:
        """A bar along the top, or a tall narrow column, that lies over the page
        and holds controls.
        """
        if node.style.get("position") not in _FLOATING:
            return False
        box, content = _box(node), self.content(node)
        column = box.height > 0.8 * self.height and box.width < 0.3 * self.width
        top = box.height < 160 and box.width > 0.5 * self.width and box.y < 60
        return (column or top) and content.links + content.buttons >= 2

    def _stand_in(self, node: Node, children: list[Node]) -> Node:
        """The node without its bars: same tag and style, a box around what is left."""
        made = Node(
            index=-node.index - 1,
            kind=node.kind,
            tag=node.tag,
            text="",
            attributes=node.attributes,
            backend_id=node.backend_id,
            parent=node.parent,
            children=children,
            box=around([_box(child) for child in children]),
            style=node.style,
        )
        self._contents[made.index] = self.contents(children)
        return made

    def _split_columns(self, node: Node, columns: Row, depth: int) -> list[Row]:
        """One row: a single child is entered, a main column is split, parallel columns stay
        together.
        """
        if len(columns) == 1:
            inner = self.split(columns[0], depth + 1)
            return inner if len(inner) > 1 else [[node]]
        main = self._main_column(columns)
        if main is not None:
            return self._around_main(columns, main, depth)
        bars = any(
            column.tag in ("header", "nav") or self.is_navigation(column) for column in columns
        )
        if bars and all(_box(column).width > 0.7 * self.width for column in columns):
            # A hero below a transparent header that lies over it.
            layers = sorted(columns, key=lambda column: (_box(column).y, _box(column).height))
            return [row for layer in layers for row in self.split(layer, depth + 1)]
        if (
            self._are_two_panels(columns)
            and min(_box(column).width for column in columns) > 0.2 * self.width
        ):
            return [[column] for column in columns]
        return [[node]]

    def _main_column(self, columns: Row) -> Node | None:
        """The wide one of columns of which all others are narrow, when they are tall."""
        widest = max(columns, key=lambda column: _box(column).width)
        others = [column for column in columns if column is not widest]
        height = max(_box(column).height for column in columns)
        wide = _box(widest).width > 0.55 * self.width
        narrow = all(_box(column).width < 0.3 * self.width for column in others)
        if height > 0.6 * self.height and wide and narrow:
            return widest
        # Within a narrower page the same, when the columns are too tall to be a picture and its
        # text.
        room = around([_box(column) for column in columns]).width
        wide = _box(widest).width > 0.55 * room > 0.3 * self.width
        narrow = all(_box(column).width < 0.36 * room for column in others)
        return (
            widest if height > 1.2 * self.height and wide and narrow and len(columns) <= 3 else None
        )

    def _around_main(self, columns: Row, main: Node, depth: int) -> list[Row]:
        ordered = sorted(columns, key=lambda column: _box(column).x)
        beside = [column for column in columns if column is not main]
        self.is_application = self.is_application or any(
            self._is_side_bar(column) for column in beside
        )
        return [
            row
            for column in ordered
            for row in (self.split(column, depth + 1) if column is main else [[column]])
        ]

    def _are_two_panels(self, columns: Row) -> bool:
        if len(columns) != 2 or max(_box(column).height for column in columns) <= 0.7 * self.height:
            return False
        return all(is_painted(column) and self.content(column).headings for column in columns)

    def _is_side_bar(self, node: Node) -> bool:
        box, content = _box(node), self.content(node)
        tall = box.height > 0.6 * self.height and box.width < 0.3 * self.width
        return tall and content.links >= 5 and content.words < 20 * content.links

    def _split_rows(self, node: Node, rows: list[Row], depth: int) -> list[Row]:
        board = self._split_board(node, rows)
        if board is not None:
            return board
        strip = self._split_strip(node, rows)
        if strip is not None:
            return strip
        if not self._should_split(node, rows):
            return [[node]]
        cut = self._cut_at_headings(node, rows)
        if cut is not None:
            return cut
        found: list[Row] = []
        for row in rows:
            if len(row) == 1:
                found += self.split(row[0], depth + 1)
            elif all(_box(part).width > 0.7 * self.width for part in row):
                for part in sorted(row, key=lambda part: (_box(part).y, _box(part).height)):
                    found += self.split(part, depth + 1)
            elif (main := self._main_column(row)) is not None:
                found += self._around_main(row, main, depth)
            elif self._are_two_panels(row):
                found += [[part] for part in sorted(row, key=lambda part: _box(part).x)]
            else:
                found.append(row)
        return found

    def _split_board(self, node: Node, rows: list[Row]) -> list[Row] | None:
        """A dashboard's rows of panels; neighbours that are built alike stay together."""
        if not self.is_application or _box(node).height < 0.6 * self.height:
            return None
        boards = [self._is_row_of_panels(row) for row in rows]
        if sum(boards) < 2:
            return None
        found: list[Row] = []
        shapes: list[tuple[int, ...] | None] = []
        for row, is_board in zip(rows, boards, strict=True):
            shape = self._shape(row) if is_board else None
            if shape is not None and found and shapes[-1] == shape:
                found[-1] = found[-1] + row
            else:
                found.append(row)
                shapes.append(shape)
        return found if len(found) >= 2 else None

    def _shape(self, row: Row) -> tuple[int, ...]:
        """The widths of a row's columns, roughly."""
        columns = row
        while len(columns) == 1:
            inside = rows_of(self.significant(columns[0]))
            if len(inside) != 1:
                break
            columns = inside[0]
        return tuple(sorted(round(_box(part).width / 40) for part in columns))

    def _is_row_of_panels(self, row: Row) -> bool:
        return all(self._is_panel(part) for part in row)

    def _is_panel(self, node: Node, depth: int = 0) -> bool:
        """A framed box, or a column that holds nothing but framed boxes."""
        if depth and is_framed(node):
            return True
        inside = self.significant(node)
        if depth > 6 or not inside:
            return False
        return all(self._is_panel(part, depth + 1) for part in inside)

    def _split_strip(self, node: Node, rows: list[Row]) -> list[Row] | None:
        """A row of logos that shares a box with something that stands on its own."""
        if len(rows) != 2 or not 0.3 * self.height < _box(node).height < 2 * self.height:
            return None
        strips = [self._is_strip(row) for row in rows]
        others = [
            self.contents(row) for row, is_strip in zip(rows, strips, strict=True) if not is_strip
        ]
        if len(others) != 1 or len(others[0].headings) < 3:
            return None
        return list(rows)

    def _is_strip(self, row: Row) -> bool:
        content = self.contents(row)
        low = around([_box(part) for part in row]).height < 220
        return low and len(content.images) >= 4 and content.words < 10 and not content.headings

    def _should_split(self, node: Node, rows: list[Row]) -> bool:
        """Whether the rows of a node stand on their own, or are one section's title, text and
        cards.
        """
        box, window = _box(node), self.height
        levels = [self.contents(row).top_level for row in rows]
        headed = [place for place, level in enumerate(levels) if level < 9]
        is_page = node.tag in ("body", "main") or node.role == "main"
        if self._is_one_chapter(node, levels, headed, is_page):
            return False
        if is_page:
            return True
        if box.height < 0.45 * window:
            return False
        if self._is_grid(rows):
            return False
        titled = self._is_titled(node, rows, levels, headed)
        if self._holds_landmarks(rows) and not (node.tag == "section" and titled):
            return True
        painted = [row for row in rows if len(row) == 1 and _box(row[0]).width > 0.9 * self.width]
        if sum(is_painted(row[0]) for row in painted) >= 2:
            return True
        if titled and box.height < 2.2 * window:
            return False
        return self._has_own_parts(node, rows, levels, headed)

    def _is_grid(self, rows: list[Row]) -> bool:
        """Rows of equal cards; a picture beside a text, then a text beside a picture, is none."""
        if len(rows) < 2 or any(len(row) < 2 for row in rows[:-1]):
            return False
        cards = [part for row in rows for part in row]
        widths = [_box(card).width for card in cards]
        heights = [_box(card).height for card in cards]
        if max(widths) > 1.15 * min(widths) or max(heights) > 1.5 * min(heights):
            return False
        contents = [self.content(card) for card in cards]
        shapes = {(bool(content.images), bool(content.headings)) for content in contents}
        return len(shapes) == 1

    def _is_one_chapter(
        self, node: Node, levels: list[int], headed: list[int], is_page: bool
    ) -> bool:
        """A titled block below the document's top level, whose rows are its subsections."""
        own = levels[headed[0]] if headed and headed[0] <= 1 else 9
        deeper = all(levels[place] > own for place in headed[1:])
        long = _box(node).height > 1.2 * self.height
        return not is_page and long and self._document_level < own < 9 and deeper

    def _is_titled(self, node: Node, rows: list[Row], levels: list[int], headed: list[int]) -> bool:
        """A short row with the title, then content of a deeper level only."""
        if not headed or headed[0] > 1:
            return False
        title = around([_box(part) for part in rows[headed[0]]]).height
        short = title < 0.4 * _box(node).height and title < 260
        return short and all(levels[place] > levels[headed[0]] for place in headed[1:])

    def _holds_landmarks(self, rows: list[Row]) -> bool:
        for row in rows:
            for part in row:
                if part.tag in _LANDMARKS and _box(part).height > 60:
                    return True
                if self.is_navigation(part) and _box(part).width > 0.7 * self.width:
                    return True
        return False

    def _has_own_parts(
        self, node: Node, rows: list[Row], levels: list[int], headed: list[int]
    ) -> bool:
        box, window = _box(node), self.height
        heights = [around([_box(part) for part in row]).height for row in rows]
        tall_headed = sum(heights[place] > 140 for place in headed)
        if len(headed) >= 2 and box.height > 0.9 * window and tall_headed >= 2 and min(levels) <= 3:
            return True
        rich = sum(len(row) >= 2 or len(self.significant(row[0])) >= 2 for row in rows)
        inner = box.width < 0.9 * self.width and box.x > 0.1 * self.width
        if (
            len(rows) >= 3
            and box.height > window
            and rich >= 2
            and inner
            and sum(h > 90 for h in heights) >= 3
        ):
            return True
        if not self.content(node).headings and box.height > 1.5 * window:
            return True
        return box.height > 4 * window and len(rows) >= 3

    def _cut_at_headings(self, node: Node, rows: list[Row]) -> list[Row] | None:
        """A document that flows, many small rows in a line, is cut at its top-level headings."""
        heads = [
            (place, level)
            for place, row in enumerate(rows)
            if len(row) == 1 and (level := row[0].heading_level) is not None and level <= 4
        ]
        small = sum(around([_box(part) for part in row]).height < 220 for row in rows)
        if (
            len(rows) < 6
            or small <= 0.7 * len(rows)
            or not heads
            or _box(node).height <= 0.8 * self.height
        ):
            return None
        level = _cutting_level(heads)
        cuts = [place for place, own in heads if own <= level] + [len(rows)]
        found: list[Row] = []
        start = 0
        for cut in cuts:
            part = [item for row in rows[start:cut] for item in row]
            if part:
                found.append(part)
            start = cut
        return found

    # --- putting together ---

    def blocks(self) -> list[Block]:
        """The page's parts from top to bottom, slivers and title strips joined to what they belong
        to.
        """
        if self._tree.body is None or self._tree.body.box is None:
            return []
        blocks = [self._block(row) for row in self.split(self._tree.body)]
        blocks = self._join_titles(self._join_slivers(blocks))
        blocks = [block for block in blocks if not block.content.is_empty]
        blocks.sort(key=_reading_order)
        return blocks

    def _block(self, nodes: list[Node]) -> Block:
        box = around([_box(node) for node in nodes])
        navigation = len(nodes) == 1 and self.is_navigation(nodes[0])
        bar = box.height < 140 and any(node.tag in ("nav", "header") for node in nodes)
        footer = any(node.tag == "footer" or node.role == "contentinfo" for node in nodes)
        return Block(nodes, box, self.contents(nodes), navigation or bar, footer)

    def _join_slivers(self, blocks: list[Block]) -> list[Block]:
        found: list[Block] = []
        self._has_footer = any(block.is_footer for block in blocks)
        for block in blocks:
            if found and self._is_sliver(block, found[-1]):
                found[-1] = self._block(found[-1].nodes + block.nodes)
            else:
                found.append(block)
        return found

    def _is_sliver(self, block: Block, before: Block) -> bool:
        if block.is_navigation or block.is_footer or before.is_navigation or block.is_painted:
            return False
        content, box = block.content, block.box
        if (
            self._is_prose(block)
            and abs(before.box.x - box.x) + abs(before.box.width - box.width) < 40
        ):
            return True
        if content.headings and content.words > 15:
            return False  # Short, but a chapter with a title and a text of its own.
        if box.height >= 130 or content.buttons or content.fields or len(content.images) >= 3:
            return False
        # The last strip of a page is its footer, unless there is one.
        at_end = box.bottom > self._tree.height - 120 and not self._has_footer
        return abs(before.box.x - box.x) < 200 and box.width > 0.3 * self.width and not at_end

    def _is_prose(self, block: Block) -> bool:
        """Paragraphs without a heading: they go on with what stands above them."""
        content = block.content
        other = (
            content.headings
            or content.images
            or content.buttons
            or content.fields
            or content.graphics
        )
        if other or content.quotes or content.prices or content.tables or content.words < 8:
            return False
        return content.links < 3 and max(words.size for words in content.texts) < 24

    def _join_titles(self, blocks: list[Block]) -> list[Block]:
        found: list[Block] = []
        was_joined = False
        for block in blocks:
            # What has found its section is no title of the next one.
            if found and not was_joined and self._is_title_of(found[-1], block):
                found[-1] = self._block(found[-1].nodes + block.nodes)
                was_joined = True
            else:
                found.append(block)
                was_joined = False
        return found

    def _is_title_of(self, block: Block, after: Block) -> bool:
        content = block.content
        if block.is_navigation or after.is_navigation or after.is_footer or block.is_painted:
            return False
        # Across the whole top of a page it is the page's own header.
        inner = block.box.y > 150 or block.box.width < 0.95 * self.width
        short = block.box.height < 170 and content.words < 40 and inner
        plain = not content.fields and not content.images and bool(content.headings)
        return short and plain and after.content.top_level >= content.top_level


def _box(node: Node) -> Box:
    assert node.box is not None
    return node.box


def rows_of(nodes: list[Node]) -> list[Row]:
    """Nodes grouped by vertical overlap, from top to bottom.

    Only rows that reach below a node's top are compared with it, so that ten thousand rows stay
    cheap.
    """
    rows: list[Row] = []
    open_rows: list[tuple[Row, float, float]] = []
    for node in sorted(nodes, key=lambda node: (_box(node).y, _box(node).x)):
        box = _box(node)
        open_rows = [entry for entry in open_rows if entry[2] > box.y]
        for place, (row, top, bottom) in enumerate(open_rows):
            overlap = min(bottom, box.bottom) - max(top, box.y)
            if overlap > 0.4 * min(box.height, bottom - top):
                row.append(node)
                open_rows[place] = (row, top, max(bottom, box.bottom))
                break
        else:
            rows.append([node])
            open_rows.append((rows[-1], box.y, box.bottom))
    return rows


def _cutting_level(heads: list[tuple[int, int]]) -> int:
    """The level to cut at: the top one, or the next when the top one is only the title at the
    start.
    """
    levels = sorted({level for _, level in heads})
    top = levels[0]
    if len(levels) > 1 and sum(level == top for _, level in heads) == 1 and heads[0][0] <= 1:
        return levels[1]
    return top


def _reading_order(block: Block) -> tuple[float, bool, float, float]:
    # Near the top a bar comes before what it lies over; further down the position alone decides.
    band = round(block.box.y / 90)
    is_bar = block.is_navigation or block.box.height < 60
    first = is_bar and block.box.y < 180
    return (band - first, not first, block.box.y if first else 0.0, block.box.x)
