"""Removes what looks like a key from text that is logged or returned: messages, tracebacks, lines.

By form: keys of well-known makers, tokens in headers, passwords in addresses, ``password=...`` and
its like; and by value, where the secrets of a job are known. A secret that looks like a plain word
and is not known stays: nothing here is a reason to log one. Content (artifacts, results of kinds)
is what the caller asked for: it is left alone, except the report on a page.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

from checkback.core.json_tree import map_members

MASK = "***"
MAX_CHARACTERS = 200_000
"""What is longer is cut: nobody reads it, and no pattern should have to."""
SHORTEST_VALUE = 4
"""A known secret that is shorter is not looked for: it would mask half of every text."""

# Each pattern needs time in proportion to the text: what may repeat is bounded by what cannot
# follow it.
_KEYS = re.compile(
    r"""
    -----BEGIN\ [A-Z0-9 ]*PRIVATE\ KEY-----(?:(?!-----END).)*(?:-----END[A-Z0-9 ]*-----)?
    | (?<![A-Za-z0-9])(?:
        (?:sk|pk|rk)[-_](?=[A-Za-z0-9_-]{0,64}\d)[A-Za-z0-9_-]{16,}
        | (?:gh[opusr]|npm|hf|cb|glpat|shpat|dop_v1|pypi)[_-][A-Za-z0-9_-]{16,}
        | github_pat_[A-Za-z0-9_]{16,}
        | xox[a-z]-[A-Za-z0-9-]{8,} | xapp-[A-Za-z0-9-]{8,}
        | (?:AKIA|ASIA)[A-Z0-9]{12,}
        | AIza[A-Za-z0-9_-]{30,}
        | ya29\.[A-Za-z0-9_-]{16,}
        | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}
        | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_ADDRESS = re.compile(r"(://)[^\s/?\#@\"'<>]+@")
_IN_HEADER = re.compile(
    r"(?i)\b(bearer|basic)(\s+)(?=[^\s\"']{0,200}\d|[^\s\"']{24})[A-Za-z0-9._~+/=-]{6,}"
)
_PAIR = re.compile(
    r"""(?ix)
    (
      (?: passw(?:or)?d | pwd | passphrase | secret | token | api[_-]?key | access[_-]?key(?:[_-]?id)?
        | private[_-]?key | secret[_-]?key | credentials? | authorization | cookie | session[_-]?id
        | signature | x-amz-[a-z-]{1,40} | (?<=[?&])(?:key|sig|auth|code) )
      ["']? \s* (?: [:=] | %3d ) \s* (?: (?:bearer|basic|token) \s+ )? ["']?
    )
    [^\s"'&,;<>(){}\[\]]+
    """
)


_KEY_HINTS = (
    "sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "gho", "ghp", "ghu", "ghs", "ghr", "github_pat",
    "npm", "hf_", "hf-", "cb_", "cb-", "glpat", "shpat", "dop_v1", "pypi", "xox", "xapp-", "akia",
    "asia", "aiza", "ya29.", "sg.", "eyj", "private key",
)  # fmt: skip
_PAIR_HINTS = (
    "pass", "pwd", "secret", "token", "key", "credential", "authorization", "cookie", "session",
    "signature", "x-amz-", "sig=", "auth=", "code=",
)  # fmt: skip
_Patterns = tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...]
_KEYS_ONLY: _Patterns = ((_KEY_HINTS, _KEYS, MASK),)
_PATTERNS: _Patterns = (
    *_KEYS_ONLY,
    (("://",), _IN_ADDRESS, rf"\1{MASK}@"),
    (("bearer", "basic"), _IN_HEADER, rf"\1\2{MASK}"),
    (_PAIR_HINTS, _PAIR, rf"\1{MASK}"),
)
"""What a text must hold, in small letters, for the pattern to find anything; the pattern; what
takes its place. Looking for hints is a hundred times faster than the patterns are, and most lines
hold none.
"""


class Redactor:
    """Masks what looks like a key, and ``values`` wherever they stand."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = sorted(
            {value for value in values if len(value) >= SHORTEST_VALUE}, key=len, reverse=True
        )
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        if len(text) > MAX_CHARACTERS:
            text = "[cut] " + text[-MAX_CHARACTERS:]
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _mask_patterns(text, _PATTERNS)


def _mask_patterns(text: str, patterns: _Patterns) -> str:
    small = text.lower()
    for hints, pattern, replacement in patterns:
        if any(map(small.__contains__, hints)):
            text = pattern.sub(replacement, text)
    return text


redact = Redactor()
"""By form only."""


def mask_keys(value: Any) -> Any:
    """A JSON value whose texts hold no key of a well-known form: for what is made of pages, where
    nothing else can be distinguished from ordinary text.
    """
    if isinstance(value, str):
        return _mask_patterns(value, _KEYS_ONLY)
    return map_members(value, mask_keys)


class RedactingFormatter(logging.Formatter):
    """A formatter whose lines, tracebacks included, hold nothing that looks like a key."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
