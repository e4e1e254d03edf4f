"""The page's look in numbers: colours by area, theme, type, spacing, corners, shadows, columns,
density.
"""

from __future__ import annotations

import re
from collections import Counter
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

#: Below this chroma a colour reads as grey.
COLOURFUL = 0.04
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
_STOP = re.compile(r"(?:rgba?|color|oklch|oklab|lab|lch)\([^()]*\)")


def describe_design(tree: Tree, fonts: list[Fields], web_fonts: set[str]) -> Fields:
    """The ``design`` part of the report, as far as the snapshot gives it.

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


# --- colours ---


def _backgrounds(tree: Tree) -> Shares:
    """Opaque background colours by the area that stays visible: what children paint over is taken
    off.
    """
    if tree.body is None:
        return []
    area: Counter[Color] = Counter()
    page = max(tree.width * tree.height, 1.0)
    area[_page_ground(tree)] += int(page)
    for node in tree.elements():
        if node.box is None or not is_visible(node, tree.width) or node.tag in ("html", "body"):
            continue
        color = parse_color(node.style.get("background-color", ""))
        if color is None or color.alpha < 0.5:
            continue
        below = _ground_of(node, tree)
        size = int(node.box.overlap(Box(0, 0, tree.width, tree.height)))
        area[color.over(below)] += size
        area[below] -= size
    return merged((color, max(0, size)) for color, size in area.items() if size > 0)


def _page_ground(tree: Tree) -> Color:
    for node in (tree.body, tree.body.parent if tree.body else None):
        color = parse_color(node.style.get("background-color", "")) if node is not None else None
        if color is not None and color.alpha > 0.5:
            return color
    return WHITE


def _ground_of(node: Node, tree: Tree) -> Color:
    for item in node.ancestors():
        color = parse_color(item.style.get("background-color", "")) if item.style else None
        if color is not None and color.alpha >= 0.5:
            return color.over(WHITE)
    return _page_ground(tree)


def _text_colors(tree: Tree) -> Shares:
    weight: Counter[Color] = Counter()
    for node in tree.texts():
        style = text_style(node)
        color = parse_color(style.get("color", ""))
        if color is not None and color.alpha > 0.1 and style.get("visibility") != "hidden":
            weight[color.over(WHITE)] += len(node.text)
    return merged(weight.items())


def _accents(tree: Tree, grounds: Shares, texts: Shares) -> Shares:
    """Colourful colours that are used sparingly: of controls and small painted boxes."""
    large = {color for color, share in (*grounds, *texts) if share > 0.3}
    weight: Counter[Color] = Counter()
    for node in tree.elements():
        if (
            node.box is None
            or not is_visible(node, tree.width)
            or node.box.area > 0.1 * tree.width * tree.height
        ):
            continue
        control = node.tag in ("a", "button") or node.role == "button"
        values = [node.style.get("background-color", "")]
        if control:
            values += [
                node.style.get("color", ""),
                *_STOP.findall(node.style.get("background-image", "")),
            ]
        for value in values:
            color = parse_color(value)
            if (
                color is not None
                and color.alpha > 0.5
                and chroma(color) > COLOURFUL
                and color not in large
            ):
                weight[color] += int(min(node.box.area, 40_000) * (3 if control else 1))
    return merged(weight.items())


def _colors(tree: Tree, grounds: Shares, texts: Shares) -> Fields:
    accents = _accents(tree, grounds, texts)
    # Text covers little area, so its shares count for a tenth of the whole.
    palette = merged([(c, s * 0.9) for c, s in grounds] + [(c, s * 0.1) for c, s in texts])
    return {
        "background": _listed(grounds[:6]),
        "text": _listed(texts[:6]),
        "dominant": [color.hex for color, _ in palette[:3]],
        "accent": [color.hex for color, _ in accents[:4]],
        "palette": _listed(palette[:10]),
        "gradients": _gradients(tree),
    }


def _listed(shares: Shares) -> list[list[Any]]:
    return [[color.hex, round(share, 3)] for color, share in shares]


def _gradients(tree: Tree) -> list[Fields]:
    found: Counter[str] = Counter()
    for node in tree.elements():
        image = node.style.get("background-image", "")
        if "gradient(" in image and is_visible(node, tree.width) and node.box is not None:
            found[image[:200]] += int(node.box.area)
    kinds = ("conic", "radial", "linear")
    return [
        {
            "type": next((kind for kind in kinds if f"{kind}-gradient(" in value), "linear"),
            "value": value,
            "area": area,
        }
        for value, area in found.most_common(MAX_GRADIENTS)
    ]


def _theme(grounds: Shares, texts: Shares) -> Fields:
    if not grounds:
        return {"theme": "unknown"}
    light = sum(share for color, share in grounds if luminance(color) > 0.4)
    dark = sum(share for color, share in grounds if luminance(color) < 0.15)
    theme = "light" if light > 0.7 else "dark" if dark > 0.7 else "mixed"
    ground = grounds[0][0]
    text = texts[0][0] if texts else None
    measured: Fields = {"backgroundColor": ground.hex, "luminance": round(luminance(ground), 3)}
    if text is not None:
        measured |= {"textColor": text.hex, "contrastRatio": round(contrast_ratio(text, ground), 2)}
    return {"theme": theme, "themeMeasured": measured}


# --- type, spacing, shapes ---


def _typography(tree: Tree, fonts: list[Fields], web_fonts: set[str]) -> Fields:
    families: Counter[str] = Counter()
    scale: Counter[tuple[float, int, float, str]] = Counter()
    for node in tree.texts():
        style = text_style(node)
        family = first_family(style.get("font-family", ""))
        families[family] += len(node.text)
        size, weight = (
            pixels(style.get("font-size"), 16),
            int(pixels(style.get("font-weight"), 400)),
        )
        height = pixels(style.get("line-height"), round(size * 1.2, 1))
        scale[(size, weight, height, family)] += len(node.text)
    total = sum(families.values()) or 1
    rendered = {font["declared"]: font for font in fonts}
    return {
        "families": [
            {"declared": family, "share": round(count / total, 3)}
            | _rendered(family, rendered.get(family), web_fonts)
            for family, count in families.most_common(6)
            if family
        ],
        "familiesTotal": len(families),
        "scale": [
            {"size": size, "weight": weight, "lineHeight": height, "family": family, "chars": count}
            for (size, weight, height, family), count in scale.most_common(12)
        ],
        "scaleTotal": len(scale),
        "sizes": len({size for size, _, _, _ in scale}),
    }


def _rendered(family: str, font: Fields | None, web_fonts: set[str]) -> Fields:
    """Which font drew the glyphs, and whether that is because the page's own did not arrive."""
    if font is None:
        return {}
    told: Fields = {"rendered": list(dict.fromkeys(font["rendered"]))}
    if family in web_fonts and "downloaded" in font:
        told["isFallback"] = not font["downloaded"]
    return told


