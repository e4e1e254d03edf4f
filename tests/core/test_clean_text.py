"""What no door could encode is replaced, and nothing else is touched."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkback.core.clean_text import MAX_DEPTH, clean, clean_json, is_too_deep

ANY_TEXT = st.text(st.characters(codec=None, categories=None))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=20,
)


@given(ANY_TEXT)
def test_a_clean_text_can_be_encoded_and_differs_only_at_halves_of_pairs(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    if not any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        assert cleaned == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("name\udce9", "name\ufffd"),
        ("\ud800", "\ufffd"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("a\ud83d\ude00b", "a\N{GRINNING FACE}b"),
        ("\ud83d\ud83d\ude00", "\ufffd\N{GRINNING FACE}"),
        ("\0 stays", "\0 stays"),
        ("\ufeff\ufffe stay, \ufffd too", "\ufeff\ufffe stay, \ufffd too"),
    ],
)
def test_each_half_of_a_pair_becomes_one_replacement_character(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(ANY_JSON)
def test_a_clean_value_can_be_written_as_strict_json(value: Any) -> None:
    json.dumps(clean_json(value), ensure_ascii=False, allow_nan=False).encode()


def test_keys_that_become_equal_are_numbered() -> None:
    value = dict(zip(["a\udce9", "a\udce8", "a\ufffd"], [1, 2, 3], strict=True))
    assert clean_json(value) == {"a\ufffd (2)": 1, "a\ufffd (3)": 2, "a\ufffd": 3}


def test_numbers_that_json_cannot_write_become_null() -> None:
    assert clean_json([math.nan, math.inf, -math.inf, 1.5, 10**400]) == [
        None,
        None,
        None,
        1.5,
        10**400,
    ]


def nested(levels: int) -> Any:
    value: Any = 1
    for number in range(levels):
        value = [value] if number % 2 else {"x": value}
    return value


def test_depth_is_limited() -> None:
    assert clean_json(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(RecursionError):
        clean_json(nested(MAX_DEPTH + 1))
    assert [is_too_deep(nested(MAX_DEPTH + more)) for more in (0, 1, 10_000)] == [False, True, True]
