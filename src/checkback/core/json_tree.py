"""Walking through JSON values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from checkback.core.job import JSON


def map_members(value: Any, change: Callable[[Any], Any]) -> JSON:
    """A copy of an object or a list with each member changed; any other value as it is.

    Names become texts and tuples lists, as JSON has them.
    """
    if isinstance(value, dict):
        return {str(name): change(member) for name, member in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [change(member) for member in cast("list[Any]", value)]
    return value
