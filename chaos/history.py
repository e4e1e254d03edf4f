"""The history of a run: JSON lines, appended by clients, jobs and nemesis alike, each as it saw it.

| event | says |
|---|---|
| ``submitted`` | a submit was answered: ``job``, ``kind``, ``key``, ``deadline`` |
| ``answer`` | a check was answered: ``asked``, ``state``, ``run`` of the result, ``code`` of the
failure |
| ``missing`` | a check was answered by "there is no such job" |
| ``cancel`` | a cancel is about to be asked for |
| ``cancelled`` | a cancel was answered: ``state`` |
| ``file`` | a job's file was read: ``run`` is its content |
| ``start``, ``beat``, ``end`` | what a running attempt says of itself: ``run``, ``worker``,
``child`` |
| ``fault`` | the nemesis did something since ``began``: ``what``; ``hits`` are pids, or null for
all |

``at`` is the time of the line, on this machine's clock.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class History:
    """Appends events. Many processes may write to one file: a line is one write."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def tell(self, event: str, **facts: Any) -> None:
        """Write down what has just happened."""
        line = json.dumps({"event": event, "at": now(), **facts}) + "\n"
        os.write(self._file, line.encode())


def read_history(path: Path) -> list[Event]:
    """All events, in the order of their times."""
    with path.open(encoding="utf-8") as file:
        return sorted((json.loads(line) for line in file), key=lambda event: event["at"])


def now() -> float:
    """The time, as the store's own records have it."""
    return round(time.time(), 4)
