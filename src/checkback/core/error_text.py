"""Pieces of error messages: a value as it may be shown, and what the caller probably meant."""

from __future__ import annotations

from collections.abc import Iterable

MAX_SHOWN = 80
"""Characters of a caller's value that an error repeats."""

LIKENESS = 0.7
"""How much two names must be alike, from 0 to 1, for one to be suggested in place of the other."""


def quoted(value: object) -> str:
    """A value in double quotes, cut to ``MAX_SHOWN`` characters, with control characters escaped.

    Only for values that the caller sent and that are not secret.
    """
    text = str(value)
    shown = text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
    return '"' + "".join(_escaped(character) for character in shown) + '"'


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``; None when no known name is like it."""
    # Imported here: only an error needs it, and `checkback check` must start fast.
    from difflib import get_close_matches

    by_folded = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(name[:MAX_SHOWN].lower(), by_folded, n=1, cutoff=LIKENESS)
    return by_folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """A sentence to append to an error about an unknown name, with a space before it; "" when no
    known name is like it. All names begin with ``prefix``, which does not count.
    """
    match = closest(name.removeprefix(prefix), (one.removeprefix(prefix) for one in known))
    return f" Did you mean {prefix}{match}?" if match else ""


def listed(names: Iterable[str], last: str = "or") -> str:
    """Names as in ``a, b or c``."""
    *rest, final = names
    return f"{', '.join(rest)} {last} {final}" if rest else final
