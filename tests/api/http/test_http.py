"""The native API over the whole ASGI stack: gate, routes, service, store, and a worker where jobs
run.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import pytest
from starlette.applications import Starlette

from checkback.api.http.jobs import Readiness, build_routes
from checkback.api.middleware.authentication import AuthenticationMiddleware
from checkback.app.connect import Connection
from checkback.kinds import registry
from checkback.security.auth.authenticator import Authenticator
from checkback.security.auth.signin_codes import make_code
from checkback.security.host_check import HostList
from checkback.security.rate_limits import OwnerLimits, Quotas
from checkback.service import Service
from waiting import wait_until
from worker_processes import there

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
async def api(http: httpx2.AsyncClient) -> dict[str, Any]:
    return (await http.get("/openapi.json")).json()


def check(api: dict[str, Any], response: httpx2.Response, path: str, method: str = "get") -> Any:
    """The body of a response, which is as the OpenAPI document says."""
    described = api["paths"][path][method]["responses"][str(response.status_code)]
    schema = described["content"]["application/json"]["schema"] | {"components": api["components"]}
    body = response.json()
    validator: Any = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.FormatChecker()
    )
    validator.validate(body)
    return body


async def test_submit_and_check(http: httpx2.AsyncClient, api: dict[str, Any]) -> None:
    response = await http.post("/api/jobs", json={"kind": "test.add", "args": {"a": 1, "b": 2}})
    assert response.status_code == 202
    body = check(api, response, "/api/jobs", "post")
    assert response.headers["location"] == f"/api/jobs/{body['id']}"
    assert (body["kind"], body["state"], body["owner"]) == ("test.add", "waiting", "ada")
    found = await http.get(f"/api/jobs/{body['id']}")
    assert check(api, found, "/api/jobs/{job_id}")["id"] == body["id"]


@pytest.mark.usefixtures("worker")
async def test_wait_result_log_and_artifact(http: httpx2.AsyncClient, api: dict[str, Any]) -> None:
    body = {"kind": "test.say", "args": {"words": "<script>hello</script>"}}
    job = (await http.post("/api/jobs", json=body)).json()
    one = f"/api/jobs/{job['id']}"
    ended = check(api, await http.get(one, params={"wait": 50}), "/api/jobs/{job_id}")
    assert (ended["state"], ended["progress"], ended["is_final"]) == ("completed", 100, True)
    assert ended["result"] == {"said": "<script>hello</script>"}
    assert (
        check(api, await http.get(one + "/result"), "/api/jobs/{job_id}/result") == ended["result"]
    )
    log = check(api, await http.get(one + "/log"), "/api/jobs/{job_id}/log")
    assert any("log: <script>" in line for line in log["lines"])

    (artifact,) = ended["artifacts"]
    assert artifact["name"] == "words.txt"
    for name in (artifact["url"], f"{one}/artifacts/words.txt"):
        file = await http.get(name)
        assert file.content == b"<script>hello</script>"
        assert file.headers["content-disposition"].startswith("attachment")
        assert file.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in file.headers["content-security-policy"]
    missing = await http.get(f"{one}/artifacts/..%2F..%2Fetc%2Fpasswd")
    assert missing.status_code == 404


async def test_waiting_longer_than_allowed_is_no_error(http: httpx2.AsyncClient, post: Any) -> None:
    job = await post("test.add", a=1, b=2)
    response = await http.get(f"/api/jobs/{job['id']}?wait=0.05")
    assert (response.status_code, response.json()["state"]) == (200, "waiting")


@pytest.mark.parametrize("wait", ["-1", "soon", "nan", "inf"])
async def test_a_wait_that_is_no_number_of_seconds(
    http: httpx2.AsyncClient, post: Any, wait: str
) -> None:
    job = await post("test.add", a=1, b=2)
    response = await http.get(f"/api/jobs/{job['id']}", params={"wait": wait})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_input")


async def test_the_same_key_gives_the_same_job(
    http: httpx2.AsyncClient, api: dict[str, Any]
) -> None:
    body = {"kind": "test.add", "args": {"a": 1, "b": 2}}
    first = await http.post("/api/jobs", json=body, headers={"idempotency-key": "k1"})
    again = await http.post("/api/jobs", json={**body, "key": "k1"})
    assert (first.status_code, again.status_code) == (202, 200)
    assert check(api, again, "/api/jobs", "post")["id"] == first.json()["id"]

    other = await http.post("/api/jobs", json={**body, "args": {"a": 2, "b": 2}, "key": "k1"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_reused")
    both = await http.post(
        "/api/jobs", json={**body, "key": "k2"}, headers={"idempotency-key": "k1"}
    )
    assert both.status_code == 422


async def test_fifty_submits_with_one_key_at_once_make_one_job(http: httpx2.AsyncClient) -> None:
    body = {"kind": "test.add", "args": {"a": 1, "b": 2}, "key": "burst"}
    answers = await asyncio.gather(*(http.post("/api/jobs", json=body) for _ in range(50)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [202]


async def test_cancel_twice_and_retry(
    http: httpx2.AsyncClient, api: dict[str, Any], post: Any
) -> None:
    job = await post("test.add", a=1, b=2)
    one = f"/api/jobs/{job['id']}"
    for _ in range(2):
        cancelled = await http.post(one + "/cancel")
        assert check(api, cancelled, "/api/jobs/{job_id}/cancel", "post")["state"] == "cancelled"
    result = await http.get(one + "/result")
    assert (result.status_code, result.json()["error"]["code"]) == (409, "conflict")


async def test_a_deleted_job_is_answered_as_one_that_never_was(
    http: httpx2.AsyncClient, api: dict[str, Any], post: Any
) -> None:
    job = await post("test.add", a=1, b=2)
    one = f"/api/jobs/{job['id']}"
    deleted = await http.delete(one)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for answer in (await http.get(one), await http.delete(one)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")


@pytest.mark.usefixtures("worker")
async def test_a_running_job_is_not_deleted(
    http: httpx2.AsyncClient, api: dict[str, Any], post: Any, tmp_path: Path
) -> None:
    job = await post("test.gate", path=str(tmp_path / "go"), started=str(tmp_path / "started"))
    one = f"/api/jobs/{job['id']}"
    await there(tmp_path / "started")
    refused = await http.delete(one)
    assert refused.status_code == 409
    error = check(api, refused, "/api/jobs/{job_id}", "delete")["error"]
    assert (error["code"], "Cancel it first" in error["hint"]) == ("conflict", True)
    (tmp_path / "go").touch()
    await http.get(one + "?wait=50")
    assert (await http.delete(one)).status_code == 204


@pytest.mark.usefixtures("worker")
async def test_retry_runs_a_failed_job_again(
    http: httpx2.AsyncClient, api: dict[str, Any], post: Any
) -> None:
    job = await post("test.fail", code="broken", message="It broke.")
    one = f"/api/jobs/{job['id']}"
    failed = check(api, await http.get(one + "?wait=50"), "/api/jobs/{job_id}")
    assert failed["failure"] == {
        "code": "broken",
        "message": "It broke.",
        "retryable": True,
        "hint": "Fix it.",
    }
    assert failed["next_step"].startswith("POST ")
    again = await http.post(one + "/retry")
    assert again.status_code == 202
    check(api, again, "/api/jobs/{job_id}/retry", "post")
    ended = (await http.get(one + "?wait=50")).json()
    assert (ended["state"], ended["attempts"]["started"]) == ("failed", 2)


async def test_a_job_that_waits_cannot_be_retried_and_has_no_result(
    http: httpx2.AsyncClient, post: Any
) -> None:
    job = await post("test.add", a=1, b=2)
    retry = await http.post(f"/api/jobs/{job['id']}/retry")
    result = await http.get(f"/api/jobs/{job['id']}/result")
    assert (retry.status_code, retry.json()["error"]["code"]) == (409, "conflict")
    assert (result.status_code, result.json()["error"]["code"]) == (409, "not_ready")


@pytest.mark.usefixtures("worker")
async def test_a_job_that_runs_or_is_completed_cannot_be_retried(
    http: httpx2.AsyncClient, post: Any, tmp_path: Path
) -> None:
    go, started = tmp_path / "go", tmp_path / "started"
    job = await post("test.gate", path=str(go), started=str(started))
    one = f"/api/jobs/{job['id']}"
    await there(started)
    running = await http.post(one + "/retry")
    assert (running.status_code, running.json()["error"]["code"]) == (409, "conflict")
    go.touch()
    ended = (await http.get(one + "?wait=50")).json()
    completed = await http.post(one + "/retry")
    assert (completed.status_code, completed.json()["error"]["code"]) == (409, "conflict")
    assert "completed" in completed.json()["error"]["message"]
    after = (await http.get(one)).json()
    assert (after["state"], after["attempts"]["started"]) == (ended["state"], 1) == ("completed", 1)
    assert started.read_text().split() == ["1"]


async def test_list_pages_and_filters(
    http: httpx2.AsyncClient, api: dict[str, Any], post: Any
) -> None:
    ids = [(await post("test.add", a=number, b=0))["id"] for number in range(3)]
    await post("test.say", words="x")
    first = check(api, await http.get("/api/jobs?kind=test.add&limit=2"), "/api/jobs")
    second = (
        await http.get("/api/jobs", params={"kind": "test.add", "cursor": first["cursor"]})
    ).json()
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert second["cursor"] is None
    assert (await http.get("/api/jobs?state=completed")).json()["jobs"] == []
    for query in ("state=running", "limit=0", "limit=1000", "limit=x", "cursor=%00"):
        assert (await http.get(f"/api/jobs?{query}")).status_code == 422, query


async def test_request_ids_are_kept_or_made(http: httpx2.AsyncClient) -> None:
    kept = await http.get("/health", headers={"x-request-id": "mine-1"})
    made = await http.get("/health", headers={"x-request-id": "not sane\x7f"})
    refused = await http.get(f"/api/jobs/{UNKNOWN}", headers={"x-request-id": "mine-2"})
    assert kept.headers["x-request-id"] == "mine-1"
    assert len(made.headers["x-request-id"]) == 36
    assert refused.json()["request_id"] == refused.headers["x-request-id"] == "mine-2"


async def test_health_says_what_is_missing(
    open_http: Any, problems: list[str], api: dict[str, Any]
) -> None:
    async with open_http(None) as stranger:
        well = await stranger.get("/health")
        problems.append("No worker is running.")
        ill = await stranger.get("/health")
    counts = {"workers": 2, "restarts": {"store": 1, "worker": 0, "worker_loop": 3}}
    counts |= {"warnings": [], "loop_lag_seconds": 0.0}
    assert check(api, well, "/health") == {"live": True, "ready": True, "reasons": [], **counts}
    assert check(api, ill, "/health") == {
        "live": True, "ready": False, "reasons": ["No worker is running."], **counts
    }  # fmt: skip


async def test_kinds_come_with_the_form_of_their_arguments(
    http: httpx2.AsyncClient, api: dict[str, Any]
) -> None:
    body = check(api, await http.get("/api/kinds"), "/api/kinds")
    kinds = {kind["name"]: kind for kind in body["kinds"]}
    assert kinds["test.add"]["title"] == "Add two numbers"
    assert kinds["test.add"]["args_schema"]["required"] == ["a", "b"]
    assert "async" in kinds["page.analyze"]["args_schema"]["properties"]


async def test_the_list_of_kinds_is_made_once(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await http.get("/api/kinds")
    made: list[str] = []
    monkeypatch.setattr(registry.Kind, "args_schema", lambda kind: made.append(kind.name) or {})  # pyright: ignore
    assert (await http.get("/api/kinds")).content == first.content
    assert made == []


@pytest.mark.usefixtures("worker")
async def test_a_result_that_is_a_file_is_sent_as_it_lies_there(
    http: httpx2.AsyncClient, post: Any, gate_file: Path
) -> None:
    gate_file.touch()
    job = await post("test.gate_much", path=str(gate_file), characters=200_000)
    await http.get(f"/api/jobs/{job['id']}?wait=50")
    answer = await http.get(f"/api/jobs/{job['id']}/result")
    assert (answer.headers["content-type"], answer.json()) == ("application/json", "x" * 200_000)


async def test_streams_past_an_owners_limit_are_refused_for_that_owner_alone(
    http: httpx2.AsyncClient,
    open_http: Any,
    service: Service,
    connection: Connection,
    tokens: Any,
    post: Any,
) -> None:
    service.quotas = Quotas(OwnerLimits(streams=2))
    job = await post("test.add", a=1, b=2)
    one = f"/api/jobs/{job['id']}"
    async with open_http(tokens.ada) as ada, open_http(tokens.bob) as bob:
        async with ada.stream("GET", one + "/events"), ada.stream("GET", one + "/events"):
            for refused in (await http.get(one + "/events"), await http.get(one + "?wait=20")):
                assert (refused.status_code, refused.json()["error"]["code"]) == (
                    429,
                    "quota_exceeded",
                )
                assert refused.headers["retry-after"] == "5"
            assert (await http.get(one)).status_code == 200
            own = (
                await bob.post("/api/jobs", json={"kind": "test.add", "args": {"a": 1, "b": 2}})
            ).json()
            async with bob.stream("GET", f"/api/jobs/{own['id']}/events") as stream:
                assert stream.status_code == 200

        async def are_closed() -> bool:
            return await connection.wire.call("EXISTS", connection.queues.keys.streams("ada")) == 0

        await wait_until("no stream is open", are_closed)


async def test_the_document_describes_every_route_and_is_open_to_all(open_http: Any) -> None:
    async with open_http(None) as stranger:
        document = (await stranger.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert sorted(operations) == [
        "DELETE /api/jobs/{job_id}",
        "GET /api/jobs",
        "GET /api/jobs/{job_id}",
        "GET /api/jobs/{job_id}/artifacts/{name}",
        "GET /api/jobs/{job_id}/events",
        "GET /api/jobs/{job_id}/log",
        "GET /api/jobs/{job_id}/result",
        "GET /api/kinds",
        "GET /health",
        "GET /openapi.json",
        "GET /signin",
        "POST /api/jobs",
        "POST /api/jobs/{job_id}/cancel",
        "POST /api/jobs/{job_id}/retry",
        "POST /api/uploads",
    ]
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    used = set(_references(document))
    assert used == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        found: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        own = [found["$ref"]] if isinstance(found.get("$ref"), str) else []
        return own + [name for item in found.values() for name in _references(item)]
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return [name for item in items for name in _references(item)]
    return []


async def test_signing_in_exchanges_the_code_of_a_link_for_a_cookie(
    open_http: Any, tokens: Any
) -> None:
    async with open_http(None) as browser:
        code = make_code(tokens.local)
        response = await browser.get("/signin", params={"code": code})
        assert (response.status_code, response.headers["location"]) == (303, "/")
        cookie = response.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert tokens.local not in cookie
        assert (await browser.get("/api/jobs")).status_code == 200
        browser.cookies.clear()
        forged = await browser.get("/api/jobs", headers={"cookie": "checkback_session=a.1.b"})
        assert forged.status_code == 401
        old = make_code(tokens.local, now=time.time() - 601)
        other = make_code("cb_another-folder")
        for none in (
            code,
            old,
            other,
            code[:-1],
            "",
            "1.2.3",
            "9" * 11 + ".a.b",
            tokens.local,
            "\ud800",
        ):
            wrong = await browser.get(
                "/signin", params={"code": none.encode("utf-8", "surrogatepass")}
            )
            assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
            assert wrong.json()["error"]["message"] == "This link was used, or it has ended."
        in_the_address = await browser.get("/signin", params={"token": tokens.local})
        assert in_the_address.status_code == 422  # a token would stay in the browser's history
        for site in (
            "cross-site",
            "same-site",
        ):  # the second is a page on another port of this machine
            lured = await browser.get(
                "/signin",
                params={"code": make_code(tokens.local)},
                headers={"sec-fetch-site": site},
            )
            assert (lured.status_code, "set-cookie" in lured.headers) == (403, False)
        assert (await browser.get("/signin")).status_code == 422


async def events_of(response: httpx2.Response) -> AsyncIterator[dict[str, str]]:
    """The events of a stream, comments as ``{"": text}``."""
    event: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            yield event
            event = {}
        else:
            name, _, value = line.partition(": ")
            event[name if value else ""] = value or line


@pytest.mark.usefixtures("worker")
async def test_events_end_with_the_job(
    open_http: Any, tokens: Any, http: httpx2.AsyncClient, post: Any, gate_file: Path
) -> None:
    job = await post("test.gate", path=str(gate_file))
    states: list[str] = []
    heartbeats = 0
    last = ""
    async with (
        open_http(tokens.ada) as ada,
        ada.stream("GET", f"/api/jobs/{job['id']}/events") as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        async for event in events_of(response):
            if event.get("event") != "job":
                heartbeats += 1
                gate_file.touch()
                continue
            record = json.loads(event["data"])
            last = event["id"]
            if record["state"] not in states:
                states.append(record["state"])
    assert states[-2:] == ["active", "completed"]
    assert heartbeats > 0

    over = await http.get(f"/api/jobs/{job['id']}/events", headers={"last-event-id": last})
    assert over.status_code == 204
    again = await http.get(f"/api/jobs/{job['id']}/events", headers={"last-event-id": "older"})
    assert again.text.count("event: job") == 1


async def test_a_client_that_hangs_up_frees_its_place_and_leaves_the_job(
    open_http: Any, tokens: Any, post: Any, connection: Any
) -> None:
    job = await post("test.add", a=1, b=2)
    subscribers = connection.feed._subscribers
    async with open_http(tokens.ada) as ada:
        async with ada.stream("GET", f"/api/jobs/{job['id']}/events") as response:
            async for event in events_of(response):
                if "data" not in event:
                    continue  # a heartbeat: these tests send them often, and the store may be slow
                assert json.loads(event["data"])["state"] == "waiting"
                break
        while subscribers:
            await asyncio.sleep(0)
        waiting = asyncio.create_task(ada.get(f"/api/jobs/{job['id']}?wait=50"))
        while not subscribers:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        while subscribers:
            await asyncio.sleep(0)
        assert (await ada.get(f"/api/jobs/{job['id']}")).json()["state"] == "waiting"


async def test_without_the_store_every_answer_comes_within_two_seconds(
    stranded: Service, authenticator: Authenticator, tokens: Any
) -> None:
    async def readiness() -> Readiness:
        raise RuntimeError("/secret/path")

    app = Starlette(routes=build_routes(stranded, authenticator=authenticator, readiness=readiness))
    gate = AuthenticationMiddleware(app, authenticator=authenticator, allowed=HostList.of(8787))
    headers = {"authorization": f"Bearer {tokens.ada}"}
    transport = httpx2.ASGITransport(gate)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8787", headers=headers, timeout=30
    ) as http:
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(
            http.get(f"/api/jobs/{UNKNOWN}"),
            http.get(f"/api/jobs/{UNKNOWN}?wait=25"),
            http.get(f"/api/jobs/{UNKNOWN}/events"),
            http.get("/api/jobs"),
            http.post("/api/jobs", json={"kind": "test.add", "args": {"a": 1, "b": 2}}),
        )
        took = asyncio.get_running_loop().time() - began
        broken = await http.get("/health")
    assert [answer.status_code for answer in answers] == [503] * 5
    assert all(answer.headers["retry-after"] for answer in answers)
    assert all(answer.json()["error"]["code"] == "engine_unavailable" for answer in answers)
    assert took < 2.5

    assert (broken.status_code, broken.json()["error"]["code"]) == (500, "internal_error")
    assert "/secret/path" not in broken.text
    assert broken.json()["request_id"] in broken.json()["error"]["hint"]
