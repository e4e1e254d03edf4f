"""The card in the MCP API: who is offered it, what it is, and what it shows of a job."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from fastmcp import Client, FastMCP
from fastmcp.apps import UI_EXTENSION_ID
from mcp.client.extension import ClientExtension
from mcp_types import TextResourceContents

from checkback.api.mcp.server import build_server
from checkback.api.mcp.tools.tool_list import CARD, CARD_TOOL
from checkback.security.auth.callers import Caller, Scope
from checkback.service import Service

ADA = Caller("ada")
READER = Caller("ada", frozenset({Scope.READ}))
PAGE = "http://127.0.0.1:8787"


class Apps(ClientExtension):
    identifier = UI_EXTENSION_ID


@pytest.fixture
def server(service: Service) -> FastMCP[None]:
    return build_server(service, caller=lambda: ADA, kind_wait_seconds=0.05, page_url=lambda: PAGE)


async def look(client: Client[Any], job_id: str, **arguments: Any) -> dict[str, Any]:
    """What the card receives."""
    result = await client.call_tool(CARD_TOOL, {"job_id": job_id, **arguments})
    assert result.structured_content is not None
    return result.structured_content


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_hosts_that_declare_apps_are_offered_the_card_and_all_others_see_what_they_saw(
    server: FastMCP[None], mode: Literal["legacy", "auto"]
) -> None:
    listed: dict[bool, dict[str, Any]] = {}
    extensions: tuple[Sequence[ClientExtension], ...] = ((), (Apps(),))
    for declared in extensions:
        async with Client(server, mode=mode, extensions=declared) as client:
            tools = {tool.name: (tool.meta or {}).get("ui") for tool in await client.list_tools()}
            uris = [str(one.uri) for one in await client.list_resources()]
            listed[bool(declared)] = tools
            assert (CARD in uris) is bool(declared)
            (content,) = await client.read_resource(CARD)
            assert isinstance(content, TextResourceContents)
            assert content.mime_type == "text/html;profile=mcp-app"
            assert content.text.startswith("<!doctype html>")
            assert 'call("job_card"' in content.text and 'call("job_cancel"' in content.text
            assert content.meta is not None
            nothing: dict[str, list[str]] = {
                "connectDomains": [],
                "resourceDomains": [],
                "frameDomains": [],
            }
            assert content.meta["ui"] == {"csp": nothing, "prefersBorder": True}
    assert listed[True].keys() - listed[False].keys() == {"job_card"}
    assert listed[True]["job_card"] == {"resourceUri": CARD, "visibility": ["app"]}
    for name in (
        "test_add",
        "page_analyze",
        "page_get_job_status",
        "job_wait",
        "job_status",
        "job_cancel",
    ):
        assert listed[False][name] == {"resourceUri": CARD}, name
    assert listed[False]["job_list"] is None
    assert listed[False]["job_result"] is None


async def test_the_card_names_nothing_outside_itself() -> None:
    import checkback.api.mcp.card as module

    text = module.HTML.read_text("utf-8")
    assert "://" not in text
    assert "innerHTML" not in text and "insertAdjacentHTML" not in text and "eval(" not in text


async def test_a_look_is_held_until_there_is_news(
    server: FastMCP[None], worker: Any, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with Client(server) as client:
        started = await client.call_tool("test.gate", {"path": str(gate)})
        assert started.structured_content is not None
        job_id = str(started.structured_content["job_id"])
        now = await look(client, job_id)
        while now["phase"] != "waiting":
            now = await look(client, job_id, seen=now["card"]["seen"], wait_seconds=20)
        assert now["card"]["says"] == "waiting"
        assert now["card"]["can_cancel"] is True
        assert now["card"]["page_url"] == f"{PAGE}/jobs/{job_id}"
        assert [part["name"] for part in now["card"]["bar"]][-1] == "waiting"
        held = asyncio.create_task(look(client, job_id, seen=now["card"]["seen"], wait_seconds=20))
        same = await look(client, job_id, seen=now["card"]["seen"], wait_seconds=0.05)
        assert same["card"]["seen"] == now["card"]["seen"]
        assert not held.done()
        gate.touch()
        done = await held
        assert done["state"] == "completed"
        assert done["result"] == "attempt 1"
        assert done["card"]["preview"]["score"] is None
        assert done["unread"] is True  # a person saw it; the agent has not read it
        assert (await look(client, job_id))["unread"] is True


async def test_a_card_shows_a_documents_text_and_offers_no_cancel_to_readers(
    service: Service, worker: Any
) -> None:
    said = await service.submit(ADA, "test.say", {"words": "hello"})
    await service.wait(ADA, said.job.id, 20)
    server = build_server(service, caller=lambda: READER)
    async with Client(server) as client:
        found = (await look(client, said.job.id))["card"]
        assert (found["preview"]["text_name"], found["preview"]["text"]) == ("words.txt", "hello")
        assert found["page_url"] is None
        assert found["can_cancel"] is False
        other = await service.submit(Caller("bob"), "test.add", {"a": 1, "b": 2})
        refused = await client.call_tool(CARD_TOOL, {"job_id": other.job.id}, raise_on_error=False)
        assert refused.structured_content is not None
        assert refused.structured_content["error"]["code"] == "job_not_found"


async def test_without_the_tools_for_jobs_there_is_no_card(service: Service) -> None:
    server = build_server(service, caller=lambda: ADA, toolsets=("pages",))
    async with Client(server, extensions=(Apps(),)) as client:
        assert await client.list_resources() == []
        assert all((tool.meta or {}).get("ui") is None for tool in await client.list_tools())
