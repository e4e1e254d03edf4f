"""Requests that are too large, too slow, too many in one, or lie about themselves, at every door
(A14).
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import time
from typing import Any

import pytest
import uvicorn

from checkback.api.middleware import timeouts
from checkback.api.middleware.timeouts import BodyTimeouts, TimeoutProtocol
from serving import Victim, ask, connected, get, head, post, read_answer

DOORS = ["/api/jobs", "/mcp", "/v1/pdf/info", "/v1/job/check", "/signin"]
MCP = {"accept": "application/json, text/event-stream"}
JSON = {"content-type": "application/json", **MCP}
LARGE = 50 << 20
LARGER = {"/v1/file/upload/base64": 70 << 20}


def lives(victim: Victim) -> None:
    """The server still answers."""
    assert get(victim, "/api/jobs").status == 200


@pytest.mark.parametrize("path", [*DOORS, *LARGER])
def test_fifty_megabytes_are_refused_while_they_come(victim: Victim, path: str) -> None:
    """Without a length, so that it can only be counted. The answer comes long before the end."""
    with connected(victim) as line:
        line.sendall(head("POST", path, victim, {**JSON, "transfer-encoding": "chunked"}))
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        sent = 0
        while sent < LARGER.get(path, LARGE) and not select.select([line], [], [], 0)[0]:
            line.sendall(piece)
            sent += 65536
        answer = read_answer(line)
    assert sent < LARGER.get(path, LARGE)
    assert answer.status == 413, answer.raw
    lives(victim)


def test_a_submit_whose_answer_nobody_read_is_found_by_its_key(victim: Victim) -> None:
    body = json.dumps({"kind": "test.save_much", "key": "the answer was lost"}).encode()
    request = head("POST", "/api/jobs", victim, {**JSON, "content-length": str(len(body))}) + body
    for _ in range(3):
        with connected(victim) as line:
            line.sendall(request)
    listing = "/api/jobs?kind=test.save_much"
    ends = time.monotonic() + 10
    while not get(victim, listing).json()["jobs"]:
        assert time.monotonic() < ends
    again = post(victim, "/api/jobs", body, JSON)
    assert again.status == 200
    assert [job["id"] for job in get(victim, listing).json()["jobs"]] == [again.json()["id"]]


@pytest.mark.parametrize("path", DOORS)
def test_a_body_past_the_limit_is_told(victim: Victim, path: str) -> None:
    body = b'{"x":"' + b"x" * (3 << 20) + b'"}'
    answer = post(victim, path, body, JSON)
    assert answer.status == 413, answer.raw[:500]
    lives(victim)


@pytest.mark.parametrize("path", DOORS)
def test_a_length_that_lies_is_believed_by_nobody(victim: Victim, path: str) -> None:
    body = b'{"kind":"test.add","args":{"a":1,"b":2}}'
    for length in (
        "5",
        "-1",
        "1e3",
        "999999999999999999999",
        "0x10",
        "5, 5",
        "40\r\ncontent-length: 41",
    ):
        answer = ask(
            victim, head("POST", path, victim, {**JSON, "content-length": length}) + body, 0.5
        )
        # 0: nothing was said, because more was promised than came and the client hung up.
        expected = (
            (401, 429) if path == "/signin" else (200, 403, 404) if path.startswith("/v1/") else ()
        )
        assert answer.status in (0, 400, 408, 413, 422, *expected), answer.raw[:300]
        assert answer.status < 500


POST = "POST {path} HTTP/1.1\r\n{host}"
SMUGGLED = {
    "a length beside chunks": POST + "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunks beside a length": POST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "chunks of HTTP/1.0": "POST {path} HTTP/1.0\r\n{host}transfer-encoding: chunked\r\n\r\n",
    "two lengths": POST + "content-length: 5\r\ncontent-length: 6\r\n\r\n",
    "bare line feeds": "POST {path} HTTP/1.1\n{host}content-length: 5\n\n",
    "one bare line feed": POST + "x-a: b\ncontent-length: 5\r\n\r\n",
    "a bare carriage return": POST + "x-a: b\rc: d\r\ncontent-length: 5\r\n\r\n",
    "a folded header": POST + "x-a: b\r\n c: d\r\ncontent-length: 5\r\n\r\n",
    "a folded header with a tab": POST + "x-a: b\r\n\tc: d\r\ncontent-length: 5\r\n\r\n",
    "a space before the colon": POST + "content-length : 5\r\n\r\n",
    "another coding": POST + "transfer-encoding: gzip, chunked\r\n\r\n",
    "a coding that looks like chunks": POST + "transfer-encoding: xchunked\r\n\r\n",
    "a header after chunks with a bare line feed": POST + "transfer-encoding: chunked\r\n\r\n0\r\nx: y\n\r\n",
    "a size of chunks with a sign": POST + "transfer-encoding: chunked\r\n\r\n+5\r\n",
    "a size of chunks with 0x": POST + "transfer-encoding: chunked\r\n\r\n0x5\r\n",
    "an empty line first": "\nPOST {path} HTTP/1.1\r\n{host}content-length: 5\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("name", SMUGGLED)
def test_a_head_that_a_proxy_may_read_differently_is_refused(
    victim: Victim, path: str, name: str
) -> None:
    end = "\n" if name == "bare line feeds" else "\r\n"
    host = f"host: {victim.host}{end}authorization: Bearer {victim.ada}{end}"
    host += f"content-type: application/json{end}"
    smuggled = f"GET /api/jobs HTTP/1.1\r\nhost: {victim.host}\r\n\r\n"
    request = SMUGGLED[name].format(path=path, host=host) + "0\r\n\r\n" + smuggled
    with connected(victim) as line:
        line.sendall(request.encode())
        first = read_answer(line)
        assert first.status in (400, 501), first.raw
        assert read_answer(line).status == 0  # nothing after it is read as a request
    lives(victim)
    lives(victim)


@pytest.mark.parametrize("path", [*DOORS, "/health", "/signin"])
def test_ten_thousand_headers_are_refused(victim: Victim, path: str) -> None:
    many = {f"x-{number}": "x" for number in range(10_000)}
    assert ask(victim, head("GET", path, victim, many)).status in (0, 400, 431)
    assert ask(victim, head("GET", path, victim, {"x-long": "x" * 100_000})).status in (0, 400, 431)
    lives(victim)


def test_ten_thousand_ranges_cost_nothing(victim: Victim) -> None:
    done = post(victim, "/api/jobs", b'{"kind":"test.say","args":{"words":"0123456789"}}')
    job = get(victim, f"/api/jobs/{done.json()['id']}?wait=20").json()
    path = job["artifacts"][0]["url"]
    assert get(victim, path, {"range": "bytes=2-4"}).body == b"234"
    started = time.monotonic()
    for ranges in (
        ",".join(f"{number % 9}-" for number in range(5_000)),
        ",".join("0-0" for _ in range(7_000)),
        "-" * 10_000,
        "0-" + "9" * 10_000,
    ):
        answer = get(victim, path, {"range": f"bytes={ranges}"})
        assert answer.status in (200, 206, 400, 416)
        assert len(answer.raw) < 5_000
    assert time.monotonic() - started < 5
    lives(victim)


def test_whoever_sends_no_head_is_shown_the_door(victim: Victim) -> None:
    """All at once: nothing at all, half a head, a head byte by byte, half a second request."""
    beginnings = [b"", b"GET /health HTTP/1.1\r\nhost: x", b"POST /api/jobs HTT"]
    with (
        connected(victim) as one,
        connected(victim) as two,
        connected(victim) as three,
        connected(victim) as four,
    ):
        started = time.monotonic()
        for line, beginning in zip((one, two, three), beginnings, strict=True):
            line.sendall(beginning)
        # Not /health, which says 503 until the first worker is there.
        four.sendall(head("GET", "/api/jobs", victim))
        assert read_answer(four).status == 200
        four.sendall(b"GET /hea")
        for line in (one, two, three, four):
            line.settimeout(timeouts.HEAD_SECONDS + 10)
            assert read_answer(line).status == 408
            assert line.recv(10) == b""
        assert time.monotonic() - started < timeouts.HEAD_SECONDS + 8
    lives(victim)


# --- Slow bodies: in this process, where the patience can be made short ---------------------------


class Slow:
    """A client that sends ``pieces`` of its body and then nothing more."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        if self.pieces:
            return {"type": "http.request", "body": self.pieces.pop(0), "more_body": True}
        return await asyncio.get_running_loop().create_future()

    async def send(self, message: Any) -> None:
        self.sent.append(message)


