"""One request through the egress proxy: the only way out that a job has."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from checkback.guard.egress_http import BLOCKED_HEADER, FAILED_HEADER
from checkback.kinds.context import Egress

REDIRECTS = (301, 302, 303, 307, 308)


class FetchFailed(Exception):
    """No answer: refused, reset, too slow, or too many redirects."""


class HostUnreachable(FetchFailed):
    """The proxy may reach the host and cannot; the argument says why, in the proxy's words."""


class HostBlocked(FetchFailed):
    """The proxy does not let this job reach the host."""


@contextmanager
def get(
    url: str, egress: Egress, *, seconds: float, headers: Mapping[str, str]
) -> Generator[http.client.HTTPResponse]:
    """The answer to one GET, its body unread; ``seconds`` is for each read. Redirects are answers.

    Raises FetchFailed, HostUnreachable or HostBlocked, also for what goes wrong inside the ``with``.
    """
    with request("GET", url, egress, seconds=seconds, headers=headers) as response:
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
) -> Generator[http.client.HTTPResponse]:
    """As ``get``, for any method. A file as ``body`` needs its Content-Length among the headers."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchFailed
    connection, target, fields = _prepare(url, egress, seconds, headers)
    try:
        connection.request(method, target, body=body, headers=fields)
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
        connection.close()


def _heed_proxy(response: http.client.HTTPResponse) -> None:
    """Raise what the proxy says in place of an answer. It removes its own headers from what servers say; but
    through a tunnel it sees nothing, and there a server could write them itself."""
    if (reason := response.getheader(FAILED_HEADER)) is not None:
        raise HostUnreachable(reason)
    if response.getheader(BLOCKED_HEADER) is not None:
        raise HostBlocked


def is_same_origin(url: str, other: str) -> bool:
    """Whether what belongs to one address may be shown to another one: scheme, host and port are the same.

    The step from http to https on one host, each on its usual port, counts too: it only protects more.
    """
    first, second = _origin(url), _origin(other)
    return first == second or (first[0] == "http" and second == ("https", first[1], 443) and first[2] == 80)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1  # no address that could be reached
    return parts.scheme, parts.hostname or "", port or (443 if parts.scheme == "https" else 80)


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
