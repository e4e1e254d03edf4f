"""The page's look as design tokens: the W3C community group's format, and the same as CSS
variables.

Tokens describe what was measured, the most used first; a page's own variables are in a separate
group, under the names that its authors gave them.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from typing import Any

from checkback.kinds.pages.dom.colors import Color, parse_color, parse_hex
from checkback.kinds.pages.dom.css_parser import NUMBER

Fields = dict[str, Any]

MAX_OWN = 200
#: The lengths of a shadow, in their order.
_LENGTHS = ("offsetX", "offsetY", "blur", "spread")
_NUMBER = re.compile(rf"^(-?{NUMBER})(px|rem|em|ms|s)$")
_BEZIER_NUMBER = rf"\s*(-?{NUMBER})\s*"
_BEZIER = re.compile(rf"^cubic-bezier\({','.join([_BEZIER_NUMBER] * 4)}\)$")
_HEX = re.compile(r"^#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$", re.I)
_SHADOW = re.compile(
    r"^(\S+\([^)]*\)|#\w+) (-?[\d.]+)px (-?[\d.]+)px (-?[\d.]+)px (-?[\d.]+)px( inset)?$"
)


def design_tokens(design: Fields) -> Fields:
    """The tokens of a report's ``design`` part; a group without a measured value is absent."""
    spaces: list[tuple[float, int]] = sorted(design.get("spacing", {}).get("scale", ()))
    return _not_empty(
        {
            "color": _colors(design.get("colors", {})),
            "font": _fonts(design.get("typography", {})),
            "spacing": _numbered(_used_dimensions(spaces)),
            "radius": _numbered(_radii(design)),
            "shadow": _numbered(_shadows(design)),
            "breakpoint": _numbered(_dimension(width) for width in design.get("breakpoints", ())),
            "own": _own(design.get("cssVariables", ())),
        }
    )


def _not_empty(groups: Fields) -> Fields:
    return {name: group for name, group in groups.items() if group}


def _numbered(tokens: Any) -> Fields:
    return {str(place): token for place, token in enumerate(tokens, 1)}


def _color(color: Color, description: str = "") -> Fields:
    value: Fields = {
        "colorSpace": "srgb",
        "components": [round(channel / 255, 4) for channel in color[:3]],
        "alpha": round(color.alpha, 3),
        "hex": color.hex,
    }
    return _token("color", value, description)


def _token(kind: str, value: Any, description: str = "") -> Fields:
    token: Fields = {"$type": kind, "$value": value}
    return token | ({"$description": description} if description else {})


def _dimension(value: float, description: str = "", unit: str = "px") -> Fields:
    return _token("dimension", {"value": value, "unit": unit}, description)


#: Group of colors, and what their shares are of.
_SHARES = (("background", "of the area"), ("text", "of the text"), ("palette", "of both"))


def _colors(colors: Fields) -> Fields:
    groups: Fields = {}
    for name, whole in _SHARES:
        groups[name] = _numbered(_shared_colors(colors.get(name, ()), whole))
    groups["accent"] = _numbered(_color(parse_hex(hex_)) for hex_ in colors.get("accent", ()))
    return _not_empty(groups)


def _shared_colors(shares: list[tuple[str, float]], whole: str) -> list[Fields]:
    return [_color(parse_hex(hex_), f"{share:.1%} {whole}") for hex_, share in shares]


def _fonts(typography: Fields) -> Fields:
    families = _numbered(
        _token("fontFamily", item["declared"], f"{item['share']:.0%} of the text")
        for item in typography.get("families", ())
    )
    scale: list[Fields] = typography.get("scale", [])
    groups: Fields = {
        "family": families,
        "size": _numbered(_sizes(scale)),
        "weight": _weights(scale),
        "text": _numbered(_typography(step, typography) for step in scale),
    }
    return _not_empty(groups)


def _sizes(scale: list[Fields]) -> list[Fields]:
    """The font sizes, the smallest first, each with how much text has it."""
    characters: Counter[float] = Counter()
    for step in scale:
        characters[step["size"]] += step["chars"]
    return [_dimension(size, f"{characters[size]} characters") for size in sorted(characters)]


def _weights(scale: list[Fields]) -> Fields:
    weights = sorted({int(step["weight"]) for step in scale})
    return {str(weight): _token("fontWeight", weight) for weight in weights}


def _typography(step: Fields, typography: Fields) -> Fields:
    value: Fields = {
        "fontFamily": step.get("family") or _main_family(typography),
        "fontSize": {"value": step["size"], "unit": "px"},
        "fontWeight": step["weight"],
        "letterSpacing": {"value": 0, "unit": "px"},
        "lineHeight": _line_height(step),
    }
    return _token("typography", value, f"{step['chars']} characters")


def _line_height(step: Fields) -> float:
    """The line height as a multiple of the font size."""
    return round(step["lineHeight"] / step["size"], 3) if step["size"] else 1.2


def _main_family(typography: Fields) -> str:
    families: list[Fields] = typography.get("families", [])
    return families[0]["declared"] if families else "sans-serif"


def _radii(design: Fields) -> list[Fields]:
    """Radii in pixels; a share of the box has no place in the format."""
    radii: list[tuple[float, int]] = []
    for text, count in design.get("radii", ()):
        match = _NUMBER.match(text)
        if match is not None and match[2] == "px":
            radii.append((float(match[1]), count))
    return _used_dimensions(sorted(radii))


