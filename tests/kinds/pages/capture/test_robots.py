"""robots.txt after RFC 9309: which answers allow, which forbid."""

import pytest

from checkback.kinds.browser.proxy_fetch import Fetched
from checkback.kinds.pages.capture.robots import judge

PAGE = "https://example.com/drafts/one"


def answer(status: int, body: str = "", *, blocked: bool = False) -> Fetched:
    return Fetched("https://example.com/robots.txt", status, body.encode(), blocked)


@pytest.mark.parametrize(
    ("status", "allowed", "ground"),
    [
        (404, True, "no_rules"),
        (403, True, "no_rules"),
        (500, False, "unreachable"),
        (503, False, "unreachable"),
        (200, True, "rules"),
    ],
)
def test_the_status_decides_without_rules(status: int, allowed: bool, ground: str) -> None:
    found = judge(PAGE, answer(status))
    assert (found.allowed, found.ground) == (allowed, ground)


def test_rules_for_all_and_rules_for_us() -> None:
    assert not judge(PAGE, answer(200, "User-agent: *\nDisallow: /drafts/")).allowed
    ours = "User-agent: *\nDisallow: /\n\nUser-agent: checkback\nAllow: /\nCrawl-delay: 2"
    found = judge(PAGE, answer(200, ours))
    assert (found.allowed, found.crawl_delay_seconds) == (True, 2.0)


def test_a_blocked_host_is_told_as_blocked() -> None:
    assert judge(PAGE, answer(403, blocked=True)).ground == "blocked"


def test_bytes_that_are_no_text_are_no_rules() -> None:
    assert judge(PAGE, Fetched("x", 200, b"\xff\xfe\x00Disallow: /")).allowed
