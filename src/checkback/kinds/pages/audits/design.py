"""The page's look in numbers: colors by area, theme, type, spacing, corners, shadows, columns and
density.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from checkback.kinds.pages.dom.colors import (
    WHITE,
    Color,
    chroma,
    contrast_ratio,
    luminance,
    merged,
    parse_color,
)
from checkback.kinds.pages.dom.snapshot import (
    TEXT,
    Box,
    Node,
    Tree,
    first_family,
    is_visible,
    pixels,
    text_style,
)

Fields = dict[str, Any]
Shares = list[tuple[Color, float]]
FontStyle = tuple[float, int, float, str]

#: Below this chroma a color looks gray.
COLORFUL = 0.04
MAX_SHAPES = 12
MAX_GRADIENTS = 10
_SPACES = (
    "padding-top",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "margin-top",
    "margin-bottom",
)
_CONTAINERS = frozenset({"div", "main", "section", "article", "header", "footer", "nav", "ul"})
_GAPS = ("row-gap", "column-gap")
_SPACING_BASES = (4, 5, 6, 8, 10)
_GRADIENT_TYPES = ("conic", "radial", "linear")
_IMAGE_TAGS = frozenset({"img", "svg", "video", "canvas"})
_COLOR_FUNCTION = re.compile(r"(?:rgba?|color|oklch|oklab|lab|lch)\([^()]*\)")


def describe_design(tree: Tree, fonts: list[Fields], web_fonts: set[str]) -> Fields:
    """The ``design`` part of the report, without what only the style sheets say.

    ``web_fonts`` are the families that the page's style sheets bring along.
    """
    grounds, texts = _backgrounds(tree), _text_colors(tree)
    radii = _counted(tree, "border-top-left-radius", "0px")
    shadows = _counted(tree, "box-shadow", "none")
    return {
        "colors": _colors(tree, grounds, texts),
        **_theme(grounds, texts),
        "typography": _typography(tree, fonts, web_fonts),
        "spacing": _spacing(tree),
        "radii": radii[:MAX_SHAPES],
        "radiiTotal": len(radii),
        "shadows": shadows[:MAX_SHAPES],
        "shadowsTotal": len(shadows),
    }


# --- colors ---


def _background(node: Node | None) -> Color | None:
    """The background color of a node, however transparent."""
    if node is None or not node.style:
        return None
    return parse_color(node.style.get("background-color", ""))


def _backgrounds(tree: Tree) -> Shares:
    """Opaque background colors by the area that stays visible; what children paint over is
    subtracted.
    """
    if tree.body is None:
        return []
    page = Box(0, 0, tree.width, tree.height)
    area: Counter[Color] = Counter()
    area[_page_background(tree)] += int(max(page.area, 1.0))
    for node, box, color in _painted_elements(tree):
        below = _background_below(node, tree)
        size = int(box.overlap(page))
        area[color.over(below)] += size
        area[below] -= size
    # Unary plus keeps what is above 0.
    return merged((+area).items())


def _painted_elements(tree: Tree) -> Iterator[tuple[Node, Box, Color]]:
    """The elements inside the body that hide about all that is behind them, with their color."""
    for node, box in tree.visible_elements():
        color = _background(node)
        is_page = node.tag in ("html", "body")
        if not is_page and color is not None and color.alpha >= 0.5:
            yield node, box, color


def _page_background(tree: Tree) -> Color:
    body = tree.body
    for node in (body, body.parent if body else None):
        color = _background(node)
        if color is not None and color.alpha > 0.5:
            return color
    return WHITE


def _background_below(node: Node, tree: Tree) -> Color:
    """The opaque color that an element is painted on."""
    for parent in node.ancestors():
        color = _background(parent)
        if color is not None and color.alpha >= 0.5:
            return color.over(WHITE)
    return _page_background(tree)


def _text_colors(tree: Tree) -> Shares:
    weight: Counter[Color] = Counter()
    for node in tree.texts():
        color = _text_color(node)
        if color is not None and color.alpha > 0.1:
            weight[color.over(WHITE)] += len(node.text)
    return merged(weight.items())


def _text_color(node: Node) -> Color | None:
    """The color that a text is drawn with, if it is drawn."""
    style = text_style(node)
    if style.get("visibility") == "hidden":
        return None
    return parse_color(style.get("color", ""))


def _accents(tree: Tree, grounds: Shares, texts: Shares) -> Shares:
    """Colors that are not gray and used sparingly, in controls and small painted boxes."""
    large = {color for color, share in (*grounds, *texts) if share > 0.3}
    weight: Counter[Color] = Counter()
    for node, box in _small_elements(tree):
        for color in _own_colors(node):
            weight[color] += _prominence(node, box)
    return merged((color, sum_) for color, sum_ in weight.items() if color not in large)


def _small_elements(tree: Tree) -> Iterator[tuple[Node, Box]]:
    largest_area = 0.1 * tree.width * tree.height
    for node, box in tree.visible_elements():
        if box.area <= largest_area:
            yield node, box


def _prominence(node: Node, box: Box) -> int:
    """How much the colors of an element count: by its size, those of a control threefold."""
    factor = 3 if _is_control(node) else 1
    return int(min(box.area, 40_000) * factor)


def _is_control(node: Node) -> bool:
    return node.tag in ("a", "button") or node.role == "button"


def _own_colors(node: Node) -> list[Color]:
    """The colors of an element that are opaque and not gray; of a control, also those of its text
    and of its gradient.
    """
    values = [node.style.get("background-color", "")]
    if _is_control(node):
        values.append(node.style.get("color", ""))
        values += _COLOR_FUNCTION.findall(node.style.get("background-image", ""))
    colors = [parse_color(value) for value in values]
    return [color for color in colors if color is not None and _is_strong(color)]


def _is_strong(color: Color) -> bool:
    return color.alpha > 0.5 and chroma(color) > COLORFUL


def _colors(tree: Tree, grounds: Shares, texts: Shares) -> Fields:
    accents = _accents(tree, grounds, texts)
    # Text covers little area, so its shares count for a tenth of the whole.
    palette = merged([*_scaled(grounds, 0.9), *_scaled(texts, 0.1)])
    return {
        "background": _listed(grounds[:6]),
        "text": _listed(texts[:6]),
        "dominant": [color.hex for color, _ in palette[:3]],
        "accent": [color.hex for color, _ in accents[:4]],
        "palette": _listed(palette[:10]),
        "gradients": _gradients(tree),
    }


def _scaled(shares: Shares, factor: float) -> Shares:
    return [(color, share * factor) for color, share in shares]


def _listed(shares: Shares) -> list[list[Any]]:
    return [[color.hex, round(share, 3)] for color, share in shares]


def _gradients(tree: Tree) -> list[Fields]:
    area: Counter[str] = Counter()
    for node, box in tree.visible_elements():
        image = node.style.get("background-image", "")
        if "gradient(" in image:
            area[image[:200]] += int(box.area)
    return [_gradient(value, size) for value, size in area.most_common(MAX_GRADIENTS)]


def _gradient(value: str, area: int) -> Fields:
    return {"type": _gradient_type(value), "value": value, "area": area}


def _gradient_type(value: str) -> str:
    types = (name for name in _GRADIENT_TYPES if f"{name}-gradient(" in value)
    return next(types, "linear")


def _theme(grounds: Shares, texts: Shares) -> Fields:
    if not grounds:
        return {"theme": "unknown"}
    ground = grounds[0][0]
    measured: Fields = {"backgroundColor": ground.hex, "luminance": round(luminance(ground), 3)}
    if texts:
        text = texts[0][0]
        measured["textColor"] = text.hex
        measured["contrastRatio"] = round(contrast_ratio(text, ground), 2)
    return {"theme": _theme_name(grounds), "themeMeasured": measured}


def _theme_name(grounds: Shares) -> str:
    light = sum(share for color, share in grounds if luminance(color) > 0.4)
    if light > 0.7:
        return "light"
    dark = sum(share for color, share in grounds if luminance(color) < 0.15)
    return "dark" if dark > 0.7 else "mixed"


# --- type, spacing, shapes ---


def _typography(tree: Tree, fonts: list[Fields], web_fonts: set[str]) -> Fields:
    families: Counter[str] = Counter()
    scale: Counter[FontStyle] = Counter()
    for node in tree.texts():
        font = _font_style(node)
        families[font[3]] += len(node.text)
        scale[font] += len(node.text)
    return {
        "families": _families(families, fonts, web_fonts),
        "familiesTotal": len(families),
        "scale": [_scale_step(font, count) for font, count in scale.most_common(12)],
        "scaleTotal": len(scale),
        "sizes": len({size for size, _, _, _ in scale}),
    }


def _font_style(node: Node) -> FontStyle:
    """Size, weight, line height and family of a text."""
    style = text_style(node)
    size = pixels(style.get("font-size"), 16)
    weight = int(pixels(style.get("font-weight"), 400))
    height = pixels(style.get("line-height"), round(size * 1.2, 1))
    return size, weight, height, first_family(style.get("font-family", ""))


def _scale_step(font: FontStyle, characters: int) -> Fields:
    size, weight, height, family = font
    return {
        "size": size,
        "weight": weight,
        "lineHeight": height,
        "family": family,
        "chars": characters,
    }


def _families(families: Counter[str], fonts: list[Fields], web_fonts: set[str]) -> list[Fields]:
    rendered = {font["declared"]: font for font in fonts}
    entries: list[Fields] = []
    for family, share in _family_shares(families):
        entry: Fields = {"declared": family, "share": share}
        entries.append(entry | _rendered(family, rendered.get(family), web_fonts))
    return entries


def _family_shares(families: Counter[str]) -> list[tuple[str, float]]:
    """The most used families with their shares of all text."""
    total = families.total() or 1
    most_used = families.most_common(6)
    return [(family, round(count / total, 3)) for family, count in most_used if family]


def _rendered(family: str, font: Fields | None, web_fonts: set[str]) -> Fields:
    """Which font drew the glyphs, and whether that is because the page's own did not arrive."""
    if font is None:
        return {}
    part: Fields = {"rendered": list(dict.fromkeys(font["rendered"]))}
    if family in web_fonts and "downloaded" in font:
        part["isFallback"] = not font["downloaded"]
    return part


