"""The names of results: the caller's name or the source's name, with the right extension."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from checkback.storage.uploads import plain_name

_EXTENSIONS = frozenset(
    (".pdf", ".txt", ".json", ".csv", ".xls", ".xlsx", ".xlsb", ".ods", ".xml", ".html", ".htm",
     ".jpg", ".jpeg", ".png", ".webp", ".tiff", ".tif", ".doc", ".docx", ".rtf", ".odt", ".eml",
     ".msg", ".zip")
)  # fmt: skip
"""Extensions of files that document jobs read or make. Only these are removed from a name."""


def result_stem(name: str, default: str = "document") -> str:
    """The name of a result without its extension and without any path that the caller wrote."""
    plain = plain_name(name, default=default)
    path = PurePosixPath(plain)
    return path.stem if path.suffix.lower() in _EXTENSIONS and path.stem else plain


def stem_of_url(url: str) -> str:
    """The default name of a result: that of the file at this URL."""
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        path = ""
    return result_stem(path)
