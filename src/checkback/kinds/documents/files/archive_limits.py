"""How much a ZIP may hold: one that is handed in as such, and one that is an office file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from checkback.core.errors import JobFailed
from checkback.kinds.documents import failures

MAX_UNPACKED_BYTES = 1 << 30


def refuse_office_bomb(path: Path) -> None:
    """Raise the failure too_large for an office file that says it unpacks to more than is allowed.

    Its reader would believe it, and only the job's memory or time would end that. What is no ZIP,
    or a broken one, is left to the reader.
    """
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, OSError):
        return
    if size > MAX_UNPACKED_BYTES:
        raise unpacked_too_large("The unpacked document")


def unpacked_too_large(what: str) -> JobFailed:
    """What came out of a ZIP, or would, passes the limit."""
    return failures.too_large(what, f"{MAX_UNPACKED_BYTES >> 20} MB")
