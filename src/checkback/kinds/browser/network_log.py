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
        if request is None:
            return
        response: Fields = event["response"]
        request["status"] = int(response["status"])
        request["mime"] = str(response.get("mimeType", ""))[:80]
        if is_seen_by_proxy(str(response.get("url", ""))):
            _note_proxy_answer(request, response.get("headers", {}))

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
        documents = [request for request in self._requests.values() if _is_answered_page(request)]
        same = [request for request in documents if request["url"] == url[:URL_LENGTH]]
        candidates = same or documents
        return str(candidates[-1]["mime"]) if candidates else None

    async def quiet(self, *, seconds: float, at_most: float, stalled: float = 2.0) -> bool:
        """Wait until nothing was asked or answered for ``seconds``; False when something is still
        on its way.

        What does not move for ``stalled`` seconds is given up, now and for later waits: one image
        that never comes must not make every step wait for it.
        """
        end = time.monotonic() + at_most
        while time.monotonic() < end:
            is_waiting = bool(self._open)
            if time.monotonic() - self._last_at >= (stalled if is_waiting else seconds):
                self._open.clear()
                return not is_waiting
            await asyncio.sleep(0.02)
        return False

    def summary(self, page_url: str) -> Fields:
        """The log as facts for the bundle: counts, weight, failures, other hosts."""
        requests = list(self._requests.values())
        types = Counter(request["type"] for request in requests)
        failed = [request for request in requests if _has_failed(request)]
        blocked = [request for request in requests if request.get("blocked")]
        return {
            "requests": self._total,
            "totalBytes": sum(self._bytes.values()),
            "bytesByType": dict(sorted(self._bytes.items())),
            "countByType": dict(sorted(types.items())),
            "failedTotal": len(failed),
            "failed": _listed(failed),
            "blocked": _listed(blocked),
            "thirdParty": _third_party(requests, page_url),
            "truncated": self._total > MAX_REQUESTS,
        }


def _note_proxy_answer(request: Fields, headers: Fields) -> None:
    """Note what the egress proxy says in its headers about a request that it did not forward."""
    names = {str(name).lower(): value for name, value in headers.items()}
    if BLOCKED_HEADER in names:
        request["blocked"] = True
    elif FAILED_HEADER in names:
        request["error"] = str(names[FAILED_HEADER])[:40]


def _is_answered_page(request: Fields) -> bool:
    return request["type"] == "document" and "mime" in request


def _has_failed(request: Fields) -> bool:
    if request.get("blocked"):
        return False
    return "error" in request or request.get("status", 0) >= 400


def _listed(requests: list[Fields]) -> list[Fields]:
    return [_shown(request) for request in requests[:MAX_LISTED]]


def _shown(request: Fields) -> Fields:
    return {key: request[key] for key in ("url", "type", "status", "error") if key in request}


def _third_party(requests: list[Fields], page_url: str) -> list[Fields]:
    """Other sites with the number of their requests, the most first."""
    own = _site(urlsplit(page_url).hostname)
    hosts = Counter(urlsplit(str(request["url"])).hostname or "" for request in requests)
    others = [(host, count) for host, count in hosts.most_common() if _is_other(host, own)]
    return [{"host": host, "requests": count} for host, count in others[:MAX_LISTED]]


def _is_other(host: str, own_site: str) -> bool:
    return bool(host) and _site(host) != own_site


def _site(host: str | None) -> str:
    """Roughly the registrable part of a host name: enough to tell a site's own
    hosts from others'.
    """
    parts = (host or "").rsplit(".", 3)
    if len(parts) >= 3 and len(parts[-2]) <= 3:
        return ".".join(parts[-3:])
    return ".".join(parts[-2:])
