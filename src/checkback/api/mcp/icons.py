"""The icons of the server and its tools, as data URLs, so nothing is fetched."""

from __future__ import annotations

from urllib.parse import quote

from mcp_types import Icon


def _icon(path: str) -> Icon:
    drawing = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'>"
        f"<path d='{path}' fill='none' stroke='#0b7285' stroke-width='2'/></svg>"
    )
    address = quote(drawing, safe="/:='")
    return Icon(src=f"data:image/svg+xml,{address}", mime_type="image/svg+xml", sizes=["any"])


JOB = _icon("M21 12a9 9 0 1 1-4-7.5M9 11l3 3 9-9")
"""A check mark in a circle: the server, and tools for jobs of any kind."""

PAGE = _icon("M3 5h18v14H3zM3 9h18M6 7h.01")
"""A browser window."""

DOCUMENT = _icon("M14 3H6v18h12V7zM14 3v4h4M9 12h6M9 16h6")
"""A sheet with a folded corner."""
