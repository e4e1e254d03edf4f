"""One answer for all callers that ask the same at the same time: a change makes every open page ask
at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Makes answers one after the other for each question.

    A caller that asks while an answer is being made shares the next one, which starts after all of
    them have asked: nobody gets an answer that is older than the question.
    """

    def __init__(self) -> None:
        self._making: dict[Hashable, asyncio.Task[T]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def ask(self, question: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The answer, made by this ``make`` or that of another caller with the same question.
        Raises what it raises.
        """
        if question not in self._next:
            self._next[question] = asyncio.create_task(self._make(question, make))
        # The task belongs to all callers: one that disconnects must not cancel it.
        return await asyncio.shield(self._next[question])

    async def _make(self, question: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        before = self._making.get(question)
        if before is not None:
            await asyncio.wait({before})
        self._making[question] = self._next.pop(question)
        try:
            return await make()
        finally:
            del self._making[question]
