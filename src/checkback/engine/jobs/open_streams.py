"""How many event streams, long waits and subscriptions each owner has open, on all servers."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict
from contextlib import suppress

from checkback.core.errors import EngineUnavailable
from checkback.engine.redis.connection import RedisConnection, ReplyError, Script
from checkback.engine.redis.keys import Keys

logger = logging.getLogger(__name__)

OPEN_STREAM = Script.named("open_stream")
LEASE_SECONDS = 60.0
"""How long a stream counts whose server was killed."""
RENEW_SECONDS = 20.0


class OpenStreams:
    """Counts the streams of one server in the store, so that all servers agree.

    A stream is counted for a minute and renewed while it is open. When the store takes no writes,
    the streams of this server alone are counted.
    """

    def __init__(
        self,
        wire: RedisConnection,
        keys: Keys,
        *,
        lease_seconds: float = LEASE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._lease_ms = round(lease_seconds * 1000)
        self._renew_seconds = renew_seconds
        self._open: defaultdict[str, set[str]] = defaultdict(set)
        self._renewing: asyncio.Task[None] | None = None
        self._forgetting: set[asyncio.Task[None]] = set()

    async def begin(self, owner: str, limit: int) -> str | None:
        """The id of a stream that is counted from now on, or None if the owner has ``limit`` open.
        Raises EngineUnavailable.
        """
        ids = self._open[owner]
        if len(ids) >= limit:
            return None
        stream_id = uuid.uuid4().hex
        # Known before it is counted: others that begin at the same time must see it.
        ids.add(stream_id)
        try:
            is_counted = await self._count(owner, [stream_id], limit)
        except BaseException:
            self._drop(owner, stream_id)
            raise
        if not is_counted:
            self._drop(owner, stream_id)
            return None
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew(), name="open-streams")
        return stream_id

    def end(self, owner: str, stream_id: str) -> None:
        """The stream has ended; it is not counted any more as soon as the store hears of it."""
        self._drop(owner, stream_id)
        if not self._open and self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
        forgetting = asyncio.create_task(self._forget(owner, stream_id))
        self._forgetting.add(forgetting)
        forgetting.add_done_callback(self._forgetting.discard)

    def _drop(self, owner: str, stream_id: str) -> None:
        self._open[owner].discard(stream_id)
        if not self._open[owner]:
            del self._open[owner]

    async def _count(self, owner: str, stream_ids: list[str], limit: int) -> bool:
        """Whether the streams are counted, also because the store cannot write just now."""
        key = self._keys.streams(owner)
        try:
            counted = await self._wire.script(
                OPEN_STREAM, [key], [self._lease_ms, limit, *stream_ids]
            )
        except ReplyError as error:
            logger.warning("The open streams of an owner cannot be counted: %s", error)
            return True
        return counted == 1

    async def _forget(self, owner: str, stream_id: str) -> None:
        # If the store is away, the stream counts until its lease ends.
        with suppress(EngineUnavailable, ReplyError):
            await self._wire.call("ZREM", self._keys.streams(owner), stream_id)

    async def _renew(self) -> None:
        """Renew every open stream for ever; an outage only delays it."""
        while True:
            await asyncio.sleep(self._renew_seconds)
            for owner, ids in [(owner, list(ids)) for owner, ids in self._open.items()]:
                with suppress(EngineUnavailable):
                    await self._count(owner, ids, 0)
