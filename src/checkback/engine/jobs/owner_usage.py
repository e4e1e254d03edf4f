"""What the jobs of each owner take in the store, in bytes: counted, bounded, and given back.

Our scripts count a job's arguments, log, result and saved value in its hash, and the sum for each
owner in one more hash, in the same step in which they store them. So all servers and workers agree.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from checkback.core.errors import QuotaExceeded
from checkback.engine.redis.connection import RedisConnection, Script
from checkback.engine.redis.keys import Keys
from checkback.security.auth.callers import LOCAL_OWNER

FREE_OWNER_BYTES = Script.named("free_owner_bytes")
RECOUNT_OWNER_BYTES = Script.named("recount_owner_bytes")

JOB_BYTES = 1200
"""What a job takes in addition to what its caller and its process wrote: other fields, index
entries.
"""
FREED_SHARE = 0.1
"""How much of a share is freed at once, so that not each submit has to look for more."""
SCAN_LIMIT = 500
MAX_LOOKS = 20
IN_VAIN_SECONDS = 1.0
COUNTED_AT_ONCE = 500
NEARLY_FULL = 0.9


class OwnerUsage:
    """The owners' parts of one store. ``share_bytes`` is the limit of one owner; 0 means none."""

    def __init__(
        self, wire: RedisConnection, keys: Keys, queues: Sequence[str], *, share_bytes: int
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._queues = queues
        self.share_bytes = share_bytes
        #: Where the next look begins: everything of an owner's that is older has been looked at.
        self._looked_from: dict[str, str] = {}
        self._in_vain: dict[str, float] = {}

    async def taken(self, owner: str) -> int:
        """What an owner's jobs take now."""
        return int(await self._wire.call("HGET", self._keys.sizes(), owner) or 0)

    async def count_nearly_full(self) -> int:
        """How many owners have little left of their share."""
        if not self.share_bytes:
            return 0
        flat: list[str] = await self._wire.call("HGETALL", self._keys.sizes())
        sizes = dict(zip(flat[::2], flat[1::2], strict=True))
        sizes.pop(LOCAL_OWNER, None)
        return sum(int(size) > NEARLY_FULL * self.share_bytes for size in sizes.values())

    async def relieve(self, owner: str) -> bool:
        """Whether arguments of the owner's failed and cancelled jobs were removed; the oldest go
        first.
        """
        if time.monotonic() - self._in_vain.get(owner, -IN_VAIN_SECONDS) < IN_VAIN_SECONDS:
            return False
        goal = int(self.share_bytes * FREED_SHARE)
        prefixes = [self._keys.queue(queue, "") for queue in self._queues]
        listed = [self._keys.owner(owner), self._keys.sizes()]
        freed = 0
        for _ in range(MAX_LOOKS):
            begin = self._looked_from.get(owner, "-inf")
            found = await self._wire.script(
                FREE_OWNER_BYTES, listed, [owner, goal - freed, begin, SCAN_LIMIT, *prefixes]
            )
            freed += found[0]
            if len(found) < 2:
                # What is older may have failed since: the next look begins at the beginning.
                self._looked_from.pop(owner, None)
                break
            self._looked_from[owner] = found[1]
            if freed >= goal:
                break
        if not freed:
            self._in_vain[owner] = time.monotonic()
        return freed > 0

    def look_again(self, owner: str) -> None:
        """One of the owner's jobs was cancelled: there may be arguments to remove."""
        self._in_vain.pop(owner, None)

    async def recount(self) -> None:
        """Correct the sums of all owners whose jobs others have removed: BullMQ's own tools do not
        count.

        A sum that changes while it is read is left for the next time.
        """
        flat: list[str] = await self._wire.call("HGETALL", self._keys.sizes())
        for owner, counted in zip(flat[::2], flat[1::2], strict=True):
            ids: list[str] = await self._wire.call("ZRANGE", self._keys.owner(owner), 0, -1)
            total = 0
            for first in range(0, len(ids), COUNTED_AT_ONCE):
                keys = [
                    self._keys.job(queue, one)
                    for one in ids[first : first + COUNTED_AT_ONCE]
                    for queue in self._queues
                ]
                sizes = await self._wire.transaction([["HGET", key, "cb:size"] for key in keys])
                total += sum(int(size) for size in sizes if size is not None)
            if total != int(counted):
                await self._wire.script(
                    RECOUNT_OWNER_BYTES, [self._keys.sizes()], [owner, counted, total]
                )

    def refusal(self) -> QuotaExceeded:
        """Why an owner gets no further job."""
        return QuotaExceeded(
            f"Your jobs have used up your share of the job store ({self.share_bytes >> 20} MB).",
            hint="Delete jobs that you no longer need, or wait until some have expired.",
            retry_after_seconds=60,
        )
