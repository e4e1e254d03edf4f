"""The worker process: takes jobs, renews their locks, supervises their children, stores their ends.

No job's code runs here: code that blocks this loop would starve lock renewal, and then two workers
run one job.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from checkback.core.errors import EngineUnavailable
from checkback.engine.jobs.store import JobStore
from checkback.engine.processes.disk_limit import Ledger
from checkback.engine.processes.fork_client import ForkServers
from checkback.engine.processes.job_folders import JobFolders
from checkback.engine.processes.runner import Runner
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.event_feed import EventFeed
from checkback.engine.worker.attempt import WorkerParts
from checkback.engine.worker.heartbeat import Heartbeat
from checkback.engine.worker.instrumentation import Observer
from checkback.engine.worker.queue_loop import QueueLoop
from checkback.engine.worker.running_attempts import Closing, RunningAttempts
from checkback.engine.worker.subjobs import Subjobs
from checkback.engine.worker.upkeep.sweeper import Sweeper
from checkback.engine.worker.upkeep.totals import Tally
from checkback.engine.worker.webhooks import Webhooks
from checkback.engine.worker.worker_settings import WorkerSettings
from checkback.security.egress.client import EgressProxy
from checkback.security.encryption import SecretCipher
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore

LISTEN_AGAIN_SECONDS = 0.5
DROP_IDLE_SECONDS = 5.0
CHANGES_OF_SLOTS = frozenset({"waiting", "completed", "failed"})
"""Events after which a job may begin that could not before."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What a worker opens at its start and closes at its end."""

    wire: RedisConnection
    feed: EventFeed
    forks: ForkServers
    egress: EgressProxy
    runner: Runner
    folders: JobFolders


