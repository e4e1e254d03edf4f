"""Makes a damaged append-only file readable again: everything up to the damage stays.

The program that does it is the server itself, called by another name: no other has to be installed.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from checkback.core.errors import EngineUnavailable
from checkback.engine.redis.embedded import find_server

REPAIR_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was done: where the copy lies, and how many bytes had to go."""

    copy: Path
    lost_bytes: int


def repair(folder: Path) -> Repaired | None:
    """Cut the append-only file in a store's folder off where it is damaged; None where it is whole.

    Nobody may use the store during the repair. Raises EngineUnavailable for what cannot be
    repaired.
    """
    files = folder / "appendonlydir"
    newest = _newest(files)
    if newest is None:
        raise EngineUnavailable(
            f"There is no store in {folder}.", hint="Choose its data folder with CHECKBACK_HOME."
        )
    if _check(newest):
        return None
    copy = folder / f"damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    shutil.copytree(files, copy)
    before = newest.stat().st_size
    if not (_check(newest, "--fix") and _check(newest)):
        raise EngineUnavailable(
            f"The append-only file in {files} cannot be repaired.",
            hint=f"Put a backup in its place, or move {files} away to begin with an empty store.",
        )
    return Repaired(copy, before - newest.stat().st_size)


def _newest(files: Path) -> Path | None:
    """The file that is appended to: the one that a crash or a bad disk damages. (The program would
    look through all that the manifest lists, but takes Valkey's own snapshots for damaged.)
    """
    numbered = [(int(path.name.split(".")[-3]), path) for path in files.glob("*.incr.aof")]
    return max(numbered)[1] if numbered else None


def _check(file: Path, *options: str) -> bool:
    server = find_server()
    name = "redis-check-aof" if "redis" in server.name else "valkey-check-aof"
    done = subprocess.run(
        [name, *options, str(file)],
        executable=server,
        input=b"y\n",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=REPAIR_SECONDS,
        check=False,
    )
    return done.returncode == 0