def _used_dimensions(values: list[tuple[float, int]]) -> list[Fields]:
    """Lengths in pixels, each of which says how often it is used."""
    return [_dimension(value, f"used {count} times") for value, count in values]


def _shadows(design: Fields) -> list[Fields]:
    tokens: list[Fields] = []
    for text, count in design.get("shadows", ()):
        value = _shadow(text)
        if value is not None:
            tokens.append(_token("shadow", value, f"used {count} times"))
    return tokens


def _shadow(text: str) -> Fields | None:
    """One shadow; None for several in one value, or one that was cut."""
    match = _SHADOW.match(text)
    color = parse_color(match[1]) if match else None
    return _shadow_value(match, color) if match and color is not None else None


def _shadow_value(match: re.Match[str], color: Color) -> Fields:
    value: Fields = {"color": _color(color)["$value"]}
    for group, name in enumerate(_LENGTHS, 2):
        value[name] = {"value": float(match[group]), "unit": "px"}
    if match[6]:
        value["inset"] = True
    return value


def _own(variables: Any) -> Fields:
    """The page's own variables whose value is a plain color, length, time or curve."""
    tokens: Fields = {}
    for variable in variables:
        name, token = _own_name(variable), _own_token(variable)
        if name and token is not None:
            tokens.setdefault(name, token)
    return dict(islice(tokens.items(), MAX_OWN))


def _own_name(variable: Fields) -> str:
    # The format reserves dots and braces for references, and a leading dollar for itself.
    return re.sub(r"[.{}$]", "-", variable["name"].lstrip("-"))


def _own_token(variable: Fields) -> Fields | None:
    if not _is_global(variable["scope"]):
        return None
    return _literal(variable["value"], f"used {variable['uses']} times")


def _is_global(scope: str) -> bool:
    return scope in ("html", "body", ":host") or ":root" in scope


def _literal(value: str, description: str) -> Fields | None:
    number = _NUMBER.match(value)
    if number is not None:
        return _measure(float(number[1]), number[2], description)
    curve = _BEZIER.match(value)
    if curve is not None:
        return _token("cubicBezier", list(map(float, curve.groups())), description)
    return _literal_color(value, description)


def _measure(amount: float, unit: str, description: str) -> Fields | None:
    if unit in ("ms", "s"):
        return _token("duration", {"value": amount, "unit": unit}, description)
    return _dimension(amount, description, unit) if unit in ("px", "rem") else None


def _literal_color(value: str, description: str) -> Fields | None:
    color = _parse_hex_of_any_length(value) if _HEX.match(value) else parse_color(value)
    return _color(color, description) if color is not None else None


def _parse_hex_of_any_length(text: str) -> Color:
    digits = text[1:]
    if len(digits) < 6:
        digits = "".join(digit * 2 for digit in digits)
    alpha = int(digits[6:8], 16) / 255 if len(digits) == 8 else 1.0
    return parse_hex(f"#{digits[:6]}")._replace(alpha=alpha)


# --- as CSS ---


def tokens_as_css(tokens: Fields) -> str:
    """The tokens as custom properties of the root."""
    lines = [f"  --{name}: {value};" for name, value in _properties(tokens, "")]
    return ":root {\n" + "\n".join(lines) + "\n}\n"


def _properties(group: Fields, prefix: str) -> list[tuple[str, str]]:
    properties: list[tuple[str, str]] = []
    for name, item in group.items():
        path = _path(prefix, name)
        if "$value" in item:
            properties += _as_css(path, item["$type"], item["$value"])
        else:
            properties += _properties(item, path)
    return properties


def _path(prefix: str, name: str) -> str:
    return re.sub(r"[^\w-]", "-", f"{prefix}-{name}" if prefix else name)


def _as_css(path: str, kind: str, value: Any) -> list[tuple[str, str]]:
    if kind == "typography":
        # A shorthand cannot carry letter spacing; everything else of the token is in it.
        size = f"{_length(value['fontSize'])}/{value['lineHeight']:g}"
        return [(path, f"{value['fontWeight']} {size} {_quoted(value['fontFamily'])}")]
    plain = {
        "color": lambda: _css_color(value),
        "dimension": lambda: _length(value),
        "duration": lambda: _length(value),
        "fontFamily": lambda: _quoted(value),
        "cubicBezier": lambda: f"cubic-bezier({', '.join(f'{part:g}' for part in value)})",
        "shadow": lambda: _css_shadow(value),
    }
    return [(path, plain[kind]() if kind in plain else f"{value:g}")]


def _length(value: Fields) -> str:
    return f"{value['value']:g}{value['unit']}"


def _css_color(value: Fields) -> str:
    return str(value["hex"]) + (f"{round(value['alpha'] * 255):02x}" if value["alpha"] < 1 else "")


def _css_shadow(value: Fields) -> str:
    lengths = " ".join(_length(value[name]) for name in _LENGTHS)
    return f"{'inset ' if value.get('inset') else ''}{lengths} {_css_color(value['color'])}"


_GENERIC = frozenset(
    {"serif", "sans-serif", "monospace", "system-ui", "cursive", "fantasy", "ui-monospace"}
)


def _quoted(family: str) -> str:
    """A family's name as CSS writes it. It comes from the page, so nothing in it may end the
    declaration.
    """
    return family if family in _GENERIC else '"' + re.sub(r'["\\;{}<>\n]', "", family) + '"'
