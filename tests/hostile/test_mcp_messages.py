"""What is no message, or half of one, at MCP's two doors: the right code, no 5xx, the connection
lives.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from every_door import META
from serving import Heard, Victim, connected, head, post, read_answer

MCP = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
PING = b'{"jsonrpc":"2.0","id":"alive","method":"ping"}'
INITIALIZE = (
    b'{"jsonrpc":"2.0","id":"begin","method":"initialize","params":{"protocolVersion":"2025-06-18",'
    b'"capabilities":{},"clientInfo":{"name":"fuzz","version":"1"}}}'
)
CALL = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":'
DEEP = b"[" * 10_000 + b"]" * 10_000
DEEP_OBJECT = b'{"x":' * 10_000 + b"1" + b"}" * 10_000

PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602

BAD = [
    (b"{", PARSE),
    (b"nonsense", PARSE),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping"', PARSE),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping"}}', PARSE),
    (b'{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}', PARSE),
    (b'{"jsonrpc":"2.0","id":7,"method":"\xff\xfe"}', PARSE),
    (b'{"jsonrpc":"2.0","id":7,"method":"\\ud800"}', PARSE),
    (PING.decode().encode("utf-16"), PARSE),
    (b"\xef\xbb\xbf" + PING, PARSE),
    (CALL + b'{"name":"job_list","arguments":{"limit":NaN}}}', PARSE),
    (CALL + b'{"name":"job_list","arguments":{"limit":1e400}}}', PARSE),
    (CALL + b'{"name":"job_list","arguments":{"limit":' + b"9" * 5000 + b"}}}", PARSE),
    (CALL + DEEP + b"}", PARSE),
    (CALL + b'{"name":"test_say","arguments":{"words":' + DEEP_OBJECT + b"}}}", PARSE),
    (b"[]", REQUEST),
    (b"[" + PING + b"," + PING + b"]", REQUEST),
    (b"null", REQUEST),
    (b"5", REQUEST),
    (b'"x"', REQUEST),
    (b"{}", REQUEST),
    (b'{"jsonrpc":"2.0"}', REQUEST),
    (b'{"jsonrpc":"2.0","id":7}', REQUEST),
    (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', REQUEST),
    (b'{"id":7,"method":"ping"}', REQUEST),
    (b'{"jsonrpc":2.0,"id":7,"method":"ping"}', REQUEST),
    (b'{"jsonrpc":"2.0","id":7,"method":5}', REQUEST),
    (b'{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}', REQUEST),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', REQUEST),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', REQUEST),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', REQUEST),
    (b'{"jsonrpc":"2.0","id":7,"method":"no/such"}', METHOD),
    (b'{"jsonrpc":"2.0","id":7,"method":""}', METHOD),
    (CALL + b"[]}", PARAMS),
    (CALL + b"5}", PARAMS),
    (CALL + b'{"name":5}}', PARAMS),
    (CALL + b'{"name":"job_list","arguments":[]}}', PARAMS),
    (CALL + b"{}}", PARAMS),
]

#: No message of ours, but some parsers read it, and whoever sent it waits for an answer to this id.
READABLE = [
    b'{"jsonrpc":"2.0","id":7,"method":"\\ud800"}',
    CALL + b'{"name":"job_list","arguments":{"cursor":"\\udfff"}}}',
    CALL + b'{"name":"job_list","arguments":{"\\ud83d":1}}}',
    CALL + b'{"name":"job_list","arguments":{"limit":NaN}}}',
    CALL + b'{"name":"job_list","arguments":{"limit":-Infinity}}}',
    CALL + b'{"name":"job_list","arguments":{"limit":1e400}}}',
    CALL + b"[" * 100 + b"]" * 100 + b"}",
]
UNREADABLE = [
    b'{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}',
    b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":7,"method":"ping"',
    CALL + DEEP + b"}",
]


def ids(value: Any) -> str | None:
    return repr(value[:60]) if isinstance(value, bytes) else None


# --- HTTP -----------------------------------------------------------------------------------------


def told(answer: Heard) -> dict[str, Any]:
    """The JSON-RPC answer, plain or as an event."""
    text = answer.body.decode()
    if "data: " in text:
        text = text.partition("data: ")[2].splitlines()[0]
    elif answer.headers.get("transfer-encoding") == "chunked":
        text = text.partition("\r\n")[2].rpartition("\r\n0\r\n")[0]
    return json.loads(text)


@pytest.fixture(scope="module")
def session(victim: Victim) -> dict[str, str]:
    """The headers of an open session."""
    answer = post(victim, "/mcp", INITIALIZE, MCP)
    return {**MCP, "mcp-session-id": answer.headers["mcp-session-id"]}


@pytest.mark.parametrize(("body", "code"), BAD, ids=ids)
def test_over_http_it_is_told_with_its_code_and_the_connection_lives(
    victim: Victim, session: dict[str, str], body: bytes, code: int
) -> None:
    with connected(victim) as line:
        for sent, expected in ((body, code), (PING, None)):
            length = {
                "content-type": "application/json",
                "content-length": str(len(sent)),
                **session,
            }
            line.sendall(head("POST", "/mcp", victim, length) + sent)
            answer = read_answer(line)
            assert 200 <= answer.status < 500, answer.raw[:500]
            found = told(answer)
            assert found["jsonrpc"] == "2.0"
            assert found.get("error", {}).get("code") == expected, found


@pytest.mark.parametrize(
    ("body", "identity"),
    [*((one, 7) for one in READABLE), *((one, None) for one in UNREADABLE)],
    ids=ids,
)
def test_a_message_that_cannot_be_taken_is_answered_to_its_id_where_that_is_sure(
    victim: Victim, session: dict[str, str], body: bytes, identity: int | None
) -> None:
    answer = told(post(victim, "/mcp", body, session))
    assert answer["error"]["code"] == PARSE
    assert answer["id"] == identity


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""],
)
def test_over_http_other_types_and_encodings_change_nothing(victim: Victim, kind: str) -> None:
    for more in (
        {"content-encoding": "gzip"},
        {"accept": "text/html"},
        {"mcp-protocol-version": "1999-01-01"},
        {},
    ):
        answer = post(victim, "/mcp", PING, {**MCP, "content-type": kind, **more})
        assert 200 <= answer.status < 500


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from(
    [
        "job_list",
        "job_status",
        "job_wait",
        "job_result",
        "test_say",
        "get_job_check",
        "page_analyze",
    ]
)
methods = st.sampled_from(
    ["tools/call", "tools/list", "resources/read", "prompts/get", "initialize", "logging/setLevel"]
)
messages = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "id": st.integers() | st.text(max_size=5), "method": methods},
    optional={
        "params": json_values | st.fixed_dictionaries({"name": names, "arguments": json_values})
    },
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages.map(lambda message: json.dumps(message).encode()) | st.binary(max_size=60))
def test_over_http_no_message_is_an_error_of_the_servers(
    victim: Victim, session: dict[str, str], body: bytes
) -> None:
    answer = post(victim, "/mcp", body, session)
    assert 200 <= answer.status < 500, answer.raw
    assert b"Traceback" not in answer.body


def of_the_newest(message: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """A message as clients without sessions send it, with headers that agree with it."""
    lines = {**MCP, "mcp-protocol-version": "2026-07-28", "mcp-method": message["method"]}
    params = message.get("params")
    if isinstance(params, dict):
        given: dict[str, Any] = {"_meta": META, **params}  # pyright: ignore[reportUnknownVariableType]
        message = {**message, "params": given}
        if isinstance(name := given.get("name"), str) and name.isascii() and name.isprintable():
            lines["mcp-name"] = name
    return lines, json.dumps(message).encode()


def say(line: socket.socket, victim: Victim, body: bytes, headers: dict[str, str]) -> Heard:
    length = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    line.sendall(head("POST", "/mcp", victim, length) + body)
    return read_answer(line)


def test_over_http_no_message_of_the_newest_protocol_ends_the_connection(
    victim: Victim, session: dict[str, str]
) -> None:
    with connected(victim) as line:

        @settings(max_examples=60, deadline=None, database=None)
        @given(messages)
        def each(message: dict[str, Any]) -> None:
            lines, body = of_the_newest(message)
            answer = say(line, victim, body, lines)
            assert 200 <= answer.status < 500, answer.raw
            assert b"Traceback" not in answer.body

        each()
        assert told(say(line, victim, PING, session))["result"] == {}


BAD_NOTIFICATIONS = [
    b'{"jsonrpc":"2.0","method":"notifications/nothing","params":{"x":1}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":"much"}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}',
    b'{"jsonrpc":"2.0","method":"notifications/initialized","params":[]}',
    b'{"jsonrpc":"2.0","method":"tools/call"}',
    b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"job_list","arguments":5}}',
]


def test_over_http_a_bad_notification_ends_nothing(victim: Victim, session: dict[str, str]) -> None:
    newest = {**MCP, "mcp-protocol-version": "2026-07-28"}
    with connected(victim) as line:
        for body in BAD_NOTIFICATIONS:
            for lines in (session, newest | {"mcp-method": json.loads(body)["method"]}):
                answer = say(line, victim, body, lines)
                assert answer.status == 202 or 400 <= answer.status < 500, answer.raw
        assert told(say(line, victim, PING, session))["result"] == {}


# --- stdio ----------------------------------------------------------------------------------------


class Stdio:
    """``checkback mcp`` as a client starts it."""

    def __init__(self, victim: Victim) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "checkback", "mcp"],
            env=os.environ | {"CHECKBACK_HOME": str(victim.home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def next(self) -> dict[str, Any]:
        return json.loads(self._lines.get(timeout=20))

    def until(self, identity: str) -> list[dict[str, Any]]:
        """Every answer up to the one with this id."""
        found: list[dict[str, Any]] = []
        while not found or found[-1].get("id") != identity:
            found.append(self.next())
        return found

    def close(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(20)
        self._reading.join(20)
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def stdio(victim: Victim) -> Iterator[Stdio]:
    opened = Stdio(victim)
    opened.send(INITIALIZE)
    assert opened.next()["id"] == "begin"
    opened.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
    yield opened
    assert opened.close() == 0


@pytest.mark.parametrize(("body", "code"), BAD, ids=ids)
def test_over_stdio_it_is_told_with_its_code_and_the_connection_lives(
    stdio: Stdio, body: bytes, code: int
) -> None:
    stdio.send(body)
    answer = stdio.next()
    assert answer["error"]["code"] == code
    stdio.send(PING)
    assert stdio.until("alive")[-1]["result"] == {}


def test_over_stdio_a_line_without_end_is_refused_once(stdio: Stdio) -> None:
    stdio.send(b'{"jsonrpc":"2.0","id":7,"method":"' + b"x" * (5 << 20) + b'"}')
    assert stdio.next()["error"]["code"] == REQUEST
    stdio.send(b"   ")
    stdio.send(PING)
    assert stdio.next()["id"] == "alive"


def test_over_stdio_a_bad_notification_ends_nothing(stdio: Stdio) -> None:
    for body in BAD_NOTIFICATIONS:
        stdio.send(body)
    stdio.send(PING)
    assert stdio.until("alive")[-1]["result"] == {}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages.map(lambda message: json.dumps(message).encode()) | st.binary(max_size=60))
def test_over_stdio_no_line_ends_the_connection(stdio: Stdio, body: bytes) -> None:
    stdio.send(body)
    stdio.send(PING)
    assert "result" in stdio.until("alive")[-1]
