"""MCP's own conformance suite, from npm, against our MCP door with the fixture tools that it asks for."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from checkback.settings import Settings, to_environment
from outside import Npm

pytestmark = [pytest.mark.node, pytest.mark.timeout(120)]

SCENARIOS = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-required-task-error",
    "dns-rebinding-protection",
    "caching",
    "http-header-validation",
    "server-stateless",
)
SUMMARY = re.compile(r"Passed: (\d+)/(\d+), (\d+) failed")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SERVER = Path(__file__).parents[1] / "conformance_server.py"


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """The address of the fixture server's MCP door; a worker runs beside it."""
    settings = replace(settings, kinds=("conformance_kinds",))
    environment = os.environ | to_environment(settings)
    environment["PYTHONPATH"] = str(SERVER.parent)
    settings.home.mkdir(parents=True)
    worker = subprocess.Popen([sys.executable, "-m", "checkback", "worker"], env=environment)
    server = subprocess.Popen([sys.executable, SERVER], env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = server.stdout.readline().strip()
    yield f"http://127.0.0.1:{port}/mcp"
    for process in (server, worker):
        process.terminate()
        process.wait(30)
    server.stdout.close()


async def test_the_conformance_suite_passes(url: str, node: Path, npm: Npm) -> None:
    program = npm("conformance") / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    at_once = asyncio.Semaphore(3)

    async def passes(scenario: str) -> None:
        async with at_once:
            await run_scenario(url, node, program, scenario)

    async with asyncio.TaskGroup() as group:
        for scenario in SCENARIOS:
            group.create_task(passes(scenario))


async def run_scenario(url: str, node: Path, program: Path, scenario: str) -> None:
    process = await asyncio.create_subprocess_exec(
        node, program, "server", "--url", url, "--scenario", scenario,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    output = COLOUR.sub("", output)
    found = SUMMARY.search(output)
    assert found is not None, f"{scenario}:\n{output}"
    passed, total, failed = map(int, found.groups())
    assert total > 0, scenario
    wrong = [line for line in output.splitlines() if "] FAILURE" in line]
    assert (passed, failed, process.returncode) == (total, 0, 0), f"{scenario}: {wrong}"
