"""``checkback mcp`` before its background server is up: lists need none, the first call waits for
it, and an error of that server is reported in the call's result.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from checkback.engine.redis.embedded import EmbeddedValkey, store_url

pytestmark = pytest.mark.timeout(120)

COMMAND = (sys.executable, "-m", "checkback")
LEGACY, MODERN = "2025-11-25", "2026-07-28"
META = "io.modelcontextprotocol/"
CLIENT = {"name": "test", "version": "1"}
ANSWER_SECONDS = 60
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
CHANGED = "notifications/tools/list_changed"

GOOD = '''
from checkback import job
@job("good.kind")
def good(a: int) -> int:
    """Do some good."""
    return a
'''


@dataclass
class Stdio:
    """A client of ``checkback mcp`` that speaks line by line. ``notes`` are what came without being
    asked.
    """

    process: asyncio.subprocess.Process
    era: str
    notes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    began: dict[str, Any] = field(default_factory=dict[str, Any])
    _number: int = 0

    async def begin(self) -> None:
        """The first request of the era, whose result is kept."""
        if self.era == MODERN:
            self.began = (await self.ask("server/discover"))["result"]
            return
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": CLIENT}
        self.began = (await self.ask("initialize", **params))["result"]
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        await self.process.stdin.drain()

    async def start(self, method: str, **params: Any) -> int:
        """Send a request without reading its answer."""
        self._number += 1
        if self.era == MODERN:
            params["_meta"] = {
                f"{META}protocolVersion": MODERN,
                f"{META}clientCapabilities": {},
                f"{META}clientInfo": CLIENT,
            }
        await self.send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return self._number

    async def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await self.process.stdout.readline()
        assert line, "checkback mcp ended"
        return json.loads(line)

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = await self.start(method, **params)
        while (message := await self.read()).get("id") != number:
            self.notes.append(message)
        return message

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        return (await self.ask("tools/call", name=name, arguments=arguments))["result"]

    async def tools(self) -> set[str]:
        return {tool["name"] for tool in (await self.ask("tools/list"))["result"]["tools"]}

    async def note(self, method: str) -> dict[str, Any]:
        """The next notification of this kind, from those that came or will."""
        while True:
            for note in self.notes:
                if note.get("method") == method:
                    self.notes.remove(note)
                    return note
            self.notes.append(await self.read())


@asynccontextmanager
async def stdio(environment: dict[str, str], era: str, *options: str) -> AsyncGenerator[Stdio]:
    """A running ``checkback mcp``, its standard error in the file that MCP_LOG names."""
    with Path(environment["MCP_LOG"]).open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "mcp", *options,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            limit=1 << 22,
        )  # fmt: skip
    client = Stdio(process, era)
    try:
        await client.begin()
        yield client
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@pytest.fixture(params=[LEGACY, MODERN])
def era(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A separate data folder; a server that was started for it ends with the test."""
    made = os.environ | {
        "CHECKBACK_HOME": str(tmp_path / "data" / "home"),
        "CHECKBACK_PORT": "0",
        "CHECKBACK_GRACE_SECONDS": "2",
        "CHECKBACK_TOOL_NAMES": "underscore",
        "MCP_LOG": str(tmp_path / "mcp.log"),
    }
    yield made
    if Path(made["CHECKBACK_HOME"]).is_dir():
        subprocess.run([*COMMAND, "stop"], env=made, check=True, timeout=60)


def error_of(result: dict[str, Any]) -> dict[str, Any]:
    assert result["isError"] is True, result
    return result["structuredContent"]["error"]


