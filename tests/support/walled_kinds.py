"""Kinds that try what nobody in a sandbox may do, and tell how it went."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from checkback import JobContext, job


@job("walled.probe", sandbox=True)
def probe(
    reads: list[str], writes: list[str], connects: list[str], signals: list[int], ctx: JobContext
) -> dict[str, str]:
    """Read, write, connect and send signals; the names of the errors, or ``done``."""
    found: dict[str, str] = {}
    for path in reads:
        found[f"read {path}"] = _tried(lambda path=path: _read(Path(path)))
        found[f"read by a program {path}"] = _tried(lambda path=path: _read_by_program(path))
    for path in writes:
        found[f"write {path}"] = _tried(lambda path=path: Path(path).write_text("x"))
    for path in connects:
        found[f"connect {path}"] = _tried(lambda path=path: _connect(path))
    for pid in signals:
        found[f"signal {pid}"] = _tried(lambda pid=pid: os.kill(pid, 0))
    own = ctx.folder / "own.txt"
    found["own"] = _tried(lambda: own.write_text("x"))
    found["program"] = _tried(
        lambda: subprocess.run(["/bin/cat", own], check=True, stdout=subprocess.DEVNULL)
    )
    found["user"] = str(os.getuid())
    with contextlib.suppress(OSError):
        found["rights"] = Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0]
    return found


@job("walled.hold", sandbox=True)
def hold(word: str, ctx: JobContext) -> str:
    """Lay a file down in its folder and wait for the end."""
    Path("source-0").write_text(word)
    ctx.log(f"{os.getpid()} {ctx.folder}")
    ctx.phase("held")
    while not ctx.cancelled:
        time.sleep(0.01)
    return "done"


@job("walled.nothing", sandbox=True)
def nothing() -> dict[str, bool]:
    """Do nothing."""
    return {"fine": True}


def _tried(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    except subprocess.CalledProcessError:
        return "refused"
    return "done"


def _read(path: Path) -> None:
    if path.is_dir():
        os.listdir(path)
    else:
        with path.open("rb") as file:
            file.read(16)


def _read_by_program(path: str) -> None:
    command = (
        ["/bin/ls", "-A", path] if os.path.isdir(path) else ["/usr/bin/head", "-c", "16", path]
    )
    subprocess.run(command, check=True, capture_output=True)


def _connect(address: str) -> None:
    if address.startswith("port "):
        socket.create_connection(
            ("127.0.0.1", int(address.removeprefix("port "))), timeout=5
        ).close()
        return
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(
            "\0" + address.removeprefix("abstract ") if address.startswith("abstract ") else address
        )
