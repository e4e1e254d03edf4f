"""Looks at the processes of a worker and their folders again and again, and keeps the most that it
saw.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from checkback.engine.processes.tree import children, descendants, proportional_bytes

#: Looking costs the processes time: their memory is held still while it is counted.
EVERY_SECONDS = 1.0


@dataclass
class Most:
    """The most that was seen at once."""

    samples: int = 0
    #: Memory of all processes below this one, shared pages counted once.
    memory_bytes: int = 0
    #: What lies in the temporary folders of these processes.
    folder_bytes: int = 0

    def look(self) -> None:
        memory = sum(proportional_bytes(pid) for pid in children(os.getpid()))
        self.memory_bytes = max(self.memory_bytes, memory)
        self.folder_bytes = max(self.folder_bytes, sum(map(_size, _temporary_folders())))
        self.samples += 1


def _temporary_folders() -> set[str]:
    """Where each process below this one was told to put its files, if that is elsewhere than where
    we do.
    """
    found: set[str] = set()
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            found |= {os.fsdecode(one[7:]) for one in variables if one.startswith(b"TMPDIR=")}
    found -= {os.environ.get("TMPDIR", "")}
    # A browser's own home lies in the folder of its driver.
    return {one for one in found if not any(one.startswith(f"{other}/") for other in found)}


def _size(folder: str) -> int:
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed between the list and the look
                # What it takes on the disk: a browser makes large files with nothing in them.
                total += os.lstat(os.path.join(at, name)).st_blocks * 512
    return total


@contextmanager
def sampled() -> Generator[Most]:
    """Samples for as long as the ``with``."""
    most, ended = Most(), threading.Event()

    def watch() -> None:
        while not ended.wait(EVERY_SECONDS):
            most.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()
