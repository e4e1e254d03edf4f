"""The argument ``profiles``: further options, as clients write them.

A JSON object; its text; the same with single quotes, with ``True`` and ``False``, or without its braces
(spec section 1.5).
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, cast

from checkback.kinds.documents import failures

MAX_CHARACTERS = 20_000


def parse_profiles(profiles: str | dict[str, Any]) -> dict[str, Any]:
    """The options by their names in small letters. Raises the failure ``invalid_profiles``."""
    if isinstance(profiles, dict):
        return {str(name).lower(): value for name, value in profiles.items()}
    text = profiles.strip()
    if not text:
        return {}
    if len(text) > MAX_CHARACTERS:
        raise failures.invalid_profiles()
    for candidate in (text, f"{{{text}}}"):
        found = _read(candidate)
        if isinstance(found, dict):
            return {str(name).lower(): value for name, value in cast("dict[Any, Any]", found).items()}
    raise failures.invalid_profiles()


def flag_of(profiles: dict[str, Any], name: str, default: bool = False) -> bool:
    """An option that is yes or no, also as text."""
    value = profiles.get(name.lower(), default)
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    words = {"true": "True", "false": "False", "null": "None"}
    pythonic = re.sub(r"\b(true|false|null)\b", lambda match: words[match[1]], text)
    try:
        return ast.literal_eval(pythonic)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
