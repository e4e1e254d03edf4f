"""The MCP door, as clients of both eras of the protocol see it: in memory, and over HTTP behind the
gate.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx2
import jsonschema
import mcp_types
import pytest
from fastmcp import Client, FastMCP
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from pydantic import TypeAdapter

from checkback.api.mcp.server import build_server, http_caller
from checkback.api.mcp.tools.context import MAX_MESSAGE, EarlyPolls, progress_message
from checkback.api.mcp.tools.job_tools import SLICE_CHARACTERS
from checkback.api.mcp.tools.pdfco_tools import PdfcoSetting
from checkback.api.mcp.tools.tool_names import aliases, underscore
from checkback.core.errors import Unauthorized
from checkback.core.job import Job
from checkback.core.states import State
from checkback.dialects import native
from checkback.security.auth.authenticator import Authenticator
from checkback.security.auth.callers import LOCAL, Caller
from checkback.service import Service
from mcp_over_http import over_http, transport_for

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
ADA = Caller("ada")
PAGE = "https://example.com/"
MODES: tuple[Literal["legacy", "auto"], ...] = ("legacy", "auto")
JOB_TOOLS = [
    "job.cancel",
    "job.delete",
    "job.list",
    "job.result",
    "job.retry",
    "job.status",
    "job.wait",
]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Literal["legacy", "auto"]:
    """Both eras: with a handshake, and without."""
    return request.param


@pytest.fixture
def server(service: Service) -> FastMCP[None]:
    return build_server(service, caller=lambda: ADA, version="1.2.3", kind_wait_seconds=0.05)


def named(name: str) -> mcp_types.Implementation:
    """A client that calls itself so."""
    return mcp_types.Implementation(name=name, version="1")


async def call(client: Client[Any], tool: str, **arguments: Any) -> Any:
    """The structured content of a result that is not an error."""
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert not result.is_error, result.content
    return result.structured_content


async def fail(client: Client[Any], tool: str, **arguments: Any) -> dict[str, Any]:
    """The error of an answer that is one."""
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content["error"]


def text_of(result: Any) -> list[str]:
    return [block.text for block in result.content]


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("page.getJobStatus", "page_get_job_status"),
        ("job.wait", "job_wait"),
        ("plain", "plain"),
        ("a.b.cD", "a_b_c_d"),
    ],
)
def test_underscore_names(name: str, other: str) -> None:
    assert underscore(name) == other
    assert aliases([name]) == {name: name, other: name}


def test_two_tools_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="would both be called 'a_b'"):
        aliases(["a.b", "a_b"])


async def listed(
    server: FastMCP[None], client_name: str, mode: Literal["legacy", "auto"]
) -> set[str]:
    async with Client(server, mode=mode, client_info=named(client_name)) as client:
        return {tool.name for tool in await client.list_tools()}


CLIENTS = (
    "mcp",
    "fastmcp",
    "claude-code",
    "claude-ai",
    "inspector-cli",
    "codex-mcp-client",
    "somebody new",
)


async def test_underscore_names_are_listed_to_every_client(
    server: FastMCP[None], mode: Literal["legacy", "auto"]
) -> None:
    for name in CLIENTS:
        names = await listed(server, name, mode)
        assert {"page_get_job_status", *map(underscore, JOB_TOOLS)} <= names
        assert not any("." in shown for shown in names)


async def test_a_setting_lists_dotted_names_to_every_client(
    service: Service, mode: Literal["legacy", "auto"]
) -> None:
    server = build_server(service, caller=lambda: ADA, tool_names="dotted")
    for name in CLIENTS:
        assert {"page.getJobStatus", *JOB_TOOLS} <= await listed(server, name, mode)


async def test_the_setting_auto_means_underscore_and_warns(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    server = build_server(service, caller=lambda: ADA, tool_names="auto")
    assert "CHECKBACK_TOOL_NAMES=auto" in caplog.text
    assert "job_wait" in await listed(server, "mcp", "auto")


async def test_both_names_can_always_be_called(
    server: FastMCP[None], mode: Literal["legacy", "auto"]
) -> None:
    async with Client(server, mode=mode) as client:
        for name in ("job.list", "job_list"):
            assert await call(client, name) == {"jobs": [], "cursor": None}


@pytest.mark.parametrize("tool_names", ["underscore", "dotted"])
async def test_every_text_uses_the_names_that_are_listed(
    service: Service, tool_names: Literal["underscore", "dotted"], mode: Literal["legacy", "auto"]
) -> None:
    pdfco = PdfcoSetting(base_url=lambda: "http://127.0.0.1:1", is_own_token=lambda _: False)
    for toolsets in (("pages", "documents", "jobs"), ("pages",), ("documents",), ("lean",)):
        server = build_server(
            service,
            caller=lambda: ADA,
            tool_names=tool_names,
            toolsets=toolsets,
            pdfco=pdfco,
            kind_wait_seconds=0.05,
        )
        async with Client(server, mode=mode) as client:
            tools = await client.list_tools()
            texts = [client.instructions or ""]
            if "pages" in toolsets:
                texts.append(
                    json.dumps(await call(client, "page.analyze", url=PAGE, **{"async": True}))
                )
            if toolsets == ("lean",):
                texts.append(
                    json.dumps(
                        await call(client, "job.submit", kind="test.add", args={"a": 1, "b": 2})
                    )
                )
            elif "jobs" in toolsets:
                texts.append(json.dumps(await call(client, "test_add", a=1, b=2)))
        texts += [f"{tool.description} {json.dumps(tool.input_schema)}" for tool in tools]
        there = {tool.name for tool in tools}
        dotted = {name for name in aliases(EVERY_TOOL).values() if "." in name}
        for text in texts:
            for name in dotted:
                shown, other = (
                    (name, underscore(name)) if tool_names == "dotted" else (underscore(name), name)
                )
                assert not mentions(text, other), (other, text)
                assert (
                    shown in there or not mentions(text, shown) or f'"kind": "{shown}"' in text
                ), (
                    shown,
                    text,
                )


EVERY_TOOL = [
    *JOB_TOOLS, "job.submit", "kind.search", "kind.describe", "page.analyze", "page.analyze_batch",
    "page.compare", "page.crop", "page.getJobStatus", "file.fetch", "pdf_to_text", "wait_job_completion",
    "get_job_check",
]  # fmt: skip


def mentions(text: str, name: str) -> bool:
    """Whether a text names a tool, as a word by itself."""
    text = text.replace('"kind": "page.analyze"', "").replace('"kind": "test.add"', "")
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w|\.\w)", text) is not None


# --- What is listed -------------------------------------------------------------------------------


async def test_every_tool_says_what_it_is(
    server: FastMCP[None], mode: Literal["legacy", "auto"]
) -> None:
    async with Client(server, mode=mode) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        instructions = client.instructions
    assert {
        "job_wait",
        "page_analyze",
        "page_get_job_status",
        "test_add",
        "test_say",
    } <= tools.keys()
    for tool in tools.values():
        assert tool.title
        assert tool.description
        assert tool.icons
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is not None
        assert tool.input_schema["type"] == "object"
        assert tool.output_schema is not None
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)
    add = tools["test_add"]
    assert add.title == "Add two numbers"
    assert add.input_schema["required"] == ["a", "b"]
    assert instructions is not None
    for words in ("job_wait", "page_analyze", "is_final"):
        assert words in instructions


def test_kinds_that_other_tools_cover_get_none(service: Service) -> None:
    server = build_server(service, caller=lambda: ADA)
    names = {tool.name for tool in asyncio.run(server.list_tools(run_middleware=False))}
    assert "pdf.to_text" not in names
    assert "test.say" in names


@pytest.mark.parametrize(
    ("toolsets", "there", "absent"),
    [
        (("jobs",), {"job.status", "test.say"}, {"page.analyze", "pdf_to_text"}),
        (("pages",), {"page.analyze"}, {"job.status", "test.say", "pdf_to_text"}),
        (
            ("documents",),
            {"pdf_to_text", "get_job_check"},
            {"page.analyze", "job.status", "test.say"},
        ),
    ],
)
def test_toolsets_say_which_tools_there_are(
    service: Service, toolsets: tuple[str, ...], there: set[str], absent: set[str]
) -> None:
    pdfco = PdfcoSetting(base_url=lambda: "http://127.0.0.1:1", is_own_token=lambda _: False)
    server = build_server(service, caller=lambda: ADA, toolsets=toolsets, pdfco=pdfco)
    names = {tool.name for tool in asyncio.run(server.list_tools(run_middleware=False))}
    assert there <= names
    assert not absent & names


# --- Work -----------------------------------------------------------------------------------------


async def test_a_kinds_tool_answers_with_a_ticket_when_nothing_runs(
    server: FastMCP[None], mode: Literal["legacy", "auto"]
) -> None:
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("test.add", {"a": 1, "b": 2})
        ticket: Any = result.structured_content
        TypeAdapter(native.JobSummary).validate_python(ticket)
        assert (ticket["state"], ticket["is_final"], ticket["result"]) == ("waiting", False, None)
        headline, record = text_of(result)
        assert headline.startswith("test.add is waiting, number 1 in its queue. Call job_wait")
        assert json.loads(record) == ticket
        assert (await call(client, "job.status", jobId=ticket["job_id"]))["state"] == "waiting"


@pytest.mark.usefixtures("worker")
async def test_a_kinds_tool_answers_with_the_result_when_it_is_quick(
    service: Service, mode: Literal["legacy", "auto"]
) -> None:
    server = build_server(service, caller=lambda: ADA, kind_wait_seconds=30)
    async with Client(server, mode=mode) as client:
        ticket = await call(client, "test_add", a=1, b=2)
        assert (ticket["state"], ticket["result"], ticket["is_final"]) == ("completed", 3, True)
        failed = await client.call_tool("test_fail", {"message": "It broke."}, raise_on_error=False)
        assert failed.is_error
        assert failed.structured_content is not None
        assert failed.structured_content["failure"]["message"] == "It broke."
        assert "job_retry" in failed.structured_content["next_step"]


@pytest.mark.usefixtures("worker")
async def test_waiting_tells_progress_and_running_out_of_time_is_no_error(
    server: FastMCP[None], gate_file: Path, mode: Literal["legacy", "auto"]
) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    may_end = False

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))
        if may_end and message == "active, waiting":
            gate_file.touch()

    async with Client(server, mode=mode, progress_handler=note) as client:
        job_id = (await call(client, "test.gate", path=str(gate_file)))["job_id"]
        early = await call(client, "job.wait", job_id=job_id, wait_seconds=0)
        assert early["is_final"] is False
        told.clear()
        may_end = True
        ended = await call(client, "job.wait", job_id=job_id, wait_seconds=50)
    assert (ended["state"], ended["result"]) == ("completed", "attempt 1")
    numbers = [number for number, _, _ in told]
    assert numbers == sorted(set(numbers))
    assert told[-1][2] == "completed, waiting"


def test_a_progress_message_has_our_words_first_and_the_jobs_own_on_one_short_line() -> None:
    job = Job(
        id=UNKNOWN,
        kind="test.gate",
        queue="jobs",
        owner="ada",
        state=State.ACTIVE,
        created_at=datetime.now(UTC),
    )
    assert progress_message(job) == "active"
    assert progress_message(replace(job, phase="layout")) == "active, layout"
    said = "Page 3\r\n\x1b[31mof\u202e 9\ud800\x00!"
    assert (
        progress_message(replace(job, phase="layout", message=said))
        == "active, layout: Page 3 [31mof 9 !"
    )
    assert progress_message(replace(job, message=" \n ")) == "active"
    long = progress_message(replace(job, message="word " * 200))
    assert long.startswith("active: word word")
    assert len(long.removeprefix("active: ")) == MAX_MESSAGE


@pytest.mark.usefixtures("worker")
async def test_progress_notifications_carry_the_jobs_message(
    server: FastMCP[None], tmp_path: Path, mode: Literal["legacy", "auto"]
) -> None:
    told: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)
        for stage, words in (("first", "half of the first"), ("second", "half of the second")):
            if message == f"active, {stage}: {words}":
                (tmp_path / stage).touch()

    async with Client(server, mode=mode, progress_handler=note) as client:
        paths = {"go_on": str(tmp_path / "first"), "end": str(tmp_path / "second")}
        job_id = (await call(client, "test.stages", **paths))["job_id"]
        ended = await call(client, "job.wait", job_id=job_id, wait_seconds=50)
    assert ended["state"] == "completed"
    assert {"active, first: half of the first", "active, second: half of the second"} <= set(told)


async def test_cancel_retry_and_list(
    server: FastMCP[None], mode: Literal["legacy", "auto"]
) -> None:
    async with Client(server, mode=mode) as client:
        job_id = (await call(client, "test.add", a=1, b=2))["job_id"]
        for _ in range(2):
            assert (await call(client, "job.cancel", job_id=job_id))["state"] == "cancelled"
        jobs = (await call(client, "job.list", state="cancelled", kind="test.add"))["jobs"]
        assert [job["job_id"] for job in jobs] == [job_id]
        assert (await call(client, "job.list", state="completed"))["jobs"] == []
        assert (await fail(client, "job.result", job_id=job_id))["code"] == "conflict"


async def test_a_deleted_job_is_gone(server: FastMCP[None]) -> None:
    async with Client(server) as client:
        job_id = (await call(client, "test.add", a=1, b=2))["job_id"]
        assert await call(client, "job_delete", job_id=job_id) == {
            "job_id": job_id,
            "deleted": True,
        }
        for tool in ("job.status", "job.delete"):
            assert (await fail(client, tool, job_id=job_id))["code"] == "job_not_found"
        (tool,) = [tool for tool in await client.list_tools() if tool.name == "job_delete"]
        assert tool.annotations is not None
        assert (tool.annotations.destructive_hint, tool.annotations.read_only_hint) == (True, False)


@pytest.mark.usefixtures("worker")
async def test_retry_runs_a_failed_job_again(server: FastMCP[None]) -> None:
    async with Client(server) as client:
        failed: Any = await client.call_tool("test.fail", {}, raise_on_error=False)
        job_id = failed.structured_content["job_id"]
        assert (await call(client, "job.wait", job_id=job_id))["state"] == "failed"
        assert (await call(client, "job.retry", job_id=job_id))["is_final"] is False
        ended = await call(client, "job.wait", job_id=job_id)
        assert (ended["state"], ended["attempts"]["started"]) == ("failed", 2)


@pytest.mark.usefixtures("worker")
async def test_results_and_artifacts_are_read_whole_or_in_parts(server: FastMCP[None]) -> None:
    async with Client(server) as client:
        said = (await call(client, "test.say", words="hello"))["job_id"]
        await call(client, "job.wait", job_id=said)
        whole = await call(client, "job.result", job_id=said)
        assert (whole["result"], whole["next_offset"]) == ({"said": "hello"}, None)
        assert (await call(client, "job.result", job_id=said, pointer="/said"))["result"] == "hello"
        assert (await call(client, "job.result", job_id=said, artifact="words.txt"))[
            "result"
        ] == "hello"
        assert (await fail(client, "job.result", job_id=said, pointer="/nothing"))[
            "code"
        ] == "invalid_input"
        assert (await fail(client, "job.result", job_id=said, artifact="../x"))[
            "code"
        ] == "job_not_found"

        long = (await call(client, "test.large", size=SLICE_CHARACTERS + 5))["job_id"]
        ticket = await call(client, "job.wait", job_id=long)
        assert (ticket["result"], ticket["result_is_longer"]) == (None, True)
        first = await call(client, "job.result", job_id=long)
        assert (len(first["text"]), first["next_offset"]) == (SLICE_CHARACTERS, SLICE_CHARACTERS)
        rest = await call(client, "job.result", job_id=long, offset=first["next_offset"])
        assert (rest["text"], rest["next_offset"]) == ("x" * 5, None)

        spilled = (await call(client, "test.large", size=100_000))["job_id"]
        assert (await call(client, "job.wait", job_id=spilled))["result_is_longer"]
        assert (await call(client, "job.result", job_id=spilled))["total_characters"] == 100_000


# --- Errors ---------------------------------------------------------------------------------------


async def test_bad_input_is_a_result_that_names_the_field(
    server: FastMCP[None], mode: Literal["legacy", "auto"]
) -> None:
    async with Client(server, mode=mode) as client:
        for tool, arguments, word in [
            ("job.status", {}, "job_id"),
            ("job.status", {"job_id": "meta"}, "UUID"),
            ("job.status", {"job_id": UNKNOWN, "extra": 1}, "extra"),
            ("job.status", {"job_id": 5}, "job_id"),
            ("job.wait", {"job_id": UNKNOWN, "wait_seconds": -1}, "wait_seconds"),
            ("job.list", {"state": "running"}, "state"),
            ("job.list", {"limit": 0}, "limit"),
            ("test.add", {"a": 1}, "b"),
            ("test.add", {"a": 1, "b": "x"}, "b"),
            ("test.add", {"a": 1, "b": 2, "c": 3}, "c"),
        ]:
            error = await fail(client, tool, **arguments)
            assert error["code"] == "invalid_input", (tool, error)
            assert word in error["message"]
            assert error["hint"]
        unknown = await client.call_tool("no.such.tool", {}, raise_on_error=False)
        assert unknown.is_error


async def test_a_job_of_somebody_else_does_not_exist(
    server: FastMCP[None], service: Service, mode: Literal["legacy", "auto"]
) -> None:
    theirs = (await service.submit(Caller("bob"), "test.add", {"a": 1, "b": 2})).job.id
    async with Client(server, mode=mode) as client:
        for tool in (
            "job.status",
            "job.wait",
            "job.result",
            "job.cancel",
            "job.retry",
            "job.delete",
        ):
            assert await fail(client, tool, job_id=theirs) == await fail(
                client, tool, job_id=UNKNOWN
            )
        assert (await call(client, "job.list"))["jobs"] == []


async def test_an_unexpected_error_shows_nothing_of_itself(service: Service) -> None:
    def broken() -> Caller:
        raise RuntimeError("/secret/path")

    for production in (True, False):
        async with Client(build_server(service, caller=broken, production=production)) as client:
            error = await fail(client, "job.list")
        assert error["code"] == "internal_error"
        assert ("/secret/path" in error["message"]) is not production


async def test_without_the_store_every_tool_answers_within_two_seconds(
    stranded: Service, mode: Literal["legacy", "auto"]
) -> None:
    async with Client(build_server(stranded, caller=lambda: ADA), mode=mode) as client:
        began = asyncio.get_running_loop().time()
        errors = await asyncio.gather(
            fail(client, "job.status", job_id=UNKNOWN),
            fail(client, "job.wait", job_id=UNKNOWN),
            fail(client, "job.list"),
            fail(client, "test.add", a=1, b=2),
        )
        assert asyncio.get_running_loop().time() - began < 2.5
    assert {error["code"] for error in errors} == {"engine_unavailable"}


async def test_a_client_that_goes_away_ends_the_wait_and_not_the_job(
    server: FastMCP[None], service: Service, connection: Any, mode: Literal["legacy", "auto"]
) -> None:
    subscribers = connection.feed._subscribers
    async with Client(server, mode=mode) as client:
        job_id = (await call(client, "test.add", a=1, b=2))["job_id"]
        waiting = asyncio.create_task(client.call_tool("job.wait", {"job_id": job_id}))
        while not subscribers:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        while subscribers:
            await asyncio.sleep(0)
    assert (await service.get(ADA, job_id)).state == "waiting"


# --- Polling too often ----------------------------------------------------------------------------


async def test_a_question_that_comes_too_early_is_held(service: Service) -> None:
    clock = [100.0]
    early = EarlyPolls(clock=lambda: clock[0], max_jobs=2, max_hold_seconds=5)
    jobs = [
        (await service.submit(ADA, "test.add", {"a": 1, "b": number})).job for number in range(3)
    ]
    assert early.hold_seconds("ada", jobs[0].id) == 0
    early.note("ada", jobs[0])
    assert early.hold_seconds("ada", jobs[0].id) == 2
    assert early.hold_seconds("bob", jobs[0].id) == 0
    clock[0] += 2
    assert early.hold_seconds("ada", jobs[0].id) == 0
    for job in jobs:
        early.note("ada", job)
    assert early.hold_seconds("ada", jobs[0].id) == 0  # forgotten: there is room for two


# --- Over HTTP ------------------------------------------------------------------------------------


async def test_each_token_sees_its_own_jobs_over_http(
    service: Service, authenticator: Authenticator, tokens: Any, mode: Literal["legacy", "auto"]
) -> None:
    async with over_http(service, authenticator) as app:
        async with Client(transport_for(app, tokens.ada), mode=mode) as ada:
            job_id = (await call(ada, "test_add", a=1, b=2))["job_id"]
            assert (await call(ada, "job_status", job_id=job_id))["state"] == "waiting"
        async with Client(transport_for(app, tokens.bob), mode=mode) as bob:
            assert (await fail(bob, "job_status", job_id=job_id))["code"] == "job_not_found"
        async with Client(transport_for(app, tokens.reader), mode=mode) as reader:
            assert (await call(reader, "job_status", job_id=job_id))["job_id"] == job_id
            assert (await fail(reader, "job_cancel", job_id=job_id))["code"] == "forbidden"
            assert (await fail(reader, "test_add", a=1, b=2))["code"] == "forbidden"
    assert (await service.get(ADA, job_id)).owner == "ada"


@pytest.fixture
async def raw(service: Service, authenticator: Authenticator) -> AsyncIterator[Any]:
    """Makes one raw POST to /mcp; the application lives for that request only."""

    async def post(content: bytes, headers: dict[str, str]) -> httpx2.Response:
        async with over_http(service, authenticator) as app:
            transport = StreamingASGITransport(app)
            async with httpx2.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8787"
            ) as client:
                common = {
                    "content-type": "application/json",
                    "accept": "application/json, text/event-stream",
                }
                return await client.post("/mcp", content=content, headers=common | headers)

    yield post


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer cb_wrong"}, 401),
        ({"authorization": "Basic x"}, 401),
        ({"host": "evil.com"}, 403),
        ({"origin": "https://evil"}, 403),
    ],
)
async def test_strangers_reach_no_tool(raw: Any, headers: dict[str, str], status: int) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'
    response = await raw(body, headers)
    assert response.status_code == status
    assert "error" in response.json()
    assert "result" not in response.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"[]",
        b"null",
        b'"x"',
        b'{"jsonrpc":"2.0"}',
        b'{"jsonrpc":"1.0","id":1,"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"method":5}',
        b'{"jsonrpc":"2.0","id":{"a":1},"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"method":"no/such"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
        + b"[" * 10_000
        + b"]" * 10_000
        + b"}",
        b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
    ],
    ids=lambda body: repr(body[:50]),
)
async def test_what_is_no_request_is_refused_and_the_server_lives(
    raw: Any, tokens: Any, body: bytes
) -> None:
    response = await raw(body, {"authorization": f"Bearer {tokens.ada}"})
    assert 400 <= response.status_code < 500, response.text


async def test_numbers_that_are_no_json_do_not_reach_the_store(
    service: Service, authenticator: Authenticator, tokens: Any
) -> None:
    async with (
        over_http(service, authenticator) as app,
        Client(transport_for(app, tokens.ada)) as client,
    ):
        error = await fail(client, "test_say", words={"deep": [[[]]]})
        assert error["code"] == "invalid_input"
        assert (await call(client, "job_list"))["jobs"] == []


def test_http_caller_needs_a_request() -> None:
    with pytest.raises((RuntimeError, Unauthorized)):
        http_caller()


def test_the_local_caller_may_be_anybody(service: Service) -> None:
    assert build_server(service, caller=lambda: LOCAL).name == "checkback"
