"""The argument ``profiles``: options by PDF.co's names.

They are read before a job is accepted, so that a wrong option is refused before anything is stored,
and again by the job.
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
    """Which pages Tesseract recognizes."""

    OFF = "off"
    #: Pages without text.
    AUTO = "auto"
    ALWAYS = "always"


class TableSearch(StrEnum):
    """Which tables are searched for: with ruling lines, without, or both."""

    BOTH = "both"
    RULED = "ruled"
    UNRULED = "unruled"


@dataclass(frozen=True, slots=True)
class Cipher:
    """AES in CBC mode with padding, as in PDF.co's user-controlled encryption."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProfileOptions:
    """The options in ``profiles``; None or a default for each option that is not set."""

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
    #: Options that have no effect here.
    unknown: tuple[str, ...] = ()


def read_options(text: str) -> ProfileOptions:
    """The options in the text of a JSON object. Raises ValueError that names a wrong option."""
    values = _json_object(text)
    options: dict[str, Any] = {}
    for name, (argument, read) in _OPTIONS.items():
        if name in values:
            options[argument] = read(name, values.pop(name))
    for argument, prefix in (("encryption", "dataencryption"), ("decryption", "datadecryption")):
        parts = [values.pop(f"{prefix}{part}", None) for part in ("algorithm", "key", "iv")]
        if any(parts):
            options[argument] = _cipher(prefix, *parts)
    return ProfileOptions(**options, unknown=tuple(sorted(values)))


def _json_object(text: str) -> dict[str, Any]:
    """The object with its names in lower case. Raises ValueError."""
    try:
        value: object = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError("profiles: the value must be a JSON object")
    return {str(name).lower(): item for name, item in cast("dict[Any, Any]", value).items()}


def _flag(name: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"profiles: {name} must be true or false")
    return text in ("true", "1")


def _number(minimum: float, maximum: float) -> Callable[[str, Any], float]:
    def read(name: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not minimum <= number <= maximum:
            raise ValueError(f"profiles: {name} must be a number from {minimum:g} to {maximum:g}")
        return number

    return read


def _whole(minimum: int, maximum: int) -> Callable[[str, Any], int]:
    read = _number(minimum, maximum)
    return lambda name, value: round(read(name, value))


def _choice(values: dict[str, Any]) -> Callable[[str, Any], Any]:
    def read(name: str, value: Any) -> Any:
        try:
            return values[str(value).strip().lower()]
        except KeyError:
            raise ValueError(f"profiles: {name} must be one of: {_listed(values)}") from None

    return read


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(value for value in values if value)


def _character(name: str, value: Any) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(str(value), str(value))
    if len(text) != 1 or text in "\r\n" or clean(text) != text:
        raise ValueError(f"profiles: {name} must be one character")
    return text


def _cipher(prefix: str, algorithm: Any, key: Any, iv: Any) -> Cipher:
    length = {"aes128": 16, "aes192": 24, "aes256": 32}.get(str(algorithm).lower())
    if length is None:
        raise ValueError(f"profiles: {prefix}algorithm must be AES128, AES192 or AES256")
    key_bytes, iv_bytes = (str(part or "").encode(errors="surrogatepass") for part in (key, iv))
    if len(key_bytes) != length:
        raise ValueError(f"profiles: {prefix}key must have {length} characters for this algorithm")
    if len(iv_bytes) != 16:
        raise ValueError(f"profiles: {prefix}iv must have 16 characters")
    return Cipher(key_bytes, iv_bytes)


_RECOGNITION = {
    "off": Recognition.OFF,
    "auto": Recognition.AUTO,
    # Modes that also read text from fonts do not change pages that have text.
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
    "ocrmode": ("recognition", _choice(_RECOGNITION)),
    "ocrresolution": ("ocr_dpi", _whole(72, 600)),
    "linegroupingmode": ("line_grouping", _choice(_GROUPING)),
    "columndetectionmode": ("tables", _choice(_TABLES)),
    "csvseparatorsymbol": ("csv_separator", _character),
    "csvquotationsymbol": ("csv_quotation", _character),
    "csvquotaionsymbol": ("csv_quotation", _character),  # the spelling of the vendor's samples
    "renderingresolution": ("dpi", _number(10, 1200)),
    "jpegquality": ("jpeg_quality", _whole(1, 100)),
    "checkpermissions": ("check_permissions", _flag),
    "outputdataformat": ("as_base64", _choice({"base64": True, "": False})),
}
"""Each option's argument and how it is read, by its name in lower case."""
