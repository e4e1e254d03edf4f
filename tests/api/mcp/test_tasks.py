"""Jobs as MCP tasks, on the wire: what a client sends and gets, behind the gate, for owners of
their own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from mcp_types import HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND

from checkback.api.mcp.server import build_server, http_app, http_caller
from checkback.api.mcp.tools.pdfco_tools import PdfcoSetting
from checkback.api.mcp.tools.tool_list import POLL_TOOLS
from checkback.api.mcp.tools.tool_names import underscore
from checkback.api.middleware.authentication import AuthenticationMiddleware, RequireCaller
from checkback.core.states import State
from checkback.dialects.mcp_tasks import EXTENSION, PROGRESS_META
from checkback.security.auth.authenticator import Authenticator
from checkback.security.auth.callers import LOCAL, Caller
from checkback.security.host_check import HostList
from checkback.service import Service

BASE = "http://127.0.0.1:8787"
VERSION = "2026-07-28"
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
MISSING_CAPABILITY = -32021
PROMPT_SECONDS = 20


class Wire:
    """Requests of the protocol without a handshake, as they are sent."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._numbers = itertools.count(1)

    def request(self, method: str, params: dict[str, Any], *, tasks: bool = True) -> dict[str, Any]:
        """A request as JSON-RPC has it."""
        meta: dict[str, Any] = {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "mcp", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}}
            if tasks
            else {},
        }
        number = next(self._numbers)
        return {
            "jsonrpc": "2.0",
            "id": number,
            "method": method,
            "params": {**params, "_meta": meta},
        }

    def headers(self, token: str, method: str, params: dict[str, Any]) -> dict[str, str]:
        named = params.get("taskId") or params.get("name")
        return {
            "authorization": f"Bearer {token}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": VERSION,
            "mcp-method": method,
        } | ({"mcp-name": named} if named else {})

    async def ask(
        self,
        token: str,
        method: str,
        params: dict[str, Any],
        *,
        tasks: bool = True,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer: ``result`` or ``error``."""
        body = self.request(method, params, tasks=tasks)
        sent = self.headers(token, method, params) | (headers or {})
        response = await self._http.post("/mcp", json=body, headers=sent)
        if response.headers["content-type"].startswith("text/event-stream"):
            lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
            return json.loads(lines[-1])
        return response.json()

    async def start(self, token: str, tool: str, **arguments: Any) -> dict[str, Any]:
        """The task that a tool's call became."""
        params = {"name": tool, "arguments": arguments}
        result = (await self.ask(token, "tools/call", params))["result"]
        assert result["resultType"] == "task", result
        return result

    async def get(self, token: str, task_id: str) -> dict[str, Any]:
        return (await self.ask(token, "tasks/get", {"taskId": task_id}))["result"]

    async def listen(self, token: str, task_ids: list[str]) -> AsyncIterator[dict[str, Any]]:
        """What a listening client is sent, until the server ends the stream."""
        params = {"notifications": {"taskIds": task_ids}}
        body = self.request("subscriptions/listen", params)
        headers = self.headers(token, "subscriptions/listen", params)
        async with self._http.stream("POST", "/mcp", json=body, headers=headers) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])


@pytest.fixture
async def wire(service: Service, authenticator: Authenticator) -> AsyncIterator[Wire]:
    """The MCP door over HTTP, behind the gate."""
    server = build_server(
        service,
        caller=http_caller,
        pdfco=PdfcoSetting(base_url=lambda: BASE, is_own_token=lambda _: True),
    )
    hosts = HostList.of(8787)
    app = http_app(server, allowed_hosts=sorted(hosts.hosts))
    gate = AuthenticationMiddleware(RequireCaller(app), authenticator=authenticator, allowed=hosts)
    opened = asyncio.get_running_loop().create_future()
    closing = asyncio.Event()

    async def serve() -> None:
        transport = StreamingASGITransport(gate)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=30) as http,
        ):
            opened.set_result(Wire(http))
            await closing.wait()

    # The application's lifespan has to end in the task that it began in, which a fixture's own is
    # not.
    serving = asyncio.create_task(serve())
    yield await opened
    closing.set()
    await serving