async def test_lists_need_no_server_and_the_first_call_says_why_there_is_none(
    environment: dict[str, str], era: str, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "data"
    in_the_way.write_text("a file where a folder should be")
    async with stdio(environment, era) as client:
        assert await client.tools() >= {"job_status", "page_analyze", "pdf_to_text"}
        templates = (await client.ask("resources/templates/list"))["result"]["resourceTemplates"]
        assert "job://{job_id}" in {one["uriTemplate"] for one in templates}
        # Recent jobs are listed as resources, and those are in the store.
        assert "cannot be created" in (await client.ask("resources/list"))["error"]["message"]
        error = error_of(await client.call("job_list"))
        assert error["code"] == "engine_unavailable"
        assert str(in_the_way) in error["message"]
        assert "CHECKBACK_HOME" in error["hint"]
        answer = await client.ask("resources/read", uri=f"job://{UNKNOWN}")
        assert str(in_the_way) in answer["error"]["message"]
        refused = await client.call("page_get_job_status", job_id=UNKNOWN)
        assert str(in_the_way) in json.dumps(refused)
        # The reason is gone, and the next call tries again.
        in_the_way.unlink()
        listed = await client.call("job_list")
        assert listed["structuredContent"]["jobs"] == []
        assert listed["isError"] is False
    assert str(in_the_way) in (tmp_path / "mcp.log").read_text()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a data folder whose server was started by a person, with another setting."""
    home = tmp_path_factory.mktemp("running") / "home"
    environment = os.environ | {
        "CHECKBACK_HOME": str(home),
        "CHECKBACK_PORT": "0",
        "CHECKBACK_TOOL_NAMES": "underscore",
        "MCP_LOG": str(home.parent / "mcp.log"),
    }
    server = subprocess.Popen(
        [*COMMAND, "serve", "--json"],
        env=environment | {"CHECKBACK_OWNER_JOBS": "77"},
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdout.readline()
    yield environment
    server.terminate()
    server.wait(60)
    server.stdout.close()


async def test_another_value_than_the_running_server_has_is_told_by_the_first_call(
    running: dict[str, str], era: str
) -> None:
    async with stdio(running | {"CHECKBACK_OWNER_JOBS": "78"}, era) as client:
        assert "job_list" in await client.tools()
        for _ in range(2):  # each call tries again
            error = error_of(await client.call("job_list"))
            assert error["code"] == "settings_differ"
            assert "CHECKBACK_OWNER_JOBS" in error["message"]
            assert "checkback stop" in error["hint"]
    async with stdio(running, era) as client:
        assert (await client.call("job_list"))["structuredContent"]["jobs"] == []


async def test_calls_that_come_at_once_wait_for_one_server(
    environment: dict[str, str], era: str
) -> None:
    async with stdio(environment, era) as client:
        numbers = {
            await client.start("tools/call", name="job_list", arguments={}) for _ in range(5)
        }
        cancelled = await client.start("tools/call", name="job_list", arguments={})
        await client.send(
            {
                "jsonrpc": "2.0",
                "method": "notifications/cancelled",
                "params": {"requestId": cancelled},
            }
        )
        while numbers:
            message = await client.read()
            assert message["result"]["isError"] is False
            numbers.discard(message["id"])


async def test_a_module_that_cannot_be_imported_hides_no_other_tool(
    running: dict[str, str], era: str, tmp_path: Path
) -> None:
    (tmp_path / "good_kinds.py").write_text(GOOD)
    (tmp_path / "bad_kinds.py").write_text('print("to standard output")\nimport no_such_library\n')
    (tmp_path / "ending_kinds.py").write_text("import sys\nsys.exit(3)\n")
    modules = [str(tmp_path / f"{name}_kinds.py") for name in ("bad", "good", "ending")]
    options = [part for module in modules for part in ("--import", module)]
    async with stdio(running, era, *options) as client:
        assert await client.tools() >= {"good_kind", "job_list", "page_analyze"}
        error = error_of(await client.call("bad_kind"))
        assert error["code"] == "unknown_kind"
        assert "bad_kinds.py" in error["message"]
        assert "no_such_library" in error["message"]
        assert "ending_kinds.py" in error["message"]
    log = Path(running["MCP_LOG"]).read_text()
    assert "bad_kinds.py" in log
    assert "no_such_library" in log
    assert "to standard output" in log


async def test_kinds_of_a_server_that_ran_before_are_listed_before_it_runs_again(
    environment: dict[str, str], era: str, tmp_path: Path
) -> None:
    (tmp_path / "good_kinds.py").write_text(GOOD)
    async with stdio(environment, era, "--import", str(tmp_path / "good_kinds.py")) as client:
        assert (await client.call("job_list"))["isError"] is False
    subprocess.run([*COMMAND, "stop"], env=environment, check=True, timeout=60)
    async with stdio(environment, era) as client:
        assert "good_kind" in await client.tools()


async def test_further_kinds_of_the_server_are_listed_once_it_is_known_and_the_client_is_told(
    environment: dict[str, str], era: str, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    (tmp_path / "good_kinds.py").write_text(GOOD)
    # The store is there for the client once this leads to it.
    way = tmp_path / "store.sock"
    shared = environment | {
        "CHECKBACK_REDIS_URL": store_url(valkey.folder.parent, path=str(way)),
        "CHECKBACK_PREFIX": f"further{era}",
    }
    (tmp_path / "server").mkdir()
    serving = shared | {
        "CHECKBACK_HOME": str(tmp_path / "server"),
        "CHECKBACK_KINDS": str(tmp_path / "good_kinds.py"),
        "CHECKBACK_REDIS_URL": valkey.url,
    }
    async with stdio(shared, era) as client:
        before = await client.tools()
        assert "good_kind" not in before
        assert client.began["capabilities"]["tools"]["listChanged"] is True
        listening = 0
        if era == MODERN:
            listening = await client.start(
                "subscriptions/listen", notifications={"toolsListChanged": True}
            )
            told = await client.note("notifications/subscriptions/acknowledged")
            assert told["params"]["notifications"]["toolsListChanged"] is True
        server = subprocess.Popen(
            [*COMMAND, "serve", "--json"], env=serving, stdout=subprocess.PIPE
        )
        try:
            assert server.stdout is not None
            assert server.stdout.readline()
            way.symlink_to(valkey.socket_path)
            assert (await client.call("job_list"))["isError"] is False
            told = await client.note(CHANGED)
            if era == MODERN:
                assert told["params"]["_meta"][f"{META}subscriptionId"] == listening
            assert await client.tools() == before | {"good_kind"}
            done = await client.call("good_kind", a=5)
            assert done["isError"] is False
            assert done["structuredContent"]["kind"] == "good.kind"
        finally:
            server.terminate()
            server.wait(60)
            server.stdout.close()  # pyright: ignore[reportOptionalMemberAccess]


async def test_a_call_before_the_handshake_is_refused(running: dict[str, str]) -> None:
    async with stdio(running, MODERN) as modern:
        assert modern.began["capabilities"]["tools"]["listChanged"] is True
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "mcp", env=running, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 22
    )
    client = Stdio(process, LEGACY)
    answer = await client.ask("tools/call", name="job_list", arguments={})
    assert answer["error"]["code"] == -32602
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()
