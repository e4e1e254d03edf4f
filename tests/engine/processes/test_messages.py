"""What a worker takes for a message of a job's process: for any bytes a checked message, or
BadChildMessage.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkback.core.job import Artifact
from checkback.engine.processes import messages
from checkback.engine.processes.messages import BadChildMessage, artifacts_of, parse, plain_code

FILE = Artifact("0123456789abcdef", "a.txt", "text/plain", 1, "0" * 64, 1)
HONEST: list[dict[str, Any]] = [
    {"say": "progress", "phase": "fetch", "percent": 40, "message": "half", "entered": [["fetch", 12.5]]},
    {"say": "log", "lines": ["one", "two"]},
    {"say": "completed", "result": "{}", "artifacts": [asdict(FILE)]},
    {
        "say": "failed", "code": "INVALID_DOCUMENT", "message": "m", "retryable": True, "hint": "h",
        "detail": "d", "artifacts": [],
    },
    {"say": "save", "value": "[1, 2]"},
    {"say": "start", "kind": "test.add", "key": "one", "args": {"a": 1}},
    {"say": "look", "ids": ["0"]},
]  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("message", HONEST, ids=lambda message: message["say"])
def test_what_a_job_says_is_understood(message: dict[str, Any]) -> None:
    assert parse(messages.dump(message)) == message


@pytest.mark.parametrize("message", HONEST, ids=lambda message: message["say"])
def test_a_message_has_all_its_fields_and_no_other(message: dict[str, Any]) -> None:
    for name in message:
        with pytest.raises(BadChildMessage):
            parse(messages.dump({key: value for key, value in message.items() if key != name}))
    with pytest.raises(BadChildMessage):
        parse(messages.dump(message | {"more": 1}))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_none(line: bytes) -> None:
    with contextlib.suppress(BadChildMessage):
        parse(line)


@given(st.sampled_from(HONEST), st.data())
def test_any_value_in_a_messages_place_is_checked(
    message: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(message)))
    changed = message | {name: data.draw(values)}
    line = json.dumps(changed).encode() + b"\n"
    with contextlib.suppress(BadChildMessage):
        said = parse(line)
        assert {key: type(value) for key, value in said.items()}.keys() == message.keys()
        if said["say"] in ("completed", "failed"):
            assert all(isinstance(one, Artifact) for one in artifacts_of(said))
        json.dumps(said, allow_nan=False).encode()


@given(st.text())
def test_any_code_can_be_sent(code: str) -> None:
    assert messages.CODE.fullmatch(plain_code(code))
    assert plain_code(plain_code(code)) == plain_code(code)
