"""What the boxes of one page hold, and how large they are compared with its window."""

from __future__ import annotations

from checkback.kinds.pages.dom.content import Content, is_framed, read_contents, total
from checkback.kinds.pages.dom.snapshot import ELEMENT, UNSEEN_TAGS, Node, Tree, is_visible
from checkback.kinds.pages.layout.rows import Row, box_of, box_of_row, rows_of, width_of

#: Less than a line of text.
MIN_HEIGHT = 14
_MIN_WIDTH = 40
_MAX_PANEL_DEPTH = 6
_FLOATING = frozenset({"fixed", "sticky", "absolute"})


class PageBoxes:
    """One page; what counts as large is measured against ``width`` and ``height`` of its window."""

    def __init__(self, tree: Tree, window_width: float, window_height: float) -> None:
        self.tree = tree
        self.width = window_width
        self.height = window_height
        self._contents = read_contents(tree)
        body = self.content(tree.body) if tree.body else Content()
        #: The level of the page's main heading.
        self.document_level = min((heading.level for heading in body.headings), default=1)

    def content(self, node: Node) -> Content:
        return self._contents[node.index]

    def contents(self, nodes: list[Node]) -> Content:
        if len(nodes) == 1:
            return self.content(nodes[0])
        return total([self.content(node) for node in nodes])

    def significant(self, node: Node) -> list[Node]:
        """The children that show something; a wrapper without a box is replaced by its children."""
        shown: list[Node] = []
        for child in node.children:
            shown += self._shown(child)
        return shown

    def _shown(self, node: Node) -> list[Node]:
        """The node, what shows of a wrapper without a box, or nothing."""
        if is_visible(node, self.width):
            return [node] if self._is_significant(node) else []
        return self.significant(node) if _is_wrapper(node) else []

    def _is_significant(self, node: Node) -> bool:
        if self._is_small_overlay(node):
            return False
        box = box_of(node)
        if box.height < MIN_HEIGHT or box.width < _MIN_WIDTH:
            return False
        return not self.content(node).is_empty

    def _is_small_overlay(self, node: Node) -> bool:
        """A chat bubble, or a button back to the top."""
        if node.style.get("position") != "fixed":
            return False
        box = box_of(node)
        return box.width <= 0.8 * self.width and box.height <= 0.8 * self.height

    def without_bars(self, node: Node, children: list[Node]) -> Node:
        """A copy of the node that holds these children only; its box surrounds them."""
        copy = Node(
            index=-node.index - 1,
            kind=node.kind,
            tag=node.tag,
            text="",
            attributes=node.attributes,
            backend_id=node.backend_id,
            parent=node.parent,
            children=children,
            box=box_of_row(children),
            style=node.style,
        )
        self._contents[copy.index] = self.contents(children)
        return copy

    # --- kinds of boxes ---

    def is_navigation(self, node: Node) -> bool:
        """A navigation landmark, or a strip or narrow column that is mostly links."""
        if node.tag == "nav" or node.role == "navigation":
            return True
        content = self.content(node)
        if content.headings or len(content.images) >= 4:
            return False
        return content.links >= 3 and content.is_mostly_links and self._is_slim(node)

    def _is_slim(self, node: Node) -> bool:
        box = box_of(node)
        return box.height < 150 or box.width < 0.35 * self.width

    def is_link_list(self, node: Node) -> bool:
        """A part of the page that is mostly links and has no heading."""
        content = self.content(node)
        if content.headings or node.tag in ("body", "main"):
            return False
        return content.links >= 8 and content.is_mostly_links

    def is_bar(self, node: Node) -> bool:
        """A bar along the top, or a tall narrow column, that lies over the page and holds
        controls.
        """
        if node.style.get("position") not in _FLOATING:
            return False
        content = self.content(node)
        has_controls = content.links + content.buttons >= 2
        return has_controls and (self._is_tall_column(node, 0.8) or self._is_top_strip(node))

    def _is_tall_column(self, node: Node, share: float) -> bool:
        box = box_of(node)
        return box.height > share * self.height and box.width < 0.3 * self.width

    def _is_top_strip(self, node: Node) -> bool:
        box = box_of(node)
        return box.y < 60 and box.height < 160 and box.width > 0.5 * self.width

    def is_side_bar(self, node: Node) -> bool:
        """A tall narrow column of links."""
        content = self.content(node)
        is_list = content.links >= 5 and content.words < 20 * content.links
        return is_list and self._is_tall_column(node, 0.6)

    def is_wide(self, node: Node, share: float = 0.7) -> bool:
        return width_of(node) > share * self.width

    def is_row_of_panels(self, row: Row) -> bool:
        return all(self._is_panel(node) for node in row)

    def _is_panel(self, node: Node, depth: int = 0) -> bool:
        """A framed box, or a column that holds nothing but framed boxes."""
        if depth and is_framed(node):
            return True
        inside = self.significant(node)
        if depth > _MAX_PANEL_DEPTH or not inside:
            return False
        return all(self._is_panel(child, depth + 1) for child in inside)

    def column_widths(self, row: Row) -> tuple[int, ...]:
        """The widths of a row's columns, roughly."""
        columns, inside = row, [row]
        while len(inside) == 1:
            columns = inside[0]
            inside = rows_of(self.significant(columns[0])) if len(columns) == 1 else []
        return tuple(sorted(round(width_of(column) / 40) for column in columns))


def _is_wrapper(node: Node) -> bool:
    """An element without a box, whose children can have some."""
    return node.kind == ELEMENT and node.box is None and node.tag not in UNSEEN_TAGS