SCOPE: dict[str, Any] = {"type": "http", "method": "POST", "path": "/x", "headers": []}


async def test_a_body_that_stops_coming_is_told_and_its_handler_ended() -> None:
    seen: list[str] = []

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            seen.append("piece")
        seen.append(message["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    client = Slow(b"{", b'"a"')
    await BodyTimeouts(application, seconds=0.05)(SCOPE, client.receive, client.send)
    assert seen == ["piece", "piece", "http.disconnect"]
    start, body = client.sent
    assert (start["status"], json.loads(body["body"])["error"]["code"]) == (408, "request_too_slow")
    assert (b"connection", b"close") in start["headers"]


async def test_a_large_body_gets_more_time() -> None:
    kept = BodyTimeouts(_count, seconds=0.05)
    client = Slow(*[b"x" * timeouts.BODY_BYTES] * 3)
    started = time.monotonic()
    await kept(SCOPE, client.receive, client.send)
    assert time.monotonic() - started >= 0.15
    assert client.sent[0]["status"] == 408


async def _count(_scope: Any, receive: Any, _send: Any) -> None:
    while (await receive())["type"] == "http.request":
        pass


async def test_after_the_body_nobody_is_hurried() -> None:
    """A long wait asks whether its client is still there; that may take as long as it likes."""
    asked = 0

    async def receive() -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            return {"type": "http.request", "body": b"{}", "more_body": False}
        await asyncio.sleep(0.1)
        return {"type": "http.disconnect"}

    client = Slow()
    await BodyTimeouts(_count, seconds=0.02)(SCOPE, receive, client.send)
    assert client.sent == []


async def test_half_a_body_and_then_silence_is_told_over_a_real_connection() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        BodyTimeouts(_count, seconds=0.2), http=TimeoutProtocol, lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n{"half": ')
    async with asyncio.timeout(20):
        heard = await reader.read()  # to the end: the connection is closed
    writer.close()
    server.should_exit = True
    await serving
    assert heard.startswith(b"HTTP/1.1 408")
    assert b"request_too_slow" in heard


def test_a_slow_body_over_a_real_connection(victim: Victim) -> None:
    """Bytes that come, though slowly, are waited for."""
    body = b'{"kind":"test.add","args":{"a":1,"b":2}}'
    with connected(victim) as line:
        line.sendall(head("POST", "/api/jobs", victim, {**JSON, "content-length": str(len(body))}))
        for position in range(len(body)):
            line.sendall(body[position : position + 1])
        assert read_answer(line).status == 202
