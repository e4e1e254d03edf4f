"""What the HTTP door refuses: strangers, other sites, bad bodies, jobs of others."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from starlette.types import ASGIApp

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


async def test_jobs_of_others_are_jobs_that_do_not_exist(
    open_http: Any, tokens: Any, post: Any
) -> None:
    job = await post("test.add", a=1, b=2)
    async with open_http(tokens.bob) as bob:
        for method, path in [
            ("GET", ""),
            ("GET", "?wait=1"),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("GET", "/result"),
            ("GET", "/log"),
            ("GET", "/events"),
            ("GET", "/artifacts/x"),
        ]:
            theirs = await bob.request(method, f"/api/jobs/{job['id']}{path}")
            nobodys = await bob.request(method, f"/api/jobs/{UNKNOWN}{path}")
            assert (theirs.status_code, nobodys.status_code) == (404, 404)
            assert theirs.json()["error"] == nobodys.json()["error"]
        assert (await bob.get("/api/jobs")).json()["jobs"] == []
        assert (await bob.get("/api/jobs?owner=ada")).status_code == 403
    async with open_http(tokens.admin) as admin:
        listed = (await admin.get("/api/jobs?owner=*")).json()["jobs"]
        assert [found["id"] for found in listed] == [job["id"]]


async def test_a_token_without_write_reads_only(open_http: Any, tokens: Any, post: Any) -> None:
    job = await post("test.add", a=1, b=2)
    async with open_http(tokens.reader) as reader:
        assert (await reader.get(f"/api/jobs/{job['id']}")).status_code == 200
        for path in ("/api/jobs", f"/api/jobs/{job['id']}/cancel", f"/api/jobs/{job['id']}/retry"):
            response = await reader.post(path, json={"kind": "test.add", "args": {"a": 1, "b": 1}})
            assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "path", ["/api/jobs", f"/api/jobs/{UNKNOWN}", f"/api/jobs/{UNKNOWN}/events", "/api/kinds"]
)
async def test_without_a_token_nothing_is_told(open_http: Any, path: str) -> None:
    async with open_http(None) as stranger:
        response = await stranger.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_guessing_tokens_is_slowed_down_but_the_right_one_works(
    open_http: Any, tokens: Any
) -> None:
    async with open_http(None) as stranger:
        seen: list[int] = []
        for number in range(12):
            wrong = {"authorization": f"Bearer cb_{number}"}
            seen.append((await stranger.get("/api/jobs", headers=wrong)).status_code)
        limited = await stranger.get("/api/jobs", headers={"authorization": "Bearer x"})
    assert seen == [401] * 10 + [429] * 2
    assert limited.headers["retry-after"]
    async with open_http(tokens.ada) as ada:
        assert (await ada.get("/api/jobs")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.com"},
        {"host": "127.0.0.1:80"},
        {"origin": "https://evil"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("POST", "/api/jobs"),
        ("GET", f"/api/jobs/{UNKNOWN}/events"),
        ("GET", "/nowhere"),
    ],
)
async def test_other_hosts_and_origins_reach_no_handler(
    http: httpx2.AsyncClient, headers: dict[str, str], method: str, path: str
) -> None:
    response = await http.request(method, path, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


async def test_a_form_of_another_site_submits_nothing(http: httpx2.AsyncClient) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ):
        response = await http.post(
            "/api/jobs",
            content=b'{"kind":"test.add","args":{"a":1,"b":2}}',
            headers={"content-type": kind},
        )
        assert response.status_code == 422
    assert (await http.get("/api/jobs")).json()["jobs"] == []


BAD_BODIES = [
    b"{",
    b"[]",
    b'"x"',
    b'{"kind": "test.add", "kind": "test.say"}',
    b'{"kind": "test.add", "args": {"a": NaN, "b": 1}}',
    b'{"kind": "test.add", "args": {"a": 1e400, "b": 1}}',
    b'{"kind": "test.add", "args": [1, 2]}',
    b'{"kind": 5, "args": {}}',
    b'{"args": {}}',
    b'{"kind": "test.add", "args": {"a": 1, "b": "x"}}',
    b'{"kind": "test.add", "args": {"a": 1, "b": 1, "c": 1}}',
    b'{"kind": "test.add", "args": {"a": 1, "b": 1}, "surprise": 1}',
    b'{"kind": "test.add", "args": {"a": 1, "b": 1}, "attempts": 0}',
    b'{"kind": "test.add", "args": {"a": 1, "b": 1}, "deadline_seconds": -1}',
    b'{"kind": "test.add", "args": {"a": 1, "b": 1}, "delay_seconds": -1}',
    b'{"kind": "test.say", "args": {"words": "\\ud800"}}',
    b'{"kind": "test.say", "args": {"words": "\xff"}}',
    b'{"kind": "test.say", "args": ' + b'{"x":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    b"",
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:60]))
async def test_a_bad_body_is_refused_in_plain_words(http: httpx2.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await http.post("/api/jobs", content=body, headers=headers)
    assert response.status_code == 422, response.text
    error = response.json()["error"]
    assert error["message"]
    assert error["hint"]


@pytest.mark.parametrize("kind", ["nothing", "os.system", "../etc/passwd", "x" * 64])
async def test_an_unknown_kind_imports_nothing(http: httpx2.AsyncClient, kind: str) -> None:
    response = await http.post("/api/jobs", json={"kind": kind})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "unknown_kind")


async def test_an_address_on_this_machine_is_refused_at_the_door(http: httpx2.AsyncClient) -> None:
    body = {"kind": "page.analyze", "args": {"url": "http://169.254.169.254/latest"}}
    response = await http.post("/api/jobs", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "address_blocked")


async def test_a_large_body_is_refused_while_it_is_read(application: ASGIApp, tokens: Any) -> None:
    """Spoken in raw ASGI: no HTTP client sends a lying Content-Length, nor
    tells how much was read.
    """
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        assert read < 20, "the whole body was read"
        return {"type": "http.request", "body": b" " * 100_000, "more_body": True}

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {
        "host": "127.0.0.1:8787",
        "authorization": f"Bearer {tokens.ada}",
        "content-length": "5",
    }
    headers["content-type"] = "application/json"
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/jobs",
        "raw_path": b"/api/jobs",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await application(scope, receive, send)  # pyright: ignore[reportArgumentType]
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["error"]["code"] == "too_large"


async def test_args_have_a_limit_of_their_own(http: httpx2.AsyncClient) -> None:
    response = await http.post(
        "/api/jobs", json={"kind": "test.say", "args": {"words": "x" * 300_000}}
    )
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "job_id", ["meta", "wait", "1", UNKNOWN[:-1], UNKNOWN + "0", "%00", "x" * 36]
)
async def test_an_id_that_is_no_uuid(http: httpx2.AsyncClient, job_id: str) -> None:
    assert (await http.get(f"/api/jobs/{job_id}")).status_code == 422


async def test_other_addresses_and_methods_are_told_in_json(http: httpx2.AsyncClient) -> None:
    nowhere = await http.get("/api/nothing/here")
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "not_found")
    wrong = await http.put(f"/api/jobs/{UNKNOWN}")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "DELETE, GET")
    assert wrong.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("kind", "args"), [("pdfco.run", {"endpoint": "pdf/info"}), ("pdfco.track", {"job_id": "x"})]
)
async def test_the_servers_key_for_pdfco_is_not_everybodys(
    open_http: Any, tokens: Any, kind: str, args: dict[str, Any]
) -> None:
    async with (
        open_http(tokens.ada) as ada,
        open_http(tokens.admin) as admin,
        open_http(tokens.local) as local,
    ):
        refused = await ada.post("/api/jobs", json={"kind": kind, "args": args})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
        assert "CHECKBACK_PDFCO_KEY_OWNERS" in refused.json()["error"]["hint"]
        own = {**args, "api_key": "a key of mine"}
        assert (await ada.post("/api/jobs", json={"kind": kind, "args": own})).status_code == 202
        for one in (admin, local):
            assert (
                await one.post("/api/jobs", json={"kind": kind, "args": args})
            ).status_code == 202