class WorkerProcess:
    """Everything of one worker. ``run`` returns after ``shut_down``."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.id = uuid.uuid4().hex
        self._closing = Closing()
        self._attempts = RunningAttempts(settings.locks.seconds, self._closing)
        #: The loop of each queue, while it works.
        self.loops: dict[str, QueueLoop] = {}
        #: Set once jobs are being taken.
        self.ready = asyncio.Event()

    @property
    def restarts(self) -> int:
        """How often a loop ended unexpectedly and was started again."""
        return sum(loop.restarts for loop in self.loops.values())

    def shut_down(self) -> None:
        """Take no new job, let the running ones finish within the grace, hand the rest back. Twice:
        at once.
        """
        self._closing.ask()

    async def run(self) -> None:
        """Work until ``shut_down``. Raises KindsNotLoaded, or EngineUnavailable at start only."""
        async with self._open() as engine:
            await self._work(engine)

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Engine]:
        """Open everything in the order of its needs; it is closed the other way round."""
        settings = self._settings
        async with AsyncExitStack() as opened:
            wire = RedisConnection(settings.address, name=f"checkback-worker:{self.id}")
            opened.push_async_callback(wire.close)
            feed = EventFeed(
                settings.address, settings.keys, settings.queues, name=f"checkback-feed:{self.id}"
            )
            opened.push_async_callback(feed.close)
            forks = ForkServers(settings.children)
            opened.push_async_callback(forks.close)
            await forks.start()
            egress = await EgressProxy.start(
                allow_hosts=settings.allow_hosts, deny_networks=settings.deny_networks
            )
            opened.push_async_callback(egress.close)
            folders = JobFolders(
                settings.temporary_folder,
                ArtifactStore(settings.artifacts_folder),
                UploadStore(settings.uploads_folder),
            )
            runner = Runner(forks, folders)
            opened.push_async_callback(runner.close)
            yield Engine(wire, feed, forks, egress, runner, folders)

    async def _work(self, engine: Engine) -> None:
        parts = self._make_parts(engine)
        tally = Tally(engine.wire, self._settings.keys.totals())
        sweeper = self._make_sweeper(engine, parts.ledger)
        heartbeat = self._make_heartbeat(engine, sweeper)
        observer = Observer(tally)
        for queue in self._settings.queues:
            self.loops[queue] = QueueLoop(
                queue, self.id, self._settings, parts, self._attempts, observer, self._closing
            )
        background = {
            "tally": tally.run(),
            "events": self._hear_events(engine.feed),
            "locks": self._attempts.watch_locks(),
            "heartbeat": heartbeat.run(),
            "sweeper": sweeper.run(),
            "warm-up": engine.forks.warm_up(),
            "idle": _drop_idle(engine.runner),
            **self._callbacks(engine),
        }
        try:
            async with _running(background):
                self.ready.set()
                await self._run_loops()
        finally:
            await self._attempts.close()
            await tally.send()
            await heartbeat.forget()

    async def _run_loops(self) -> None:
        loops = [
            asyncio.create_task(loop.run(), name=f"queue-{queue}")
            for queue, loop in self.loops.items()
        ]
        try:
            await asyncio.gather(*loops)
        finally:
            await _end(loops)

    def _make_parts(self, engine: Engine) -> WorkerParts:
        settings = self._settings
        jobs = JobStore(
            engine.wire, engine.feed, settings.keys, settings.queues, settings.retention
        )
        return WorkerParts(
            engine.wire,
            settings.keys,
            engine.runner,
            engine.egress,
            engine.folders.artifacts,
            Subjobs(engine.wire, settings.keys, jobs, settings.secret),
            SecretCipher(settings.secret),
            Ledger(settings.job_disk_bytes, settings.owner_artifact_bytes, settings.job_files),
            settings.pdfco_key,
            settings.owner_store_bytes,
        )

    def _make_sweeper(self, engine: Engine, ledger: Ledger) -> Sweeper:
        settings = self._settings
        return Sweeper(
            engine.wire,
            settings.keys,
            settings.queues,
            settings.retention,
            engine.folders.artifacts,
            engine.folders.uploads,
            folders=engine.folders,
            disk_budget_bytes=settings.disk_budget_bytes,
            ledger=ledger,
        )

    def _make_heartbeat(self, engine: Engine, sweeper: Sweeper) -> Heartbeat:
        def describe() -> dict[str, Any]:
            return {
                "version": self._settings.version,
                "restarts": self.restarts,
                "running": len(self._attempts),
                "queues": list(self._settings.queues),
                "busy": self._attempts.count_by_kind(),
                "idle": engine.runner.idle(),
                "disk_bytes": sweeper.disk.taken_bytes,
                "slots": {} if self._closing.asked.is_set() else self._settings.concurrency,
            }

        return Heartbeat(engine.wire, self._settings.keys, self.id, describe)

    def _callbacks(self, engine: Engine) -> dict[str, Coroutine[Any, Any, None]]:
        """The task that notifies of jobs' ends, if anybody is notified."""
        settings = self._settings
        if settings.callbacks is None:
            return {}
        webhooks = Webhooks(
            engine.wire,
            settings.keys,
            settings.queues,
            settings.retention,
            engine.egress,
            settings.callbacks,
        )
        return {"callbacks": webhooks.run(engine.feed)}

    async def _hear_events(self, feed: EventFeed) -> None:
        """Hear of cancels and of free slots, also after an outage of the store."""

        def hear(queue: str, event: str, job_id: str) -> None:
            if event in CHANGES_OF_SLOTS and queue in self.loops:
                self.loops[queue].look_again()
            if event == "cb:cancel":
                self._attempts.check_cancelled(job_id)

        while True:
            with contextlib.suppress(EngineUnavailable):
                await feed.listen(hear)
                return
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)


async def _drop_idle(runner: Runner) -> None:
    """End warm processes that nobody has needed for a while."""
    while True:
        runner.drop_idle()
        await asyncio.sleep(DROP_IDLE_SECONDS)


@asynccontextmanager
async def _running(coroutines: Mapping[str, Coroutine[Any, Any, Any]]) -> AsyncGenerator[None]:
    """Run these in the background of the block."""
    tasks = [asyncio.create_task(work, name=name) for name, work in coroutines.items()]
    try:
        yield
    finally:
        await _end(tasks)


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
