"""Heads of HTTP, without a socket: whatever comes in, what goes out has one meaning."""

from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from checkback.security.egress import http1 as http
from checkback.security.egress.http1 import BadHttpMessage

PIECES = (
    b"GET|CONNECT|POST| |http://|a.test|[::1]|:80|/p?q| HTTP/1.1| HTTP/1.0|\r\n|\n|\r|\0|Host: b|"
    b"Connection: |close|Upgrade: websocket|upgrade|Content-Length: |Transfer-Encoding: |chunked|1|-1|"
    b",|:|@|\\|%00|\xff|HTTP/1.1 |200|407|101|X-Checkback-Blocked: x|Proxy-Authorization: Basic |eDp5"
).split(b"|")
FRAGMENTS = st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join)
HEADS = st.one_of(
    st.binary(max_size=300),
    FRAGMENTS,
    FRAGMENTS.map(lambda rest: b"GET http://a.test/ HTTP/1.1\r\n" + rest),
)


@settings(max_examples=500)
@given(HEADS)
@example(b"GET http://a.test/ HTTP/1.1\r\nConnection: Host\r\nHost: b\r\n")
def test_a_request_is_refused_or_leaves_as_one_clean_head(head: bytes) -> None:
    with suppress(BadHttpMessage):
        request = http.parse_request(head + b"\r\n\r\n")
        http.credentials(request)
        to = http.destination(request)
        http.body_length(request)
        sent = http.request_head(request, to)
        assert sent.endswith(b"\r\n\r\n")
        lines = sent[:-4].split(b"\r\n")
        assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
        names = [line.partition(b":")[0].lower() for line in lines[1:]]
        assert names.count(b"host") == 1
        assert names.count(b"connection") == 1
        assert not any(name.startswith((b"proxy-", b"x-checkback-")) for name in names)
        # Reading it again gives the same request: no second meaning.
        again = http.parse_request(sent)
        assert (again.method, again.target) == (request.method, to.path)


@settings(max_examples=500)
@given(
    st.one_of(st.binary(max_size=300), FRAGMENTS.map(lambda rest: b"HTTP/1.1 200 OK\r\n" + rest))
)
def test_an_answer_is_refused_or_comes_back_as_one_clean_head(head: bytes) -> None:
    with suppress(BadHttpMessage):
        response = http.parse_response(head.rstrip(b"\r\n"), "GET")
        assert response.status != 407
        received = http.response_head(response)
        assert received.count(b"\r\n\r\n") == 1
        names = [line.partition(b":")[0].lower() for line in received[:-4].split(b"\r\n")[1:]]
        assert not any(name.startswith((b"proxy-", b"x-checkback-")) for name in names)
        assert names.count(b"connection") == (
            1 if response.status >= 200 or response.status == 101 else 0
        )
        if response.length == http.CHUNKED:
            assert b"content-length" not in names


def test_a_websocket_is_the_only_upgrade_that_is_passed_on() -> None:
    for value, wanted in ((b"websocket", "websocket"), (b"h2c", None), (b"websocket, h2c", None)):
        head = (
            b"GET http://a.test/ HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "
            + value
            + b"\r\n\r\n"
        )
        request = http.parse_request(head)
        assert request.upgrade == wanted
        assert (
            b"Upgrade: websocket" in http.request_head(request, http.destination(request))
        ) == bool(wanted)
