"""A page analysis as an MCP task, by FastMCP's own client for tasks, and the same job seen without
tasks.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from checkback.api.mcp.tools.tool_list import POLL_TOOLS
from checkback.api.mcp.tools.tool_names import underscore

POLLING = {underscore(name) for name in POLL_TOOLS}

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

PROGRAM = Path(__file__).parents[1] / "support" / "tasks_client.py"


async def test_an_analysis_runs_as_a_task_and_everybody_sees_the_same_job(
    start_server: Any, demo_site: str, fastmcp_tasks_python: Path
) -> None:
    server = start_server(allow_hosts=demo_site)
    arguments = json.dumps({"url": f"http://{demo_site}/", "summary": True})
    url = f"{server.url}/mcp"
    process = await asyncio.create_subprocess_exec(
        fastmcp_tasks_python, PROGRAM, url, server.token, "page_analyze", arguments, stdout=PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    saw: dict[str, Any] = json.loads(output)
    assert POLLING.isdisjoint(saw["listed"])
    assert saw["seen"][0] == "working"
    assert saw["seen"][-1] == "completed"
    assert saw["is_error"] is False
    assert saw["result"]["success"] is True

    transport = StreamableHttpTransport(url, headers={"Authorization": f"Bearer {server.token}"})
    async with Client(transport) as client:
        assert {tool.name for tool in await client.list_tools()} >= POLLING
        waited = (await client.call_tool("job.wait", {"job_id": saw["task_id"]})).structured_content
        assert waited is not None
        assert (waited["state"], waited["kind"]) == ("completed", "page.analyze")
        again = (
            await client.call_tool("page.analyze", {"url": f"http://{demo_site}/", "summary": True})
        ).structured_content
        assert again is not None
        assert again["data"].keys() == saw["result"]["data"].keys()
        assert again["data"]["layout"].keys() == saw["result"]["data"]["layout"].keys()
