"""Worksheets are chosen by number."""

from __future__ import annotations

import pytest

from checkback.core.errors import JobFailed
from checkback.kinds.documents.sheets.read import sheet_number


@pytest.mark.parametrize(
    ("worksheet_index", "number"), [("", 1), (" ", 1), ("0", 1), ("1", 1), (" 2 ", 2), ("+3", 3)]
)
def test_a_worksheet_is_chosen_by_its_number_from_1(worksheet_index: str, number: int) -> None:
    assert sheet_number(worksheet_index, 3) == number


@pytest.mark.parametrize("worksheet_index", ["--1", "-", "1-", "1.5", "one", "²", "9" * 5000])
def test_what_is_no_number_is_an_invalid_option(worksheet_index: str) -> None:
    with pytest.raises(JobFailed) as caught:
        sheet_number(worksheet_index, 3)
    assert caught.value.code == "invalid_option"
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("worksheet_index", ["-1", "4", "999999999999"])
def test_a_worksheet_that_is_not_there_is_out_of_range(worksheet_index: str) -> None:
    with pytest.raises(JobFailed) as caught:
        sheet_number(worksheet_index, 3)
    assert caught.value.code == "index_out_of_range"
