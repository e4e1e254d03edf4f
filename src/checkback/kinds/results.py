"""A job's result as it is stored: JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from checkback.core.clean_text import MAX_DEPTH, clean_json
from checkback.core.errors import JobFailed
from checkback.core.job import JSON
from checkback.kinds.context import ResultWarning


def encode_result(value: Any, warnings: Sequence[ResultWarning] = ()) -> tuple[str, bool]:
    """What a function returned as JSON text, and whether all its text was valid Unicode.

    Warnings are added where the result is an object. Raises JobFailed for what is not JSON, or
    nested too deep.
    """
    try:
        plain, was_clean = _plain(value)
        return json.dumps(_with_warnings(plain, warnings), allow_nan=False), was_clean
    except RecursionError:
        raise JobFailed(
            "invalid_result",
            f"The job returned something nested deeper than {MAX_DEPTH} levels.",
            retryable=False,
            hint="Return flatter values, or keep a file with ctx.artifact().",
        ) from None
    except (TypeError, ValueError):
        raise JobFailed(
            "invalid_result",
            "The job returned something that is not JSON.",
            retryable=False,
            hint="Return plain values, lists and dicts, and keep files with ctx.artifact().",
        ) from None


def _with_warnings(result: JSON, warnings: Sequence[ResultWarning]) -> JSON:
    if not warnings or not isinstance(result, dict):
        return result
    fields = cast("dict[str, JSON]", result)
    own = fields.get("warnings")
    listed = cast("list[JSON]", own) if isinstance(own, list) else []
    return {**fields, "warnings": [*listed, *(asdict(warning) for warning in warnings)]}


def _plain(value: Any) -> tuple[JSON, bool]:
    """A result as plain JSON values, and whether all its text was valid Unicode; models and
    dataclasses are taken apart. Raises RecursionError, TypeError or ValueError for what is not
    JSON.
    """
    if isinstance(value, bool | int | None):
        return value, True
    if isinstance(value, float):
        return _finite(value), True
    # Before, because pydantic refuses keys that are not clean; after, for what was in models and
    # paths.
    cleaned = clean_json(value, numbers=False)
    if isinstance(cleaned, str):
        return cleaned, cleaned == value
    from pydantic_core import to_jsonable_python

    made = to_jsonable_python(cleaned)
    plain = clean_json(made, numbers=False)
    return plain, _is_equal(cleaned, value) and _is_equal(plain, made)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("not a JSON number")
    return number


def _is_equal(one: Any, other: Any) -> bool:
    """As ``==``, also where the values do not compare to a yes or no, as arrays do not."""
    try:
        return bool(one == other)
    except (TypeError, ValueError):
        return True