def _spacing(tree: Tree) -> Fields:
    found: Counter[int] = Counter()
    for node in tree.elements():
        if not is_visible(node, tree.width):
            continue
        for name in (*_SPACES, *_GAPS):
            value = pixels(node.style.get(name))
            if 2 <= value <= 200:
                found[round(value)] += 1
    if not found:
        return {"scale": []}
    total = sum(found.values())

    def fit(base: int) -> float:
        # A larger base explains more when it fits as well.
        return sum(n for value, n in found.items() if value % base == 0) / total * (1 + 0.02 * base)

    base = max((4, 5, 6, 8, 10), key=fit)
    on_base = sum(n for value, n in found.items() if value % base == 0) / total
    return {
        "base": base,
        "onBase": round(on_base, 2),
        "scale": [[value, count] for value, count in found.most_common(12)],
        "values": len(found),
    }


def _counted(tree: Tree, name: str, nothing: str) -> list[list[Any]]:
    found = Counter(
        node.style[name][:160]
        for node in tree.elements()
        if node.style.get(name, nothing) not in (nothing, "") and is_visible(node, tree.width)
    )
    return [[value, count] for value, count in found.most_common()]


# --- how the page is filled ---


def describe_grid(tree: Tree) -> Fields:
    """Columns, the width that content keeps to, and which layout modes are used."""
    display: Counter[str] = Counter()
    columns: Counter[int] = Counter()
    widths: Counter[int] = Counter()
    for node in tree.elements():
        if node.box is None or not is_visible(node, tree.width):
            continue
        mode = node.style.get("display", "").removeprefix("inline-")
        if mode in ("grid", "flex"):
            display[mode] += 1
        count = column_count(node, tree.width)
        if count > 1:
            columns[count] += 1
        centred = abs(node.box.x - (tree.width - node.box.right)) < 4
        if centred and node.tag in _CONTAINERS and 320 < node.box.width < tree.width - 40:
            widths[round(node.box.width)] += int(node.box.height)
    container = widths.most_common(1)
    return {
        "columns": [count for count, _ in columns.most_common(5)],
        "display": {"flex": display["flex"], "grid": display["grid"]},
    } | ({"containerWidth": container[0][0]} if container else {})


def column_count(node: Node, page_width: float) -> int:
    """How many columns a grid or flex row shows; 1 for everything else."""
    mode = node.style.get("display", "").removeprefix("inline-")
    if mode == "grid":
        tracks = node.style.get("grid-template-columns", "none")
        return len(tracks.split()) if tracks not in ("none", "") else 1
    if mode != "flex" or node.style.get("flex-direction", "row").startswith("column"):
        return 1
    children = [child for child in node.children if is_visible(child, page_width) and child.box]
    wide = [
        child
        for child in children
        if child.box and child.box.width > 0.15 * page_width and child.box.height > 80
    ]
    first = wide[0].box.y if wide and wide[0].box else 0.0
    return max(1, sum(1 for child in wide if child.box and abs(child.box.y - first) < 40))


def describe_density(tree: Tree) -> Fields:
    """How much of the page is covered by texts and pictures, and how evenly left and right."""
    page = max(tree.width * tree.height, 1.0)
    left = right = 0.0
    for node in tree.nodes:
        box = node.box
        is_picture = node.tag in ("img", "svg", "video", "canvas") and is_visible(node, tree.width)
        if box is None or not (is_picture or (node.kind == 3 and node.text)):
            continue
        middle = tree.width / 2
        left += box.overlap(Box(0, 0, middle, tree.height))
        right += box.overlap(Box(middle, 0, middle, tree.height))
    covered = min(1.0, (left + right) / page)
    heavier = max(left, right)
    return {
        "contentDensity": round(covered, 3),
        "whitespaceRatio": round(1 - covered, 3),
        "visualBalance": round(min(left, right) / heavier, 3) if heavier else 0.0,
    }
