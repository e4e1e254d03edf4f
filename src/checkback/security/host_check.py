"""Which Host and Origin headers are answered: the protection against DNS rebinding and other sites'
pages.

A page on evil.example can make a browser send requests to 127.0.0.1, and can give its own name that
address. Neither request can lie in Host or Origin, so both are compared with a list before any
handler runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from checkback.core.errors import Forbidden

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")

_SCHEME_PORTS = {"http": 80, "https": 443}

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class HostList:
    """The names this server answers to: ``host:port`` exactly, or ``host`` on any port."""

    hosts: frozenset[str]

    @classmethod
    def of(cls, port: int | None, configured: Iterable[str] = ()) -> HostList:
        """The loopback names with ``port`` (with any, if None), and the configured ones."""
        own = (name if port is None else f"{name}:{port}" for name in LOOPBACK)
        return cls(frozenset([*own, *(name.strip().lower() for name in configured)]) - {""})

    def has(self, host: str) -> bool:
        """Whether ``host``, as a Host header has it, is one of these names."""
        match = _HOST.fullmatch(host.lower())
        return match is not None and not self.hosts.isdisjoint((match[0], match[1]))


def check(allowed: HostList, hosts: Iterable[str], origins: Iterable[str]) -> None:
    """Raise Forbidden unless the request's one Host, and its Origin if it has one, are on the list.

    Takes every header of these names, because two of them are how one proxy is made to read the
    other.
    """
    _check_host(allowed, list(hosts))
    _check_origin(allowed, list(origins))


def _check_host(allowed: HostList, headers: list[str]) -> None:
    if len(headers) != 1 or not allowed.has(headers[0]):
        raise Forbidden(
            "This server does not answer to that host name.",
            hint="Use 127.0.0.1, or list the name in CHECKBACK_HOSTS.",
        )


def _check_origin(allowed: HostList, headers: list[str]) -> None:
    if len(headers) > 1 or not all(_known(allowed, origin) for origin in headers):
        raise Forbidden(
            "Pages of other sites may not call this server.",
            hint="For a page of your own, list its host in CHECKBACK_HOSTS.",
        )


def _known(allowed: HostList, origin: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(origin)
        host = parts.netloc
        # A browser leaves the scheme's own port out of both headers; a list entry may spell it.
        spelled = host if parts.port else f"{host}:{_SCHEME_PORTS.get(parts.scheme)}"
        return _is_plain_origin(parts) and (allowed.has(host) or allowed.has(spelled))
    return False


def _is_plain_origin(parts: SplitResult) -> bool:
    """Whether there is a web scheme and a host, and nothing else: no user, no path."""
    if parts.scheme not in _SCHEME_PORTS or "@" in parts.netloc:
        return False
    return not (parts.path or parts.query or parts.fragment)