async def ended(service: Service, task_id: str, owner: str = "ada") -> State:
    return (await service.wait(Caller(owner), task_id, PROMPT_SECONDS)).state


async def test_a_tool_that_starts_a_job_answers_with_a_task_that_can_be_asked_for_at_once(
    wire: Wire, service: Service, tokens: Any
) -> None:
    task = await wire.start(tokens.ada, "test.add", a=1, b=2)
    job = await service.get(Caller("ada"), task["taskId"])
    assert (job.kind, job.state, task["status"]) == ("test.add", State.WAITING, "working")
    assert task["ttlMs"] >= 24 * 3600 * 1000
    assert task["pollIntervalMs"] >= 1000
    again = await wire.get(tokens.ada, task["taskId"])
    assert (again["resultType"], again["status"]) == ("complete", "working")
    told = again["_meta"][PROGRESS_META]
    assert (told["state"], told["phase"], told["progress"]) == ("waiting", None, 0)
    assert (told["queuePosition"], told["etaSeconds"]) == (1, None)


async def test_without_the_extension_the_same_call_is_answered_with_a_ticket(
    wire: Wire, tokens: Any
) -> None:
    params = {"name": "test.add", "arguments": {"a": 1, "b": 2}}
    result = (await wire.ask(tokens.ada, "tools/call", params, tasks=False))["result"]
    assert result["resultType"] == "complete"
    assert result["structuredContent"]["state"] == "waiting"
    for method in ("tasks/get", "tasks/cancel"):
        job_id = result["structuredContent"]["job_id"]
        answer = await wire.ask(tokens.ada, method, {"taskId": job_id}, tasks=False)
        assert answer["error"]["code"] == MISSING_CAPABILITY
        assert answer["error"]["data"] == {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}


@pytest.mark.usefixtures("worker")
async def test_the_task_of_an_ended_job_has_the_whole_result_of_its_tool(
    wire: Wire, service: Service, tokens: Any
) -> None:
    done = await wire.start(tokens.ada, "test_add", a=1, b=2)
    failed = await wire.start(tokens.ada, "test.fail", message="It broke.")
    assert await ended(service, done["taskId"]) is State.COMPLETED
    assert await ended(service, failed["taskId"]) is State.FAILED
    task = await wire.get(tokens.ada, done["taskId"])
    assert (task["status"], task["result"]["isError"]) == ("completed", False)
    assert task["result"]["structuredContent"]["result"] == 3
    task = await wire.get(tokens.ada, failed["taskId"])
    assert (task["status"], task["result"]["isError"]) == ("completed", True)
    assert task["result"]["structuredContent"]["failure"]["message"] == "It broke."


@pytest.mark.usefixtures("worker")
async def test_a_document_tools_task_ends_in_that_tools_own_words(
    wire: Wire, service: Service, tokens: Any
) -> None:
    source = "<h1>Seen</h1>"
    upload = service.uploads.begin(Caller("ada"), "page.txt")
    with upload as writer:
        writer.write(source.encode())
        kept = writer.finish()
    task = await wire.start(tokens.ada, "pdf_to_text", url=f"upload:{kept.id}")
    assert (
        await ended(service, task["taskId"]) is State.FAILED
    )  # it is not a PDF, and the tool says so
    result = (await wire.get(tokens.ada, task["taskId"]))["result"]
    assert result["isError"] is True
    assert result["structuredContent"]["status"] == "failed"
    assert result["structuredContent"].keys() >= {
        "content",
        "credits_used",
        "credits_remaining",
        "tips",
    }


async def test_wrong_arguments_make_no_task(wire: Wire, service: Service, tokens: Any) -> None:
    params = {"name": "test.add", "arguments": {"a": "many"}}
    result = (await wire.ask(tokens.ada, "tools/call", params))["result"]
    assert (result["resultType"], result["isError"]) == ("complete", True)
    assert result["structuredContent"]["error"]["code"] == "invalid_input"
    assert (await service.list(Caller("ada"))).jobs == []


