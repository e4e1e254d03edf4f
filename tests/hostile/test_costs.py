"""What a request costs the server before it is known who asks: never more than in proportion to its
bytes.

The processor time of the server's own thread is measured, so that other load on the machine does
not count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving import Victim, connected, head, read_answer

MAX_SECONDS = 0.010
"""For one request with a head of 32 KB; most of it is taken by reading so much."""
TIMES = 5
SMALL, LARGE = 15_000, 30_000

PATTERNS: dict[str, Callable[[int], str]] = {
    "backslashes": lambda size: 'checkback_session="' + "\\" * size,
    "quoted backslashes": lambda size: 'checkback_session="' + "\\" * size + '"',
    "octal escapes": lambda size: 'checkback_session="' + "\\012" * (size // 4) + '"',
    "quotes": lambda size: 'a="' * (size // 3),
    "semicolons": lambda size: ";" * size,
    "pairs": lambda size: "a=b;" * (size // 4),
    "commas": lambda size: "a," * (size // 2),
    "ranges": lambda size: "bytes=" + "0-0," * (size // 4),
    "spaces": lambda size: "a" + " " * size + "b",
    "tabs and quotes": lambda size: 'x/y; a="\t' * (size // 9),
    "dots": lambda size: "1." * (size // 2),
    "brackets": lambda size: "[(" * (size // 2),
    "percents": lambda size: "%25" * (size // 3),
    "digits": lambda size: "9" * size,
    "dashes": lambda size: "00-" * (size // 3),
    "boundary": lambda size: 'multipart/form-data; boundary="' + '\\"' * (size // 2),
}
HEADERS = [
    "cookie", "authorization", "x-api-key", "origin", "host", "accept", "content-type", "content-disposition",
    "range", "if-none-match", "if-modified-since", "x-request-id", "traceparent", "tracestate", "baggage",
    "sec-fetch-site", "mcp-session-id", "mcp-protocol-version", "last-event-id", "accept-encoding",
    "forwarded", "x-forwarded-for", "connection", "expect", "upgrade",
]  # fmt: skip


def spent(victim: Victim) -> float:
    """Seconds of processor time that the server's main thread has had.

    Read while the thread sleeps: the kernel adds a running thread's time only at its next tick, so
    that a request could seem to cost nothing, and the one after it twice as much.
    """
    pid = victim.process.pid
    thread = Path(f"/proc/{pid}/task/{pid}")
    latest = time.monotonic() + 5
    while (thread / "stat").read_text().rpartition(")")[2].split()[0] == "R":
        assert time.monotonic() < latest, "the server's main thread did not come to rest"
        os.sched_yield()
    return int((thread / "schedstat").read_text().split()[0]) / 1e9


def cost(victim: Victim, request: bytes) -> float:
    """The least processor time of some requests like this one."""
    found: list[float] = []
    for _ in range(TIMES):
        with connected(victim) as line:
            before = spent(victim)
            line.sendall(request)
            answer = read_answer(line)
            found.append(spent(victim) - before)
            assert answer.status < 500, answer.raw[:500]
    return min(found)


@pytest.mark.parametrize("name", HEADERS)
def test_the_head_of_a_stranger_costs_no_more_than_in_proportion_to_its_size(
    victim: Victim, name: str
) -> None:
    for pattern, make in PATTERNS.items():
        small, large = (
            cost(victim, head("GET", "/", victim, {"authorization": "", name: make(size)}))
            for size in (SMALL, LARGE)
        )
        assert large < MAX_SECONDS, (pattern, small, large)
        assert large < 4 * small + 0.002, (pattern, small, large)


@pytest.mark.parametrize(
    "path", ["/?", "/", "/jobs/", "/files/", "/static/", "/signin?code=", "/v1/job/check?jobid="]
)
def test_the_address_that_a_stranger_asks_for_costs_no_more_than_in_proportion(
    victim: Victim, path: str
) -> None:
    for pattern in ("a=b&", "%25", "../", ";;", "a[]=", "+"):
        small, large = (
            cost(
                victim,
                head("GET", path + pattern * (size // len(pattern)), victim, {"authorization": ""}),
            )
            for size in (SMALL, LARGE)
        )
        assert large < MAX_SECONDS, (pattern, small, large)
        assert large < 4 * small + 0.002, (pattern, small, large)


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
@pytest.mark.parametrize(
    "path", ["/signin", "/v1/file/upload", "/v1/pdf/info", "/mcp", "/api/jobs"]
)
def test_the_body_of_a_stranger_costs_no_more_than_in_proportion(
    victim: Victim, path: str, kind: str
) -> None:
    for pattern in (
        "a=b&",
        "%25",
        "--x\r\n",
        "\r\n",
        '--x\r\nContent-Disposition: form-data; name="\\"',
        "&",
        "{[",
    ):
        small, large = (
            cost(victim, _posted(victim, path, kind, pattern * (size // len(pattern))))
            for size in (SMALL, LARGE)
        )
        assert large < MAX_SECONDS, (pattern, small, large)
        assert large < 4 * small + 0.002, (pattern, small, large)


def _posted(victim: Victim, path: str, kind: str, body: str) -> bytes:
    lines = {"authorization": "", "content-type": kind, "content-length": str(len(body))}
    return head("POST", path, victim, lines) + body.encode()
