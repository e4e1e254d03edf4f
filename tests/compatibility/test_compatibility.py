"""Nothing that others depend on is removed or renamed: what was recorded is still there, texts
aside.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, cast

import pytest

from compatibility.recording import RECORDED, everything

TEXTS = re.compile(
    r"^(description|summary|title|message|hint|help|next_step|howToCheck|tips|statusMessage|"
    r"failedReason|request_id|version|instructions)$"
)
"""Fields that people and agents read: they may be said better at any time."""

ADDED = RECORDED.parent / "added.txt"
"""What came since, a pattern a line. Only this may be there that was not recorded."""

NAMES = (
    "answers",
    "commands",
    "errors",
    "names",
    "openapi",
    "records",
    "settings",
    "tool errors",
    "tools dotted",
    "tools underscore",
)


def differences(before: Any, now: Any, path: str) -> Iterator[str]:
    """Each place where something recorded is gone or has another value, and
    each one that is new.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        yield from _of_objects(cast("dict[str, Any]", before), cast("dict[str, Any]", now), path)
        return
    if isinstance(before, list) and isinstance(now, list):
        yield from _of_lists(cast("list[Any]", before), cast("list[Any]", now), path)
        return
    name = path.rpartition("/")[2]
    if isinstance(before, str) and isinstance(now, str) and TEXTS.match(name):
        return
    if before != now:
        yield f"changed {path}: {before!r} -> {now!r}"


def _of_objects(before: dict[str, Any], now: dict[str, Any], path: str) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        inner = f"{path}/{name}"
        if name not in now:
            yield f"removed {inner}"
        elif name not in before:
            yield f"added {inner}"
        else:
            yield from differences(before[name], now[name], inner)


def _of_lists(before: list[Any], now: list[Any], path: str) -> Iterator[str]:
    if all(isinstance(item, str) for item in before + now):
        yield from (f"removed {path}: {item}" for item in before if item not in now)
        yield from (f"added {path}: {item}" for item in now if item not in before)
        return
    if len(before) != len(now):
        yield f"changed {path}: {len(before)} items -> {len(now)}"
        return
    for at, (old, new) in enumerate(zip(before, now, strict=True)):
        yield from differences(old, new, f"{path}/{at}")


def added() -> list[str]:
    lines = ADDED.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def is_listed(difference: str) -> bool:
    return any(fnmatchcase(difference, f"added {pattern}") for pattern in added())


@pytest.fixture(scope="module")
def current() -> dict[str, Any]:
    return json.loads(json.dumps(everything()))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_others_depend_on_is_removed_or_renamed(
    name: str, current: dict[str, Any]
) -> None:
    before = json.loads((RECORDED / f"{name.replace(' ', '_')}.json").read_text("utf-8"))
    found = differences(before, current[name], name)
    assert [difference for difference in found if not is_listed(difference)] == []


def test_all_that_is_recorded_is_compared(current: dict[str, Any]) -> None:
    assert set(current) == set(NAMES)
    assert {path.stem for path in RECORDED.iterdir()} == {name.replace(" ", "_") for name in NAMES}


def test_modules_that_others_import_are_where_they_were() -> None:
    names = json.loads((RECORDED / "names.json").read_text("utf-8"))
    for path in names["importable"]:
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name), path


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ({"a": 1}, {}, ["removed x/a"]),
        ({"a": 1}, {"a": 1, "b": 2}, ["added x/b"]),
        ({"a": 1}, {"a": 2}, ["changed x/a: 1 -> 2"]),
        ({"message": "old"}, {"message": "new"}, []),
        ({"message": "old"}, {"message": 5}, ["changed x/message: 'old' -> 5"]),
        (["a", "b"], ["b", "c"], ["removed x: a", "added x: c"]),
        ([{"a": 1}], [{"a": 1}, {"b": 1}], ["changed x: 1 items -> 2"]),
    ],
)
def test_a_change_is_found(before: Any, now: Any, found: list[str]) -> None:
    assert list(differences(before, now, "x")) == found
