"""Sends a request through the egress proxy: the only access to the network that a job has."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

from checkback.kinds.context import Egress
from checkback.security.egress.http1 import BLOCKED_HEADER, FAILED_HEADER

REDIRECTS = (301, 302, 303, 307, 308)


class FetchFailed(Exception):
    """There is no response: the connection was refused or reset, or took too long."""


class HostUnreachable(FetchFailed):
    """The proxy could not connect to the host. The argument is the proxy's reason."""


class HostBlocked(FetchFailed):
    """The proxy does not allow this job to connect to the host."""


@contextmanager
def get(
    url: str,
    egress: Egress,
    *,
    seconds: float,
    headers: Mapping[str, str],
    total_seconds: float | None = None,
) -> Generator[http.client.HTTPResponse]:
    """The response to a GET, with its body unread. Redirects are not followed.

    ``seconds`` limits each read, ``total_seconds`` the whole ``with`` block. Raises FetchFailed,
    HostUnreachable or HostBlocked, also for network errors inside of the block.
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
    """As ``get``, for any method. If ``body`` is a file, the headers need a Content-Length."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchFailed
    connection, target, fields = _prepare(url, egress, seconds, headers)
    deadline = _Deadline(connection, total_seconds)
    try:
        connection.request(method, target, body=body, headers=fields)
        deadline.hold()
        # The response keeps the socket open until it is read to its end or closed.
        with connection.getresponse() as response:
            if parts.scheme == "http":
                _raise_proxy_error(response)
            yield response
    except OSError as error:
        raise _tunnel_error(error) from error
    except (http.client.HTTPException, ValueError) as error:
        raise FetchFailed from error
    finally:
        deadline.cancel()
        connection.close()


def _raise_proxy_error(response: http.client.HTTPResponse) -> None:
    """Raise the error that the proxy returned instead of a response.

    The proxy removes its own headers from responses of servers, except in a tunnel. So these
    headers are only trusted without a tunnel.
    """
    if (reason := response.getheader(FAILED_HEADER)) is not None:
        raise HostUnreachable(reason)
    if response.getheader(BLOCKED_HEADER) is not None:
        raise HostBlocked


def _tunnel_error(error: OSError) -> FetchFailed:
    """The error that the proxy returned when a tunnel was opened."""
    text = str(error)
    if text.startswith("Tunnel connection failed: 403"):
        return HostBlocked()
    if text.startswith("Tunnel connection failed: 50"):
        return HostUnreachable("unreachable")
    return FetchFailed()


def is_same_origin(url: str, other: str) -> bool:
    """Whether credentials for one URL may be sent to another: scheme, host and port are the same.

    A change from http to https on one host is accepted too, if both use their default ports.
    """
    origin, other_origin = _origin(url), _origin(other)
    host = origin[1]
    is_upgrade = origin == ("http", host, 80) and other_origin == ("https", host, 443)
    return origin == other_origin or is_upgrade


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1  # not a reachable address
    return parts.scheme, parts.hostname or "", port or (443 if parts.scheme == "https" else 80)


class _Deadline:
    """Closes a connection when its time is over: a server that sends a byte now and then prevents
    the timeout of each single read.
    """

    def __init__(self, connection: http.client.HTTPConnection, seconds: float | None) -> None:
        self._connection = connection
        self._socket: socket.socket | None = None
        self._is_over = False
        self._timer: threading.Timer | None = None
        if seconds is not None:
            self._timer = threading.Timer(max(0.0, seconds), self._shut)
            self._timer.daemon = True
            self._timer.start()

    def hold(self) -> None:
        """Remember the socket, which the connection passes on to its response. Raises
        TimeoutError.
        """
        self._socket = self._connection.sock
        if self._is_over:
            raise TimeoutError

    def cancel(self) -> None:
        """Stop the timer: the request has ended in time."""
        if self._timer is not None:
            self._timer.cancel()

    def _shut(self) -> None:
        self._is_over = True
        open_socket = self._socket or self._connection.sock
        if open_socket is not None:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)


def location(url: str, response: http.client.HTTPResponse) -> str | None:
    """The URL that a redirect leads to; None if the response is not a redirect."""
    if response.status not in REDIRECTS:
        return None
    target = response.getheader("Location")
    return urljoin(url, target) if target else None


def _prepare(
    url: str, egress: Egress, seconds: float, headers: Mapping[str, str]
) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """A connection to the proxy, and the target and the headers of the request."""
    parts = urlsplit(url)
    proxy = urlsplit(egress.proxy_url)
    address = (proxy.hostname or "", proxy.port)
    key = base64.b64encode(f"{egress.username}:{egress.password}".encode()).decode()
    credentials = {"Proxy-Authorization": f"Basic {key}"}
    if parts.scheme == "https":
        target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        return _tunnel(parts, address, seconds, credentials), target, dict(headers)
    connection = http.client.HTTPConnection(*address, timeout=seconds)
    return connection, parts._replace(fragment="").geturl(), {**headers, **credentials}


def _tunnel(
    parts: SplitResult,
    address: tuple[str, int | None],
    seconds: float,
    credentials: Mapping[str, str],
) -> http.client.HTTPSConnection:
    """A connection through the proxy to the host of an https URL."""
    tls = ssl.create_default_context()
    tunnel = http.client.HTTPSConnection(*address, timeout=seconds, context=tls)
    tunnel.set_tunnel(parts.hostname or "", parts.port or 443, dict(credentials))
    return tunnel
