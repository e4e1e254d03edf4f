"""What a program started through launcher.py is and when it ends."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from checkback.security.sandbox import launcher
from waiting import wait_until

START = [sys.executable, "-IS", launcher.__file__]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_for_root_a_program_runs_as_nobody_without_any_rights(tmp_path: Path) -> None:
    done = subprocess.run(
        [*START, str(tmp_path / "pid"), "/bin/cat", "/proc/self/status"],
        capture_output=True,
        text=True,
        check=True,
    )
    status = {
        name: value.split()
        for name, _, value in (line.partition(":") for line in done.stdout.splitlines())
    }
    user, group = launcher.nobody()
    assert status["Uid"] == [str(user)] * 4
    assert status["Gid"] == [str(group)] * 4
    assert status["Groups"] == []
    assert status["CapPrm"] == status["CapEff"] == ["0" * 16]
    assert status["Pid"] == [(tmp_path / "pid").read_text()]


def test_a_program_that_does_not_exist_ends_with_126(tmp_path: Path) -> None:
    done = subprocess.run(
        [*START, str(tmp_path / "pid"), "/nowhere"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (126, "/nowhere: No such file or directory\n")


async def test_a_program_ends_with_its_parent(tmp_path: Path) -> None:
    # The shell in between is the parent; it must not replace itself by its last command.
    command = " ".join([*START, str(tmp_path / "pid"), "/bin/sleep", "1000"])
    parent = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", f"{command} & echo started; wait; true", stdout=-1
    )
    assert parent.stdout is not None
    await parent.stdout.readline()
    await wait_until("the program runs", lambda: running_sleep(tmp_path / "pid"))
    watched = os.pidfd_open(int((tmp_path / "pid").read_text()))
    parent.send_signal(signal.SIGKILL)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(watched, ended.set)
    async with asyncio.timeout(5):
        await ended.wait()
    asyncio.get_running_loop().remove_reader(watched)
    os.close(watched)
    await parent.wait()


def running_sleep(pid_file: Path) -> bool:
    try:
        return Path(f"/proc/{int(pid_file.read_text())}/comm").read_text() == "sleep\n"
    except (OSError, ValueError):
        return False


def test_a_program_whose_parent_is_gone_does_not_start() -> None:
    script = f"import sys; sys.path.insert(0, {str(Path(launcher.__file__).parent)!r}); import launcher; "
    script += (
        "print(launcher.die_with_parent(1), launcher.die_with_parent(__import__('os').getppid()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"
