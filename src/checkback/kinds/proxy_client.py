"""One request through the egress proxy: the only way out that a job has."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from checkback.kinds.context import Egress
from checkback.security.egress.http1 import BLOCKED_HEADER, FAILED_HEADER

REDIRECTS = (301, 302, 303, 307, 308)


class FetchFailed(Exception):
    """No answer: refused, reset, too slow, or too many redirects."""


class HostUnreachable(FetchFailed):
    """The proxy may reach the host and cannot; the argument says why, in the proxy's words."""


class HostBlocked(FetchFailed):
    """The proxy does not let this job reach the host."""


@contextmanager
def get(
    url: str,
    egress: Egress,
    *,
    seconds: float,
    headers: Mapping[str, str],
    total_seconds: float | None = None,
) -> Generator[http.client.HTTPResponse]:
    """The answer to one GET, its body unread; ``seconds`` is for each read, ``total_seconds`` for
    all until the end of the ``with``. Redirects are answers.

    Raises FetchFailed, HostUnreachable or HostBlocked, also for what goes wrong inside the
    ``with``.
    """
    with request(
        "GET", url, egress, seconds=seconds, headers=headers, total_seconds=total_seconds
    ) as response:
        yield response


@contextmanager
def request(
    method: str,
    url: str,
    egress: Egress,
    *,
    seconds: float,
    headers: Mapping[str, str],
    body: bytes | BinaryIO | None = None,
    total_seconds: float | None = None,
) -> Generator[http.client.HTTPResponse]:
    """As ``get``, for any method. A file as ``body`` needs its Content-Length among the headers."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchFailed
    connection, target, fields = _prepare(url, egress, seconds, headers)
    end = _End(connection, total_seconds)
    try:
        connection.request(method, target, body=body, headers=fields)
        end.hold()
        # The answer keeps the socket open on its own until it is read to its end or closed.
        with connection.getresponse() as response:
            if parts.scheme == "http":
                _heed_proxy(response)
            yield response
    except OSError as error:
        if str(error).startswith("Tunnel connection failed: 403"):
            raise HostBlocked from error
        if str(error).startswith("Tunnel connection failed: 50"):
            raise HostUnreachable("unreachable") from error
        raise FetchFailed from error
    except (http.client.HTTPException, ValueError) as error:
        raise FetchFailed from error
    finally:
        end.cancel()
        connection.close()


def _heed_proxy(response: http.client.HTTPResponse) -> None:
    """Raise what the proxy says in place of an answer. It removes its own headers from what servers
    say; but through a tunnel it sees nothing, and there a server could write them itself.
    """
    if (reason := response.getheader(FAILED_HEADER)) is not None:
        raise HostUnreachable(reason)
    if response.getheader(BLOCKED_HEADER) is not None:
        raise HostBlocked


def is_same_origin(url: str, other: str) -> bool:
    """Whether what belongs to one address may be shown to another one: scheme, host and port are
    the same.

    The step from http to https on one host, each on its usual port, counts too: it only protects
    more.
    """
    first, second = _origin(url), _origin(other)
    return first == second or (
        first[0] == "http" and second == ("https", first[1], 443) and first[2] == 80
    )


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1  # no address that could be reached
    return parts.scheme, parts.hostname or "", port or (443 if parts.scheme == "https" else 80)


class _End:
    """Ends a connection when its time is over, whatever it waits for: a server that sends a byte
    now and then keeps each read from running out of time.
    """

    def __init__(self, connection: http.client.HTTPConnection, seconds: float | None) -> None:
        self._connection = connection
        self._socket: socket.socket | None = None
        self._is_over = False
        self._timer = (
            threading.Timer(max(0.0, seconds or 0.0), self._shut) if seconds is not None else None
        )
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def hold(self) -> None:
        """Remember the socket: the connection forgets it when it hands it over to its answer.
        Raises TimeoutError.
        """
        self._socket = self._connection.sock
        if self._is_over:
            raise TimeoutError

    def cancel(self) -> None:
        """It has ended in time."""
        if self._timer is not None:
            self._timer.cancel()

    def _shut(self) -> None:
        self._is_over = True
        line = self._socket or self._connection.sock
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


def location(url: str, response: http.client.HTTPResponse) -> str | None:
    """Where a redirect leads, or None where the answer is none."""
    to = response.getheader("Location") if response.status in REDIRECTS else None
    return urljoin(url, to) if to else None


def _prepare(
    url: str, egress: Egress, seconds: float, headers: Mapping[str, str]
) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    parts = urlsplit(url)
    proxy = urlsplit(egress.proxy_url)
    key = base64.b64encode(f"{egress.username}:{egress.password}".encode()).decode()
    fields = dict(headers)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            proxy.hostname or "", proxy.port, timeout=seconds, context=ssl.create_default_context()
        )
        connection.set_tunnel(
            parts.hostname or "", parts.port or 443, {"Proxy-Authorization": f"Basic {key}"}
        )
        return connection, parts._replace(scheme="", netloc="", fragment="").geturl() or "/", fields
    plain = http.client.HTTPConnection(proxy.hostname or "", proxy.port, timeout=seconds)
    fields["Proxy-Authorization"] = f"Basic {key}"
    return plain, parts._replace(fragment="").geturl(), fields
