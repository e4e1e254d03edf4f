"""Two real MCP hosts use checkback with default settings; ``tests/acceptance/hosts/run.py`` has the
others.

The TypeScript SDK 1.x is under most hosts and checks each structured answer, errors included,
against the output schema; OpenAI's agents hand every listed tool to a model, which here refuses
what real ones refuse.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.hosts import run
from tests.acceptance.hosts.scripted_model import faults

pytestmark = [pytest.mark.node, pytest.mark.timeout(150)]

ALL_OK = {step.name: "ok" for step in run.STEPS} | {"picture": "ok, seen"}


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    with run.data_folder() as found:
        yield found


def test_the_typescript_sdk_submits_polls_waits_cancels_and_sees_errors_and_pictures(
    node: Path, npm: Callable[[str], Path], variables: dict[str, str]
) -> None:
    report = run.run_typescript("typescript-sdk-1", str(node), npm("typescript1"), "", variables)
    assert report.outcome == ALL_OK, report.error
    assert report.tools > 40


def test_openais_agents_submit_poll_wait_cancel_and_see_errors_and_pictures(
    openai_agents_python: Path, variables: dict[str, str]
) -> None:
    report = run.run_framework("openai-agents", openai_agents_python, "", variables)
    assert report.faults == []
    assert report.outcome == ALL_OK, report.error
    assert report.tools > 40


def test_the_scripted_model_refuses_what_model_apis_refuse() -> None:
    plain: dict[str, Any] = {"type": "object", "properties": {}}
    assert list(faults("openai", "job_wait", plain)) == []
    assert list(faults("openai", "job.wait", plain))
    assert list(faults("anthropic", "a", {"anyOf": [plain]}))
    assert list(faults("gemini", "a", plain | {"properties": {"a": {"type": "array"}}}))
    assert list(faults("openai", "a", plain | {"properties": {"a": {"type": ["string", "null"]}}}))


def test_the_program_names_its_hosts() -> None:
    command = [sys.executable, "-m", "tests.acceptance.hosts.run", "--help"]
    root = Path(__file__).parents[2]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    for host in run.RUNNERS:
        assert host in told.stdout
