"""Who has which jobs, newest first: the sorted sets behind every list. They hold ids only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from checkback.core.errors import InvalidInput
from checkback.engine.redis.keys import Keys

LIST_BATCH = 100

Entry = tuple[str, int, str]
"""A job's id, when it was made in milliseconds, and the key of the index that says so."""


class OwnerIndex:
    """Reads the indexes through ``call``, which asks the engine."""

    def __init__(self, call: Callable[..., Awaitable[Any]], keys: Keys) -> None:
        self._call = call
        self._keys = keys

    async def names(self, owner: str) -> list[str]:
        """The keys of an owner's index; ``*`` means those of all owners."""
        if owner != "*":
            return [self._keys.owner(owner)]
        pattern, cursor, found = self._keys.owner_prefix() + "*", "0", list[str]()
        while True:
            cursor, names = await self._call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            found += names
            if cursor == "0":
                return sorted(set(found))

    async def entries(
        self, indexes: list[str], before: tuple[int, str] | None, size: int
    ) -> list[Entry]:
        """The next ``size`` (id, score, index) entries, newest first, across
        some owners' indexes.
        """
        found = await asyncio.gather(*(self._newest(index, before, size) for index in indexes))
        entries = [entry for some in found for entry in some]
        entries.sort(key=lambda entry: (entry[1], entry[0]), reverse=True)
        return entries[:size]

    async def _newest(self, index: str, before: tuple[int, str] | None, size: int) -> list[Entry]:
        """The newest ``size`` entries of one index before a place in it, or as many as there are.

        Any number of jobs may share the boundary's millisecond (another client's bulk add gives all
        the same time), so one batch may lie partly or wholly before the place.
        """
        top: str | int = "+inf" if before is None else before[0]
        kept: list[Entry] = []
        offset = 0
        while len(kept) < size:
            flat: list[str] = await self._call(
                "ZREVRANGEBYSCORE", index, top, "-inf", "WITHSCORES", "LIMIT", offset, LIST_BATCH
            )
            batch = [
                (job_id, int(float(score)))
                for job_id, score in zip(flat[::2], flat[1::2], strict=True)
            ]
            kept += [
                (job_id, at, index)
                for job_id, at in batch
                if before is None or (at, job_id) < before
            ]
            if len(batch) < LIST_BATCH:
                break
            offset += LIST_BATCH
        return kept

    async def drop(self, entries: list[Entry]) -> None:
        """Forget entries whose job is gone."""
        for job_id, _, index in entries:
            await self._call("ZREM", index, job_id)


def parse_cursor(cursor: str | None) -> tuple[int, str] | None:
    """The place that a cursor names: milliseconds and an id. Raises InvalidInput."""
    if cursor is None:
        return None
    score, _, job_id = cursor.partition(".")
    if not score.isdigit() or not job_id or len(cursor) > 80:
        raise InvalidInput(
            "`cursor` is not a cursor of this list.", hint="Start again without a cursor."
        )
    return int(score), job_id
