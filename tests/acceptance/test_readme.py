"""The README's commands, run as they stand: only the port and the data folder are others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from checkback.core.states import State
from checkback.dialects import reftrix

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SERVE = "checkback serve --import examples/own_kind.py\n"
NOT_RUN = {"scripts/demo", "scripts/test"}
"""They are whole programs of their own: CI runs one, and is the other."""


def blocks(language: str) -> list[str]:
    """The README's fenced blocks in this language; blocks marked ``sh`` are to be read, not run."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def block(language: str, word: str) -> str:
    """The one block that holds this word."""
    (found,) = [text for text in blocks(language) if word in text]
    return found


@dataclass
class Reader:
    """Somebody with a checkout, a shell, and the README."""

    folder: Path
    environment: dict[str, str]
    port: str = ""

    def run(self, text: str, *command: str) -> str:
        """What a block prints; it must end well."""
        done = subprocess.run(
            [
                *(command or ("bash", "-euo", "pipefail", "-c")),
                text.replace("8787", self.port or "8787"),
            ],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    home = {"CHECKBACK_HOME": str(tmp_path / "home"), "CHECKBACK_PORT": "0"}
    made = Reader(folder, os.environ | home | {"PATH": path})
    yield made
    made.run("checkback stop")


@pytest.fixture
def with_server(reader: Reader) -> Iterator[Reader]:
    """A reader whose terminal next to this one runs the server as the README says."""
    process = subprocess.Popen(
        SERVE.split(), cwd=reader.folder, env=reader.environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://127.0.0.1:(\d+)/api/jobs", line):
            reader.port = found[1]
            break
    yield reader
    process.terminate()
    process.wait(60)
    process.stdout.close()


def test_it_begins_with_a_sentence_and_two_commands() -> None:
    title, sentence, rest = README.split("\n\n", 2)
    assert title == "# checkback"
    assert sentence.count(".") == 1
    first = blocks("shell")[0]
    assert rest.startswith(f"```shell\n{first}```")
    commands = [line.split()[0] for line in first.splitlines()]
    assert set(commands) == NOT_RUN
    for command in commands:
        assert os.access(ROOT / command, os.X_OK)


def test_what_an_agent_sees_is_what_it_sees() -> None:
    submitted, checked = blocks("json")
    identity = re.findall(r'"jobId": "([0-9a-f-]{36})"', submitted)[0]
    import json

    assert json.loads(submitted) == reftrix.queued(identity, "page_get_job_status")
    told = json.loads(checked)["data"]
    assert (told["jobId"], told["status"]) == (identity, State.ACTIVE.value)
    assert told.keys() == {"jobId", "status", "progress", "timestamps", "currentPhase"}


def test_the_kind_is_the_example() -> None:
    example = (ROOT / "examples" / "own_kind.py").read_text("utf-8")
    assert block("python", "@job(") == example
    assert len(example.splitlines()) < 15


def test_the_server_is_started_as_the_test_starts_it() -> None:
    assert SERVE in blocks("sh")


def test_configuring_a_client(reader: Reader) -> None:
    for text in blocks("shell"):
        if "checkback config" in text:
            assert "checkback" in reader.run(text)


def test_the_shell(reader: Reader) -> None:
    printed = reader.run(block("shell", "checkback submit"))
    assert "\n6057\n" in printed
    assert "exit code 2" in printed


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(with_server: Reader) -> None:
    printed = with_server.run(block("shell", "curl"))
    assert '"state":"completed"' in printed
    assert "\n29989" in printed  # the last prime number below 30000
    assert "event: job\n" in printed


def test_python(with_server: Reader) -> None:
    code = block("python", "Client(")
    (printed,) = re.findall(r"^# (.*)$", code, re.MULTILINE)
    assert with_server.run(code, sys.executable, "-c") == printed + "\n"


def test_every_block_is_run_or_read() -> None:
    run = [
        text
        for text in blocks("shell")
        if re.search(r"checkback config|checkback submit|curl", text)
    ]
    assert len(run) + 1 == len(blocks("shell"))
    assert len(blocks("python")) == 2
