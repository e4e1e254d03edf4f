"""The short way of calls and lists answers as the long one does, and goes the long one for all
else.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from starlette.applications import Starlette
from starlette.routing import Route

from checkback.api.mcp.server import build_server, http_app, http_caller
from checkback.api.mcp.tools import fast_path
from checkback.api.mcp.tools.fast_path import Shortcut
from checkback.api.mcp.transport.jsonrpc import StrictMessages
from checkback.api.mcp.transport.response_mode import is_brief
from checkback.api.middleware.authentication import AuthenticationMiddleware, RequireCaller
from checkback.dialects.mcp_tasks import EXTENSION
from checkback.security.auth.authenticator import Authenticator
from checkback.security.auth.callers import Caller
from checkback.security.host_check import HostList
from checkback.service import Service

LEGACY, MODERN = "2025-11-25", "2026-07-28"
OLDER = "2025-06-18"
ERAS = (LEGACY, MODERN, OLDER)
META = "io.modelcontextprotocol/"
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
UI = "io.modelcontextprotocol/ui"
EXTENSIONS: tuple[dict[str, Any], ...] = (
    {},
    {EXTENSION: {}},
    {UI: {"mimeTypes": ["text/html;profile=mcp-app"]}},
    {EXTENSION: {}, UI: {}},
)
ADA = Caller("ada")
PROMPT_SECONDS = 20


def chain(server: FastMCP[None]) -> list[Any]:
    return server._mcp_server.middleware  # pyright: ignore


def is_short(server: FastMCP[None]) -> bool:
    return any(isinstance(one, Shortcut) for one in chain(server))


def long_way(server: FastMCP[None]) -> FastMCP[None]:
    """The same server without the shortcut, as it is where the libraries have no place for it."""
    low_level: Any = server._mcp_server  # pyright: ignore
    low_level.middleware = [one for one in chain(server) if not isinstance(one, Shortcut)]
    low_level.get_tool_input_schema = None
    assert not is_short(server)
    return server


def short_way(server: FastMCP[None]) -> FastMCP[None]:
    assert is_short(server)
    return server


class Speaker:
    """A client that sends given messages in one version of the protocol, and returns the response
    unchanged.
    """

    def __init__(self, http: httpx2.AsyncClient, era: str, extensions: dict[str, Any]) -> None:
        self._http = http
        self._era = era
        self._extensions = extensions
        self._session: str | None = None
        #: What the server said of itself.
        self.began: dict[str, Any] = {}

    async def begin(self) -> None:
        """The first request of the era."""
        if self._era == MODERN:
            self.began = messages(await self.post("server/discover", {}))[0]["result"]
            return
        params = {
            "protocolVersion": self._era,
            "capabilities": {"extensions": self._extensions},
            "clientInfo": {"name": "test", "version": "1"},
        }
        response = await self.post("initialize", params)
        self.began = messages(response)[0]["result"]
        self._session = response.headers["mcp-session-id"]
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"}, {})

    async def post(self, method: str, params: dict[str, Any], **headers: str) -> httpx2.Response:
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        meta = {"request_id": "of-this-test", **params.get("_meta", {})}
        if self._era == MODERN:
            meta |= {
                f"{META}protocolVersion": self._era,
                f"{META}clientCapabilities": {"extensions": self._extensions},
                f"{META}clientInfo": {"name": "test", "version": "1"},
            }
            lines["mcp-method"] = method
            if isinstance(params.get("name"), str):
                lines["mcp-name"] = params["name"]
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": meta}}
        return await self._send(body, lines)

    async def _send(self, body: dict[str, Any], lines: dict[str, str]) -> httpx2.Response:
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": self._era,
            **({"mcp-session-id": self._session} if self._session else {}),
            **lines,
        }
        return await self._http.post("/mcp", content=json.dumps(body), headers=headers)


def messages(response: httpx2.Response) -> list[Any]:
    """What an answer says, in one piece or as a stream."""
    if response.headers["content-type"].startswith("application/json"):
        return [response.json()]
    return [json.loads(line[5:]) for line in response.text.splitlines() if line.startswith("data:")]


@asynccontextmanager
async def speaker(
    server: FastMCP[None],
    authenticator: Authenticator,
    token: str,
    era: str,
    extensions: dict[str, Any] | None = None,
) -> AsyncGenerator[Speaker]:
    """A client of the application that a server puts at /mcp."""
    inner = http_app(server)
    app = Starlette(
        routes=[Route("/mcp", RequireCaller(StrictMessages(inner)))], lifespan=inner.lifespan
    )
    gate = AuthenticationMiddleware(app, authenticator=authenticator, allowed=HostList.of(8787))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=StreamingASGITransport(gate),
            base_url="http://127.0.0.1:8787",
            headers={"authorization": f"Bearer {token}"},
            timeout=60,
        ) as http,
    ):
        made = Speaker(http, era, extensions or {})
        await made.begin()
        yield made


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return request.param


def server_of(service: Service) -> FastMCP[None]:
    return build_server(service, caller=http_caller, kind_wait_seconds=0.05)


async def ended(service: Service, kind: str, **args: Any) -> str:
    """The id of a job that has ended and was read, so that its record is the same each time."""
    job = (await service.submit(ADA, kind, args)).job
    await service.wait(ADA, job.id, PROMPT_SECONDS)
    await service.mark_read(await service.get(ADA, job.id))
    return job.id


async def questions(service: Service) -> list[tuple[str, dict[str, Any]]]:
    """What is sent in both ways: calls with every form of result, errors, and invalid messages."""
    done = await ended(service, "test.say", words="twice, ünd with äll")
    failed = await ended(service, "test.fail", code="broken", message="It broke.")
    files = await ended(service, "test.two_files")
    long = await ended(service, "test.say", words="x" * 30_000)
    calls: list[tuple[str, Any]] = [
        *(
            ("job_status", {"job_id": one})
            for one in (done, failed, files, long, UNKNOWN, "no-id", 5)
        ),
        ("job.status", {"jobId": done}),
        ("job_status", {}),
        ("job_status", {"job_id": done, "more": 1}),
        ("job_wait", {"job_id": done, "wait_seconds": 0}),
        ("job_result", {"job_id": long}),
        ("job_result", {"job_id": long, "offset": 20_000}),
        ("job_result", {"job_id": files, "artifact": "first.txt"}),
        ("job_list", {"limit": 3}),
        ("job_list", {"limit": 0}),
        ("job_list", None),
        ("job_cancel", {"job_id": UNKNOWN}),
        ("page_get_job_status", {"job_id": done}),
        ("page_analyze", {"url": "file:///etc/passwd"}),
        ("test_add", {"a": 1, "b": "x"}),
        ("no_such_tool", {"a": 1}),
        ("", {}),
    ]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("tools/call", {"name": name} if given is None else {"name": name, "arguments": given})
        for name, given in calls
    ]
    asked += [
        ("tools/call", {"name": "job_status", "arguments": [done]}),
        ("tools/call", {"arguments": {"job_id": done}}),
        ("tools/call", {"name": "job_status", "arguments": {"job_id": done}, "requestState": "x"}),
        ("tools/list", {}),
        ("tools/list", {}),
        ("tools/list", {"cursor": "no cursor"}),
        ("tools/list", {"cursor": 5}),
    ]
    return asked


@pytest.mark.usefixtures("worker")
async def test_both_ways_give_the_same_answers(
    service: Service, authenticator: Authenticator, tokens: Any, era: str
) -> None:
    short, long = server_of(service), server_of(service)
    assert is_short(short)
    asked = await questions(service)
    told: list[list[Any]] = []
    for server in (short, long_way(long)):
        async with speaker(server, authenticator, tokens.ada, era) as client:
            answers: list[Any] = []
            for method, params in asked:
                response = await client.post(method, params)
                answers.append((response.status_code, messages(response)))
            told.append(answers)
    for question, one, other in zip(asked, *told, strict=True):
        assert one == other, question


@pytest.mark.parametrize("extensions", EXTENSIONS, ids=lambda one: "+".join(one) or "none")
async def test_both_ways_list_the_same_to_every_client(
    service: Service,
    authenticator: Authenticator,
    tokens: Any,
    era: str,
    extensions: dict[str, Any],
) -> None:
    short, long = server_of(service), long_way(server_of(service))
    # A list that was made for another client must not be given to this one.
    for others in EXTENSIONS:
        async with speaker(short, authenticator, tokens.ada, era, others) as client:
            await client.post("tools/list", {})
    told: list[Any] = []
    for server in (short, short, long):
        async with speaker(server, authenticator, tokens.ada, era, extensions) as client:
            told.append(messages(await client.post("tools/list", {})))
    assert told[0][0]["result"]["tools"]
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize(("header", "status"), [("1", 200), ("2", 400), (None, 400)])
async def test_headers_that_repeat_an_argument_are_checked_in_both_ways(
    service: Service, authenticator: Authenticator, tokens: Any, header: str | None, status: int
) -> None:
    call = {"name": "test_add", "arguments": {"a": 1, "b": 2}}
    lines = {} if header is None else {"mcp_param_first": header}
    refusals: list[Any] = []
    for way in (short_way, long_way):
        server = build_server(service, caller=http_caller, kind_wait_seconds=0)
        server.toolbox.tools["test.add"].parameters["properties"]["a"]["x-mcp-header"] = "First"
        async with speaker(way(server), authenticator, tokens.ada, MODERN) as client:
            answer = await client.post("tools/call", call, **lines)
            assert answer.status_code == status, answer.text
            refusals.append(messages(answer)[0].get("error"))
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize("identity", ["a word", 2**53, 'quote" and \\ and ü'])
async def test_a_list_that_is_ready_has_the_id_of_its_question(
    service: Service, authenticator: Authenticator, tokens: Any, identity: Any
) -> None:
    body = {"jsonrpc": "2.0", "id": identity, "method": "tools/list"}
    async with speaker(server_of(service), authenticator, tokens.ada, LEGACY) as client:
        for _ in range(2):
            answer = messages(await client._send(body, {}))  # pyright: ignore[reportPrivateUsage]
            assert answer[0]["id"] == identity
            assert answer[0]["result"]["tools"]


async def test_a_tool_that_is_added_later_is_in_the_next_list(service: Service) -> None:
    server = build_server(service, caller=lambda: ADA)
    async with Client(server) as client:
        before = {tool.name for tool in await client.list_tools()}
        assert {tool.name for tool in await client.list_tools()} == before

        @server.tool
        def greet(name: str) -> str:  # pyright: ignore[reportUnusedFunction]
            """Greet somebody."""
            return f"Hello, {name}!"

        assert {tool.name for tool in await client.list_tools()} == before | {"greet"}
        answer: Any = await client.call_tool("greet", {"name": "Ada"})
        assert answer.data == "Hello, Ada!"


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_a_list_that_cannot_change_is_declared_so(
    service: Service, authenticator: Authenticator, tokens: Any, era: str
) -> None:
    async with speaker(server_of(service), authenticator, tokens.ada, era) as client:
        assert client.began["capabilities"]["tools"]["listChanged"] is False


async def test_a_tool_may_keep_state_of_its_session(service: Service) -> None:
    server = build_server(service, caller=lambda: ADA)

    @server.tool
    async def count(context: Context) -> int:  # pyright: ignore[reportUnusedFunction]
        """Count the calls of a session."""
        number = (await context.get_state("count") or 0) + 1
        await context.set_state("count", number)
        return number

    async with Client(server, mode="legacy") as client:
        told: list[Any] = [(await client.call_tool("count", {})).data for _ in range(3)]
    assert told == [1, 2, 3]


async def test_a_client_that_was_listed_no_tool_of_tasks_gets_none(
    service: Service, authenticator: Authenticator, tokens: Any
) -> None:
    call = {"name": "test_add", "arguments": {"a": 1, "b": 2}}
    server = server_of(service)
    async with speaker(server, authenticator, tokens.ada, MODERN, {EXTENSION: {}}) as client:
        assert messages(await client.post("tools/call", call))[0]["result"]["resultType"] == "task"
    async with speaker(server, authenticator, tokens.ada, MODERN) as client:
        assert (
            messages(await client.post("tools/call", call))[0]["result"]["resultType"] == "complete"
        )


def no_tasks(_: Context, __: str) -> bool:
    return False


class Sees(Middleware):
    """Wants to see every call."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def on_call_tool(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]
    ) -> Any:
        self.seen.append(context.message.name)
        return await call_next(context)


