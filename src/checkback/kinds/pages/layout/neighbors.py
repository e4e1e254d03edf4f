"""Joins neighbors in a list: blocks or sections that belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
#: Whether the second item belongs to the first, the one before it.
Belongs = Callable[[T, T], bool]
#: One item made of two.
Join = Callable[[T, T], T]


def join_neighbors(items: Iterable[T], belongs: Belongs[T], join: Join[T]) -> list[T]:
    """Join each item that belongs to the one before it, as that has become by then."""
    joined: list[T] = []
    for item in items:
        if joined and belongs(joined[-1], item):
            joined[-1] = join(joined[-1], item)
        else:
            joined.append(item)
    return joined


def join_pairs(items: Iterable[T], belongs: Belongs[T], join: Join[T]) -> list[T]:
    """Join each item that belongs to the one before it, never more than two."""
    joined: list[T] = []
    is_single = False
    for item in items:
        if is_single and belongs(joined[-1], item):
            joined[-1] = join(joined[-1], item)
            is_single = False
        else:
            joined.append(item)
            is_single = True
    return joined
