"""Who may do what in the embedded store: passwords in files of mode 0600, and the list of users for
Valkey.

Without a password a connection can do nothing but PING. The user ``checkback``, which all of our
processes use, has no command that stops or copies the server, changes its settings or reaches
another one; ``admin`` has all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

APP, ADMIN = "checkback", "admin"
RULES_NAME = "users.acl"
_FILES = {APP: "password", ADMIN: "admin-password"}
_RULES = {
    APP: "~* &* +@all -@dangerous -@admin -function -script +script|load +script|exists +info +client|list",
    ADMIN: "~* &* +@all",
}


def password(folder: Path, user: str = APP) -> str:
    """A user's password, created if it does not exist yet. ``folder`` is the
    store's. Raises OSError.
    """
    path = folder / _FILES[user]
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A second file and a link: of several processes that start at once, one's password wins and is
    # whole.
    fresh = folder / f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}"
    _write(fresh, secrets.token_urlsafe(32))
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()
    return path.read_text().strip()


def write_rules(folder: Path) -> Path:
    """The list of users as Valkey reads it at its start, with hashes in the place of passwords."""
    lines = ["user default on nopass resetkeys resetchannels -@all +ping"]
    for user, rules in _RULES.items():
        digest = hashlib.sha256(password(folder, user).encode()).hexdigest()
        lines.append(f"user {user} on #{digest} {rules}")
    text, path = "\n".join(lines) + "\n", folder / RULES_NAME
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == text:
            return path  # nothing is written, for the disk may be full
    fresh = folder / f"{RULES_NAME}.new"
    fresh.unlink(missing_ok=True)
    _write(fresh, text)
    return fresh.replace(path)


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
