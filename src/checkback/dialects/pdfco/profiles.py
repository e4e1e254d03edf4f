"""The parameter ``profiles`` of PDF.co's API: further options, as clients write them.

A JSON object; its text; the same with single quotes, with ``True`` and ``False``, without its
braces, with comments, or with its options inside ``{"profiles": [{"profile1": {...}}]}`` as the
vendor's samples have them (spec section 1.5).
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, cast

from checkback.core.errors import InvalidInput

Fields = dict[str, Any]

MAX_CHARACTERS = 20_000
STANDARD = "std_params"
"""Contains normal parameters; they replace those outside of it."""

_COMMENT = re.compile(r"(?m)(?<![:\w])//[^\n]*$")


class InvalidProfiles(InvalidInput):
    """`profiles` cannot be read."""

    hint = "Write it as the text of a JSON object, such as {'TrimSpaces': true}, or leave it out."


def parse_profiles(profiles: Any) -> Fields:
    """The options by their names as written. Raises InvalidProfiles."""
    if profiles is None:
        return {}
    if isinstance(profiles, dict):
        return _flattened(cast("Fields", profiles))
    if not isinstance(profiles, str) or len(profiles) > MAX_CHARACTERS:
        raise InvalidProfiles
    text = profiles.strip()
    if not text:
        return {}
    for candidate in (text, f"{{{text}}}"):
        options = _read(candidate)
        if isinstance(options, dict):
            return _flattened(
                {str(name): value for name, value in cast("dict[Any, Any]", options).items()}
            )
    raise InvalidProfiles


def _flattened(options: Fields) -> Fields:
    """Without the wrapping that samples have: a list of objects that name their options'
    objects.
    """
    wrapped = options.get("profiles")
    if not isinstance(wrapped, list):
        return options
    flat: Fields = {name: value for name, value in options.items() if name != "profiles"}
    for item in cast("list[Any]", wrapped):
        if isinstance(item, dict):
            flat |= _unwrapped(cast("Fields", item))
    return flat


def _unwrapped(item: Fields) -> Fields:
    flat: Fields = {}
    for name, value in item.items():
        flat |= cast("Fields", value) if isinstance(value, dict) else {name: value}
    return flat


def _read(text: str) -> Any:
    for plain in (text, _COMMENT.sub("", text)):
        try:
            return json.loads(plain)
        except (ValueError, RecursionError):
            continue
    words = {"true": "True", "false": "False", "null": "None"}
    pythonic = re.sub(
        r"\b(true|false|null)\b", lambda match: words[match[1]], _COMMENT.sub("", text)
    )
    try:
        return ast.literal_eval(pythonic)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
