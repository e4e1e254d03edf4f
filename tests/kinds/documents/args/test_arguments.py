from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkback.core.errors import JobFailed
from checkback.kinds.documents.args.pages_argument import page_groups, page_list
from checkback.kinds.documents.args.rect_argument import parse_rect


@pytest.mark.parametrize(
    ("spec", "groups"),
    [
        ("", [[0, 1, 2, 3, 4, 5, 6, 7]]),
        ("0", [[0]]),
        ("0, 1, 2-", [[0], [1], [2, 3, 4, 5, 6, 7]]),
        ("1, 3-7", [[1], [3, 4, 5, 6, 7]]),
        ("!0", [[7]]),
        ("1-!1", [[1, 2, 3, 4, 5, 6]]),
        ("!1-", [[6, 7]]),
        ("!2-!0", [[5, 6, 7]]),
        ("*", [[0], [1], [2], [3], [4], [5], [6], [7]]),
        ("3-1", [[3, 2, 1]]),
        (" 2 - 4 ", [[2, 3, 4]]),
        ("0-", [[0, 1, 2, 3, 4, 5, 6, 7]]),
        ("1,,2", [[1], [2]]),
    ],
)
def test_pages_counted_from_0(spec: str, groups: list[list[int]]) -> None:
    assert page_groups(spec, 8) == groups


@pytest.mark.parametrize(
    ("spec", "groups"),
    [("1-2,4-", [[0, 1], [3, 4, 5, 6, 7]]), ("!1", [[7]]), ("!0", [[7]]), ("!2", [[6]]), ("8", [[7]]),
     ("1,3,5-7", [[0], [2], [4, 5, 6]])],
)  # fmt: skip
def test_pages_counted_from_1_when_splitting(spec: str, groups: list[list[int]]) -> None:
    assert page_groups(spec, 8, 1) == groups


@pytest.mark.parametrize(
    ("spec", "base"),
    [
        ("9", 0),
        ("8", 0),
        ("a", 0),
        ("-3", 0),
        ("1-99", 0),
        ("!8", 0),
        ("0", 1),
        ("9", 1),
        (",", 0),
        ("1--2", 0),
        ("1.5", 0),
    ],
)
def test_what_names_no_pages_is_refused_with_the_page_count(spec: str, base: int) -> None:
    with pytest.raises(JobFailed, match="8 pages") as caught:
        page_groups(spec, 8, base)
    assert caught.value.code == "invalid_pages"


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), min_size=1, max_size=8))
def test_every_range_is_taken_in_its_own_direction(ranges: list[tuple[int, int]]) -> None:
    groups = page_groups(",".join(f"{first}-{last}" for first, last in ranges), 20)
    for (first, last), group in zip(ranges, groups, strict=True):
        assert (group[0], group[-1], len(group)) == (first, last, abs(last - first) + 1)


@given(
    st.text(alphabet="0123456789-!,* ", max_size=30), st.integers(1, 30), st.sampled_from([0, 1])
)
def test_whatever_is_written_gives_pages_of_the_document_or_is_refused(
    spec: str, count: int, base: int
) -> None:
    try:
        found = page_list(spec, count, base)
    except JobFailed as failure:
        assert failure.code == "invalid_pages"
    else:
        assert found
        assert len(set(found)) == len(found)
        assert set(found) <= set(range(count))


@pytest.mark.parametrize(
    "text", ["51.8,114.8,235.5,204.0", "51.8 114.8 235.5 204", "51.8, 114.8; 235.5 204.0 "]
)
def test_a_rectangle_is_four_numbers_however_parted(text: str) -> None:
    assert parse_rect(text) == (51.8, 114.8, 235.5, 204.0)
    assert parse_rect("  ") is None


@pytest.mark.parametrize(
    "text", ["1 2 3", "1 2 3 4 5", "a b c d", "0 0 0 10", "0 0 -5 10", "nan 0 1 1", "inf 0 1 1"]
)
def test_what_is_no_rectangle_is_refused(text: str) -> None:
    with pytest.raises(JobFailed) as caught:
        parse_rect(text)
    assert caught.value.code == "invalid_option"
