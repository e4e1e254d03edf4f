"""The server of a data folder: find it, start it, stop it.

A lock on ``serve.lock`` lives exactly as long as the server and names its process; nothing else is
trusted.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import logging
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

from checkback.core.errors import Conflict, EngineUnavailable, InvalidInput
from checkback.settings import Settings, to_environment

LOCK_NAME = "serve.lock"
LOG_NAME = "serve.log"
TOKENS_NAME = "tokens.toml"
KINDS_NAME = "kinds"
LOG_BYTES = 5_000_000
"""Past this size the log continues in an empty file; the previous one is kept next to it."""
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
STOP_SECONDS = 60.0
IMPORT_SECONDS = 120.0
"""How long to wait for a server that imports its modules of kinds."""
TELL_SECONDS = 5.0
STARTED = "--- checkback serve "
"""Beginning of the part of the log that one background server writes."""

logger = logging.getLogger(__name__)


@cache
def find_version() -> str:
    """This installation's version."""
    import importlib.metadata

    return importlib.metadata.version("checkback")


def prepare_home(home: Path) -> None:
    """Create the data folder, for this user only."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InvalidInput(
            f"The data folder {home} cannot be created: {error.strerror}.",
            hint="Choose another folder with CHECKBACK_HOME.",
        ) from None
    status = home.stat()
    if status.st_uid != os.getuid():
        raise Conflict(
            f"The data folder {home} belongs to another user.",
            hint="Choose another folder with CHECKBACK_HOME.",
        )
    if status.st_mode & OTHERS_MAY_WRITE:
        raise Conflict(
            f"Other users can write to the data folder {home} (mode "
            f"{stat.S_IMODE(status.st_mode):04o}).",
            hint=(
                "Check that nobody put anything there, then run: chmod go-w "
                f"{shlex.quote(str(home))}"
            ),
        )
    around = home.resolve().parent
    if around.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
        raise Conflict(
            f"Other users can replace the data folder {home}: everybody can write to its "
            f"parent {around}.",
            hint=(
                f"Run: chmod o-w {shlex.quote(str(around))}, or choose another folder with "
                "CHECKBACK_HOME."
            ),
        )


def take_server_lock(home: Path) -> int:
    """Take the right to serve this folder until this process ends. Raises Conflict if another
    process has it.
    """
    descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(
            f"A server is already running for {home} (PID {server_pid(home)}).",
            hint=(
                "Use that server, stop it with `checkback stop`, or choose another folder "
                "with CHECKBACK_HOME."
            ),
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def server_runs(home: Path) -> bool:
    """Whether a server holds this folder."""
    try:
        descriptor = os.open(home / LOCK_NAME, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def server_pid(home: Path) -> int | None:
    """The id of the process that serves this folder, which it wrote into its lock."""
    with contextlib.suppress(OSError, ValueError):
        return int((home / LOCK_NAME).read_text())
    return None


def remember_kinds(home: Path, kinds: tuple[str, ...]) -> None:
    """Remember the modules of kinds of this folder's server, for one that is started in the
    background later.

    Jobs outlive their server. The command that starts the next one may not know their modules.
    """
    (home / KINDS_NAME).write_text("".join(f"{module}\n" for module in kinds))


def remembered_kinds(home: Path) -> tuple[str, ...]:
    """The modules of the previous server that can still be found."""
    try:
        modules = (home / KINDS_NAME).read_text().splitlines()
    except OSError:
        return ()
    return tuple(module for module in modules if _is_there(module))


def _is_there(module: str) -> bool:
    if module.endswith(".py"):
        return Path(module).is_file()
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def start_in_background(settings: Settings) -> None:
    """Start a server that outlives this process, and wait until it holds the folder. Of several
    that are started at once one wins; this is not an error. Raises EngineUnavailable, with its last
    message, for one that exited.
    """
    prepare_home(settings.home)
    if not settings.kinds:
        settings = replace(settings, kinds=remembered_kinds(settings.home))
    log = settings.home / LOG_NAME
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    environment = {**os.environ, **to_environment(settings)}
    with log.open("ab") as output:
        output.write(f"{STARTED}{time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        output.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "checkback", "serve", "--background"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=settings.home,
            start_new_session=True,
        )
    _wait_for_lock(settings, process)


def _wait_for_lock(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    """Before it takes the lock, a server only imports its modules of kinds."""
    started = time.monotonic()
    has_warned = False
    while not server_runs(settings.home):
        waited = time.monotonic() - started
        _check_start(settings, process, waited)
        if waited > TELL_SECONDS and not has_warned:
            has_warned = True
            logger.warning(
                "Waiting for the background server, which is still importing its modules."
            )
        time.sleep(0.01)


def did_not_start(home: Path) -> EngineUnavailable:
    """The error that says why the last started server exited."""
    log = home / LOG_NAME
    message, hint = last_error(log)
    return EngineUnavailable(
        f"The background server did not start. {message}".rstrip(), hint=hint or f"See {log}."
    )


def _check_start(settings: Settings, process: subprocess.Popen[bytes], waited: float) -> None:
    """Raise EngineUnavailable for a server that has ended, or that takes too long to start."""
    if process.poll() is not None and not server_runs(settings.home):
        raise did_not_start(settings.home)
    if waited > IMPORT_SECONDS:
        raise EngineUnavailable(
            f"The background server is still importing its modules after {waited:.0f} s.",
            hint="Move slow imports into the functions of your kinds.",
        )


def last_error(log: Path) -> tuple[str, str]:
    """The last message of a server that has exited, and its hint: one of our errors, or else its
    last line.
    """
    lines = _last_run(log)
    for number in reversed(range(len(lines))):
        if lines[number].startswith("error: "):
            return lines[number].removeprefix("error: "), _hint_after(lines, number)
    last_line = lines[-1].strip()[:300] if lines else ""
    return last_line, ""


def _last_run(log: Path) -> list[str]:
    """The lines of a log after the last one that says that a server was started."""
    try:
        lines = log.read_text(errors="replace")[-8000:].splitlines()
    except OSError:
        return []
    starts = [number for number, line in enumerate(lines) if line.startswith(STARTED)]
    return lines[starts[-1] + 1 :] if starts else lines


def _hint_after(lines: list[str], number: int) -> str:
    following = lines[number + 1] if number + 1 < len(lines) else ""
    return following.removeprefix("hint: ") if following.startswith("hint: ") else ""


def stop(home: Path) -> bool:
    """Stop the folder's server cleanly and wait for it. Returns whether one was running."""
    if not server_runs(home):
        return False
    pid = server_pid(home)
    if pid is None:
        raise EngineUnavailable(
            "The process of the server of this data folder cannot be found.",
            hint="Find the process that holds serve.lock in the data folder and end it.",
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    _wait_until_stopped(home, pid)
    return True


def _wait_until_stopped(home: Path, pid: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while server_runs(home):
        if time.monotonic() > deadline:
            raise EngineUnavailable(
                f"The server (PID {pid}) is still running.",
                hint="Running jobs may still need their grace time. Try again, or kill the "
                "process.",
            )
        time.sleep(0.02)
