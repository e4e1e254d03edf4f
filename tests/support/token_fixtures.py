"""The callers of tests: one token for each role, and what checks them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from checkback.security.auth.authenticator import Authenticator
from checkback.security.auth.callers import Scope
from checkback.security.auth.token_files import add_token

FOLDER_TOKEN = "cb_the-token-of-the-data-folder-of-this-test"


@dataclass
class Tokens:
    """One token for each role."""

    local: str
    ada: str
    bob: str
    reader: str
    admin: str
    file: Path


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    file = tmp_path / "tokens.toml"
    return Tokens(
        local=FOLDER_TOKEN,
        ada=add_token(file, "ada"),
        bob=add_token(file, "bob"),
        reader=add_token(file, "ada", [Scope.READ]),
        admin=add_token(file, "root", list(Scope)),
        file=file,
    )


@pytest.fixture
def authenticator(tokens: Tokens) -> Authenticator:
    return Authenticator(folder_token=tokens.local, token_file=tokens.file)
