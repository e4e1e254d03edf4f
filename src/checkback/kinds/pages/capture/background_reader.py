"""Reads in a thread what the browser collects, so that neither waits for the other."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

#: How long the reading thread may keep the interpreter while an answer of the browser waits to be
#: passed on.
SWITCH_SECONDS = 0.001

Result = TypeVar("Result")


class BackgroundReader:
    """One thread that does one reading after the other, in the order in which
    they were asked for.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._switch_seconds = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)

    def soon(self, read: Callable[[], Result]) -> asyncio.Future[Result]:
        """Have something read. A failure that nobody waits for is dropped."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, read)
        future.add_done_callback(_look_at)
        return future

    def close(self) -> None:
        """Begin nothing more. What is being read ends by itself; nobody waits for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        sys.setswitchinterval(self._switch_seconds)


def timed(read: Callable[[], Result]) -> Callable[[], tuple[Result, int]]:
    """The same reading, giving the milliseconds that it took, too."""

    def work() -> tuple[Result, int]:
        begun = time.monotonic()
        result = read()
        return result, round((time.monotonic() - begun) * 1000)

    return work


def _look_at(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
