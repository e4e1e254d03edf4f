"""What a page asked the network for: requests, their weight by type, failures, and when it is
quiet.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from checkback.kinds.browser.devtools import Devtools
from checkback.security.egress import http1

MAX_REQUESTS = 2000
MAX_LISTED = 50
URL_LENGTH = 300
# Header names as the browser gives them, in small letters.
BLOCKED_HEADER = http1.BLOCKED_HEADER.lower()
FAILED_HEADER = http1.FAILED_HEADER.lower()

Fields = dict[str, Any]


def is_seen_by_proxy(url: str) -> bool:
    """Whether the proxy's own headers in an answer can be believed. It removes them from what
    servers say; but through a TLS tunnel it sees nothing, and there a server could write them
    itself.
    """
    return url.startswith("http://")


class NetworkLog:
    """Follows the Network events of one page from before its first request."""

    def __init__(self, devtools: Devtools) -> None:
        self._requests: dict[str, Fields] = {}
        self._open: set[str] = set()
        self._last_at = time.monotonic()
        self._total = 0
        self._bytes: Counter[str] = Counter()
        devtools.on("Network.requestWillBeSent", self._sent)
        devtools.on("Network.responseReceived", self._answered)
        devtools.on("Network.dataReceived", self._progressed)
        devtools.on("Network.loadingFinished", self._finished)
        devtools.on("Network.loadingFailed", self._failed)

    def _sent(self, event: Fields) -> None:
        self._last_at = time.monotonic()
        key = str(event["requestId"])
        if key not in self._requests:
            self._total += 1
        self._open.add(key)
        url = str(event["request"]["url"])
        if url.startswith(("data:", "blob:")):
            self._open.discard(key)
            self._total -= 1
            return
        if len(self._requests) < MAX_REQUESTS:
            kind = str(event.get("type", "Other")).lower()
            self._requests[key] = {"url": url[:URL_LENGTH], "type": kind, "bytes": 0}

    def _answered(self, event: Fields) -> None:
        request = self._requests.get(str(event["requestId"]))
        if request is not None:
            response: Fields = event["response"]
            request["status"] = int(response["status"])
            request["mime"] = str(response.get("mimeType", ""))[:80]
            headers = {
                str(name).lower(): value for name, value in response.get("headers", {}).items()
            }
            if not is_seen_by_proxy(str(response.get("url", ""))):
                return
            if BLOCKED_HEADER in headers:
                request["blocked"] = True
            elif FAILED_HEADER in headers:
                request["error"] = str(headers[FAILED_HEADER])[:40]

    def _progressed(self, event: Fields) -> None:
        self._last_at = time.monotonic()

    def _finished(self, event: Fields) -> None:
        key = str(event["requestId"])
        self._done(key)
        size = int(event.get("encodedDataLength", 0))
        request = self._requests.get(key)
        if request is not None:
            request["bytes"] = size
        self._bytes[request["type"] if request else "other"] += size

    def _failed(self, event: Fields) -> None:
        key = str(event["requestId"])
        self._done(key)
        request = self._requests.get(key)
        if request is not None and not event.get("canceled"):
            request["error"] = str(event.get("errorText", "failed"))[:80]

    def _done(self, key: str) -> None:
        self._open.discard(key)
        self._last_at = time.monotonic()

    def document_type(self, url: str) -> str | None:
        """The media type of the last document that was answered, whether or not it was shown."""
        found = [r for r in self._requests.values() if r["type"] == "document" and "mime" in r]
        same = [r for r in found if r["url"] == url[:URL_LENGTH]]
        chosen = same or found
        return str(chosen[-1]["mime"]) if chosen else None

    async def quiet(self, *, seconds: float, at_most: float, stalled: float = 2.0) -> bool:
        """Wait until nothing was asked or answered for ``seconds``; False when something is still
        on its way.

        What does not move for ``stalled`` seconds is given up, now and for later waits: one image
        that never comes must not make every step wait for it.
        """
        end = time.monotonic() + at_most
        while time.monotonic() < end:
            silent = time.monotonic() - self._last_at
            if not self._open and silent >= seconds:
                return True
            if self._open and silent >= stalled:
                self._open.clear()
                return False
            await asyncio.sleep(0.02)
        return False

    def summary(self, page_url: str) -> Fields:
        """The log as facts for the bundle: counts, weight, failures, other hosts."""
        own = _site(urlsplit(page_url).hostname)
        others: Counter[str] = Counter()
        for request in self._requests.values():
            host = urlsplit(str(request["url"])).hostname
            if host and _site(host) != own:
                others[host] += 1
        requests = list(self._requests.values())
        failed = [
            r
            for r in requests
            if ("error" in r or r.get("status", 0) >= 400) and not r.get("blocked")
        ]
        return {
            "requests": self._total,
            "totalBytes": sum(self._bytes.values()),
            "bytesByType": dict(sorted(self._bytes.items())),
            "countByType": dict(sorted(Counter(r["type"] for r in requests).items())),
            "failedTotal": len(failed),
            "failed": [_shown(request) for request in failed[:MAX_LISTED]],
            "blocked": [_shown(request) for request in requests if request.get("blocked")][
                :MAX_LISTED
            ],
            "thirdParty": [
                {"host": host, "requests": n} for host, n in others.most_common(MAX_LISTED)
            ],
            "truncated": self._total > MAX_REQUESTS,
        }


def _shown(request: Fields) -> Fields:
    return {key: request[key] for key in ("url", "type", "status", "error") if key in request}


def _site(host: str | None) -> str:
    """Roughly the registrable part of a host name: enough to tell a site's own
    hosts from others'.
    """
    parts = (host or "").rsplit(".", 3)
    if len(parts) >= 3 and len(parts[-2]) <= 3:
        return ".".join(parts[-3:])
    return ".".join(parts[-2:])