def _spacing(tree: Tree) -> Fields:
    spaces = _spaces(tree)
    if not spaces:
        return {"scale": []}

    def fit(base: int) -> float:
        # A larger base explains more when it fits as well.
        return _share_on_base(spaces, base) * (1 + 0.02 * base)

    base = max(_SPACING_BASES, key=fit)
    return {
        "base": base,
        "onBase": round(_share_on_base(spaces, base), 2),
        "scale": [[value, count] for value, count in spaces.most_common(12)],
        "values": len(spaces),
    }


def _spaces(tree: Tree) -> Counter[int]:
    """How often each padding, margin and gap is used."""
    spaces: Counter[int] = Counter()
    for node, _ in tree.visible_elements():
        values = [pixels(node.style.get(name)) for name in (*_SPACES, *_GAPS)]
        spaces.update(round(value) for value in values if 2 <= value <= 200)
    return spaces


def _share_on_base(spaces: Counter[int], base: int) -> float:
    on_base = sum(count for value, count in spaces.items() if value % base == 0)
    return on_base / spaces.total()


def _counted(tree: Tree, name: str, nothing: str) -> list[list[Any]]:
    """The values of a style property with how often each is used."""
    counts: Counter[str] = Counter()
    for node in tree.elements():
        value = node.style.get(name, nothing)
        if value not in (nothing, "") and is_visible(node, tree.width):
            counts[value[:160]] += 1
    return [[value, count] for value, count in counts.most_common()]


