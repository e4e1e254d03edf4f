"""Whether a site's robots.txt lets us open a page, after RFC 9309.

Section 2.3.1: any 4xx means there are no rules; a server error or no answer at all means everything
is disallowed; at least five redirects are followed. Section 2.5: at least 500 KiB must be read.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from protego import Protego

from checkback.kinds.browser.proxy_fetch import Fetched, FetchFailed, HostUnreachable, fetch
from checkback.kinds.context import Egress

AGENT = "checkback"
SECONDS = 5.0
MAX_BYTES = 512 * 1024
REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class RobotsAnswer:
    """What robots.txt says about one URL, and on what grounds."""

    allowed: bool
    #: ``rules``, ``no_rules``, ``unreachable`` or ``blocked``.
    ground: str
    status: int | None = None
    crawl_delay_seconds: float | None = None


async def ask_robots(url: str, egress: Egress) -> RobotsAnswer:
    """Fetch the robots.txt of ``url``'s host through the proxy and judge ``url`` by it.

    Raises HostUnreachable when there is no such host, which says more than that its robots.txt is
    missing.
    """
    parts = urlsplit(url)
    address = parts._replace(path="/robots.txt", query="", fragment="").geturl()
    start = time.monotonic()
    try:
        async with asyncio.timeout(SECONDS):
            answer = await asyncio.to_thread(
                fetch,
                address,
                egress,
                user_agent=AGENT,
                seconds=SECONDS - (time.monotonic() - start),
                max_bytes=MAX_BYTES,
                redirects=REDIRECTS,
            )
    except HostUnreachable:
        raise
    except (TimeoutError, FetchFailed):
        return RobotsAnswer(False, "unreachable")
    return judge(url, answer)


def judge(url: str, answer: Fetched) -> RobotsAnswer:
    """What an answer for robots.txt means for ``url``."""
    if answer.blocked:
        return RobotsAnswer(False, "blocked", answer.status)
    if answer.status >= 500:
        return RobotsAnswer(False, "unreachable", answer.status)
    if not 200 <= answer.status < 300:
        return RobotsAnswer(True, "no_rules", answer.status)
    rules = Protego.parse(answer.body.decode("utf-8", "replace"))
    is_allowed = rules.can_fetch(url, AGENT)
    return RobotsAnswer(is_allowed, "rules", answer.status, _crawl_delay(rules))


def _crawl_delay(rules: Protego) -> float | None:
    delay = rules.crawl_delay(AGENT)
    return float(delay) if delay is not None else None
