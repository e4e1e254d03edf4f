"""Vertical writing, as in Chinese and Japanese: characters below each other, columns from right to
left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise

from checkback.kinds.documents.pdf.text.words import Word

_MAX_CHARACTERS = 3
"""Characters next to each other in a column: one, with punctuation, or a short number."""
_MIN_SHARE = 0.5
_MIN_WORDS = 10
_GAP = 0.8
"""A gap of this many heights in a column is a space."""


def split_columns(words: Sequence[Word]) -> tuple[list[list[Word]], list[Word]]:
    """The columns of vertical writing from right to left, and the words outside of them.

    ``words`` must be in reading order. There are no columns unless most of the words are in
    columns.
    """
    runs = _runs(words)
    count = sum(map(len, runs))
    if count < _MIN_WORDS or count < _MIN_SHARE * len(words):
        return [], list(words)
    columns = list(chain.from_iterable(map(_columns, _bands(runs))))
    in_columns = set(map(id, chain.from_iterable(runs)))
    return columns, [word for word in words if id(word) not in in_columns]


def column_text(words: Sequence[Word]) -> str:
    """The text of a column, with a space at each gap."""
    parts = [word.text for word in words[:1]]
    for before, word in pairwise(words):
        is_gap = word.top - before.bottom > _GAP * max(1.0, before.height)
        parts.append(f" {word.text}" if is_gap else word.text)
    return "".join(parts)


def _runs(words: Sequence[Word]) -> list[list[Word]]:
    """Sequences of two or more words below each other."""
    runs: list[list[Word]] = []
    run: list[Word] = []
    for word in words:
        if run and not _below(run[-1], word):
            runs.append(run)
            run = []
        if len(word.text) <= _MAX_CHARACTERS:
            run.append(word)
    runs.append(run)
    return [run for run in runs if len(run) > 1]


def _bands(runs: list[list[Word]]) -> list[list[list[Word]]]:
    """The runs of each part of the page, from top to bottom: a page may have several rows of
    columns.
    """
    bands: list[list[list[Word]]] = []
    bottom = 0.0
    for run in sorted(runs, key=lambda run: run[0].top):
        if bands and run[0].top < bottom:
            bands[-1].append(run)
        else:
            bands.append([run])
        bottom = max(bottom, run[-1].bottom)
    return bands


def _columns(runs: list[list[Word]]) -> list[list[Word]]:
    """The runs of one part of the page as columns from right to left, each from top to bottom."""
    columns: list[list[Word]] = []
    for run in sorted(runs, key=lambda run: -_across(run[0])):
        max_distance = 0.6 * run[0].height
        if columns and abs(_across(columns[-1][0]) - _across(run[0])) < max_distance:
            columns[-1] += run
        else:
            columns.append(list(run))
    return [sorted(column, key=lambda word: word.top) for column in columns]


def _below(one: Word, other: Word) -> bool:
    height = max(1.0, one.height)
    return (
        abs(_across(one) - _across(other)) < 0.6 * height
        and 0.4 * height < other.top - one.top < 3 * height
    )


def _across(word: Word) -> float:
    # Punctuation next to a character must not move its column: only the left edges count.
    return word.x0 + word.height / 2
