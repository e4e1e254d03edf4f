"""Why a server in the background did not start is reported at once, with that server's own message."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkback.app.daemon import LOG_BYTES
from checkback.app.log_trimmer import keep_small
from waiting import wait_until

COMMAND = (sys.executable, "-m", "checkback")
GOOD = 'from checkback import job\n@job("my.kind")\ndef f(a: int) -> int:\n    return a\n'
COLLIDES = '@job("job_wait")\ndef g(a: int) -> int:\n    return a\n'


class Shell:
    """Runs ``checkback`` against one data folder."""

    def __init__(self, home: Path) -> None:
        ours = {"CHECKBACK_HOME": str(home), "CHECKBACK_PORT": "0", "CHECKBACK_GRACE_SECONDS": "2"}
        self.environment = os.environ | ours

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert code in (None, done.returncode), (done.returncode, done.stdout, done.stderr)
        return done

    def out(self, *arguments: str) -> str:
        return self.run(*arguments).stdout.strip()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A folder without a server and without kinds."""
    opened = Shell(tmp_path / "home")
    yield opened
    opened.run("stop")


def finding(shell: Shell, part: str) -> dict[str, object]:
    found = json.loads(shell.run("doctor", "--json", code=None).stdout)
    return next(one for one in found if one["part"] == part)


@pytest.fixture
def taken(shell: Shell) -> Iterator[str]:
    """The port of these settings, which another program has."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        shell.environment["CHECKBACK_PORT"] = str(other.getsockname()[1])
        yield shell.environment["CHECKBACK_PORT"]


def test_a_port_that_is_taken_is_told_with_its_hint(shell: Shell, taken: str) -> None:
    refused = shell.run("list", code=1).stderr
    reason = f"Cannot listen on 127.0.0.1:{taken}: Address already in use."
    assert f"error: The background server did not start. {reason}" in refused
    assert "CHECKBACK_PORT" in refused
    assert finding(shell, "server") == {
        "part": "server",
        "ok": False,
        "message": reason,
        "hint": "Choose another address with CHECKBACK_HOST and CHECKBACK_PORT; port 0 selects a free one.",
        "optional": False,
    }


def test_remembered_kinds_that_break_are_told_by_every_command_and_the_doctor(
    shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "my_kinds.py"
    file.write_text(GOOD)
    assert shell.out("submit", "my.kind", "a=1", "--import", str(file), "--wait") == "1"
    shell.run("stop")
    file.write_text(GOOD + "raise KeyError('gone')\n")
    reason = f"The module {file} cannot be imported: KeyError: 'gone' (line 5)."
    for _ in range(2):
        refused = shell.run("list", code=1).stderr
        (error,) = [line for line in refused.splitlines() if line.startswith("error:")]
        assert error.endswith(f"The background server did not start. {reason}")
        assert "Traceback" not in refused
    assert finding(shell, "kinds")["message"] == reason
    assert finding(shell, "kinds")["ok"] is False
    file.write_text(GOOD)
    assert shell.out("submit", "my.kind", "a=2", "--wait") == "2"


def test_an_old_error_is_not_told_for_a_new_end(shell: Shell, tmp_path: Path) -> None:
    log = tmp_path / "home" / "serve.log"
    log.parent.mkdir(mode=0o700)
    log.write_text("error: An error of yesterday.\nhint: None.\n")
    file = tmp_path / "dies.py"
    file.write_text("import os, sys\nif 'serve' in sys.argv:\n    os._exit(7)\n" + GOOD)
    refused = shell.run("submit", "my.kind", "a=1", "--import", str(file), code=1).stderr
    assert "The background server did not start." in refused
    assert "yesterday" not in refused
    assert str(log) in refused


def test_a_kind_that_collides_stops_neither_the_server_nor_the_other_kinds(
    shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "my_kinds.py"
    file.write_text(GOOD + COLLIDES)
    sentence = "The kind 'job_wait' has the name of the tool job_wait: rename it."
    refused = shell.run("submit", "job_wait", "a=1", "--import", str(file), code=2).stderr
    assert f'error: Unknown kind "job_wait". {sentence}' in refused
    assert shell.out("submit", "my.kind", "a=3", "--wait") == "3"
    assert sentence in shell.run("kinds").stderr
    assert finding(shell, "kinds") == {
        "part": "kinds",
        "ok": False,
        "message": sentence,
        "hint": "Rename the kind in its @job, then try again. All other kinds work.",
        "optional": False,
    }


def test_a_server_that_imports_for_long_is_waited_for_and_that_is_said(
    shell: Shell, tmp_path: Path
) -> None:
    go_on = tmp_path / "go on"
    file = tmp_path / "slow.py"
    wait = (
        f"import os, sys\nwhile 'serve' in sys.argv and not os.path.exists({str(go_on)!r}): pass\n"
    )
    file.write_text(wait + GOOD)
    command = [*COMMAND, "submit", "my.kind", "a=4", "--import", str(file), "--wait"]
    with subprocess.Popen(
        command, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert re.search(r"still importing its modules", process.stderr.readline())
        go_on.touch()
        assert process.stdout.read().strip() == "4"
        assert process.wait(60) == 0


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o722])
def test_a_data_folder_that_others_may_write_to_is_refused_with_what_to_type(
    shell: Shell, tmp_path: Path, mode: int
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(mode)
    for command in ("list", "serve"):
        refused = shell.run(command, code=1).stderr
        assert (
            f"error: Other users can write to the data folder {home} (mode {mode:04o})." in refused
        )
        assert f"chmod go-w {home}" in refused
    assert list(home.iterdir()) == []


def test_a_data_folder_that_others_could_replace_is_refused(shell: Shell, tmp_path: Path) -> None:
    """Its parent is open to everybody, and has not the bit that keeps entries their owners' own."""
    tmp_path.chmod(0o777)
    refused = shell.run("list", code=1).stderr
    assert f"error: Other users can replace the data folder {tmp_path / 'home'}" in refused
    assert f"chmod o-w {tmp_path}" in refused
    tmp_path.chmod(0o1777)  # as /tmp is
    assert "no jobs" in shell.run("list").stderr + shell.run("list").stdout


async def test_the_log_of_a_background_server_stays_small_while_it_runs(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    keeping = asyncio.create_task(keep_small(log, 10_000, look_seconds=0.001))
    with log.open("ab", buffering=0) as first, log.open("ab", buffering=0) as second:
        for number in range(3):
            for one in (first, second):
                one.write(f"line {number}\n".encode() * 1000)
            await wait_until("the log was cut", lambda: log.stat().st_size <= 10_000)
            first.write(b"afterwards\n")
            assert log.read_bytes() == b"afterwards\n"
    keeping.cancel()
    old = log.with_name("serve.log.1")
    assert old.read_bytes().endswith(b"line 2\n")
    assert old.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == [log, old]


def test_a_server_in_the_background_shortens_its_own_log(shell: Shell, tmp_path: Path) -> None:
    shell.run("list")
    log = tmp_path / "home" / "serve.log"
    with log.open("ab") as file:
        file.write(b"x" * (LOG_BYTES + 1))
    ends = time.monotonic() + 30
    while log.stat().st_size > LOG_BYTES:
        assert time.monotonic() < ends
    assert log.with_name("serve.log.1").stat().st_size > LOG_BYTES
