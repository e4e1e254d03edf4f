"""Batch, comparison and crop through each door of one running server: MCP, HTTP, and the shell."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

pytestmark = [pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(180)]

#: Only what a comparison and a crop need.
LITTLE = {"features": {"motion": False, "quality": False}, "responsiveOptions": {"enabled": False}}

#: Runs a job through a door and gives its result.
Door = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


async def call(client: Client[Any], tool: str, args: dict[str, Any]) -> dict[str, Any]:
    """The structured content of an answer."""
    content = (await client.call_tool(tool, args)).structured_content
    assert content is not None
    return content


@pytest.fixture
async def doors(start_server: Any, demo_site: str) -> AsyncIterator[dict[str, Door]]:
    """Each door of a server that may look at the demo site."""
    server = start_server(allow_hosts=demo_site)
    headers = {"authorization": f"Bearer {server.token}"}

    async def shell(kind: str, args: dict[str, Any]) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "checkback", "submit", kind,
            *(f"{name}={json.dumps(value)}" for name, value in args.items()), "--wait",
            env=os.environ | {"CHECKBACK_HOME": str(server.home)}, stdout=subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert process.returncode == 0, out
        return json.loads(out)

    async with (
        httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=90) as http,
        Client(StreamableHttpTransport(f"{server.url}/mcp", headers=headers)) as client,
    ):

        async def mcp(kind: str, args: dict[str, Any]) -> dict[str, Any]:
            told = await call(client, kind, args)
            while not told["is_final"]:
                told = await call(client, "job.wait", {"job_id": told["job_id"]})
            return told["result"]

        async def api(kind: str, args: dict[str, Any]) -> dict[str, Any]:
            job = (await http.post("/api/jobs", json={"kind": kind, "args": args})).json()
            while not job["is_final"]:
                job = (await http.get(f"/api/jobs/{job['id']}", params={"wait": 50})).json()
            return job["result"]

        yield {"mcp": mcp, "http": api, "shell": shell}


async def test_every_door_runs_a_batch_a_comparison_and_a_crop(
    doors: dict[str, Door], demo_site: str
) -> None:
    async def analyze(door: Door, path: str) -> str:
        args = {"urls": [f"http://{demo_site}/{path}"], "options": LITTLE}
        batch = await door("page.analyze_batch", args)
        assert (batch["total"], batch["completed"]) == (1, 1)
        return batch["pages"][0]["job_id"]

    paths = {"mcp": "", "http": "tides.html", "shell": "tides.html"}
    jobs = {name: await analyze(door, paths[name]) for name, door in doors.items()}
    for name, door in doors.items():
        pair = {"job_a": jobs["mcp"], "job_b": jobs["http"]}
        compared = await door("page.compare", pair)
        assert compared["sections"]["wentTotal"] > 0, name
        cropped = await door("page.crop", {"job": jobs[name], "sections": ["s1"]})
        assert [crop["id"] for crop in cropped["crops"]] == ["s1"], name
