"""The argument ``pages``: numbers and ranges separated by commas, ``!`` to count from the end,
``*`` for each page alone.

Parts are ``N``, ``N-M``, ``N-``, ``!N``, ``1-!1`` and so on. Whitespace is ignored, and a range may
run backwards. Pages are counted from 0, and from 1 when a PDF is split. There both ``!0`` and
``!1`` are the last page: PDF.co's documents say one, its OpenAPI the other (spec section 1.5).
"""

from __future__ import annotations

import re

from checkback.kinds.documents import failures

_PART = re.compile(r"(!?)(\d{1,9})(?:(-)(?:(!?)(\d{1,9}))?)?")


def page_groups(spec: str, count: int, base: int = 0) -> list[list[int]]:
    """The pages of each part, as indexes from 0. An empty ``spec`` is one group of all pages.

    Raises the failure ``invalid_pages`` unless ``spec`` is a list of pages of a document of
    ``count`` pages.
    """
    text = re.sub(r"\s+", "", spec)
    if not text:
        return [list(range(count))]
    groups = _groups_of(text, count, base)
    if not groups:
        raise failures.invalid_pages(spec, count)
    return groups


def _groups_of(text: str, count: int, base: int) -> list[list[int]]:
    groups: list[list[int]] = []
    for part in filter(None, text.split(",")):
        if part == "*":
            groups += [[index] for index in range(count)]
        else:
            groups.append(_pages_of(part, count, base))
    return groups


def page_list(spec: str, count: int, base: int = 0) -> list[int]:
    """All pages of all parts, in order, each once."""
    return list(dict.fromkeys(index for group in page_groups(spec, count, base) for index in group))


def _pages_of(part: str, count: int, base: int) -> list[int]:
    """The pages of one number or range."""
    first, last = _ends_of(part, count, base)
    if not (0 <= first < count and 0 <= last < count):
        raise failures.invalid_pages(part, count)
    step = 1 if first <= last else -1
    return list(range(first, last + step, step))


def _ends_of(part: str, count: int, base: int) -> tuple[int, int]:
    """The indexes of the first and the last page, which the document may not have."""
    match = _PART.fullmatch(part)
    if match is None:
        raise failures.invalid_pages(part, count)
    from_end, number, dash, to_end, last_number = match.groups()
    first = _index(from_end, number, count, base)
    if last_number is not None:
        return first, _index(to_end, last_number, count, base)
    last = count - 1 if dash else first
    return first, last


def _index(from_end: str, number: str, count: int, base: int) -> int:
    """The index of a page from 0; with ``from_end`` the number counts from the last page."""
    value = int(number)
    if not from_end:
        return value - base
    if base and value:
        value -= base
    return count - 1 - value
