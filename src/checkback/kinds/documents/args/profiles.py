"""The argument ``profiles``: options by PDF.co's names, for what its users set there.

They are read at the door, so that a wrong one is refused before anything is stored, and again by
the job.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from checkback.core.clean_text import clean


class Recognition(StrEnum):
    """When pages are recognised by Tesseract."""

    OFF = "off"
    #: Where a page has no text.
    AUTO = "auto"
    ALWAYS = "always"


class TableSearch(StrEnum):
    """Which tables are looked for."""

    BOTH = "both"
    RULED = "ruled"
    UNRULED = "unruled"


@dataclass(frozen=True, slots=True)
class Cipher:
    """AES in CBC mode with padding, as PDF.co's user-controlled encryption has it."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProfileOptions:
    """What ``profiles`` asked for; None and the defaults where it did not say."""

    trim_spaces: bool = False
    preserve_formatting: bool = True
    unwrap: bool = False
    recognition: Recognition = Recognition.AUTO
    ocr_dpi: int | None = None
    line_grouping: str | None = None
    tables: TableSearch = TableSearch.BOTH
    csv_separator: str = ","
    csv_quotation: str = '"'
    dpi: float | None = None
    jpeg_quality: int | None = None
    check_permissions: bool = False
    #: Results as base64 text.
    as_base64: bool = False
    encryption: Cipher | None = None
    decryption: Cipher | None = None
    #: Names that mean nothing here.
    unknown: tuple[str, ...] = ()


def read_options(text: str) -> ProfileOptions:
    """The options in the text of a JSON object. Raises ValueError that says which one is wrong."""
    try:
        found: object = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("profiles is not a JSON object")
    given = {str(name).lower(): value for name, value in cast("dict[Any, Any]", found).items()}
    made: dict[str, Any] = {}
    for name, (argument, read) in _OPTIONS.items():
        if name in given:
            made[argument] = read(name, given.pop(name))
    for argument, prefix in (("encryption", "dataencryption"), ("decryption", "datadecryption")):
        parts = [given.pop(f"{prefix}{part}", None) for part in ("algorithm", "key", "iv")]
        if any(parts):
            made[argument] = _cipher(prefix, *parts)
    return ProfileOptions(**made, unknown=tuple(sorted(given)))


def _flag(name: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"profiles: {name} is true or false")
    return text in ("true", "1")


def _number(least: float, most: float) -> Callable[[str, Any], float]:
    def read(name: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not least <= number <= most:
            raise ValueError(f"profiles: {name} is a number from {least:g} to {most:g}")
        return number

    return read


def _whole(least: int, most: int) -> Callable[[str, Any], int]:
    read = _number(least, most)
    return lambda name, value: round(read(name, value))


def _word(known: dict[str, Any]) -> Callable[[str, Any], Any]:
    def read(name: str, value: Any) -> Any:
        try:
            return known[str(value).strip().lower()]
        except KeyError:
            raise ValueError(f"profiles: {name} is none of the values that are known") from None

    return read


def _character(name: str, value: Any) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(str(value), str(value))
    if len(text) != 1 or text in "\r\n" or clean(text) != text:
        raise ValueError(f"profiles: {name} is one character")
    return text


def _cipher(prefix: str, algorithm: Any, key: Any, iv: Any) -> Cipher:
    length = {"aes128": 16, "aes192": 24, "aes256": 32}.get(str(algorithm).lower())
    if length is None:
        raise ValueError(f"profiles: {prefix}algorithm is AES128, AES192 or AES256")
    key_bytes, iv_bytes = (str(part or "").encode(errors="surrogatepass") for part in (key, iv))
    if len(key_bytes) != length:
        raise ValueError(f"profiles: {prefix}key has {length} characters for this algorithm")
    if len(iv_bytes) != 16:
        raise ValueError(f"profiles: {prefix}iv has 16 characters")
    return Cipher(key_bytes, iv_bytes)


_RECOGNITION = {
    "off": Recognition.OFF,
    "auto": Recognition.AUTO,
    # Modes that also take text from fonts leave pages that have text as they are.
    **dict.fromkeys(
        ("textfromimagesandfonts", "textfromimagesandvectorsandfonts", "textfromimagesandrepairedfonts",
         "textfromimagesandvectorsandrepairedfonts"), Recognition.AUTO,
    ),
    "textfromrepairedfontsonly": Recognition.OFF,
    **dict.fromkeys(
        ("textfromimagesonly", "textfromvectorsonly", "textfromimagesandvectors"), Recognition.ALWAYS
    ),
}  # fmt: skip
_TABLES = {
    "contentgroupsandborders": TableSearch.BOTH,
    "contentgroupsai": TableSearch.BOTH,
    "contentgroups": TableSearch.UNRULED,
    "borders": TableSearch.RULED,
    "borderedtables": TableSearch.RULED,
}
_GROUPING = {"none": "", "groupbyrows": "1", "groupbycolumns": "2", "joinorphanedrows": "3"}

_OPTIONS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "trimspaces": ("trim_spaces", _flag),
    "preserveformattingontextextraction": ("preserve_formatting", _flag),
    "unwrap": ("unwrap", _flag),
    "ocrmode": ("recognition", _word(_RECOGNITION)),
    "ocrresolution": ("ocr_dpi", _whole(72, 600)),
    "linegroupingmode": ("line_grouping", _word(_GROUPING)),
    "columndetectionmode": ("tables", _word(_TABLES)),
    "csvseparatorsymbol": ("csv_separator", _character),
    "csvquotationsymbol": ("csv_quotation", _character),
    "csvquotaionsymbol": ("csv_quotation", _character),  # so spelled in the vendor's samples
    "renderingresolution": ("dpi", _number(10, 1200)),
    "jpegquality": ("jpeg_quality", _whole(1, 100)),
    "checkpermissions": ("check_permissions", _flag),
    "outputdataformat": ("as_base64", _word({"base64": True, "": False})),
}
"""Each option's argument and how it is read, by its name in small letters."""