class Server2027:
    """An SDK's server that has none of what the shortcut hooks into."""


def test_without_the_seams_of_the_sdk_there_is_no_shortcut(service: Service) -> None:
    server = long_way(build_server(service, caller=lambda: ADA))

    def install() -> bool:
        return fast_path.install(
            server, {}, unneeded=(Middleware,), starts_task=no_tasks, variant=tuple
        )

    own: Any = server._mcp_server  # pyright: ignore
    server._mcp_server = Server2027()  # pyright: ignore
    assert not install()
    server._mcp_server = own  # pyright: ignore
    assert install()


async def test_a_middleware_that_wants_to_see_calls_sees_them(service: Service) -> None:
    server = long_way(build_server(service, caller=lambda: ADA))
    sees = Sees()
    server.add_middleware(sees)
    unneeded: Sequence[type[Middleware]] = tuple(
        type(one) for one in server.middleware if not isinstance(one, Sees)
    )
    assert not fast_path.install(server, {}, unneeded=unneeded, starts_task=no_tasks, variant=tuple)
    async with Client(server) as client:
        await client.call_tool("job_list", {})
    assert sees.seen == ["job.list"]


# --- One piece or a stream ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "brief"),
    [
        ({"id": 1, "method": "tools/list"}, True),
        ({"id": 1, "method": "tools/call", "params": {"name": "job.status"}}, True),
        ({"id": 1, "method": "tools/call", "params": {"name": "job_wait"}}, False),
        ({"id": 1, "method": "tools/call", "params": {"name": "page_analyze"}}, False),
        ({"id": 1, "method": "tools/call", "params": {"name": 5}}, False),
        (
            {
                "id": 1,
                "method": "tools/call",
                "params": {"name": "job_status", "_meta": {"progressToken": 1}},
            },
            False,
        ),
        ({"id": 1, "method": "subscriptions/listen"}, False),
        ({"id": 1, "method": "initialize"}, False),
        ({"method": "tools/list"}, False),
        ({"id": 1, "method": "tools/list", "params": {"_meta": 5}}, True),
        (None, False),
    ],
)
def test_what_is_answered_in_one_piece(message: Any, brief: bool) -> None:
    assert is_brief(message) is brief


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_progress_comes_as_a_stream_and_a_status_in_one_piece(
    service: Service, authenticator: Authenticator, tokens: Any, era: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = (await service.submit(ADA, "test.gate", {"path": str(gate)})).job
    wait = {"name": "job_wait", "arguments": {"job_id": job.id}, "_meta": {"progressToken": "p"}}
    status = {"name": "job_status", "arguments": {"job_id": job.id}}
    async with speaker(server_of(service), authenticator, tokens.ada, era) as client:
        async for seen in service.watch(ADA, job.id):
            if seen.phase == "waiting":
                break
        asked = await client.post("tools/call", status)
        assert asked.headers["content-type"].startswith("application/json")
        gate.touch()
        waited = await client.post("tools/call", wait)
        assert waited.headers["content-type"].startswith("text/event-stream")
        told = messages(waited)
        assert told[0]["method"] == "notifications/progress"
        assert told[-1]["result"]["structuredContent"]["state"] == "completed"


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_a_client_that_takes_no_stream_is_refused_as_before(
    service: Service, authenticator: Authenticator, tokens: Any, era: str
) -> None:
    async with speaker(server_of(service), authenticator, tokens.ada, era) as client:
        refused = await client.post("tools/list", {}, accept="application/json")
        assert refused.status_code == 406
