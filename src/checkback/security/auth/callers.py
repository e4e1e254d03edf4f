"""Who is asking, and what they may do. ``checkback.security.auth.authenticator`` finds out who."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from checkback.core.errors import CheckbackError, Unauthorized
from checkback.security.auth.peer_user import user_of

LOCAL_OWNER = "local"
"""The owner of everything that comes from this machine's own shell, stdio server and folder token,
and of jobs that another BullMQ client put into a queue.
"""


class Scope(StrEnum):
    """What a token allows."""

    READ = "read"
    """See one's own jobs."""
    WRITE = "write"
    """Submit, cancel and retry jobs."""
    ADMIN = "admin"
    """See and change every owner's jobs."""
    METRICS = "metrics"
    """Read the figures at /metrics; alone, nothing else."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose token was accepted."""

    owner: str
    scopes: frozenset[Scope] = frozenset({Scope.READ, Scope.WRITE})

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    @property
    def bound_to(self) -> str | None:
        """The owner whose jobs alone this caller sees; None for an admin."""
        return None if self.is_admin else self.owner

    @property
    def only_measures(self) -> bool:
        """Whether this token is for /metrics and for nothing else."""
        return self.scopes == frozenset({Scope.METRICS})

    def may(self, scope: Scope) -> bool:
        """Whether this caller has ``scope``; an admin has them all."""
        return self.is_admin or scope in self.scopes


LOCAL = Caller(LOCAL_OWNER, frozenset(Scope))
"""The caller on this machine's own unix socket."""


SESSION_COOKIE = "checkback_session"

_CALLER = "checkback.caller"


def attach(scope: Any, caller: Caller | CheckbackError) -> None:
    """Put the answer to "who is asking" into an ASGI scope: a caller, or the error that says why
    not.

    A refusal is kept rather than raised, so that each API can report it in its own format.
    """
    scope[_CALLER] = caller


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """Who sent the request of this ASGI scope. Raises what ``attach`` was
    given, or Unauthorized.
    """
    found = scope.get(_CALLER)
    if isinstance(found, Caller):
        return found
    if isinstance(found, CheckbackError):
        raise found
    raise Unauthorized


def user_of_client(scope: Mapping[str, Any]) -> int | None:
    """The user of this machine whose program sent the request; None for one from elsewhere."""
    client, server = scope.get("client"), scope.get("server")
    return user_of(tuple(client), tuple(server)) if client and server else None


def client_of(scope: Mapping[str, Any]) -> str:
    """The address of the client's end of the connection; a forwarded one is not believed."""
    client = scope.get("client")
    return str(client[0]) if client else "local"
