"""The parameter profiles, in the many forms that PDF.co's clients give it."""

from __future__ import annotations

from typing import Any

import pytest

from checkback.dialects.pdfco.profiles import InvalidProfiles, parse_profiles
from checkback.dialects.pdfco.requests import flattened

COMMENTED = """{
    "profiles": [{ "profile1": {
        "OCRMode": "Auto", // when to recognise
        "URL": "https://example.com/a" // an address has two strokes, too
    } }]
}"""


@pytest.mark.parametrize(
    ("profiles", "meant"),
    [
        (None, {}),
        ("", {}),
        ({"TrimSpaces": True}, {"TrimSpaces": True}),
        ('{"TrimSpaces": true}', {"TrimSpaces": True}),
        ("{'TrimSpaces': True, 'Mode': 'Legacy'}", {"TrimSpaces": True, "Mode": "Legacy"}),
        ("'OCRMode': 'Auto', 'X': false", {"OCRMode": "Auto", "X": False}),
        ("{ 'profiles': [ { 'profile1': { 'a': null } }, { 'b': 1 } ] }", {"a": None, "b": 1}),
        (COMMENTED, {"OCRMode": "Auto", "URL": "https://example.com/a"}),
    ],
)
def test_they_are_read_as_clients_write_them(profiles: Any, meant: dict[str, Any]) -> None:
    assert parse_profiles(profiles) == meant


@pytest.mark.parametrize(
    "profiles",
    ["[1, 2]", "just words", "{'a': __import__('os')}", "{" * 5000, "x" * 30_000, 5, [{"a": 1}]],
)
def test_what_is_no_object_is_refused(profiles: Any) -> None:
    with pytest.raises(InvalidProfiles):
        parse_profiles(profiles)


def test_what_they_say_under_std_params_takes_the_place_of_parameters() -> None:
    given = {
        "url": "a",
        "name": "x.pdf",
        "profiles": "{'std_params': {'Name': 'y.pdf', 'Async': true}, 'A': 1}",
    }
    assert flattened(given) == {"url": "a", "name": "y.pdf", "async": True, "profiles": {"A": 1}}
