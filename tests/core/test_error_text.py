"""Values and suggestions in error messages."""

from __future__ import annotations

import pytest

from checkback.core.error_text import closest, did_you_mean, listed, quoted


def test_a_long_value_is_cut() -> None:
    shown = quoted("x" * 200)
    assert shown == '"' + "x" * 79 + '…"'


def test_control_characters_are_escaped() -> None:
    assert quoted("a\nb\x1b[31m\u202e") == '"a\\nb\\x1b[31m\\u202e"'


@pytest.mark.parametrize(
    ("name", "match"),
    [("pdf.to_txt", "pdf.to_text"), ("PDF.TO_TEXT", "pdf.to_text"), ("zebra", None), ("", None)],
)
def test_the_closest_name_is_found(name: str, match: str | None) -> None:
    assert closest(name, ["pdf.to_text", "page.analyze"]) == match


def test_nothing_is_suggested_for_a_name_like_no_other() -> None:
    assert did_you_mean("zebra", ["pdf.to_text"]) == ""
    assert did_you_mean("pdf.totext", ["pdf.to_text"]) == " Did you mean pdf.to_text?"


def test_names_are_listed_as_in_a_sentence() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b or c"
