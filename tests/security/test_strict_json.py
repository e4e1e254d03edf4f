"""JSON from strangers: what is refused before anybody looks at it."""

from __future__ import annotations

import pytest

from checkback.core.errors import InvalidInput
from checkback.security import strict_json


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b'{"a": [1, 2.5, null, true, "\xc3\xa9"]}', {"a": [1, 2.5, None, True, "é"]}),
        (b"7", 7),
    ],
)
def test_plain_json_is_read(raw: bytes, value: object) -> None:
    assert strict_json.parse(raw) == value


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b'"\xff"', "UTF-8"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b'{"a": 1, "a": 2}', "same key twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "same key twice"),
        (b"[NaN]", "NaN is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b"[1e400]", "infinities"),
        (b"[" * 65 + b"]" * 65, "nested"),
        (b"[" * 10_000 + b"]" * 10_000, "nested"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested"),
        (b"1" * 5000, "number"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
    ],
)
def test_everything_else_is_refused(raw: bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        strict_json.parse(raw)


def test_64_levels_are_enough_for_everybody() -> None:
    assert strict_json.parse(b"[" * 64 + b"]" * 64)