# --- how the page is filled ---


def describe_grid(tree: Tree) -> Fields:
    """Columns, the usual width of the content, and which layout modes are used."""
    display: Counter[str] = Counter()
    columns: Counter[int] = Counter()
    for node, _ in tree.visible_elements():
        display[_layout_mode(node)] += 1
        columns[column_count(node, tree.width)] += 1
    del columns[1]
    part: Fields = {
        "columns": [count for count, _ in columns.most_common(5)],
        "display": {"flex": display["flex"], "grid": display["grid"]},
    }
    widths = _container_widths(tree)
    if widths:
        part["containerWidth"] = widths.most_common(1)[0][0]
    return part


def _container_widths(tree: Tree) -> Counter[int]:
    """The widths of centered containers, each by the height of the page that it is used for."""
    widths: Counter[int] = Counter()
    for node, box in tree.visible_elements():
        if node.tag in _CONTAINERS and _is_centered(box, tree.width):
            widths[round(box.width)] += int(box.height)
    return widths


def _layout_mode(node: Node) -> str:
    return node.style.get("display", "").removeprefix("inline-")


def _is_centered(box: Box, page_width: float) -> bool:
    """Whether a box is narrower than the page, and has the same room left and right."""
    is_inset = 320 < box.width < page_width - 40
    return is_inset and abs(box.x - (page_width - box.right)) < 4


