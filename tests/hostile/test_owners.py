"""Who guesses tokens, has one that has ended, or has had all that an owner may have (A2, A21)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from checkback.security.auth.token_files import add_token
from every_door import EVERY_DOOR, MCP, PUBLIC, as_, call_tool
from serving import Heard, Victim, ask, connected, get, head, post, read_answer, serving

ADD = {"kind": "test.add", "args": {"a": 1, "b": 2}, "delay_seconds": 600}


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """A server of its own: wrong tokens count for everybody on this address."""
    with serving(tmp_path_factory.mktemp("owners") / "home", owner_jobs="5") as found:
        yield found


def test_a_token_past_its_end_is_a_wrong_one_at_every_door(own_server: Victim) -> None:
    file = own_server.home / "tokens.toml"
    now = datetime.now(UTC)
    ended = add_token(file, "ada", expires_at=now - timedelta(seconds=1))
    valid = add_token(file, "ada", expires_at=now + timedelta(hours=1))
    assert get(own_server, "/api/jobs", as_(valid)).status == 200
    for method, path in EVERY_DOOR:
        if not path.startswith(PUBLIC):
            lines = as_(ended, **MCP, **{"content-length": "0"})
            status = ask(own_server, head(method, path, own_server, lines)).status
            assert status in (401, 429), (method, path, status)
    assert get(own_server, f"/signin?code={ended}", as_("")).status in (401, 429)


def test_a_thousand_guesses_are_slowed_down_and_the_right_token_is_not(own_server: Victim) -> None:
    statuses: list[int] = []
    with connected(own_server) as line:
        for number in range(1000):
            line.sendall(head("GET", "/api/jobs", own_server, as_(f"cb_{number}")))
            answer = read_answer(line)
            statuses.append(answer.status)
            assert answer.status == 401 or int(answer.headers["retry-after"]) > 0
        line.sendall(head("GET", "/api/jobs", own_server, as_(own_server.bob)))
        assert read_answer(line).status == 200
    told = statuses.index(429)
    assert told <= 20  # fewer where this address had guessed before
    assert statuses == [401] * told + [429] * (1000 - told)
    for path in ("/", "/v1/job/check?jobid=x", "/mcp", "/signin?code=x"):
        refused = get(own_server, path, as_("" if "signin" in path else "cb_x"))
        assert refused.status == 429, path
        assert int(refused.headers["retry-after"]) > 0


def test_arguments_have_their_limit_at_mcp_too(own_server: Victim) -> None:
    answer = call_tool(own_server, own_server.bob, "test_say", words="x" * 300_000)
    assert b'"code":"too_large"' in answer.body, answer.body[:300]


def add(own_server: Victim, token: str) -> Heard:
    return post(own_server, "/api/jobs", json.dumps(ADD).encode(), as_(token))


def test_past_an_owners_jobs_every_door_says_so_and_others_go_on(own_server: Victim) -> None:
    made = [add(own_server, own_server.ada) for _ in range(5)]
    assert {answer.status for answer in made} == {202}
    sixth = add(own_server, own_server.ada)
    assert (sixth.status, sixth.json()["error"]["code"]) == (429, "quota_exceeded")
    assert int(sixth.headers["retry-after"]) > 0
    pdf = b'{"url":"https://example.com/a.pdf","async":true}'
    theirs = post(own_server, "/v1/pdf/info", pdf, as_(own_server.ada))
    assert (theirs.status, theirs.json()["error"]) == (429, True)
    assert int(theirs.headers["retry-after"]) > 0
    assert (
        b'"code":"quota_exceeded"'
        in call_tool(own_server, own_server.ada, "test_add", a=1, b=2).body
    )
    assert len(get(own_server, "/api/jobs", as_(own_server.ada)).json()["jobs"]) == 5
    assert add(own_server, own_server.bob).status == 202
    assert b"quota_exceeded" not in call_tool(own_server, own_server.bob, "test_add", a=1, b=2).body
    assert (
        post(own_server, made[0].headers["location"] + "/cancel", b"", as_(own_server.ada)).status
        == 200
    )
    assert add(own_server, own_server.ada).status == 202
