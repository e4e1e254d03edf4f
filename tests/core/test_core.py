"""The core: ids, states, errors."""

from __future__ import annotations

import inspect
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkback.core import errors, ids
from checkback.core.errors import CheckbackError, InvalidInput
from checkback.core.states import FINAL, MOVES, State, may_move


def test_new_ids_sort_by_age_and_are_version_seven() -> None:
    made = [ids.new_job_id() for _ in range(100)]
    assert len(set(made)) == 100
    assert {uuid.UUID(one).version for one in made} == {7}
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}
    assert [one[:13] for one in made] == sorted(one[:13] for one in made)


@given(st.text(), st.text())
def test_a_key_always_gives_the_same_id_and_only_its_owner_gets_it(owner: str, key: str) -> None:
    made = ids.keyed_job_id(b"secret", owner, key)
    assert uuid.UUID(made).version == 8
    assert made == ids.keyed_job_id(b"secret", owner, key)
    assert made != ids.keyed_job_id(b"secret", owner + "x", key)
    assert made != ids.keyed_job_id(b"other", owner, key)


def test_an_id_is_read_in_any_case() -> None:
    made = ids.new_job_id()
    assert ids.parse_job_id(made.upper()) == made


@given(st.text(max_size=60))
def test_what_is_no_uuid_is_no_id(text: str) -> None:
    try:
        assert str(uuid.UUID(text)) == text.lower()
    except ValueError:
        with pytest.raises(InvalidInput):
            ids.parse_job_id(text)


def test_an_ended_job_moves_only_by_a_retry() -> None:
    for state in FINAL:
        assert MOVES[state] <= {State.WAITING}
    assert not may_move(State.COMPLETED, State.WAITING)
    assert may_move(State.FAILED, State.WAITING)
    assert set(MOVES) == set(State)


def test_every_error_has_a_code_a_sentence_and_a_hint() -> None:
    found = [
        one
        for _, one in inspect.getmembers(errors, inspect.isclass)
        if issubclass(one, CheckbackError)
    ]
    assert len(found) > 10
    for one in found:
        error = one()
        assert error.code.islower()
        assert error.message.endswith(".")
        assert error.hint.endswith(".") or "`" in error.hint
        assert 400 <= error.http_status < 600
    assert len({one.code for one in found}) == len(found)
