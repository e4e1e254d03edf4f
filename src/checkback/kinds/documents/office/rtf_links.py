"""Takes the fields and objects out of a Rich Text file that bring in what lies elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"\\bin(?P<bin>\d{1,9}) ?|\\'(?P<hex>[0-9A-Fa-f]{2})|\\u(?P<unicode>-?\d{1,6}) ?"
    rb"|\\(?P<word>[A-Za-z]{1,32})-?\d{0,10} ?|\\(?P<symbol>[^A-Za-z])|(?P<brace>[{}])|(?P<text>[^\\{}]+)|\\",
    re.DOTALL,
)
_SUSPECT = re.compile(
    rb"\\(fldinst|template|objautlink|objlink|objsub|nextfile|filetbl|datafield|sn)\b"
)
_FIELDS = re.compile(
    r"INCLUDEPICTURE|INCLUDETEXT|INCLUDE|IMPORT|\bLINK\b|DDE|DATABASE|\bRD\b", re.IGNORECASE
)
#: A group that has one of these is taken out with all that is in it.
_GROUPS = frozenset(
    {b"template", b"objautlink", b"objlink", b"objsub", b"nextfile", b"filetbl", b"datafield"}
)
#: Properties of shapes that name a picture.
_NAMES = frozenset({"pibname", "fillblipname", "linefillblipname"})
_MAX_DEPTH = 10_000
_MAX_WORDS = 4096


@dataclass(slots=True)
class _Group:
    start: int
    is_field: bool = False
    is_link: bool = False
    is_name: bool = False
    words: str = ""
    #: The same with what old readers show in the place of each Unicode letter. A reader skips as
    #: many as it was told to, so both are looked through.
    all_words: str = ""
    skips: bool = False


def clean_rtf(content: bytes) -> tuple[bytes, int]:
    """The file without those groups, and how many they were."""
    if not _SUSPECT.search(content):
        return content, 0
    parts: list[bytes] = []
    at = removed = 0
    for start, end in _outermost(_found(content)):
        parts += [content[at:start], b"{}"]
        at = end
        removed += 1
    parts.append(content[at:])
    return b"".join(parts), removed


def _outermost(groups: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """Groups without those inside of others, in their order."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(groups):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def _found(content: bytes) -> Iterator[tuple[int, int]]:
    """Where the groups begin and end that are to be taken out."""
    groups: list[_Group] = []
    at = 0
    while (token := _TOKEN.match(content, at)) is not None:
        at = token.end()
        if token["bin"]:
            at += int(token["bin"])
        elif token["brace"] == b"{":
            if len(groups) >= _MAX_DEPTH:
                return
            groups.append(_Group(token.start()))
        elif token["brace"]:
            if not groups:
                return
            group = groups.pop()
            if group.is_link or (
                group.is_field and _FIELDS.search(f"{group.words} {group.all_words}")
            ):
                yield group.start, at
            elif groups:
                # What stands in groups inside of a field's belongs to its words.
                groups[-1].words += group.words
                groups[-1].all_words += group.all_words
                if group.is_name and group.words.strip().lower() in _NAMES:
                    groups[-1].is_link = True
        elif groups:
            _note(groups[-1], token)


def _note(group: _Group, token: re.Match[bytes]) -> None:
    word = token["word"]
    if word is not None:
        group.is_field = group.is_field or word == b"fldinst"
        group.is_link = group.is_link or word in _GROUPS
        group.is_name = group.is_name or word == b"sn"
        return
    if len(group.all_words) > _MAX_WORDS:
        return
    text = _letters(token)
    group.all_words += text
    group.words += text[1:] if group.skips and not token["unicode"] else text
    group.skips = token["unicode"] is not None


def _letters(token: re.Match[bytes]) -> str:
    if token["hex"]:
        return chr(int(token["hex"], 16))
    if token["unicode"]:
        return chr(int(token["unicode"]) % 65536)
    text: bytes = token["text"] or b""
    return text[:_MAX_WORDS].decode("latin-1").replace("\r", "").replace("\n", "")
