"""Small fetches beside the browser, through the same egress proxy: robots.txt, and the proxy's own report."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from checkback.kinds.context import Egress
from checkback.kinds.pages.network import BLOCKED_HEADER, FAILED_HEADER

REPORT_URL = "http://egress.invalid/report"


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, its body cut at the size that was asked for."""

    url: str
    status: int
    body: bytes
    #: The proxy refused the address; the status is its own.
    blocked: bool = False


class FetchFailed(Exception):
    """No answer: refused, reset, too slow, or too many redirects."""


class HostUnreachable(FetchFailed):
    """The proxy may reach the host and cannot; the argument says why, in the proxy's words."""


def fetch(
    url: str, egress: Egress, *, user_agent: str, seconds: float, max_bytes: int, redirects: int = 5
) -> Fetched:
    """GET a URL through the proxy, within ``seconds`` for each redirect. Blocking: call it in a thread.

    Raises FetchFailed, or HostUnreachable where the reason is known. An address that the proxy blocks is an
    answer, not a failure.
    """
    for _ in range(redirects + 1):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchFailed
        try:
            answer, location = _get(url, egress, user_agent, seconds, max_bytes)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if "Tunnel connection failed: 403" in str(error):
                return Fetched(url, 403, b"", blocked=True)
            if "Tunnel connection failed: 50" in str(error):
                raise HostUnreachable("unreachable") from error
            raise FetchFailed from error
        if not location:
            return answer
        url = urljoin(url, location)
    raise FetchFailed


def _get(
    url: str, egress: Egress, user_agent: str, seconds: float, max_bytes: int
) -> tuple[Fetched, str | None]:
    end = time.monotonic() + seconds
    parts = urlsplit(url)
    proxy = urlsplit(egress.proxy_url)
    key = base64.b64encode(f"{egress.username}:{egress.password}".encode()).decode()
    headers = {"User-Agent": user_agent, "Accept": "text/plain, */*;q=0.5"}
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            proxy.hostname or "", proxy.port, timeout=seconds, context=ssl.create_default_context()
        )
        connection.set_tunnel(
            parts.hostname or "", parts.port or 443, {"Proxy-Authorization": f"Basic {key}"}
        )
        target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    else:
        connection = http.client.HTTPConnection(proxy.hostname or "", proxy.port, timeout=seconds)
        headers["Proxy-Authorization"] = f"Basic {key}"
        target = parts._replace(fragment="").geturl()
    try:
        connection.request("GET", target, headers=headers)
        # The answer keeps the socket open on its own until it is read to its end or closed.
        with connection.getresponse() as response:
            return _answer(url, response, end, max_bytes)
    finally:
        connection.close()


def _answer(
    url: str, response: http.client.HTTPResponse, end: float, max_bytes: int
) -> tuple[Fetched, str | None]:
    if (reason := response.getheader(FAILED_HEADER)) is not None:
        raise HostUnreachable(reason)
    blocked = response.getheader(BLOCKED_HEADER) is not None
    if response.status in (301, 302, 303, 307, 308):
        return Fetched(url, response.status, b"", blocked), response.getheader("Location")
    return Fetched(url, response.status, _read(response, end, max_bytes), blocked), None


def _read(response: http.client.HTTPResponse, end: float, max_bytes: int) -> bytes:
    # A socket's timeout is for each read; a host that sends a byte a second must not hold us for ever.
    body = bytearray()
    while len(body) < max_bytes and (chunk := response.read1(min(65_536, max_bytes - len(body)))):
        body += chunk
        if time.monotonic() > end:
            raise FetchFailed
    return bytes(body)


def egress_report(egress: Egress) -> dict[str, Any]:
    """What the proxy counted and refused for this job; empty when it does not say."""
    try:
        answer = fetch(REPORT_URL, egress, user_agent="checkback", seconds=2, max_bytes=1_000_000)
        report: object = json.loads(answer.body) if answer.status == 200 else {}
    except (FetchFailed, ValueError):
        return {}
    return cast("dict[str, Any]", report) if isinstance(report, dict) else {}