def column_count(node: Node, page_width: float) -> int:
    """How many columns a grid or flex row shows; 1 for everything else."""
    mode = _layout_mode(node)
    if mode == "grid":
        return _track_count(node)
    if mode == "flex" and not node.style.get("flex-direction", "row").startswith("column"):
        return _flex_columns(node, page_width)
    return 1


def _track_count(node: Node) -> int:
    """How many columns a grid declares."""
    tracks = node.style.get("grid-template-columns", "none")
    return len(tracks.split()) if tracks not in ("none", "") else 1


def _flex_columns(node: Node, page_width: float) -> int:
    """How many columns are in the first line of a flex row."""
    columns = _column_boxes(node, page_width)
    in_first_row = [box for box in columns if abs(box.y - columns[0].y) < 40]
    return max(1, len(in_first_row))


def _column_boxes(node: Node, page_width: float) -> list[Box]:
    """The boxes of the children that are large enough for a column."""
    boxes = [child.box for child in node.children if child.box and is_visible(child, page_width)]
    return [box for box in boxes if box.width > 0.15 * page_width and box.height > 80]


def describe_density(tree: Tree) -> Fields:
    """How much of the page is covered by texts and images, and how evenly left and right."""
    middle = tree.width / 2
    left_half = Box(0, 0, middle, tree.height)
    right_half = Box(middle, 0, middle, tree.height)
    left = right = 0.0
    for box in _inked_boxes(tree):
        left += box.overlap(left_half)
        right += box.overlap(right_half)
    covered = min(1.0, (left + right) / max(tree.width * tree.height, 1.0))
    heavier = max(left, right)
    return {
        "contentDensity": round(covered, 3),
        "whitespaceRatio": round(1 - covered, 3),
        "visualBalance": round(min(left, right) / heavier, 3) if heavier else 0.0,
    }


def _inked_boxes(tree: Tree) -> Iterator[Box]:
    """The boxes of all texts and images."""
    for node in tree.nodes:
        if node.box is not None and _is_ink(node, tree.width):
            yield node.box


def _is_ink(node: Node, page_width: float) -> bool:
    """Whether a node is a text or an image."""
    if node.kind == TEXT:
        return bool(node.text)
    return node.tag in _IMAGE_TAGS and is_visible(node, page_width)