async def test_a_cancelled_task_says_so_and_a_second_cancel_is_the_same(
    wire: Wire, tokens: Any
) -> None:
    task_id = (await wire.start(tokens.ada, "test.add", a=1, b=2))["taskId"]
    for _ in range(2):
        answer = await wire.ask(tokens.ada, "tasks/cancel", {"taskId": task_id})
        assert answer["result"].keys() - {"_meta"} == {"resultType"}
        assert answer["result"]["resultType"] == "complete"
    task = await wire.get(tokens.ada, task_id)
    assert task["status"] == "cancelled"
    assert "result" not in task
    assert "error" not in task


async def test_a_task_of_somebody_else_is_a_task_that_does_not_exist(
    wire: Wire, service: Service, tokens: Any
) -> None:
    task_id = (await wire.start(tokens.ada, "test.add", a=1, b=2))["taskId"]
    for method in ("tasks/get", "tasks/cancel", "tasks/update"):
        theirs = (await wire.ask(tokens.bob, method, {"taskId": task_id}))["error"]
        nobodys = (await wire.ask(tokens.bob, method, {"taskId": UNKNOWN}))["error"]
        assert theirs["code"] == nobodys["code"] == INVALID_PARAMS
        assert theirs["message"].replace(task_id, UNKNOWN) == nobodys["message"]
    assert (await service.get(Caller("ada"), task_id)).state is State.WAITING


async def test_a_header_that_names_another_task_is_refused(wire: Wire, tokens: Any) -> None:
    task_id = (await wire.start(tokens.ada, "test.add", a=1, b=2))["taskId"]
    answer = await wire.ask(
        tokens.ada, "tasks/get", {"taskId": task_id}, headers={"mcp-name": UNKNOWN}
    )
    assert answer["error"]["code"] == HEADER_MISMATCH


async def test_there_is_no_list_of_tasks(wire: Wire, tokens: Any) -> None:
    assert (await wire.ask(tokens.ada, "tasks/list", {}))["error"]["code"] == METHOD_NOT_FOUND


async def test_tools_that_only_ask_are_not_listed_to_clients_with_tasks(
    wire: Wire, tokens: Any
) -> None:
    async def names(tasks: bool) -> set[str]:
        result = (await wire.ask(tokens.ada, "tools/list", {}, tasks=tasks))["result"]
        return {tool["name"] for tool in result["tools"]}

    assert await names(tasks=False) - await names(tasks=True) == set(map(underscore, POLL_TOOLS))
    result = (await wire.ask(tokens.ada, "tools/call", {"name": "job.list", "arguments": {}}))[
        "result"
    ]
    assert result["resultType"] == "complete"  # it starts nothing, so it is not a task


@pytest.mark.usefixtures("worker")
async def test_who_listens_is_told_of_every_change_until_the_end(
    wire: Wire, gate_file: Path, tokens: Any
) -> None:
    task_id = (await wire.start(tokens.ada, "test.gate", path=str(gate_file)))["taskId"]
    heard: list[dict[str, Any]] = []
    async with asyncio.timeout(PROMPT_SECONDS):
        async for message in wire.listen(tokens.ada, [task_id, UNKNOWN]):
            heard.append(message)
            if (
                message.get("params", {}).get("_meta", {}).get(PROGRESS_META, {}).get("phase")
                == "waiting"
            ):
                gate_file.touch()
    acknowledged, *changes, closed = heard
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    assert acknowledged["params"]["notifications"]["taskIds"] == [task_id]
    assert {change["method"] for change in changes} == {"notifications/tasks"}
    statuses = [change["params"]["status"] for change in changes]
    assert statuses == ["working"] * (len(changes) - 1) + ["completed"]
    last = changes[-1]["params"]
    assert (last["taskId"], last["result"]["structuredContent"]["result"]) == (task_id, "attempt 1")
    assert "result" in closed


async def test_nobody_hears_of_another_owners_task(
    wire: Wire, service: Service, tokens: Any
) -> None:
    task_id = (await wire.start(tokens.ada, "test.add", a=1, b=2))["taskId"]
    async with asyncio.timeout(PROMPT_SECONDS):
        heard = [message async for message in wire.listen(tokens.bob, [task_id])]
    assert heard[0]["params"]["notifications"].get("taskIds") == []
    assert [message for message in heard if message.get("method") == "notifications/tasks"] == []
    assert (await service.get(Caller("ada"), task_id)).owner != LOCAL.owner
