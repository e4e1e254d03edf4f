"""Whether the store has room for another job: new ones are refused while those accepted can still
end.

A store that has reached its ``maxmemory`` takes no write at all, the end of a job included. So its
last tenth is kept for what accepted jobs still have to say; in the embedded store and in
your own.
"""

from __future__ import annotations

import asyncio
import time

from checkback.core.errors import QueueFull
from checkback.engine.redis.connection import RedisConnection, ReplyError

RESERVE = 0.10
NEARLY = 0.75
ASK_SECONDS = 0.5
ANSWER_SECONDS = 0.25
"""A caller is to hear within 2 s in all that the store is away."""
ASK_BYTES = 256 * 1024
"""After so much was stored the answer of a moment ago is worth nothing."""


class StoreMemory:
    """Asks the store now and then how full it is."""

    def __init__(self, wire: RedisConnection) -> None:
        self._wire = wire
        self._asked_at = float("-inf")
        self._stored_bytes = 0
        self._is_full = False

    async def require(self, size_bytes: int) -> None:
        """Raises QueueFull where a new job of this size would use the reserve."""
        self._stored_bytes += size_bytes
        if time.monotonic() - self._asked_at > ASK_SECONDS or self._stored_bytes > ASK_BYTES:
            self._asked_at, self._stored_bytes = time.monotonic(), 0
            self._is_full = await self._ask()
        if self._is_full:
            raise QueueFull

    async def is_nearly_full(self) -> bool:
        """Whether the store will soon take no more jobs."""
        return await self._ask(NEARLY)

    async def _ask(self, most_share: float = 1 - RESERVE) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                text: str = await self._wire.call("INFO", "memory")
        except (ReplyError, TimeoutError):
            # not everybody may ask, or it is slow: then the store's own limit is the only one
            return False
        info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        most = int(info.get("maxmemory", 0))
        return most > 0 and int(info.get("used_memory", 0)) > most_share * most
