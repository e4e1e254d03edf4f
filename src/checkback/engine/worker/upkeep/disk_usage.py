"""What artifacts and uploads take on this machine's disk, and whose. When it
is too much, a mark in the store makes our script refuse new jobs.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from pathlib import Path

from checkback.engine.processes.disk_limit import Ledger
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.keys import Keys
from checkback.security.auth.callers import LOCAL_OWNER
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore

logger = logging.getLogger(__name__)

FULL_SECONDS = 60
"""How long a full disk is believed, unless it is found full again."""
ASKED_AT_ONCE = 500


class DiskWatch:
    """The folders of one data folder, and what they may take; 0 means no limit."""

    def __init__(
        self,
        wire: RedisConnection,
        keys: Keys,
        queues: tuple[str, ...],
        artifacts: ArtifactStore,
        uploads: UploadStore,
        *,
        budget_bytes: int = 0,
        ledger: Ledger,
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._queues = queues
        self._artifacts = artifacts
        self._uploads = uploads
        #: What artifacts and uploads may take together.
        self._budget = budget_bytes
        #: Which has what the artifacts of one owner may take, and is given what they do take.
        self._ledger = ledger
        #: What they took when that was last looked at; None where there is no budget.
        self.taken_bytes: int | None = None
        self._owners: dict[str, str] = {}

    async def look(self) -> None:
        """Measure, and say in the store what is too much."""
        most = self._ledger.owner_bytes
        if self._budget <= 0 and most <= 0:
            return
        jobs = await asyncio.to_thread(self._measure)
        artifacts = jobs.total()
        if self._budget > 0:
            self.taken_bytes = artifacts + await asyncio.to_thread(folder_bytes, self._uploads.root)
            if self.taken_bytes >= self._budget:
                logger.warning(
                    "Artifacts and uploads take %d MB: no new jobs.", self.taken_bytes >> 20
                )
                await self._tell(self._keys.disk_full())
        if most > 0:
            owners = await self._by_owner(jobs)
            self._ledger.measured(owners)
            for owner, taken in owners.items():
                if taken >= most and owner != LOCAL_OWNER:
                    logger.warning(
                        "Artifacts of %s take %d MB: no new jobs of theirs.", owner, taken >> 20
                    )
                    await self._tell(self._keys.disk_full(owner))

    async def _tell(self, key: str) -> None:
        await self._wire.call("SET", key, "1", "EX", FULL_SECONDS)

    def _measure(self) -> Counter[str]:
        return Counter(
            {
                job_id: folder_bytes(self._artifacts.root / job_id)
                for job_id in self._artifacts.job_ids()
            }
        )

    async def _by_owner(self, jobs: Counter[str]) -> Counter[str]:
        """The bytes of each owner. Whose a job is never changes: each is asked for once."""
        self._owners = {job_id: owner for job_id, owner in self._owners.items() if job_id in jobs}
        unknown = [job_id for job_id in jobs if job_id not in self._owners]
        for first in range(0, len(unknown), ASKED_AT_ONCE):
            asked = unknown[first : first + ASKED_AT_ONCE]
            hashes = [[self._keys.job(queue, job_id) for queue in self._queues] for job_id in asked]
            replies: list[str | None] = await self._wire.transaction(
                [["HGET", key, "cb:owner"] for keys in hashes for key in keys]
            )
            for number, job_id in enumerate(asked):
                found = replies[number * len(self._queues) : (number + 1) * len(self._queues)]
                for owner in found:
                    if owner is not None:
                        self._owners[job_id] = owner
        taken = Counter[str]()
        for job_id, size in jobs.items():
            taken[self._owners.get(job_id, LOCAL_OWNER)] += size
        return taken


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take; a file that vanishes during the count takes nothing."""
    taken, left = 0, [str(folder)]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    else:
                        taken += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return taken
