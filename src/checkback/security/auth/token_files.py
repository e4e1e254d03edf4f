"""The files that tokens lie in: the data folder's own token, and the list of other owners' tokens.

The list (``CHECKBACK_TOKENS``) is TOML and holds hashes only; a token is shown once, when it is
made::

    [[token]]
    owner = "ada"
    hash = "9f86d0..."              # SHA-256 of the token, in hex
    scopes = ["read", "write"]
    created_at = 2026-11-22T10:00:00Z
    expires_at = 2027-11-22T10:00:00Z   # may be left out
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from checkback.core.errors import CheckbackError, InvalidInput
from checkback.security.auth.callers import Caller, Scope

_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_KEYS = frozenset({"owner", "hash", "scopes", "created_at", "expires_at"})
_HINT = "Correct the file in CHECKBACK_TOKENS; `checkback token add OWNER` writes valid entries."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: never the token itself, only its SHA-256."""

    owner: str
    hash: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def caller(self) -> Caller:
        return Caller(self.owner, self.scopes)


def token_hash(token: str) -> str:
    """The form in which a token is kept. Tokens hold 256 random bits, so a slow hash would add
    nothing.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_token() -> str:
    """A fresh token with 256 random bits. The prefix lets secret scanners recognize it."""
    return "cb_" + secrets.token_urlsafe(32)


def folder_token(home: Path) -> str:
    """The data folder's own token, made when it is missing. Raises InvalidInput when others can
    read it.
    """
    path = home / "token"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_private(path)
    token = new_token()
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    return token


def load_tokens(path: Path) -> list[Token]:
    """Every token that the file lists, expired ones too. Raises InvalidInput that names the bad
    entry.
    """
    document = _read_document(path)
    entries: list[Any] = document.get("token", [])
    if type(entries) is not list or document.keys() - {"token"}:
        raise InvalidInput(f"The token file {path} may hold [[token]] tables only.", hint=_HINT)
    return [_entry(path, number, entry) for number, entry in enumerate(entries, 1)]


def _read_document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(f"The token file {path} cannot be read: {reason}.", hint=_HINT) from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are both ValueErrors
        raise InvalidInput(
            f"The token file {path} is not valid TOML: {error}.", hint=_HINT
        ) from None


def add_token(
    path: Path,
    owner: str,
    scopes: Iterable[Scope] = (Scope.READ, Scope.WRITE),
    *,
    expires_at: datetime | None = None,
) -> str:
    """Give ``owner`` a new token and return it; the file keeps its hash only.

    The file is made when it is missing, and replaced in one step: a crash leaves the old one or the
    new one.
    """
    if not _OWNER.fullmatch(owner):
        raise InvalidInput("An owner is named with letters, digits and . _ @ -, 64 at most.")
    before = path.read_text("utf-8") if path.exists() else ""
    if before:
        load_tokens(path)
    token = new_token()
    lines = [
        "[[token]]",
        f'owner = "{owner}"',
        f'hash = "{token_hash(token)}"',
        "scopes = [" + ", ".join(f'"{scope}"' for scope in sorted(set(scopes))) + "]",
        f"created_at = {_toml_time(datetime.now(UTC))}",
    ]
    if expires_at is not None:
        lines.append(f"expires_at = {_toml_time(expires_at)}")
    _replace(path, _with_blank_line(before) + "\n".join(lines) + "\n")
    return token


def _with_blank_line(text: str) -> str:
    """A text to which a table can be added; an empty one needs no blank line."""
    if not text:
        return ""
    return f"{text}\n" if text.endswith("\n") else f"{text}\n\n"


class TokenFile:
    """A token file that is read again when it changes; a change that cannot be read keeps what was
    before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._stamp()
        self._tokens = load_tokens(path)

    def tokens(self) -> list[Token]:
        """The tokens as the file lists them now."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._tokens = load_tokens(self._path)
            except CheckbackError as error:
                log.error("%s The tokens of before stay valid.", error.message)
        return self._tokens

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _entry(path: Path, number: int, entry: Any) -> Token:
    where = f"Token {number} in {path}"
    if not isinstance(entry, dict):
        raise InvalidInput(f"{where} is not a table.", hint=_HINT)
    fields: dict[str, Any] = dict(entry)  # pyright: ignore[reportUnknownArgumentType]
    if unknown := fields.keys() - _KEYS:
        raise InvalidInput(f"{where} has an unknown key: {min(unknown)}.", hint=_HINT)
    owner = _matching(_OWNER, fields.get("owner"), f"{where} has no valid owner.")
    where = f"{where} ({owner})"
    hashed = _matching(
        _HASH, fields.get("hash"), f"{where} has no valid hash: 64 lower-case hex digits."
    )
    scopes = _scopes(fields.get("scopes"), where)
    created_at, expires_at = fields.get("created_at"), fields.get("expires_at")
    return Token(
        owner=owner,
        hash=hashed,
        scopes=scopes,
        created_at=_time(created_at, f"{where}: created_at"),
        expires_at=None if expires_at is None else _time(expires_at, f"{where}: expires_at"),
    )


def _matching(pattern: re.Pattern[str], value: Any, message: str) -> str:
    """The value, if it is a text of that form. Raises InvalidInput."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidInput(message, hint=_HINT)
    return value


def _scopes(value: Any, where: str) -> frozenset[Scope]:
    known = sorted(str(scope) for scope in Scope)
    names = [str(name) for name in cast("list[Any]", value)] if isinstance(value, list) else []
    if not names or not set(names) <= set(known):
        raise InvalidInput(f"{where} needs scopes out of {', '.join(known)}.", hint=_HINT)
    return frozenset(Scope(name) for name in names)


def _time(value: Any, where: str) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidInput(
            f"{where} is not a date and time with a zone, such as 2026-11-22T10:00:00Z.", hint=_HINT
        )
    return value


def _toml_time(value: datetime) -> str:
    if value.tzinfo is None:
        raise InvalidInput("expires_at needs a time zone.")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_private(path: Path) -> str:
    status = path.stat()
    if status.st_mode & 0o077:
        raise InvalidInput(f"Others can read the token in {path}.", hint=f"Run `chmod 600 {path}`.")
    token = path.read_text("utf-8").strip()
    if len(token) < 32:
        raise InvalidInput(f"{path} holds no token.", hint="Delete the file; a new token is made.")
    return token


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes the file 0600, and in the same folder, so that the replacement is one step.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
