"""Small requests without the browser, through the same egress proxy: robots.txt, and the proxy's
own report.
"""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any, cast

from checkback.kinds import proxy_client
from checkback.kinds.context import Egress
from checkback.kinds.proxy_client import FetchFailed, HostBlocked
from checkback.kinds.proxy_client import HostUnreachable as HostUnreachable

REPORT_URL = "http://egress.invalid/report"


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, its body cut at the size that was asked for."""

    url: str
    status: int
    body: bytes
    #: The proxy refused the address; the status is its own.
    blocked: bool = False


def fetch(
    url: str, egress: Egress, *, user_agent: str, seconds: float, max_bytes: int, redirects: int = 5
) -> Fetched:
    """GET a URL through the proxy, within ``seconds`` for each redirect. Blocking: call it in a
    thread.

    Raises FetchFailed, or HostUnreachable where the reason is known. An address that the proxy
    blocks is an answer, not a failure.
    """
    headers = {"User-Agent": user_agent, "Accept": "text/plain, */*;q=0.5"}
    for _ in range(redirects + 1):
        end = time.monotonic() + seconds
        try:
            with proxy_client.get(url, egress, seconds=seconds, headers=headers) as response:
                further = proxy_client.location(url, response)
                if further is None:
                    return Fetched(url, response.status, _read(response, end, max_bytes))
        except HostBlocked:
            return Fetched(url, 403, b"", blocked=True)
        url = further
    raise FetchFailed


def _read(response: http.client.HTTPResponse, end: float, max_bytes: int) -> bytes:
    # A socket's timeout is for each read; a host that sends a byte a second must not hold us for
    # ever.
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
