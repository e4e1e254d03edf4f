"""Removes what has had its time: expired jobs with their files and index entries, and strays.

Runs in every worker, every 20 s, in small batches; two sweepers at once do no harm. Expired jobs
are unreadable before they are swept: each read checks.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import timedelta

from checkback.core.errors import EngineUnavailable
from checkback.engine.jobs.codec import Retention
from checkback.engine.jobs.owner_usage import OwnerUsage
from checkback.engine.processes.disk_limit import Ledger
from checkback.engine.processes.job_folders import JobFolders
from checkback.engine.redis.connection import RedisConnection, ReplyError, Script
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.upkeep.disk_usage import DiskWatch
from checkback.security.auth.callers import LOCAL_OWNER
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore

logger = logging.getLogger(__name__)

SWEEP = Script.named("sweep")
PRUNE = Script.named("prune")
EVERY_SECONDS = 20.0
BATCH = 200
FOLDER_SCAN_SECONDS = 600.0
DEAD_WORKER_SECONDS = 60.0
FOREIGN_JOBS = 200
"""How many waiting jobs at each end of a queue are looked at for ones that no index knows."""
PRUNED_JOBS = 100_000
MAX_EVENT_BYTES = 32 << 20
"""What the events of one queue may take in the store."""


class Sweeper:
    """The janitor of one engine, one folder of artifacts and one of uploads."""

    def __init__(
        self,
        wire: RedisConnection,
        keys: Keys,
        queues: tuple[str, ...],
        retention: Retention,
        artifacts: ArtifactStore,
        uploads: UploadStore,
        *,
        folders: JobFolders | None = None,
        disk_budget_bytes: int = 0,
        ledger: Ledger | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._queues = queues
        self._retention = retention
        self._artifacts = artifacts
        self._uploads = uploads
        self._folders = folders
        self._max_event_bytes = max_event_bytes
        self.disk = DiskWatch(
            wire, keys, queues, artifacts, uploads,
            budget_bytes=disk_budget_bytes, ledger=ledger or Ledger(),
        )  # fmt: skip
        self._scanned_at = float("-inf")

    async def run(self) -> None:
        """Sweep for ever; an outage only delays it."""
        while True:
            try:
                await self.sweep()
            except (EngineUnavailable, ReplyError) as error:
                logger.info("The sweep waits for the job store: %s", error)
            except Exception:
                logger.exception("A sweep failed")
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self) -> int:
        """One round; returns how many jobs were removed."""
        removed = 0
        for queue in self._queues:
            removed += await self._sweep_set(queue, "completed", self._retention.completed)
            removed += await self._sweep_set(queue, "failed", self._retention.failed)
            await self._index_foreign(queue)
            await self._trim_events(queue)
        if time.monotonic() - self._scanned_at > FOLDER_SCAN_SECONDS:
            self._scanned_at = time.monotonic()
            await self._remove_stray_folders()
            await asyncio.to_thread(self._uploads.sweep)
            if self._folders is not None:
                await asyncio.to_thread(self._folders.remove_left_behind)
            await OwnerUsage(self._wire, self._keys, self._queues, share_bytes=0).recount()
        await self._forget_dead_workers()
        await self._prune_owners()
        await self.disk.look()
        return removed

    async def _sweep_set(self, queue: str, part: str, keep: timedelta) -> int:
        removed = 0
        while True:
            now = await self._now_ms()
            cutoff = now - int(keep.total_seconds() * 1000)
            cancelled_cutoff = now - int(self._retention.failed.total_seconds() * 1000)
            gone = await self._wire.script(
                SWEEP,
                [
                    self._keys.queue(queue, part),
                    self._keys.queue(queue, "events"),
                    self._keys.sizes(),
                ],
                [
                    self._keys.queue(queue, ""),
                    cutoff,
                    self._keys.owner_prefix(),
                    BATCH,
                    cancelled_cutoff,
                ],
            )
            await asyncio.to_thread(self._remove_files, gone)
            removed += len(gone)
            if len(gone) < BATCH:
                return removed

    async def _trim_events(self, queue: str) -> None:
        """Keep a queue's events small: BullMQ keeps 10,000, and completed jobs' hold results."""
        events = self._keys.queue(queue, "events")
        try:
            size = await self._wire.call("MEMORY", "USAGE", events)
        except ReplyError:  # not everybody may ask
            return
        if size is not None and size > self._max_event_bytes:
            kept = await self._wire.call("XLEN", events) * self._max_event_bytes // (2 * size)
            await self._wire.call("XTRIM", events, "MAXLEN", kept)

    def _remove_files(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            self._artifacts.remove(job_id)

    async def _index_foreign(self, queue: str) -> None:
        """Put waiting jobs that another BullMQ client added into the local owner's list."""
        found = await self._wire.call(
            "LRANGE", self._keys.queue(queue, "wait"), 0, FOREIGN_JOBS - 1
        )
        # Ours lie by their turns; another client's lie before them, or behind, as it gave them
        # priority.
        for first, last in ((0, FOREIGN_JOBS - 1), (-FOREIGN_JOBS, -1)):
            found += await self._wire.call(
                "ZRANGE", self._keys.queue(queue, "prioritized"), first, last
            )
        for job_id in dict.fromkeys(found):
            key = self._keys.job(queue, job_id)
            owner, timestamp = await self._wire.call("HMGET", key, "cb:owner", "timestamp")
            if owner is None and timestamp is not None:
                await self._wire.transaction(
                    [
                        ["HSETNX", key, "cb:owner", LOCAL_OWNER],
                        ["ZADD", self._keys.owner(LOCAL_OWNER), "NX", timestamp, job_id],
                    ]
                )

    async def _remove_stray_folders(self) -> None:
        """Files whose job is gone: removed by BullMQ itself, by another client, or while no server
        ran.
        """
        for job_id in await asyncio.to_thread(self._artifacts.job_ids):
            known = [
                self._wire.call("EXISTS", self._keys.job(queue, job_id)) for queue in self._queues
            ]
            if not any(await asyncio.gather(*known)):
                await asyncio.to_thread(self._artifacts.remove, job_id)

    async def _prune_owners(self) -> None:
        """Take ended jobs out of the sets that the owners' limits count."""
        cursor = "0"
        while True:
            pattern = self._keys.open_prefix() + "*"
            cursor, names = await self._wire.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            for name in names:
                await self._wire.script(PRUNE, [name], [self._keys.queue("", "")[:-1], PRUNED_JOBS])
            if cursor == "0":
                return

    async def _forget_dead_workers(self) -> None:
        now = await self._now_ms() / 1000
        flat = await self._wire.call("HGETALL", self._keys.workers())
        for worker_id, state in zip(flat[::2], flat[1::2], strict=True):
            if json.loads(state)["beat_at"] < now - DEAD_WORKER_SECONDS:
                await self._wire.call("HDEL", self._keys.workers(), worker_id)

    async def _now_ms(self) -> int:
        """The store's time: with this machine's clock an hour ahead, jobs would
        go an hour early.
        """
        seconds, microseconds = await self._wire.call("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000
