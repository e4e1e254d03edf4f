"""Untrusted text for a terminal: nothing in it may move the cursor or reach the clipboard."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text without control characters; line breaks and tabs become spaces."""
    return "".join(
        " " if character in "\n\r\t" else character
        for character in text
        if character in "\n\r\t" or (character.isprintable() and not 0x80 <= ord(character) < 0xA0)
    )


def printable_block(text: str) -> str:
    """As ``printable``, keeping line breaks and tabs: for documents and logs."""
    return "".join(
        character
        for character in text
        if character in "\n\t" or (character.isprintable() and not 0x80 <= ord(character) < 0xA0)
    )
