"""Finds text on the pages of a PDF: literally, as whole words, or by a regular expression.

A regular expression may run forever, so each page has a time limit. Python's ``re`` has no limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

import regex as expressions

from checkback.kinds.documents import failures
from checkback.kinds.documents.pdf.text.words import PageText, character_boxes

MAX_MATCHES = 20_000
PAGE_SECONDS = 5.0
"""Limit for the search of one page: thousands of times what an ordinary expression needs."""

Match = dict[str, Any]


def pattern_of(search: str, matching: str | None, *, regex: bool) -> expressions.Pattern[str]:
    """The pattern to search for. ``ExactMatch`` finds whole words in the same case.

    A space matches any whitespace of the page, including the end of a line. Raises the failure
    ``invalid_option``.
    """
    try:
        return _compiled(search, matching, regex=regex)
    except (expressions.error, OverflowError, RecursionError):
        raise failures.invalid_pattern(search) from None


def _compiled(search: str, matching: str | None, *, regex: bool) -> expressions.Pattern[str]:
    if regex:
        return expressions.compile(search, expressions.MULTILINE)
    words = r"\s+".join(map(expressions.escape, search.split()))
    if matching == "ExactMatch":
        return expressions.compile(rf"(?<!\w){words}(?!\w)")
    return expressions.compile(words, expressions.IGNORECASE)


def matches_of(
    page: Any,
    content: PageText,
    pattern: expressions.Pattern[str],
    page_index: int,
    *,
    seconds: float = PAGE_SECONDS,
) -> list[Match]:
    """Every match on a page, with its box in points from the top left. The box of a match over
    several lines contains all of it. Raises the failure ``pattern_too_slow`` when the search takes
    longer than ``seconds``.
    """
    spans = _spans(content.text, pattern, page_index, seconds)
    visible = [_visible(content.text, *span) for span in spans]
    boxes = iter(character_boxes(page, content.frame, list(chain.from_iterable(visible))))
    described: list[Match] = []
    for (start, end), indexes in zip(spans, visible, strict=True):
        if indexes:
            match_boxes = list(islice(boxes, len(indexes)))
            described.append(_described(content.text[start:end], match_boxes, page_index))
    return described


def _spans(
    text: str, pattern: expressions.Pattern[str], page_index: int, seconds: float
) -> list[tuple[int, int]]:
    """Start and end of each match in the text."""
    try:
        matches = pattern.finditer(text, timeout=seconds)
        return [match.span() for match in islice(matches, MAX_MATCHES)]
    except TimeoutError:
        raise failures.pattern_too_slow(page_index, seconds) from None


def _visible(text: str, start: int, end: int) -> list[int]:
    """The positions of the characters that are not whitespace."""
    return [index for index in range(start, end) if not text[index].isspace()]


def _described(
    text: str, boxes: Sequence[tuple[float, float, float, float]], page_index: int
) -> Match:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
    return {
        "text": " ".join(text.split()),
        "left": round(left, 2),
        "top": round(top, 2),
        "width": round(right - left, 2),
        "height": round(bottom - top, 2),
        "pageIndex": page_index,
    }
