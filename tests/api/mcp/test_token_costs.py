"""What the tools cost an agent's context, counted as OpenAI's o200k counts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mcp_types
import pytest
from fastmcp import Client

from checkback.api.mcp.server import build_server
from checkback.api.mcp.tools.pdfco_tools import PdfcoSetting
from checkback.core.tool_names import underscore
from checkback.kinds import registry
from checkback.security.auth.callers import Caller
from checkback.service import Service

pytestmark = pytest.mark.node

ADA = Caller("ada")
PROGRAM = Path(__file__).parents[2] / "node" / "tokens.mjs"
MAX_EVERYTHING = 12_000
MAX_PAGES_AND_JOBS = 4_500
MAX_LEAN = 1_200
MAX_LIST = 1_500
MAX_EXCHANGE = 900

Count = Callable[[list[str]], list[int]]


@pytest.fixture
def count(node: Path, npm: Callable[[str], Path]) -> Count:
    """Counts the tokens of texts."""
    folder = npm("tokens")

    def run(texts: list[str]) -> list[int]:
        done = subprocess.run(
            [node, PROGRAM, folder],
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        )
        return json.loads(done.stdout)

    return run


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def definitions(service: Service, *toolsets: str) -> list[str]:
    """What hosts hand to a model of each built-in tool: name, description and parameters."""
    pdfco = PdfcoSetting(
        base_url=lambda: "http://127.0.0.1:8787", is_own_token=lambda _: False, local_files=True
    )
    server = build_server(service, caller=lambda: ADA, pdfco=pdfco, toolsets=toolsets)
    async with Client(server) as client:
        tools = await client.list_tools()
    of_tests = {underscore(kind.name) for kind in registry.all_kinds() if not kind.is_built_in}
    return [
        compact(
            {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
        )
        for tool in tools
        if tool.name not in of_tests
    ]


@pytest.mark.parametrize(
    ("toolsets", "tools", "most"),
    [
        (("pages", "documents", "jobs"), 50, MAX_EVERYTHING),
        (("pages", "jobs"), 11, MAX_PAGES_AND_JOBS),
        (("lean",), 7, MAX_LEAN),
    ],
)
async def test_tool_definitions_cost_no_more_than_promised(
    service: Service, count: Count, toolsets: tuple[str, ...], tools: int, most: int
) -> None:
    texts = await definitions(service, *toolsets)
    assert len(texts) >= tools
    assert 0 < sum(count(texts)) <= most


def of_answer(result: Any) -> tuple[str, str]:
    """What a host shows of an answer: its structured content, or the text of its blocks."""
    texts = [block.text for block in result.content if isinstance(block, mcp_types.TextContent)]
    return compact(result.structured_content), "\n".join(texts)


async def test_a_list_of_twenty_jobs_costs_no_more_than_promised(
    service: Service, count: Count
) -> None:
    for number in range(25):
        await service.submit(ADA, "test.gate_with_pid", {"path": "/nowhere", "pid": str(number)})
    async with Client(build_server(service, caller=lambda: ADA)) as client:
        result = await client.call_tool("job_list", {"limit": 20})
        structured, text = of_answer(result)
        assert len(json.loads(structured)["jobs"]) == 20
        assert max(count([structured, text])) <= MAX_LIST


@pytest.mark.usefixtures("worker")
async def test_submit_wait_and_result_cost_no_more_than_promised(
    service: Service, count: Count
) -> None:
    server = build_server(
        service, caller=lambda: ADA, kind_wait_seconds=0, base_url=lambda: "http://127.0.0.1:8787"
    )
    shown: tuple[list[str], list[str]] = ([], [])
    async with Client(server) as client:

        async def ask(tool: str, **arguments: Any) -> Any:
            result = await client.call_tool(tool, arguments)
            for said, text in zip(shown, of_answer(result), strict=True):
                said += [compact({"name": tool, "arguments": arguments}), text]
            return result.structured_content

        job_id = (await ask("test_say", words="hello"))["job_id"]
        ended = await ask("job_wait", job_id=job_id, wait_seconds=50)
        assert ended["artifacts"][0]["name"] == "words.txt"
        assert (await ask("job_result", job_id=job_id))["result"] == {"said": "hello"}
    for said in shown:
        assert sum(count(said)) <= MAX_EXCHANGE
