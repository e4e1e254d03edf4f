"""The argument ``pages``: numbers and ranges with commas, ``!`` to count from the end, ``*`` for
each alone.

Parts are ``N``, ``N-M``, ``N-``, ``!N``, ``1-!1`` and so on; blanks do not matter, a range may run
backwards. Pages are counted from 0, when splitting from 1; there both ``!0`` and ``!1`` are the
last page, because PDF.co's documents say the one and its OpenAPI the other (spec section 1.5).
"""

from __future__ import annotations

import re

from checkback.kinds.documents import failures

_PART = re.compile(r"(!?)(\d{1,9})(?:(-)(?:(!?)(\d{1,9}))?)?")


def page_groups(spec: str, count: int, base: int = 0) -> list[list[int]]:
    """The pages of each part, as indexes from 0; one group of all pages for an empty ``spec``.

    Raises the failure ``invalid_pages`` for what is no list of pages of a document of ``count``
    pages.
    """
    text = re.sub(r"\s+", "", spec)
    if not text:
        return [list(range(count))]
    groups: list[list[int]] = []
    for part in text.split(","):
        if part == "*":
            groups += [[index] for index in range(count)]
        elif part:
            groups.append(_pages_of(part, count, base))
    if not groups:
        raise failures.page_range(count)
    return groups


def page_list(spec: str, count: int, base: int = 0) -> list[int]:
    """All pages of all parts, in order, each once."""
    return list(dict.fromkeys(index for group in page_groups(spec, count, base) for index in group))


def _pages_of(part: str, count: int, base: int) -> list[int]:
    match = _PART.fullmatch(part)
    if match is None:
        raise failures.page_range(count)
    from_end, number, dash, to_end, last_number = match.groups()
    first = _index(from_end, number, count, base)
    last = first
    if dash:
        last = count - 1 if last_number is None else _index(to_end, last_number, count, base)
    if not (0 <= first < count and 0 <= last < count):
        raise failures.page_range(count)
    return list(range(first, last + 1)) if first <= last else list(range(first, last - 1, -1))


def _index(inverted: str, number: str, count: int, base: int) -> int:
    value = int(number)
    if inverted:
        return count - 1 - (value - base if base and value else value)
    return value - base
