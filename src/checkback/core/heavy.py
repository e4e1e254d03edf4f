"""Work whose cost grows with what a caller sent, kept away from the event loop that serves all
callers.

Small work is done at once: a thread would cost more. Everything else goes to one thread, one after
the other, so that at most one piece of such work contends with the loop for the interpreter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

SMALL_BYTES = 32 * 1024
SMALL_VALUES = 2_000
SMALL_TEXT = 64 * 1024

T = TypeVar("T")
_thread = ThreadPoolExecutor(1, thread_name_prefix="heavy")


async def run(work: Callable[..., T], *args: Any, light: bool = False) -> T:
    """The result of ``work``: at once if it is light, else in the thread."""
    if light:
        return work(*args)
    return await asyncio.get_running_loop().run_in_executor(_thread, lambda: work(*args))


def is_light(value: Any) -> bool:
    """Whether a value of JSON is small enough to be walked a few times at once."""
    level: list[Any] = [value]
    values, characters = 0, 0
    while level:
        item = level.pop()
        values += 1
        if isinstance(item, str):
            characters += len(item)
        elif isinstance(item, dict):
            level += cast("dict[Any, Any]", item).values()
        elif isinstance(item, list | tuple):
            level += cast("list[Any]", item)
        if values + len(level) > SMALL_VALUES or characters > SMALL_TEXT:
            return False
    return True
