"""Files of jobs over real transports: links under the address that clients
reach, files saved here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

COMMAND = [sys.executable, "-m", "checkback"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a data folder, whose server ends with the test."""
    environment = os.environ | {
        "CHECKBACK_HOME": str(tmp_path / "home"),
        "CHECKBACK_PORT": "0",
        "CHECKBACK_KINDS": "sample_kinds",
        "CHECKBACK_GRACE_SECONDS": "2",
    }
    yield environment
    subprocess.run([*COMMAND, "stop"], env=environment, check=True, timeout=60)


def over_http(server: Any) -> StreamableHttpTransport:
    return StreamableHttpTransport(
        f"{server.url}/mcp", headers={"authorization": f"Bearer {server.token}"}
    )


async def leave_file(client: Client[Any]) -> dict[str, Any]:
    """Run a job that leaves words.txt; returns its record."""
    started: Any = (await client.call_tool("test_say", {"words": "hello"})).structured_content
    ended: Any = await client.call_tool(
        "job_wait", {"job_id": started["job_id"], "wait_seconds": 50}
    )
    assert ended.structured_content["state"] == "completed"
    return ended.structured_content


async def test_links_over_http_begin_with_the_address_that_was_called_and_open(
    start_server: Any,
) -> None:
    server = start_server()
    async with Client(over_http(server)) as client:
        url = (await leave_file(client))["artifacts"][0]["url"]
    assert url.startswith(f"{server.url}/files/")
    async with httpx2.AsyncClient() as http:
        assert (await http.get(url)).text == "hello"


async def test_links_begin_with_the_public_address_where_one_is_set(start_server: Any) -> None:
    server = start_server(public_url="https://jobs.example.com/checkback/")
    async with Client(over_http(server)) as client:
        job = await leave_file(client)
    url = job["artifacts"][0]["url"]
    assert url.startswith(f"https://jobs.example.com/checkback/files/{job['job_id']}/words.txt?")
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {server.token}"}) as http:
        opened = await http.get(url.replace("https://jobs.example.com/checkback", server.url))
        assert opened.text == "hello"
        checked = await http.post(f"{server.url}/v1/file/upload/get-presigned-url?name=a.pdf")
        assert checked.json()["url"].startswith("https://jobs.example.com/checkback/")


async def test_over_stdio_links_lead_to_the_folders_server_and_a_file_is_saved_where_that_is_allowed(
    folder: dict[str, str], tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    arguments = [*COMMAND[1:], "mcp", "--save-to", str(saved)]
    transport = StdioTransport(COMMAND[0], arguments, env=folder, log_file=tmp_path / "mcp.log")
    async with Client(transport) as client:
        job = await leave_file(client)
        async with httpx2.AsyncClient() as http:
            assert (await http.get(job["artifacts"][0]["url"])).text == "hello"
        wanted = {"job_id": job["job_id"], "artifact": "words.txt", "save_as": "mine.txt"}
        answer: Any = (await client.call_tool("job_result", wanted)).structured_content
    await transport.close()
    assert answer["saved_to"] == str(saved / "mine.txt")
    assert (saved / "mine.txt").read_text() == "hello"


def test_a_folder_to_save_in_that_is_not_there_is_refused(
    folder: dict[str, str], tmp_path: Path
) -> None:
    missing = str(tmp_path / "missing")
    done = subprocess.run(
        [*COMMAND, "mcp", "--save-to", missing],
        env=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert missing in done.stderr


@pytest.mark.parametrize("client", ["claude-desktop", "cursor", "vscode", "claude-code"])
def test_a_configuration_for_dotted_names_says_so_to_the_program(
    folder: dict[str, str], client: str
) -> None:
    written = subprocess.run(
        [*COMMAND, "config", client, "--stdio", "--dotted"],
        env=folder, capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    if client == "claude-code":
        assert written.rstrip().endswith("mcp --tool-names dotted")
        return
    entry = json.loads(written)
    (server,) = (entry.get("mcpServers") or entry["servers"]).values()
    assert server["args"][-3:] == ["mcp", "--tool-names", "dotted"]


def test_over_http_the_server_decides_about_names_and_the_configuration_says_so(
    folder: dict[str, str],
) -> None:
    done = subprocess.run(
        [*COMMAND, "config", "cursor", "--dotted"],
        env=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "CHECKBACK_TOOL_NAMES=dotted" in done.stderr
    assert json.loads(done.stdout)
