"""How much a ZIP file may contain, both an uploaded ZIP file and an office file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from checkback.core.errors import JobFailed
from checkback.kinds.documents import failures

MAX_UNPACKED_BYTES = 1 << 30


def refuse_office_bomb(path: Path) -> None:
    """Raise the failure ``too_large`` for an office file that declares too large an unpacked size.

    Its reader would trust that size, and only the memory or time limit of the job would stop it. A
    file that is not a ZIP, or a damaged one, is left to the reader.
    """
    if _is_zip(path) and _declared_size(path) > MAX_UNPACKED_BYTES:
        raise unpacked_too_large("The unpacked document")


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _declared_size(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, OSError):
        return 0


def unpacked_too_large(what: str) -> JobFailed:
    """The unpacked content of a ZIP file exceeds the limit."""
    return failures.too_large(what, f"{MAX_UNPACKED_BYTES >> 20} MB")
