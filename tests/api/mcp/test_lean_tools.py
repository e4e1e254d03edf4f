"""The toolset lean: seven tools that reach every kind."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from fastmcp import Client, FastMCP

from checkback.api.mcp.server import build_server
from checkback.api.mcp.tools.schemas import portable
from checkback.kinds import registry
from checkback.security.auth.callers import Caller
from checkback.service import Service
from tool_rules import faults

ADA = Caller("ada")
TOOLS = {
    "kind_search",
    "kind_describe",
    "job_submit",
    "job_wait",
    "job_result",
    "job_list",
    "job_cancel",
}


@pytest.fixture
def server(service: Service) -> FastMCP[None]:
    return build_server(service, caller=lambda: ADA, toolsets=("lean",), kind_wait_seconds=0.05)


async def call(client: Client[Any], tool: str, **arguments: Any) -> Any:
    return (await client.call_tool(tool, arguments)).structured_content


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_seven_tools_are_listed_and_pass_the_rules(
    server: FastMCP[None], mode: Literal["legacy", "auto"]
) -> None:
    async with Client(server, mode=mode) as client:
        tools = [
            tool.model_dump(by_alias=True, exclude_none=True) for tool in await client.list_tools()
        ]
    assert {tool["name"] for tool in tools} == TOOLS
    assert [fault for tool in tools for fault in faults(tool)] == []


@pytest.mark.usefixtures("worker")
async def test_a_kind_is_found_described_submitted_and_read(server: FastMCP[None]) -> None:
    async with Client(server) as client:
        found = await call(client, "kind_search", query="add numbers")
        assert found["kinds"][0] == {"kind": "test.add", "about": "Add two numbers."}
        described = await call(client, "kind_describe", kind="test.add")
        assert described["args"]["required"] == ["a", "b"]
        ticket = await call(
            client, "job_submit", kind="test.add", args={"a": 1, "b": 2}, key="once"
        )
        again = await call(client, "job_submit", kind="test.add", args={"a": 1, "b": 2}, key="once")
        assert again["job_id"] == ticket["job_id"]
        ended = await call(client, "job_wait", job_id=ticket["job_id"])
        assert ended["result"] == 3
        assert (await call(client, "job_result", job_id=ticket["job_id"]))["result"] == 3


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("pdf tables", "pdf.find_tables"),
        ("web page", "page.analyze"),
        ("merge", "pdf.merge"),
        ("excel json", "excel.to_json"),
        ("e-mail", "email.to_pdf"),
    ],
)
async def test_words_find_the_kind_that_they_name(
    server: FastMCP[None], query: str, kind: str
) -> None:
    async with Client(server) as client:
        found = await call(client, "kind_search", query=query)
    assert kind in [one["kind"] for one in found["kinds"][:3]]


async def test_every_kind_can_be_found_and_described(server: FastMCP[None]) -> None:
    async with Client(server) as client:
        for kind in registry.all_kinds():
            found = await call(client, "kind_search", query=kind.name)
            assert kind.name in [one["kind"] for one in found["kinds"]], kind.name
            described = await call(client, "kind_describe", kind=kind.name)
            assert described["args"] == portable(kind.args_schema())
        listed = await call(client, "kind_search")
        assert len(listed["kinds"]) + listed["more"] == len(registry.all_kinds())


async def test_unknown_kinds_and_wrong_arguments_are_refused_by_name(server: FastMCP[None]) -> None:
    async with Client(server) as client:
        cases: tuple[tuple[str, dict[str, Any], str, str], ...] = (
            ("kind_describe", {"kind": "no.such"}, "unknown_kind", "no.such"),
            ("job_submit", {"kind": "no.such"}, "unknown_kind", "no.such"),
            ("job_submit", {"kind": "test.add", "args": {"a": "x", "b": 1}}, "invalid_input", "a"),
            ("job_submit", {"kind": "test.add", "args": {}, "more": 1}, "invalid_input", "more"),
        )
        for tool, arguments, code, word in cases:
            refused = await client.call_tool(tool, arguments, raise_on_error=False)
            error: Any = (refused.structured_content or {})["error"]
            assert error["code"] == code
            assert word in error["message"]


async def test_next_steps_name_only_tools_that_are_there(
    server: FastMCP[None], service: Service
) -> None:
    async with Client(server) as client:
        ticket = await call(client, "job_submit", kind="test.add", args={"a": 1, "b": 2})
        cancelled = await call(client, "job_cancel", job_id=ticket["job_id"])
    assert "job_retry" not in ticket["next_step"] + cancelled["next_step"]
    assert "job_submit" in cancelled["next_step"]
