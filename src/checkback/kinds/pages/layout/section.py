"""A section of a page."""

from __future__ import annotations

from dataclasses import dataclass, field

from checkback.kinds.pages.dom.content import Content
from checkback.kinds.pages.dom.snapshot import Box, Node
from checkback.kinds.pages.layout.section_parts import LayoutChild


@dataclass(slots=True)
class Section:
    """One section of the page, as the report lists it."""

    type: str
    heading: str | None
    box: Box
    confidence: float
    evidence: list[str]
    content: Content
    nodes: list[Node] = field(default_factory=list[Node])
    children: list[LayoutChild] = field(default_factory=list[LayoutChild])
