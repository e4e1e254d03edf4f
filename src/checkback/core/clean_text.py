"""Text and JSON values that every API can encode: no half of a surrogate pair, no NaN, no endless
nesting.

Python and JavaScript allow half a surrogate pair in a string, and JSON can write one as
``\\ud800``, but it is not a character and UTF-8 cannot hold it. ``os.listdir`` gives such text for
a file name that is not UTF-8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from checkback.core.job import JSON

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MAX_DEPTH = 100
"""Levels of lists and objects. MCP's libraries stop at 255, Python's own JSON at about 1000."""


def clean(text: str) -> str:
    """The text with U+FFFD in place of each half of a surrogate pair; the same object if it has
    none of these.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # Two halves that belong together become the character that they stand for.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def replaced(where: str) -> str:
    """The line of a job's log that says where its text was not valid."""
    return (
        f"Text in the job's {where} was not valid Unicode; U+FFFD replaces what could not be read."
    )


def clean_json(value: JSON, *, numbers: bool = True) -> JSON:
    """A JSON value in which every text is clean, including keys; with ``numbers``, NaN and
    infinities become null.

    Keys that become equal are numbered, so that none is lost. Raises RecursionError for a value of
    more than ``MAX_DEPTH`` levels. Tuples stay what they are, as does everything that is not JSON.
    """
    return _clean(value, numbers, 0)


def numbered(name: str, is_taken: Callable[[str], bool], ending: str = "") -> str:
    """``name + ending``, with the first number between them that makes an unused name if it is
    taken.
    """
    tried, number = name + ending, 1
    while is_taken(tried):
        number += 1
        tried = f"{name} ({number}){ending}"
    return tried


def is_too_deep(value: JSON) -> bool:
    """Whether a JSON value has more than ``MAX_DEPTH`` levels."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        held = False
        for item in level:
            if isinstance(item, dict):
                below += cast("dict[Any, Any]", item).values()
                held = True
            elif isinstance(item, list | tuple):
                below += cast("list[Any]", item)
                held = True
        if not held:
            return False
        level = below
    return True


def _clean(value: JSON, numbers: bool, depth: int) -> JSON:
    match value:
        case str():
            return clean(value)
        case float():
            return _finite(value) if numbers else value
        case dict() | list() | tuple():
            if depth == MAX_DEPTH:
                raise RecursionError(f"nested more than {MAX_DEPTH} levels deep")
            return _clean_container(cast("Any", value), numbers, depth + 1)
        case _:
            return value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _clean_container(value: Any, numbers: bool, depth: int) -> JSON:
    if isinstance(value, dict):
        return _clean_members(cast("dict[Any, Any]", value), numbers, depth)
    items = [_clean(item, numbers, depth) for item in cast("list[Any]", value)]
    return items if isinstance(value, list) else tuple(items)


def _clean_members(members: dict[Any, Any], numbers: bool, depth: int) -> dict[Any, Any]:
    cleaned: dict[Any, Any] = {}
    for key, item in members.items():
        name: Any = clean(key) if isinstance(key, str) else key
        if name != key:
            name = numbered(name, lambda tried: tried in cleaned or tried in members)
        cleaned[name] = _clean(item, numbers, depth)
    return cleaned
