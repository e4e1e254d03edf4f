"""What workers say of themselves every few seconds, and which of them still live."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from checkback.core.errors import EngineUnavailable
from checkback.engine.redis.connection import RedisConnection, ReplyError
from checkback.engine.redis.keys import Keys

HEARTBEAT_SECONDS = 5.0
ALIVE_SECONDS = 20.0
"""A worker that has not said for so long that it lives, does not."""


def alive(now: float, beats: Iterable[str]) -> list[dict[str, Any]]:
    """What each worker said last that lives, by the store's clock."""
    return [beat for beat in map(json.loads, beats) if beat["beat_at"] > now - ALIVE_SECONDS]


class Heartbeat:
    """Says every few seconds that a worker lives, and what it does."""

    def __init__(
        self,
        wire: RedisConnection,
        keys: Keys,
        worker_id: str,
        describe: Callable[[], Mapping[str, Any]],
    ) -> None:
        """``describe`` gives what changes: what runs, and how many slots there are."""
        self._wire = wire
        self._key = keys.workers()
        self._worker_id = worker_id
        self._describe = describe
        self._process = {"host": platform.node(), "pid": os.getpid(), "started_at": time.time()}

    async def run(self) -> None:
        """Report until it is cancelled."""
        while True:
            state = {**self._process, **self._describe()}
            with contextlib.suppress(EngineUnavailable, ReplyError):
                # By the store's clock: those who look for the living need not have ours.
                state["beat_at"] = float((await self._wire.call("TIME"))[0])
                await self._wire.call("HSET", self._key, self._worker_id, json.dumps(state))
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def forget(self) -> None:
        """Report nothing any more, so that nobody waits for this worker."""
        with contextlib.suppress(EngineUnavailable, ReplyError):
            await self._wire.call("HDEL", self._key, self._worker_id)
