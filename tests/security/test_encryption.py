"""Secret arguments: sealed, opened, masked, compared."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from checkback.core.errors import JobFailed
from checkback.security.encryption import SecretCipher, load_secret


class Inner(BaseModel):
    token: SecretStr


class Args(BaseModel):
    user: str
    password: SecretStr
    more: list[Inner] = []


GIVEN = Args.model_validate(
    {"user": "ada", "password": "one", "more": [{"token": "two"}]}
).model_dump()


def test_a_sealed_secret_is_opened_with_the_same_key_only() -> None:
    sealed = SecretCipher(b"k" * 32).seal(GIVEN)
    assert "one" not in str(sealed)
    assert "two" not in str(sealed)
    opened = SecretCipher(b"k" * 32).open(sealed)
    assert opened == {"user": "ada", "password": "one", "more": [{"token": "two"}]}
    with pytest.raises(JobFailed, match="another key"):
        SecretCipher(b"x" * 32).open(sealed)


def test_a_masked_secret_tells_nothing() -> None:
    sealer = SecretCipher(b"k" * 32)
    masked = sealer.mask(sealer.seal(GIVEN))
    assert masked == {"user": "ada", "password": "***", "more": [{"token": "***"}]}


def test_equal_secrets_look_equal_to_the_comparison_and_not_to_a_reader() -> None:
    sealer = SecretCipher(b"k" * 32)
    assert sealer.fingerprint(GIVEN) == sealer.fingerprint(GIVEN)
    assert sealer.seal(GIVEN) != sealer.seal(GIVEN)
    assert "one" not in str(sealer.fingerprint(GIVEN))
    assert sealer.fingerprint(GIVEN) != SecretCipher(b"x" * 32).fingerprint(GIVEN)


def test_the_secret_of_a_folder_is_made_once_and_private(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        secrets = [pool.submit(load_secret, tmp_path, None).result() for _ in range(5)]
    assert len(set(secrets)) == 1
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secret"]
    assert load_secret(tmp_path, "configured") != secrets[0]
