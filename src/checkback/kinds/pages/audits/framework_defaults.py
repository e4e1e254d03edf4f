"""How frameworks look when nobody changes them: their accent colors, and fonts that come with
every system.
"""

from __future__ import annotations

PLAIN_FAMILIES = frozenset(
    {"serif", "sans-serif", "monospace", "system-ui", "ui-sans-serif", "ui-monospace", "arial",
     "helvetica", "helvetica neue", "times", "times new roman", "courier new", "courier",
     "-apple-system", "blinkmacsystemfont", "segoe ui", "roboto", "inter", "open sans", "verdana",
     "georgia", "menlo", "sfmono-regular", "consolas"}
)  # fmt: skip

#: Framework -> the colors of its buttons and links as it is delivered.
_ACCENTS = {
    "bootstrap": ("#0d6efd", "#007bff", "#337ab7", "#428bca"),
    "tailwind": ("#3b82f6", "#2563eb", "#6366f1", "#4f46e5", "#8b5cf6", "#7c3aed"),
    "bulma": ("#00d1b2", "#485fc7", "#3273dc"),
    "foundation": ("#1779ba", "#2199e8", "#008cba"),
    "materialize": ("#26a69a", "#ee6e73"),
    "material_ui": ("#1976d2", "#3f51b5", "#6200ee", "#6750a4"),
    "uikit": ("#1e87f0",),
    "semantic_ui": ("#2185d0",),
    "ant_design": ("#1677ff", "#1890ff"),
    "chakra_ui": ("#3182ce",),
    "browser": ("#0000ee",),
}
_ALL = frozenset(color for colors in _ACCENTS.values() for color in colors)


def default_accents(framework: str) -> frozenset[str]:
    """The default accents of a framework, or of all of them for a page that uses none of these."""
    return frozenset(_ACCENTS[framework]) if framework in _ACCENTS else _ALL
