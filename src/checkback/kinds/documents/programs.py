"""Programs that document jobs start: found on the machine, run alone, and ended with all they started.

A program gets a clean environment, an empty folder to stand in, and a time limit. It has no network: the job
gave that up for itself and for everything it starts (``guard.offline``).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

MAX_OUTPUT_BYTES = 64 * 1024
SEARCHED = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended."""

    #: Negative for a signal; None when its time was up.
    code: int | None
    #: The beginning of what it printed, errors included; for logs and parsing, never for messages.
    printed: str


def find_program(*names: str) -> str | None:
    """The path of the first of these programs that is installed."""
    return next((path for name in names if (path := shutil.which(name))), None)


def clean_environment(folder: Path) -> dict[str, str]:
    """All that a program may know of ours: where programs lie, and its own folder."""
    path = os.environ.get("PATH", SEARCHED)
    return {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "TMPDIR": str(folder)}


def run(
    command: Sequence[str], folder: Path, *, seconds: float, more: Mapping[str, str] | None = None
) -> Finished:
    """Run a program in a new folder below ``folder`` until it ends or its time is up.

    Whatever of its process group is left then is killed. ``more`` are further environment variables.
    """
    own = Path(mkdtemp(prefix="run-", dir=folder))
    log = own / ".printed"
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=own,
                env={**clean_environment(own), **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            code = _wait(process, seconds)
        with log.open("rb") as file:
            return Finished(code, file.read(MAX_OUTPUT_BYTES).decode(errors="replace"))
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # The group has the program's own number until all of its members are gone.
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
