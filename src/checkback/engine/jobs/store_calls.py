"""Calls to the store whose refusals are already errors that callers may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checkback.core.errors import EngineUnavailable, QueueFull, StorageFull
from checkback.engine.jobs.scripts import ScriptCall
from checkback.engine.redis.connection import Part, RedisConnection, ReplyError, Script


class StoreCalls:
    """Commands, scripts and transactions over one connection.

    Each raises EngineUnavailable (or QueueFull, StorageFull) when the store refuses or does not
    answer within 2 s.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def call(self, *parts: Part) -> Any:
        """One command."""
        try:
            return await self._connection.call(*parts)
        except ReplyError as error:
            raise store_error(error) from None

    async def run(self, call: ScriptCall) -> Any:
        """One script."""
        try:
            return await self._connection.script(call.script, call.keys, call.args)
        except ReplyError as error:
            raise store_error(error) from None

    async def transaction(
        self,
        commands: Sequence[Sequence[Part]],
        scripts: Sequence[Script] = (),
        *,
        undo: ScriptCall | None = None,
    ) -> list[Any]:
        """One MULTI. When the server was made to forget its scripts, ``undo`` removes what half of
        the MULTI wrote, and it is sent again.
        """
        try:
            return await self._connection.transaction(commands, scripts)
        except ReplyError as error:
            if "NOSCRIPT" not in str(error):
                raise store_error(error) from None
        self._connection.forget_scripts()
        if undo is not None:
            await self.run(undo)
        try:
            return await self._connection.transaction(commands, scripts)
        except ReplyError as error:
            raise store_error(error) from None


def store_error(error: ReplyError) -> EngineUnavailable:
    """The store's refusal as one of our errors."""
    word = str(error).split(" ", 1)[0]
    if word == "OOM":
        return QueueFull()
    if word == "MISCONF":
        return StorageFull("The job store cannot write to its disk.")
    return EngineUnavailable(f"The job store refused the request ({word}).")
