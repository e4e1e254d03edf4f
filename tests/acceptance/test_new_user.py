"""The installed command as somebody meets it for the first time: server, token, configuration, own
kind.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkback import Client, State, Unauthorized

KIND = """
import beside
from checkback import job

@job("mine.double")
def double(number: int) -> int:
    return beside.twice(number)
"""


class Shell:
    """Runs ``checkback`` with a separate data folder, in a separate folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home with a space"
        variables = {"CHECKBACK_HOME": str(self.home), "CHECKBACK_PORT": "0"}
        self.environment = os.environ | variables

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "checkback", *arguments],
            env=self.environment | variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.run("stop")


@pytest.fixture
def own_kind(shell: Shell) -> Path:
    """A file with a kind, which needs a module next to it."""
    folder = shell.folder / "kinds"
    folder.mkdir()
    (folder / "beside.py").write_text("def twice(number): return 2 * number\n")
    path = folder / "my_kinds_of_job.py"
    path.write_text(KIND)
    return path


def test_a_file_of_kinds_is_found_from_every_folder(shell: Shell, own_kind: Path) -> None:
    done = shell.run(
        "submit", "mine.double", "number=21", "--wait", "--import", "kinds/my_kinds_of_job.py"
    )
    assert (done.stdout, done.returncode) == ("42\n", 0), done.stderr
    # The server knows the kind by now: later commands, from any folder, need not name it.
    shell.folder = shell.home
    done = shell.run("submit", "mine.double", "number=4", "--wait")
    assert (done.stdout, done.returncode) == ("8\n", 0), done.stderr


def test_a_file_of_kinds_that_is_not_there_starts_nothing(shell: Shell) -> None:
    done = shell.run("submit", "mine.double", "number=1", "--import", "nowhere.py")
    assert done.returncode == 2
    assert f"there is no file {shell.folder / 'nowhere.py'}" in done.stderr
    assert "no server is running" in shell.run("stop").stderr


def test_a_server_that_somebody_started_is_not_replaced(
    shell: Shell, own_kind: Path, start_server: Any
) -> None:
    server = start_server(shell.home)
    done = shell.run("submit", "mine.double", "number=1", "--import", str(own_kind))
    assert done.returncode == 2
    assert "CHECKBACK_KINDS" in done.stderr
    assert server.process.poll() is None


def test_stdio_configuration_names_the_same_data_folder(shell: Shell) -> None:
    desktop = json.loads(shell.run("config", "claude-desktop").stdout)["mcpServers"]["checkback"]
    assert desktop["env"] == {"CHECKBACK_HOME": str(shell.home)}
    command = shell.run("config", "claude-code", "--stdio").stdout
    assert f"--env 'CHECKBACK_HOME={shell.home}'" in command


def test_http_configuration_names_the_port_that_is_used(shell: Shell, start_server: Any) -> None:
    told = shell.run("config", "cursor", CHECKBACK_PORT="4567")
    assert json.loads(told.stdout)["mcpServers"]["checkback"]["url"] == "http://127.0.0.1:4567/mcp"
    assert "no server is running" in told.stderr
    server = start_server(shell.home)
    told = shell.run("config", "cursor")
    assert json.loads(told.stdout)["mcpServers"]["checkback"]["url"] == f"{server.url}/mcp"
    assert told.stderr == ""


def test_a_token_that_was_added_is_known_to_the_next_server(
    shell: Shell, start_server: Any
) -> None:
    added = shell.run("token", "add", "ada")
    assert "restart it" in added.stderr
    server = start_server(shell.home)
    ada = Client(server.url, added.stdout.strip())
    assert ada.submit("test.add", {"a": 1, "b": 2}).owner == "ada"
    second = shell.run("token", "add", "ben", "--scope", "read")
    assert "restart it" not in second.stderr  # a list that the server knows is read again by itself
    assert Client(server.url, second.stdout.strip()).list().jobs == []
    with pytest.raises(Unauthorized):
        Client(server.url, "cb_wrong").list()


def test_a_port_that_was_asked_for_is_not_quietly_another_one(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = shell.run("serve", "--port", port)
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr


def test_the_server_answers_a_program(start_server: Any) -> None:
    server = start_server()
    client = Client(server.url, server.token)
    job = client.wait(client.submit("test.add", {"a": 20, "b": 22}).id, 30)
    assert (job.state, job.result) == (State.COMPLETED, 42)


def test_a_server_that_comes_after_a_crash_still_knows_the_kinds(
    shell: Shell, own_kind: Path
) -> None:
    added = shell.run(
        "submit", "mine.double", "number=5", "--delay", "8", "--import", str(own_kind)
    )
    job_id = added.stdout.strip()
    os.kill(int((shell.home / "serve.lock").read_text()), signal.SIGKILL)
    # This command starts the next server; it knows nothing of the file.
    done = shell.run("wait", job_id, "--timeout", "40")
    assert (done.stdout, done.returncode) == ("10\n", 0), done.stderr
    shell.run("stop")
    own_kind.unlink()
    assert "mine.double" not in shell.run("kinds").stdout


def test_a_new_server_is_not_taken_for_the_one_before(shell: Shell, own_kind: Path) -> None:
    assert shell.run("kinds").returncode == 0
    os.kill(int((shell.home / "serve.lock").read_text()), signal.SIGKILL)
    # The store's file still holds what the killed server published: other kinds.
    done = shell.run("submit", "mine.double", "number=5", "--wait", "--import", str(own_kind))
    assert (done.stdout, done.returncode) == ("10\n", 0), done.stderr
