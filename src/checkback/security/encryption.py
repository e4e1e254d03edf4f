"""Secret arguments: sealed before they are stored, opened only in the child that needs them, masked
elsewhere.

A secret is an argument whose model field is pydantic's ``SecretStr`` or ``SecretBytes``. It is in
the engine as ``{"cb:sealed": "..."}``: authenticated encryption (Fernet, from the package
cryptography) under a key that never does.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any, Final, cast

from checkback.core.errors import JobFailed
from checkback.core.json_tree import map_members

SEALED: Final = "cb:sealed"
MASK: Final = "***"
SECRET_FILE: Final = "secret"  # noqa: S105 - the name of a file


def load_secret(home: Path, configured: str | None) -> bytes:
    """The server's secret: ``CHECKBACK_SECRET_KEY`` if set, else a 0600 file in the data folder,
    made when missing.
    """
    if configured:
        return hashlib.sha256(configured.encode()).digest()
    path = home / SECRET_FILE
    if not path.exists():  # one that is there is read, also where the disk is full
        _make_secret(path)
    return hashlib.sha256(path.read_bytes().strip()).digest()


def _make_secret(path: Path) -> None:
    """Write a new secret, unless another process is faster.

    A second file and a link: of several processes that start at once, one's secret wins and is
    whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{SECRET_FILE}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(32)))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()


def derive(secret: bytes, purpose: str) -> bytes:
    """A key for one purpose, so that no two uses share one."""
    return hmac.new(secret, purpose.encode(), hashlib.sha256).digest()


class SecretCipher:
    """Seals, opens and masks the secrets inside arguments of any shape."""

    def __init__(self, secret: bytes) -> None:
        self._key = base64.urlsafe_b64encode(derive(secret, "seal arguments"))
        self._hash_key = derive(secret, "hash arguments")

    def seal(self, value: Any) -> Any:
        """The value as JSON with every secret sealed. ``value`` is a model's
        ``model_dump(mode="python")``."""
        plain = _secret_text(value)
        if plain is not None:
            return self.seal_text(plain)
        return self._walk(value, self.seal)

    def fingerprint(self, value: Any) -> Any:
        """The value as JSON with every secret as a keyed hash, so that equal
        requests look equal.
        """
        plain = _secret_text(value)
        if plain is not None:
            return {SEALED: hmac.new(self._hash_key, plain.encode(), hashlib.sha256).hexdigest()}
        return self._walk(value, self.fingerprint)

    def open(self, value: Any) -> Any:
        """The value with its secrets in clear. Raises JobFailed when they were sealed under another
        key.
        """
        sealed = _sealed_token(value)
        if sealed is not None:
            from cryptography.fernet import InvalidToken

            try:
                return self._fernet().decrypt(sealed.encode()).decode()
            except InvalidToken:
                raise JobFailed(
                    "secret_unreadable",
                    "A secret argument was sealed with another key.",
                    retryable=False,
                    hint="Submit the job again, or give all servers the same CHECKBACK_SECRET_KEY.",
                ) from None
        return map_members(value, self.open)

    def secrets(self, value: Any) -> list[str]:
        """Every secret in the value, in clear. Raises JobFailed as ``open`` does."""
        if _sealed_token(value) is not None:
            return [str(self.open(value))]
        return list(chain.from_iterable(map(self.secrets, _members(value))))

    def seal_text(self, text: str) -> Any:
        """A text as a sealed secret, which ``open`` opens."""
        return {SEALED: self._fernet().encrypt(text.encode()).decode()}

    def mask(self, value: Any) -> Any:
        """The value with ``***`` for each secret, for everybody's eyes."""
        return MASK if _sealed_token(value) is not None else map_members(value, self.mask)

    def _walk(self, value: Any, again: Any) -> Any:
        if isinstance(value, dict | list | tuple):
            return map_members(value, again)
        from pydantic_core import to_jsonable_python

        return to_jsonable_python(value)

    def _fernet(self) -> Any:
        # Imported here: most jobs have no secrets, and the shell must answer fast.
        from cryptography.fernet import Fernet

        return Fernet(self._key)


def revealed(value: Any) -> Any:
    """The value with its secrets in clear, as JSON: for the way from a job's
    process to its worker.
    """
    plain = _secret_text(value)
    if plain is not None:
        return plain
    return map_members(value, revealed)


def _members(value: Any) -> Iterable[Any]:
    """What an object or a list holds; nothing for any other value."""
    if isinstance(value, dict):
        return cast("dict[Any, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


def _secret_text(value: Any) -> str | None:
    reveal = getattr(value, "get_secret_value", None)
    if reveal is None:
        return None
    plain = reveal()
    return plain.decode() if isinstance(plain, bytes) else str(plain)


def _sealed_token(value: Any) -> str | None:
    if isinstance(value, dict):
        fields = cast("dict[Any, Any]", value)
        if len(fields) == 1 and isinstance(fields.get(SEALED), str):
            return str(fields[SEALED])
    return None
