"""The argument profiles: what its options mean, and which values are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from checkback.core.errors import JobFailed
from checkback.kinds.documents.args.common import TextArgs
from checkback.kinds.documents.args.profiles import (
    Cipher,
    ProfileOptions,
    Recognition,
    TableSearch,
    read_options,
)
from checkback.kinds.documents.files.encryption import decrypt, encrypt

CIPHER = Cipher(b"HelloThisKey1234", b"TreloThisKey1234")


def options(**given: Any) -> ProfileOptions:
    return read_options(json.dumps(given))


def test_names_are_read_in_any_case_and_values_as_texts_too() -> None:
    found = options(
        TRIMSPACES="True", ocrMode="textFromImagesOnly", OCRResolution="200", JPEGQuality=40
    )
    assert (found.trim_spaces, found.recognition, found.ocr_dpi, found.jpeg_quality) == (
        True, Recognition.ALWAYS, 200, 40,
    )  # fmt: skip


def test_without_any_everything_is_as_it_was() -> None:
    assert read_options("") == read_options("{}") == ProfileOptions()


def test_tables_and_rows() -> None:
    found = options(
        ColumnDetectionMode="BorderedTables", LineGroupingMode="GroupByRows", CSVSeparatorSymbol=";"
    )
    assert (found.tables, found.line_grouping, found.csv_separator) == (TableSearch.RULED, "1", ";")


def test_options_without_effect_are_listed() -> None:
    assert options(Colour="red", TrimSpaces=False).unknown == ("colour",)


@pytest.mark.parametrize(
    "given",
    [
        {"TrimSpaces": "perhaps"},
        {"OCRMode": "by magic"},
        {"OCRResolution": 1e9},
        {"JPEGQuality": "much"},
        {"CSVSeparatorSymbol": ", "},
        {
            "DataEncryptionAlgorithm": "DES",
            "DataEncryptionKey": "k" * 16,
            "DataEncryptionIV": "i" * 16,
        },
        {
            "DataEncryptionAlgorithm": "AES128",
            "DataEncryptionKey": "short",
            "DataEncryptionIV": "i" * 16,
        },
        {"DataDecryptionAlgorithm": "AES256", "DataDecryptionKey": "k" * 32},
        {"OutputDataFormat": "zip"},
    ],
)
def test_a_wrong_value_is_refused_at_the_door(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        TextArgs.model_validate({"url": "https://example.com/a.pdf", "profiles": given})
    assert "profiles: " in str(caught.value)
    assert "kkkk" not in str(caught.value.errors(include_input=False))


def test_null_means_not_given() -> None:
    args = TextArgs.model_validate({"url": "https://example.com/a.pdf", "profiles": None})
    assert args.options == ProfileOptions()


def test_keys_are_never_shown() -> None:
    given = {"DataEncryptionAlgorithm": "AES128", "DataEncryptionKey": "HelloThisKey1234",
             "DataEncryptionIV": "TreloThisKey1234"}  # fmt: skip
    args = TextArgs.model_validate({"url": "https://example.com/a.pdf", "profiles": given})
    assert args.options.encryption == CIPHER
    assert "HelloThisKey1234" not in repr(args) + repr(args.options)


@pytest.mark.parametrize("size", [0, 15, 16, 1000])
def test_what_was_encrypted_can_be_decrypted(size: int) -> None:
    data = bytes(range(256)) * 4
    assert decrypt(encrypt(data[:size], CIPHER), CIPHER) == data[:size]


@pytest.mark.parametrize("data", [b"", b"no whole blocks", b"0123456789abcdef"])
def test_what_no_such_key_made_is_refused(data: bytes) -> None:
    with pytest.raises(JobFailed) as caught:
        decrypt(data, CIPHER)
    assert caught.value.code == "invalid_document"
