"""Reads JSON from strangers: what two parsers may read differently, or cannot write again, is
refused.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, cast

from checkback.core.errors import InvalidInput
from checkback.core.job import JSON

MAX_DEPTH = 64


def parse(raw: bytes, *, max_depth: int = MAX_DEPTH) -> JSON:
    """The value of a JSON text in UTF-8.

    Raises InvalidInput for bad UTF-8, duplicate keys, NaN, infinities (1e400 too), lone surrogates,
    more than ``max_depth`` levels, and anything that is not JSON.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=unique,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError:
        raise InvalidInput("The body is not valid UTF-8.") from None
    except RecursionError:
        raise InvalidInput(f"The JSON is nested deeper than {max_depth} levels.") from None
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"The body is not valid JSON: {error.msg} at character {error.pos}."
        ) from None
    except ValueError:  # a whole number of more digits than Python converts
        raise InvalidInput("The JSON holds a number that is too long.") from None
    check(value, max_depth=max_depth)
    return value


def check(value: JSON, *, max_depth: int = MAX_DEPTH) -> None:
    """Raise InvalidInput unless an already parsed value could be written as JSON again."""
    level: list[Any] = [value]
    depth = 0
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict | list) and depth == max_depth:
                raise InvalidInput(f"The JSON is nested deeper than {max_depth} levels.")
            if isinstance(item, dict):
                members = cast("dict[str, Any]", item)
                below += [*members.keys(), *members.values()]
            elif isinstance(item, list):
                below += cast("list[Any]", item)
            elif isinstance(item, str):
                _check_text(item)
            elif isinstance(item, float) and not math.isfinite(item):
                raise InvalidInput("NaN and infinities are not JSON.")
        level = below
        depth += 1


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidInput(
                "The JSON contains half of a surrogate pair, which is not a character."
            ) from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these members. Raises InvalidInput for a key that is there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidInput("The JSON has an object with the same key twice.")
    return members


def _no_constant(name: str) -> NoReturn:
    raise InvalidInput(f"{name} is not JSON.")
