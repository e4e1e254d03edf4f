"""Tokens: how they are made and kept, what they stand for, and that wrong ones all fail alike."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checkback.core.errors import Forbidden, InvalidInput, QuotaExceeded, Unauthorized
from checkback.security.auth.authenticator import Authenticator, GuessLimit
from checkback.security.auth.callers import LOCAL, Caller, Scope, attach, caller_of
from checkback.security.auth.token_files import (
    add_token,
    folder_token,
    load_tokens,
    new_token,
    token_hash,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


def test_a_new_token_is_long_and_its_own() -> None:
    first, second = new_token(), new_token()
    assert first != second
    assert first.startswith("cb_")
    assert len(first) >= 3 + 43


def test_the_folder_token_is_made_once_and_private(tmp_path: Path) -> None:
    token = folder_token(tmp_path)
    assert folder_token(tmp_path) == token
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_a_folder_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder_token(tmp_path)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(InvalidInput, match="Others can read"):
        folder_token(tmp_path)


def test_an_added_token_is_kept_as_a_hash_in_a_private_file(file: Path) -> None:
    ada = add_token(file, "ada")
    bob = add_token(file, "bob", [Scope.READ], expires_at=NOW)
    text = file.read_text()
    assert ada not in text
    assert bob not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first, second = load_tokens(file)
    assert (first.owner, first.hash, first.expires_at) == ("ada", token_hash(ada), None)
    assert first.caller == Caller("ada", frozenset({Scope.READ, Scope.WRITE}))
    assert (second.scopes, second.expires_at) == (frozenset({Scope.READ}), NOW)
    assert os.listdir(file.parent) == [file.name]


def test_adding_keeps_what_somebody_wrote_by_hand(file: Path) -> None:
    file.write_text("# our tokens")
    add_token(file, "ada")
    assert file.read_text().startswith("# our tokens\n\n[[token]]\n")


@pytest.mark.parametrize("owner", ["", "a b", '"', "x" * 65, "../up", "a\nb"])
def test_an_owner_has_a_plain_name(file: Path, owner: str) -> None:
    with pytest.raises(InvalidInput):
        add_token(file, owner)
    assert not file.exists()


ENTRY = (
    f'[[token]]\nowner = "ada"\nhash = "{"0" * 64}"\n'
    'scopes = ["read"]\ncreated_at = 2026-11-22T10:00:00Z\n'
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[token", "not valid TOML"),
        ("\udcff", "not valid TOML"),
        ("other = 1", "only"),
        ("token = 1", "only"),
        ("token = [1]", "not a table"),
        (ENTRY.replace("ada", "a b"), "no valid owner"),
        (ENTRY.replace("000", "xyz"), "hash"),
        (ENTRY.replace('"read"', '"everything"'), "scopes"),
        (ENTRY.replace('["read"]', "[]"), "scopes"),
        (ENTRY.replace("T10:00:00Z", ""), "created_at"),
        (ENTRY.replace("Z", ""), "created_at"),
        (ENTRY + "expires_at = 5", "expires_at"),
        (ENTRY + "expire_at = 5", "unknown key: expire_at"),
    ],
)
def test_a_bad_token_file_is_refused_in_one_sentence(file: Path, text: str, says: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput, match=says) as caught:
        Authenticator(token_file=file)
    assert caught.value.hint


def test_a_missing_token_file_is_refused(file: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        Authenticator(token_file=file)


def test_tokens_become_callers(file: Path) -> None:
    ada = add_token(file, "ada")
    authenticator = Authenticator(folder_token="folder-token", token_file=file)
    assert authenticator.caller("folder-token") == LOCAL
    assert authenticator.caller(ada).owner == "ada"


@pytest.mark.parametrize("token", [None, "", "cb_wrong", "folder-token ", "\udcff", "x" * 100_000])
def test_every_wrong_token_fails_in_the_same_words(token: str | None) -> None:
    with pytest.raises(Unauthorized) as caught:
        Authenticator(folder_token="folder-token").caller(token)
    assert caught.value.message == Unauthorized().message


def test_without_any_token_nobody_is_let_in() -> None:
    with pytest.raises(Unauthorized):
        Authenticator().caller("")


def test_an_expired_token_is_a_wrong_one(file: Path) -> None:
    token = add_token(file, "ada", expires_at=NOW)
    clock = [NOW - timedelta(seconds=1)]
    authenticator = Authenticator(token_file=file, now=lambda: clock[0])
    assert authenticator.caller(token).owner == "ada"
    clock[0] = NOW
    with pytest.raises(Unauthorized):
        authenticator.caller(token)


def test_a_token_can_be_added_and_taken_away_while_the_server_runs(file: Path) -> None:
    first = add_token(file, "ada")
    authenticator = Authenticator(token_file=file)
    second = add_token(file, "bob")
    assert authenticator.caller(second).owner == "bob"
    file.write_text("")
    for token in (first, second):
        with pytest.raises(Unauthorized):
            authenticator.caller(token)


def test_a_change_that_cannot_be_read_keeps_the_tokens_of_before(file: Path) -> None:
    token = add_token(file, "ada")
    authenticator = Authenticator(token_file=file)
    file.write_text("[[token")
    assert authenticator.caller(token).owner == "ada"


def test_no_token_lets_everybody_in_as_local() -> None:
    authenticator = Authenticator(no_token=True)
    assert authenticator.caller(None) == LOCAL
    assert authenticator.session(None) == LOCAL


def test_a_session_stands_for_the_caller_of_its_token(file: Path) -> None:
    token = add_token(file, "ada")
    authenticator = Authenticator(folder_token="folder-token", token_file=file)
    ada, local = authenticator.open_session(token), authenticator.open_session("folder-token")
    assert authenticator.session(ada).owner == "ada"
    assert authenticator.session(local) == LOCAL
    assert token not in ada
    # It outlives the process, and ends with its token.
    assert Authenticator(folder_token="folder-token", token_file=file).session(ada).owner == "ada"
    file.write_text("")
    with pytest.raises(Unauthorized):
        authenticator.session(ada)


def test_a_session_ends_after_a_week() -> None:
    clock = [NOW]
    authenticator = Authenticator(folder_token="folder-token", now=lambda: clock[0])
    cookie = authenticator.open_session("folder-token")
    clock[0] = NOW + timedelta(days=6)
    assert authenticator.session(cookie) == LOCAL
    clock[0] = NOW + timedelta(days=8)
    with pytest.raises(Unauthorized):
        authenticator.session(cookie)


def test_an_edited_session_is_refused() -> None:
    authenticator = Authenticator(folder_token="folder-token")
    prefix, ends, signature = authenticator.open_session("folder-token").split(".")
    later = str(int(ends) + 1)
    for edited in (
        f"{prefix}.{later}.{signature}",
        f"{prefix}.{ends}.{signature[:-1]}",
        f".{ends}.",
        f"{prefix}.{ends}",
        f"{prefix}.-1.{signature}",
        f"{prefix}.{'9' * 40}.{signature}",
        "",
        None,
    ):
        with pytest.raises(Unauthorized):
            authenticator.session(edited)
    with pytest.raises(Unauthorized):
        Authenticator(folder_token="another").session(f"{prefix}.{ends}.{signature}")


def test_many_guesses_from_one_address_are_slowed_down() -> None:
    clock = [0.0]
    guesses = GuessLimit(limit=3, window_seconds=60, clock=lambda: clock[0])
    for _ in range(3):
        guesses.failed("192.0.2.1")
    with pytest.raises(QuotaExceeded):
        guesses.failed("192.0.2.1")
    guesses.failed("192.0.2.2")
    clock[0] = 60.0
    guesses.failed("192.0.2.1")


def test_counting_guesses_takes_bounded_memory() -> None:
    guesses = GuessLimit(limit=1, max_clients=10)
    for number in range(100):
        guesses.failed(f"client {number}")
    assert len(guesses._clients) == 10  # pyright: ignore[reportPrivateUsage]


def test_an_admin_may_everything() -> None:
    assert LOCAL.may(Scope.WRITE)
    assert not Caller("ada", frozenset({Scope.READ})).may(Scope.WRITE)


def test_a_scope_carries_the_caller_or_why_there_is_none() -> None:
    scope: dict[str, object] = {}
    with pytest.raises(Unauthorized):
        caller_of(scope)
    attach(scope, Forbidden())
    with pytest.raises(Forbidden):
        caller_of(scope)
    attach(scope, LOCAL)
    assert caller_of(scope) is LOCAL
