"""Finds text on the pages of a PDF and tells where: literally, as whole words, or by a regular
expression.

A regular expression may run for ever, so each page has a time limit. Python's own ``re`` has none.
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
"""How long the search of one page may take: thousands of times what an ordinary expression needs.
"""

Match = dict[str, Any]


def pattern_of(search: str, matching: str | None, *, regex: bool) -> expressions.Pattern[str]:
    """What to look for. ``ExactMatch`` takes whole words and minds the case; the others neither.

    Blanks stand for any blank of the page, a line's end among them. Raises the failure
    ``invalid_option``.
    """
    try:
        if regex:
            return expressions.compile(search, expressions.MULTILINE)
        words = r"\s+".join(expressions.escape(word) for word in search.split())
        if matching == "ExactMatch":
            return expressions.compile(rf"(?<!\w){words}(?!\w)")
        return expressions.compile(words, expressions.IGNORECASE)
    except (expressions.error, OverflowError, RecursionError):
        raise failures.invalid_pattern(search) from None


def matches_of(
    page: Any, content: PageText, pattern: expressions.Pattern[str], page_index: int
) -> list[Match]:
    """Every match on a page, with its box in points from the top left; one that breaks over lines
    has a box that holds all of it. Raises the failure ``pattern_too_slow``.
    """
    try:
        matches = pattern.finditer(content.text, timeout=PAGE_SECONDS)
        spans = [match.span() for match in islice(matches, MAX_MATCHES)]
    except TimeoutError:
        raise failures.pattern_too_slow(page_index, PAGE_SECONDS) from None
    shown = [[at for at in range(*span) if not content.text[at].isspace()] for span in spans]
    boxes = iter(character_boxes(page, content.frame, list(chain.from_iterable(shown))))
    return [
        _described(content.text[start:end], list(islice(boxes, len(indexes))), page_index)
        for (start, end), indexes in zip(spans, shown, strict=True)
        if indexes
    ]


def _described(
    text: str, boxes: Sequence[tuple[float, float, float, float]], page_index: int
) -> Match:
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    return {
        "text": " ".join(text.split()),
        "left": round(left, 2),
        "top": round(top, 2),
        "width": round(right - left, 2),
        "height": round(bottom - top, 2),
        "pageIndex": page_index,
    }
