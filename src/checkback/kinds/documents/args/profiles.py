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
    options = _take_options(values) | _take_ciphers(values)
    return ProfileOptions(**options, unknown=tuple(sorted(values)))


def _take_options(values: dict[str, Any]) -> dict[str, Any]:
    """The options that have one value each, removed from ``values``."""
    options: dict[str, Any] = {}
    for name, (argument, read) in _OPTIONS.items():
        if name in values:
            options[argument] = read(name, values.pop(name))
    return options


def _take_ciphers(values: dict[str, Any]) -> dict[str, Any]:
    """The options of encryption and decryption, removed from ``values``."""
    ciphers: dict[str, Any] = {}
    for argument, prefix in (("encryption", "dataencryption"), ("decryption", "datadecryption")):
        parts = [values.pop(f"{prefix}{part}", None) for part in ("algorithm", "key", "iv")]
        if any(parts):
            ciphers[argument] = _cipher(prefix, *parts)
    return ciphers


def _json_object(text: str) -> dict[str, Any]:
    """The object with its names in lower case. Raises ValueError."""
    value: object = _parsed(text) if text.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("profiles: the value must be a JSON object")
    return {str(name).lower(): item for name, item in cast("dict[Any, Any]", value).items()}


def _parsed(text: str) -> object:
    """The value of a JSON text; None if it is invalid."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _flag(name: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"profiles: {name} must be true or false")
    return text in ("true", "1")


def _number(minimum: float, maximum: float) -> Callable[[str, Any], float]:
    def read(name: str, value: Any) -> float:
        number = _as_float(value)
        if not minimum <= number <= maximum:
            raise ValueError(f"profiles: {name} must be a number from {minimum:g} to {maximum:g}")
        return number

    return read


def _as_float(value: Any) -> float:
    """The number; not-a-number for a value that is not one."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


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
    length = _KEY_BYTES.get(str(algorithm).lower())
    if length is None:
        raise ValueError(f"profiles: {prefix}algorithm must be AES128, AES192 or AES256")
    return Cipher(
        _secret(f"{prefix}key", key, length, " for this algorithm"),
        _secret(f"{prefix}iv", iv, 16),
    )


def _secret(name: str, value: Any, length: int, reason: str = "") -> bytes:
    """The bytes of a key or an initialization vector, which must have this length."""
    secret = str(value or "").encode(errors="surrogatepass")
    if len(secret) != length:
        raise ValueError(f"profiles: {name} must have {length} characters{reason}")
    return secret


_KEY_BYTES = {"aes128": 16, "aes192": 24, "aes256": 32}
_RECOGNITION = {
    "off": Recognition.OFF,
    "auto": Recognition.AUTO,
    # Modes that also read text from fonts do not change pages that have text.
    **dict.fromkeys(
        ("textfromimagesandfonts", "textfromimagesandvectorsandfonts",
         "textfromimagesandrepairedfonts", "textfromimagesandvectorsandrepairedfonts"),
        Recognition.AUTO,
    ),
    "textfromrepairedfontsonly": Recognition.OFF,
    **dict.fromkeys(
        ("textfromimagesonly", "textfromvectorsonly", "textfromimagesandvectors"),
        Recognition.ALWAYS,
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
