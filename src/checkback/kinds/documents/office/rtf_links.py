"""Removes from a Rich Text file the fields and objects that include external content."""

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
#: A group with one of these is removed with its content.
_GROUPS = frozenset(
    {b"template", b"objautlink", b"objlink", b"objsub", b"nextfile", b"filetbl", b"datafield"}
)
#: Properties of shapes that name an image.
_NAMES = frozenset({"pibname", "fillblipname", "linefillblipname"})
_MAX_DEPTH = 10_000
_MAX_TEXT = 4096


@dataclass(slots=True)
class _Group:
    start: int
    is_field: bool = False
    is_link: bool = False
    is_name: bool = False
    text: str = ""
    #: The text with the replacement that old readers show for each Unicode letter. A reader skips
    #: as many characters as the file says, so both texts are searched.
    full_text: str = ""
    #: Whether the next character is such a replacement.
    skips: bool = False

    @property
    def is_external(self) -> bool:
        """Whether the group includes external content."""
        if self.is_link:
            return True
        return self.is_field and _FIELDS.search(f"{self.text} {self.full_text}") is not None


def clean_rtf(content: bytes) -> tuple[bytes, int]:
    """The file without these groups, and how many were removed."""
    if not _SUSPECT.search(content):
        return content, 0
    parts: list[bytes] = []
    at = removed = 0
    for start, end in _outermost(_external_groups(content)):
        parts += [content[at:start], b"{}"]
        at = end
        removed += 1
    parts.append(content[at:])
    return b"".join(parts), removed


def _outermost(groups: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """The groups that are not inside of others, in their order."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(groups):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def _external_groups(content: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each group that includes external content."""
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
            if group.is_external:
                yield group.start, at
            elif groups:
                _add_to_parent(group, groups[-1])
        elif groups:
            _note(groups[-1], token)


def _add_to_parent(group: _Group, parent: _Group) -> None:
    """Add the text of a group to the group around it: the instruction of a field may be nested."""
    parent.text += group.text
    parent.full_text += group.full_text
    if group.is_name and group.text.strip().lower() in _NAMES:
        parent.is_link = True


def _note(group: _Group, token: re.Match[bytes]) -> None:
    """Record a control word or a piece of text of the group."""
    if token["word"] is not None:
        _note_word(group, token["word"])
        return
    if len(group.full_text) > _MAX_TEXT:
        return
    text = _letters(token)
    is_unicode = token["unicode"] is not None
    group.full_text += text
    group.text += text[1:] if group.skips and not is_unicode else text
    group.skips = is_unicode


def _note_word(group: _Group, word: bytes) -> None:
    if word == b"fldinst":
        group.is_field = True
    elif word == b"sn":
        group.is_name = True
    elif word in _GROUPS:
        group.is_link = True


def _letters(token: re.Match[bytes]) -> str:
    if token["hex"]:
        return chr(int(token["hex"], 16))
    if token["unicode"]:
        return chr(int(token["unicode"]) % 65536)
    text: bytes = token["text"] or b""
    return text[:_MAX_TEXT].decode("latin-1").replace("\r", "").replace("\n", "")
