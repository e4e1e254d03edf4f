"""MCP's own conformance suite, from npm, against our MCP door with the fixture tools that it asks
for.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.settings import Settings, to_environment
from outside import Npm

pytestmark = [pytest.mark.node, pytest.mark.timeout(120)]

SAMPLING = "Sampling, roots and logging are deprecated, and the server does not use them."
ELICITATION = "The server never asks its client for input during a call of the handshake era."
LATER = "No task asks for input yet."
LEFT_OUT = {
    "logging-set-level": SAMPLING,
    "tools-call-with-logging": SAMPLING,
    "tools-call-sampling": SAMPLING,
    "input-required-result-basic-sampling": SAMPLING,
    "input-required-result-basic-list-roots": SAMPLING,
    "input-required-result-multiple-input-requests": SAMPLING,
    "input-required-result-capability-check": SAMPLING,
    "tools-call-elicitation": ELICITATION,
    "elicitation-sep1034-defaults": ELICITATION,
    "elicitation-sep1330-enums": ELICITATION,
    "tasks-mrtr-input": LATER,
    "tasks-mrtr-composition": LATER,
    "tasks-status-notifications": "The suite has no checks for it; tests/api/mcp/test_tasks.py has.",
    "json-schema-2020-12": "Listed schemas have no $ref, $defs and allOf, which many model APIs refuse.",
    "server-sse-polling": "Streams cannot be resumed: a job and its result are there to be asked for again.",
    "sep-2640-skills-directory": "The server has no skills.",
    "sep-2640-skills-enumeration": "The server has no skills.",
    "sep-2640-skills-manifest": "The server has no skills.",
}
"""Scenarios that do not apply, and why."""
FOLDER = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z$")
LISTED = re.compile(r"^  - (\S+)", re.MULTILINE)
SERVER = Path(__file__).parents[1] / "support" / "conformance_server.py"


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """The address of the fixture server's MCP API; a worker runs as well."""
    settings = replace(settings, kinds=("conformance_kinds",))
    environment = os.environ | to_environment(settings)
    environment["PYTHONPATH"] = str(SERVER.parent)
    settings.home.mkdir(parents=True)
    worker = subprocess.Popen([sys.executable, "-m", "checkback", "worker"], env=environment)
    server = subprocess.Popen(
        [sys.executable, SERVER], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    port = server.stdout.readline().strip()
    yield f"http://127.0.0.1:{port}/mcp"
    for process in (server, worker):
        process.terminate()
        process.wait(30)
    server.stdout.close()


def test_the_conformance_suite_passes(url: str, node: Path, npm: Npm, tmp_path: Path) -> None:
    """One run of all scenarios: a process for each would take four times as long."""
    program = npm("conformance") / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    results = tmp_path / "results"
    command = [node, program, "server", "--url", url, "--suite", "all", "-o", results]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    found = {_scenario(folder): _checks(folder) for folder in results.iterdir()}
    listed = subprocess.run(
        [node, program, "list", "--server"], capture_output=True, text=True, check=True
    )
    assert set(found) == set(LISTED.findall(listed.stdout)), done.stdout + done.stderr
    assert set(LEFT_OUT) <= set(found)
    wrong = [
        f"{scenario}: {check['id']}: {check['status']}: {check.get('errorMessage')}"
        for scenario in sorted(set(found) - set(LEFT_OUT))
        for check in found[scenario]
        if check["status"] in ("FAILURE", "WARNING")
    ]
    assert wrong == []
    for scenario in set(found) - set(LEFT_OUT):
        assert "SUCCESS" in {check["status"] for check in found[scenario]}, scenario


def _scenario(folder: Path) -> str:
    """The name of a folder of results is ``server-``, the scenario, and the time."""
    return FOLDER.sub("", folder.name).removeprefix("server-")


def _checks(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "checks.json").read_text())
