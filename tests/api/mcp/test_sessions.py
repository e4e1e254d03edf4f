"""How many MCP sessions an owner may have, on a real server whose limit is three."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from every_door import META
from serving import Victim, ask, connected, head, post, serving

JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "x", "version": "1"},
}


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with serving(tmp_path_factory.mktemp("sessions") / "home", owner_sessions="3") as found:
        yield found


def message(method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def as_(token: str, session: str = "") -> dict[str, str]:
    return {**JSON, "authorization": f"Bearer {token}", "mcp-session-id": session}


def opened(own_server: Victim, token: str) -> str:
    """A new session of the owner of this token."""
    answer = post(own_server, "/mcp", message("initialize", **INITIALIZE), as_(token))
    assert answer.status == 200, answer.raw
    return answer.headers["mcp-session-id"]


def use(own_server: Victim, token: str, session: str) -> int:
    return post(own_server, "/mcp", message("ping"), as_(token, session)).status


def fresh(own_server: Victim, token: str) -> list[str]:
    """Three new sessions: all that the owner has."""
    return [opened(own_server, token) for _ in range(3)]


def test_one_too_many_ends_the_owners_longest_idle_session_and_nobody_elses(
    own_server: Victim,
) -> None:
    bobs = opened(own_server, own_server.bob)
    first, second, third = fresh(own_server, own_server.ada)
    assert use(own_server, own_server.ada, first) == 200
    fourth = opened(own_server, own_server.ada)
    assert use(own_server, own_server.ada, second) == 404
    assert [use(own_server, own_server.ada, one) for one in (first, third, fourth)] == [200] * 3
    assert use(own_server, own_server.bob, bobs) == 200


def test_a_session_that_its_client_ended_makes_room(own_server: Victim) -> None:
    first, second, third = fresh(own_server, own_server.ada)
    assert (
        ask(own_server, head("DELETE", "/mcp", own_server, as_(own_server.ada, second))).status
        == 200
    )
    fourth = opened(own_server, own_server.ada)
    assert [use(own_server, own_server.ada, one) for one in (first, third, fourth)] == [200] * 3


def test_a_session_whose_call_is_being_answered_is_not_the_idle_one(own_server: Victim) -> None:
    submit = json.dumps(
        {"kind": "test.add", "args": {"a": 1, "b": 2}, "delay_seconds": 600}
    ).encode()
    job_id = post(own_server, "/api/jobs", submit).json()["id"]
    first, second, _ = fresh(own_server, own_server.ada)
    wait = message("tools/call", name="job_wait", arguments={"job_id": job_id, "wait_seconds": 40})
    length = {"content-length": str(len(wait))}
    with connected(own_server) as line:
        line.sendall(head("POST", "/mcp", own_server, as_(own_server.ada, first) | length) + wait)
        assert line.recv(100).startswith(b"HTTP/1.1 200")  # the answer has begun: an event stream
        opened(own_server, own_server.ada)
        assert use(own_server, own_server.ada, second) == 404
        cancelled = post(own_server, f"/api/jobs/{job_id}/cancel", b"")
        assert cancelled.status == 200
        heard = b""
        while b"is_final" not in heard:
            heard += (piece := line.recv(65536))
            assert piece, heard
    assert use(own_server, own_server.ada, first) == 200


def test_admins_and_messages_without_a_session_have_no_limit(own_server: Victim) -> None:
    mine = fresh(own_server, own_server.ada)
    modern = {
        **as_(own_server.ada),
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/list",
    }
    for _ in range(5):
        assert post(own_server, "/mcp", message("tools/list", _meta=META), modern).status == 200
    assert [use(own_server, own_server.ada, one) for one in mine] == [200] * 3
    roots = [opened(own_server, own_server.root) for _ in range(5)]
    assert [use(own_server, own_server.root, one) for one in roots] == [200] * 5


def test_a_session_of_another_owner_is_answered_as_one_that_does_not_exist(
    own_server: Victim,
) -> None:
    mine = opened(own_server, own_server.ada)
    gone = mine[:-1] + ("0" if mine[-1] != "0" else "1")
    for token, session in (
        (own_server.bob, mine),
        (own_server.root, mine),
        (own_server.ada, gone),
        (own_server.ada, "x"),
    ):
        for method in ("POST", "GET", "DELETE"):
            theirs, nobodys = (
                ask(
                    own_server,
                    head(
                        method,
                        "/mcp",
                        own_server,
                        as_(token, one) | {"content-length": str(len(body))},
                    )
                    + body,
                )
                for one in (session, "0" * 32)
                for body in (message("ping") if method == "POST" else b"",)
            )
            assert theirs.status == nobodys.status == 404
            assert theirs.body == nobodys.body
    assert use(own_server, own_server.ada, mine) == 200


@pytest.mark.parametrize("second", [1, "1"])
def test_an_id_that_is_being_answered_is_refused_and_the_first_request_is_answered(
    own_server: Victim, second: str | int
) -> None:
    submit = json.dumps(
        {"kind": "test.add", "args": {"a": 1, "b": 2}, "delay_seconds": 600}
    ).encode()
    job_id = post(own_server, "/api/jobs", submit).json()["id"]
    session = opened(own_server, own_server.ada)
    wait = message("tools/call", name="job_wait", arguments={"job_id": job_id, "wait_seconds": 40})
    with connected(own_server) as line:
        length = {"content-length": str(len(wait))}
        line.sendall(head("POST", "/mcp", own_server, as_(own_server.ada, session) | length) + wait)
        assert line.recv(100).startswith(b"HTTP/1.1 200")  # the answer has begun: an event stream
        again = json.dumps({**json.loads(wait), "id": second}).encode()
        refused = post(own_server, "/mcp", again, as_(own_server.ada, session))
        assert (refused.status, refused.json()["error"]["code"]) == (400, -32600)
        assert refused.json()["id"] == second
        assert post(own_server, f"/api/jobs/{job_id}/cancel", b"").status == 200
        heard = b""
        while b"is_final" not in heard:
            heard += (piece := line.recv(65536))
            assert piece, heard
    assert use(own_server, own_server.ada, session) == 200
