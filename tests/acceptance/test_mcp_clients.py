"""Whole MCP clients against whole servers: FastMCP's, in both eras of the protocol, and the MCP
Inspector's.

In memory, over standard input and output (where the client starts ``checkback mcp``, and that the
folder's server), and over HTTP. Each lists the tools, runs a job and has the demo site analysed.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import mcp_types
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp.client.subscriptions import listen

from checkback.api.mcp.server import build_server
from checkback.api.mcp.tools.tool_list import POLL_TOOLS
from checkback.api.mcp.tools.tool_names import underscore
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.settings import Settings

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

Era = Literal["legacy", "auto"]
ERAS: tuple[Era, ...] = ("legacy", "auto")
COMMAND = (sys.executable, "-m", "checkback")
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
LISTED = {"page_analyze", "page_get_job_status", "job_status", "job_wait", "test_add"}
POLLING = {underscore(name) for name in POLL_TOOLS}
LINED = {"page_analyze", "page_get_job_status", "job_status", "job_wait", "test_add"}
INSPECTOR_SECONDS = 60
IS_ERROR = 5
"""The Inspector's exit code for a tool's answer that is an error."""


@pytest.fixture
def settings(settings: Settings, demo_site: str) -> Settings:
    return replace(settings, allow_hosts=(demo_site,))


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> Era:
    """With a handshake, and without."""
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, demo_site: str) -> Iterator[dict[str, str]]:
    """The environment of a data folder. Its server is started by the first ``checkback mcp``."""
    environment = os.environ | {
        "CHECKBACK_HOME": str(tmp_path_factory.mktemp("stdio") / "home"),
        "CHECKBACK_PORT": "0",
        "CHECKBACK_KINDS": "sample_kinds",
        "CHECKBACK_GRACE_SECONDS": "2",
        "CHECKBACK_ALLOW_HOSTS": demo_site,
    }
    yield environment
    subprocess.run([*COMMAND, "stop"], env=environment, check=True, timeout=60)


def over_stdio(folder: dict[str, str], tmp_path: Path) -> StdioTransport:
    """Starts ``checkback mcp``, and ends it with the client."""
    log = tmp_path / "mcp.log"
    return StdioTransport(
        COMMAND[0], [*COMMAND[1:], "mcp"], env=folder, keep_alive=False, log_file=log
    )


async def call(client: Client[Any], tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a result that is not an error."""
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def use_everything(client: Client[Any], demo_site: str) -> None:
    """List the tools, run a job, analyse a page in the background, and ask for a job that is not
    there.
    """
    assert {tool.name for tool in await client.list_tools()} >= LISTED
    ticket = await call(client, "test.add", a=1, b=2)
    added = (
        ticket if ticket["is_final"] else await call(client, "job.wait", job_id=ticket["job_id"])
    )
    assert (added["state"], added["result"]) == ("completed", 3)

    queued = await call(
        client, "page.analyze", url=f"http://{demo_site}/", summary=True, **{"async": True}
    )
    job_id = queued["jobId"]
    while not (await call(client, "job.wait", job_id=job_id))["is_final"]:
        pass
    status = (await call(client, "page.getJobStatus", job_id=job_id))["data"]
    assert (status["status"], status["progress"], status["result"]["success"]) == (
        "completed",
        100,
        True,
    )

    assert f"job://{job_id}" in {resource.uri for resource in await client.list_resources()}
    reference = mcp_types.ResourceTemplateReference(uri="job://{job_id}")
    found = await client.complete(reference, {"name": "job_id", "value": job_id[:30]})
    assert job_id in found.values

    gone = await client.call_tool("page.getJobStatus", {"job_id": UNKNOWN}, raise_on_error=False)
    assert gone.is_error
    assert gone.structured_content is not None
    assert gone.structured_content["error"]["code"] == "JOB_NOT_FOUND"


# --- FastMCP's client -----------------------------------------------------------------------------


@pytest.mark.usefixtures("worker")
async def test_fastmcp_in_memory(service: Service, era: Era, demo_site: str) -> None:
    async with Client(build_server(service, caller=lambda: LOCAL), mode=era) as client:
        await use_everything(client, demo_site)


async def test_fastmcp_over_stdio(
    folder: dict[str, str], era: Era, demo_site: str, tmp_path: Path
) -> None:
    async with Client(over_stdio(folder, tmp_path), mode=era) as client:
        await use_everything(client, demo_site)


async def test_fastmcp_over_http(start_server: Any, era: Era, demo_site: str) -> None:
    server = start_server(allow_hosts=demo_site)
    headers = {"Authorization": f"Bearer {server.token}"}
    async with Client(
        StreamableHttpTransport(f"{server.url}/mcp", headers=headers), mode=era
    ) as client:
        await use_everything(client, demo_site)


async def test_changes_of_a_job_are_told_over_stdio(
    folder: dict[str, str], era: Era, tmp_path: Path
) -> None:
    gate, told = tmp_path / "gate", asyncio.Event()

    async def note(message: Any) -> None:
        if isinstance(message, mcp_types.ResourceUpdatedNotification) and message.params.uri == uri:
            told.set()

    async with Client(over_stdio(folder, tmp_path), mode=era, message_handler=note) as client:
        uri = f"job://{(await call(client, 'test.gate', path=str(gate)))['job_id']}/result"
        async with AsyncExitStack() as stack, asyncio.timeout(60):
            if era == "auto":
                await stack.enter_async_context(
                    listen(client.session, resource_subscriptions=[uri])
                )
            else:
                params = mcp_types.SubscribeRequestParams(uri=uri)
                request = mcp_types.SubscribeRequest(params=params)
                await client.session.send_request(request, mcp_types.EmptyResult)
            assert not told.is_set()
            gate.touch()
            await told.wait()


