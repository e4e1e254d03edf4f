"""Boxes grouped into rows, from top to bottom: what a reader sees as side by side or below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checkback.kinds.pages.dom.snapshot import Box, Node, around

Row = list[Node]


def box_of(node: Node) -> Box:
    """The box of a node that is known to have one."""
    assert node.box is not None
    return node.box


def width_of(node: Node) -> float:
    return box_of(node).width


def height_of(node: Node) -> float:
    return box_of(node).height


def left_of(node: Node) -> float:
    return box_of(node).x


def box_of_row(row: Sequence[Node]) -> Box:
    """The smallest box around all nodes of a row."""
    return around([box_of(node) for node in row])


def from_top(row: Row) -> Row:
    """Nodes that lie over each other, from top to bottom."""
    return sorted(row, key=lambda node: (box_of(node).y, box_of(node).height))


def from_left(row: Row) -> Row:
    return sorted(row, key=left_of)


@dataclass(slots=True)
class _OpenRow:
    """A row that later nodes can still join."""

    nodes: Row
    top: float
    bottom: float

    def overlaps(self, box: Box) -> bool:
        shared = min(self.bottom, box.bottom) - max(self.top, box.y)
        return shared > 0.4 * min(box.height, self.bottom - self.top)

    def add(self, node: Node) -> None:
        self.nodes.append(node)
        self.bottom = max(self.bottom, box_of(node).bottom)


def rows_of(nodes: list[Node]) -> list[Row]:
    """Nodes grouped by vertical overlap, from top to bottom.

    Only rows that reach below a node's top are compared with it, so that ten thousand rows stay
    cheap.
    """
    rows: list[Row] = []
    open_rows: list[_OpenRow] = []
    for node in sorted(nodes, key=lambda node: (box_of(node).y, box_of(node).x)):
        box = box_of(node)
        open_rows = [row for row in open_rows if row.bottom > box.y]
        row = next((row for row in open_rows if row.overlaps(box)), None)
        if row is None:
            row = _OpenRow([], box.y, box.bottom)
            open_rows.append(row)
            rows.append(row.nodes)
        row.add(node)
    return rows
