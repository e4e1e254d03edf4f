"""What results are called: the caller's name or the source's, with our ending."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from checkback.storage.uploads import plain_name

_ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        *(
            "pdf",
            "txt",
            "json",
            "csv",
            "xls",
            "xlsx",
            "xlsb",
            "ods",
            "xml",
            "html",
            "htm",
            "jpg",
            "jpeg",
        ),
        *("png", "webp", "tiff", "tif", "doc", "docx", "rtf", "odt", "eml", "msg", "zip"),
    )
)
"""Endings of files that document jobs read or make: only these are taken for an ending in a name.
"""


def result_stem(name: str, default: str = "document") -> str:
    """A result's name without its ending; whatever path or ending the caller wrote is gone."""
    given = plain_name(name, default=default)
    stem, ending = PurePosixPath(given).stem, PurePosixPath(given).suffix
    return stem if ending.lower() in _ENDINGS and stem else given


def stem_of_url(url: str) -> str:
    """What a result is called by default: as the file at this address."""
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        path = ""
    return result_stem(path)