async def test_a_client_that_nobody_knows_is_shown_no_dots(
    folder: dict[str, str], era: Era, tmp_path: Path
) -> None:
    stranger = mcp_types.Implementation(name="somebody-new", version="1")
    async with Client(over_stdio(folder, tmp_path), mode=era, client_info=stranger) as client:
        names = {tool.name for tool in await client.list_tools()}
        assert names >= LINED
        assert not any("." in name for name in names)


async def test_a_job_outlives_the_client_that_started_it(
    folder: dict[str, str], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with Client(over_stdio(folder, tmp_path)) as client:
        job_id = (await call(client, "test.gate", path=str(gate)))["job_id"]
    running = await checkback(folder, "check", job_id, "--json")
    assert json.loads(running)["state"] == "active"
    gate.touch()
    await checkback(folder, "wait", job_id)
    ended = json.loads(await checkback(folder, "check", job_id, "--json"))
    assert (ended["state"], ended["result"]) == ("completed", "attempt 1")


async def checkback(folder: dict[str, str], *arguments: str) -> str:
    """What one of our commands prints."""
    done = await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, *arguments],
        env=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


# --- The MCP Inspector's command line -------------------------------------------------------------


class Inspector:
    """Runs ``mcp-inspector --cli`` against one server, a new process for each request."""

    def __init__(self, command: list[str | Path], home: Path, server: dict[str, Any]) -> None:
        config = home / "servers.json"
        config.write_text(json.dumps({"mcpServers": {"ours": server}}))
        self._command = [*command, "--cli", "--config", config, "--server", "ours"]
        self._environment = {
            "HOME": str(home),
            "PATH": os.environ.get("PATH", ""),
            "MCP_INSPECTOR_SECRET_STORE": "memory",
        }

    async def ask(self, method: str, *options: str, code: int = 0) -> dict[str, Any]:
        """One request; its answer as the Inspector prints it, with the exit
        code that is expected.
        """
        done = await asyncio.to_thread(
            subprocess.run,
            [*self._command, "--method", method, *options],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=INSPECTOR_SECONDS,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    async def tool(self, name: str, code: int = 0, **arguments: str) -> dict[str, Any]:
        """The structured content of a tool's answer."""
        pairs = [
            part for key, value in arguments.items() for part in ("--tool-arg", f"{key}={value}")
        ]
        answer = await self.ask("tools/call", "--tool-name", name, *pairs, code=code)
        assert answer.get("isError", False) is (code == IS_ERROR)
        return answer["structuredContent"]

    async def use_everything(self, demo_site: str, *, speaks_tasks: bool) -> None:
        """List the tools, analyse a page, and ask for its job and for one that is not there."""
        listed = {tool["name"] for tool in (await self.ask("tools/list"))["tools"]}
        assert listed >= LISTED - POLLING
        assert listed.isdisjoint(POLLING) is speaks_tasks
        # Without tasks this would be answered with a jobId: that the result comes means that it was
        # a task.
        asks: dict[str, Any] = {"async": "true"} if speaks_tasks else {}
        done = await self.tool("page_analyze", url=f"http://{demo_site}/", summary="true", **asks)
        assert done["success"] is True
        if speaks_tasks:
            return  # what is not listed the Inspector does not call
        status = await self.tool("page_get_job_status", job_id=done["data"]["id"])
        assert (status["data"]["status"], status["data"]["progress"]) == ("completed", 100)
        gone = await self.tool("page_get_job_status", code=IS_ERROR, job_id=UNKNOWN)
        assert gone["error"]["code"] == "JOB_NOT_FOUND"


OpenInspector = Callable[[dict[str, Any]], Inspector]


@pytest.fixture
def inspect(node: Path, npm: Callable[[str], Path], tmp_path: Path) -> OpenInspector:
    """An Inspector for a server, as its configuration file describes it."""
    program = npm("inspector") / "node_modules" / ".bin" / "mcp-inspector"
    return lambda server: Inspector([node, program], tmp_path, server)


@pytest.mark.node
async def test_the_inspector_over_stdio(
    folder: dict[str, str], inspect: OpenInspector, demo_site: str
) -> None:
    ours = {
        name: value for name, value in folder.items() if name.startswith(("CHECKBACK_", "PYTHON"))
    }
    server = {"type": "stdio", "command": COMMAND[0], "args": [*COMMAND[1:], "mcp"], "env": ours}
    await inspect(server | {"protocolEra": "modern"}).use_everything(demo_site, speaks_tasks=True)


@pytest.mark.node
async def test_the_inspector_over_http(
    start_server: Any, inspect: OpenInspector, demo_site: str
) -> None:
    running = start_server(allow_hosts=demo_site)
    headers = {"Authorization": f"Bearer {running.token}"}
    server = {"type": "streamable-http", "url": f"{running.url}/mcp", "headers": headers}
    await inspect(server).use_everything(demo_site, speaks_tasks=False)
