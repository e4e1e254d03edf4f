"""The worker process: takes jobs, renews their locks, supervises their children, stores their ends.

No job's code runs here: code that blocks this loop would starve lock renewal, and then two workers
run one job.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import platform
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bullmq import Job as BullJob
from bullmq.custom_errors import DelayedError, WaitingChildrenError

from checkback.core.errors import EngineUnavailable
from checkback.engine.jobs.codec import Retention
from checkback.engine.jobs.store import JobStore
from checkback.engine.processes.child import ChildSettings
from checkback.engine.processes.disk_limit import Ledger
from checkback.engine.processes.fork_client import ForkServers
from checkback.engine.processes.job_folders import JobFolders
from checkback.engine.processes.runner import Runner, Stop
from checkback.engine.redis.bullmq_client import worker_client
from checkback.engine.redis.connection import RedisAddress, RedisConnection, ReplyError
from checkback.engine.redis.event_feed import EventFeed
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.attempt import Attempt, AttemptFailed, JobExtras, WorkerParts
from checkback.engine.worker.bullmq_worker import QueueWorker, waiting_name
from checkback.engine.worker.instrumentation import Observer, known_kind
from checkback.engine.worker.subjobs import Subjobs
from checkback.engine.worker.sweeper import Sweeper
from checkback.engine.worker.totals import Tally
from checkback.engine.worker.webhooks import Webhooks, WebhookSettings
from checkback.security.egress.client import EgressProxy
from checkback.security.encryption import SecretCipher
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore

logger = logging.getLogger(__name__)

LOCK_LOOK_SECONDS = 1.0
LOCK_TRUSTED_SHARE = 0.9
"""The rest is for the way of a renewal's answer, and for the end of the children."""
MAX_STALLED = 10
"""Lost workers that a job survives if no worker of checkback ever ran it: see
``attempt.MAX_LOST_WORKERS``.
"""
GRACE_SECONDS = 25.0
HEARTBEAT_SECONDS = 5.0
RESTART_SECONDS = 0.5
CLOSE_SECONDS = 3.0
HAND_BACK_SECONDS = 5.0
"""What the children of attempts that are handed back get to end, and the store to hear of it."""
DRAIN_LOOK_SECONDS = 0.05
CHANGES_OF_SLOTS = frozenset({"waiting", "completed", "failed"})
"""Events after which a job may begin that could not before."""


@dataclass(frozen=True)
class LockTimes:
    """How long a lock of a job lives, and what follows from it.

    Renewed after a third: after a renewal of 30 s at least 20 s are left, so 12 s without the store
    run nothing twice. Looked for lost ones after a sixth. Every worker of a queue must use the
    same: the longest of them rules all (docs/engine.md).
    """

    seconds: float = 30.0

    @property
    def lock_ms(self) -> int:
        return round(self.seconds * 1000)

    @property
    def renew_ms(self) -> int:
        return round(self.seconds * 1000 / 3)

    @property
    def stalled_check_ms(self) -> int:
        return round(self.seconds * 1000 / 6)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Plain values, from the settings table."""

    address: RedisAddress
    keys: Keys
    #: How many jobs of each queue run at once.
    concurrency: dict[str, int]
    children: ChildSettings
    #: The data folder's secret, from which every key is made.
    secret: bytes = field(repr=False)
    retention: Retention
    temporary_folder: Path
    artifacts_folder: Path
    uploads_folder: Path
    pdfco_key: str | None = field(default=None, repr=False)
    allow_hosts: tuple[str, ...] = ()
    deny_networks: tuple[str, ...] = ()
    grace_seconds: float = GRACE_SECONDS
    locks: LockTimes = field(default_factory=LockTimes)
    version: str = ""
    #: Who is notified of a job's end, and how; None notifies nobody.
    callbacks: WebhookSettings | None = None
    #: What artifacts and uploads may take together; 0 means no limit.
    disk_budget_bytes: int = 0
    #: What the artifacts of one owner may take; 0 means no limit.
    owner_artifact_bytes: int = 0
    #: What the files of one job may take while it runs; 0 means no limit.
    job_disk_bytes: int = 0
    #: What the jobs of one owner may take in the store; 0 means no limit.
    owner_store_bytes: int = 0


class WorkerProcess:
    """Everything of one worker. ``run`` returns after ``shut_down``."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.id = uuid.uuid4().hex
        self._attempts: dict[str, Attempt] = {}
        self._workers: dict[str, QueueWorker] = {}
        #: Looks whether jobs are cancelled that were said to be.
        self._looking: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._hurry = asyncio.Event()
        #: Set once jobs are being taken.
        self.ready = asyncio.Event()
        self.restarts = 0

    async def run(self) -> None:
        """Work until ``shut_down``. Raises KindsNotLoaded, or EngineUnavailable at start only."""
        settings = self._settings
        wire = RedisConnection(settings.address, name=f"checkback-worker:{self.id}")
        forks = ForkServers(settings.children)
        await forks.start()
        egress = await EgressProxy.start(
            allow_hosts=settings.allow_hosts, deny_networks=settings.deny_networks
        )
        store, uploads = (
            ArtifactStore(settings.artifacts_folder),
            UploadStore(settings.uploads_folder),
        )
        folders = JobFolders(settings.temporary_folder, store, uploads)
        runner = Runner(forks, folders)
        queues = tuple(settings.concurrency)
        feed = EventFeed(settings.address, settings.keys, queues, name=f"checkback-feed:{self.id}")
        reads = JobStore(wire, feed, settings.keys, queues, settings.retention)
        parts = self._make_parts(wire, reads, runner, egress, store)
        sweeper = self._make_sweeper(wire, folders, parts.ledger)
        tally = Tally(wire, settings.keys.totals())
        observer = Observer(tally)
        background = [
            asyncio.create_task(tally.run(), name="tally"),
            asyncio.create_task(self._watch_cancels(feed), name="cancels"),
            asyncio.create_task(self._watch_locks(), name="locks"),
            asyncio.create_task(self._beat(wire, runner, sweeper), name="heartbeat"),
            asyncio.create_task(sweeper.run(), name="sweeper"),
            asyncio.create_task(forks.warm_up(), name="warm-up"),
        ]
        if settings.callbacks is not None:
            callbacks = Webhooks(
                wire, settings.keys, queues, settings.retention, egress, settings.callbacks
            )
            background.append(asyncio.create_task(callbacks.run(feed), name="callbacks"))
        loops = [
            asyncio.create_task(self._supervise(queue, parts, observer), name=f"queue-{queue}")
            for queue in queues
        ]
        self.ready.set()
        try:
            await asyncio.gather(*loops)
        finally:
            tasks = (*background, *loops, *self._looking)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await tally.send()
            await runner.close()
            await egress.close()
            await forks.close()
            await self._forget(wire)
            await feed.close()
            await wire.close()

    def _make_parts(
        self,
        wire: RedisConnection,
        reads: JobStore,
        runner: Runner,
        egress: EgressProxy | None,
        store: ArtifactStore,
    ) -> WorkerParts:
        settings = self._settings
        return WorkerParts(
            wire,
            settings.keys,
            runner,
            egress,
            store,
            Subjobs(wire, settings.keys, reads, settings.secret),
            SecretCipher(settings.secret),
            Ledger(settings.job_disk_bytes, settings.owner_artifact_bytes),
            settings.pdfco_key,
            settings.owner_store_bytes,
        )

    def _make_sweeper(self, wire: RedisConnection, folders: JobFolders, ledger: Ledger) -> Sweeper:
        settings = self._settings
        return Sweeper(
            wire,
            settings.keys,
            tuple(settings.concurrency),
            settings.retention,
            folders.artifacts,
            folders.uploads,
            folders=folders,
            disk_budget_bytes=settings.disk_budget_bytes,
            ledger=ledger,
        )

    def shut_down(self) -> None:
        """Take no new job, let the running ones finish within the grace, hand the rest back. Twice:
        at once.
        """
        if self._closing.is_set():
            self._hurry.set()
        self._closing.set()

    async def _supervise(self, queue: str, parts: WorkerParts, observer: Observer) -> None:
        """Keep one BullMQ worker loop running: it can end silently, and its ``close`` knows no time
        limit.
        """
        while not self._closing.is_set():
            worker = self._make_worker(queue, parts, observer)
            self._workers[queue] = worker
            running = asyncio.create_task(worker.run())
            closing = asyncio.create_task(self._closing.wait())
            await asyncio.wait({running, closing}, return_when=asyncio.FIRST_COMPLETED)
            if self._closing.is_set():
                await self._drain(queue, worker)
                await self._close(worker, running)
                return
            closing.cancel()
            problem = None if running.cancelled() else running.exception()
            logger.error(
                "The worker loop of %s ended unexpectedly (%r); it is started again.",
                queue,
                problem,
            )
            self.restarts += 1
            for attempt in self._running(queue):
                attempt.stop(Stop.LOCK_LOST)
            await self._close(worker, running)
            await asyncio.sleep(RESTART_SECONDS)

    def _make_worker(self, queue: str, parts: WorkerParts, observer: Observer) -> QueueWorker:
        async def process(job: BullJob, token: str) -> Any:
            extras = worker.extras.pop(job.id, JobExtras())
            with observer.attempt(
                queue, job, trace=extras.trace, request_id=extras.request_id
            ) as span:
                attempt = Attempt(parts, queue, job, token, extras, worker.slots)
                try:
                    return await self._process(attempt)
                finally:
                    if attempt.failure_code is not None:
                        span.failed(attempt.failure_code)

        worker = QueueWorker(
            queue,
            process,
            {
                "autorun": False,
                "connection": worker_client(self._settings.address, f"checkback-worker:{self.id}"),
                "prefix": self._settings.keys.prefix,
                "concurrency": self._settings.concurrency[queue],
                "lockDuration": self._settings.locks.lock_ms,
                "lockRenewTime": self._settings.locks.renew_ms,
                "stalledInterval": self._settings.locks.stalled_check_ms,
                "maxStalledCount": MAX_STALLED,
                "drainDelay": 1,
                "runRetryDelay": 250,
            },
            worker_client(
                self._settings.address, waiting_name(self._settings.keys.prefix, queue, self.id)
            ),
        )
        worker.retention = self._settings.retention
        worker.give_up = self._give_up

        def warn(error: object, *_: object) -> None:
            logger.warning("worker of %s: %s", queue, error)

        def renewed(told: dict[str, list[str]]) -> None:
            self._renewed(told["jobIds"])

        worker.on("error", warn)

        def completed(job: BullJob, _result: Any) -> None:
            observer.completed(queue, job)

        def failed(job: BullJob, error: Exception) -> None:
            observer.failed(queue, job, error)

        worker.on("completed", completed)
        worker.on("failed", failed)
        worker.on("locksRenewed", renewed)
        worker.on("lockRenewalFailed", self._lock_lost)
        return worker

    async def _process(self, attempt: Attempt) -> Any:
        """Run an attempt in a separate task: nothing that leaks out of it may
        end BullMQ's loop.
        """
        self._attempts[attempt.job_id] = attempt
        if self._closing.is_set():
            attempt.stop(Stop.HAND_BACK)
        task = asyncio.create_task(attempt.run(), name=f"attempt-{attempt.job_id}")
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            attempt.stop(Stop.LOCK_LOST)
            await asyncio.wait({task}, timeout=CLOSE_SECONDS)
            if task.done() and not task.cancelled():
                task.exception()  # seen: BullMQ asks for it no more
            raise
        finally:
            self._attempts.pop(attempt.job_id, None)
        if task.cancelled():
            raise AttemptFailed("The attempt was interrupted in the worker.")
        problem = task.exception()
        if problem is None:
            return task.result()
        if isinstance(problem, EngineUnavailable | ReplyError):
            # No failure of the job's. Its lock runs out, and another attempt follows.
            logger.warning("job %s is left to another attempt: %r", attempt.job_id, problem)
            raise WaitingChildrenError("The store could not be asked.") from problem
        if isinstance(problem, Exception):
            if not isinstance(problem, AttemptFailed | WaitingChildrenError | DelayedError):
                logger.info("job %s ended with %r", attempt.job_id, problem)
            raise problem
        raise AttemptFailed(f"{type(problem).__name__} in the worker.")

    async def _watch_cancels(self, feed: EventFeed) -> None:
        def hear(queue: str, event: str, job_id: str) -> None:
            if event in CHANGES_OF_SLOTS and queue in self._workers:
                self._workers[queue].slots.ring()
            if event == "cb:cancel" and job_id in self._attempts:
                looking = asyncio.create_task(self._attempts[job_id].stop_if_cancelled())
                self._looking.add(looking)
                looking.add_done_callback(self._looking.discard)

        while True:
            with contextlib.suppress(EngineUnavailable):
                await feed.listen(hear)
                return
            await asyncio.sleep(RESTART_SECONDS)

    async def _beat(self, wire: RedisConnection, runner: Runner, sweeper: Sweeper) -> None:
        """Say that this worker lives."""
        started = time.time()
        while True:
            state = {
                "host": platform.node(),
                "pid": os.getpid(),
                "version": self._settings.version,
                "started_at": started,
                "restarts": self.restarts,
                "running": len(self._attempts),
                "queues": list(self._settings.concurrency),
                "busy": Counter(known_kind(one.name, one.queue) for one in self._attempts.values()),
                "idle": runner.idle(),
                "disk_bytes": sweeper.disk.taken_bytes,
                "slots": {} if self._closing.is_set() else self._settings.concurrency,
            }
            with contextlib.suppress(EngineUnavailable, ReplyError):
                # By the store's clock: those who look for the living need not have ours.
                state["beat_at"] = float((await wire.call("TIME"))[0])
                await wire.call("HSET", self._settings.keys.workers(), self.id, json.dumps(state))
            runner.drop_idle()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _watch_locks(self) -> None:
        """End attempts before their locks run out unrenewed, so that none runs
        at the same time as the next one.
        """
        while True:
            await asyncio.sleep(LOCK_LOOK_SECONDS)
            oldest = time.monotonic() - LOCK_TRUSTED_SHARE * self._settings.locks.seconds
            for attempt in self._attempts.values():
                if attempt.renewed_at < oldest:
                    attempt.stop(Stop.LOCK_LOST)

    def _renewed(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            if job_id in self._attempts:
                self._attempts[job_id].renewed_at = time.monotonic()

    def _give_up(self, job_id: str) -> None:
        if job_id in self._attempts:
            self._attempts[job_id].stop(Stop.LOCK_LOST)

    def _lock_lost(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            if job_id in self._attempts:
                logger.warning("The lock of job %s was lost; its child is ended.", job_id)
                self._attempts[job_id].stop(Stop.LOCK_LOST)

    async def _drain(self, queue: str, worker: QueueWorker) -> None:
        """Let running attempts finish within the grace, then send the rest back to the queue."""
        worker.drain()
        ends = time.monotonic() + self._settings.grace_seconds
        while worker.processing and not self._hurry.is_set() and time.monotonic() < ends:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_LOOK_SECONDS):
                    await self._hurry.wait()
        for attempt in self._running(queue):
            attempt.stop(Stop.HAND_BACK)
        if worker.processing:
            await asyncio.wait(worker.processing, timeout=HAND_BACK_SECONDS)

    def _running(self, queue: str) -> list[Attempt]:
        return [attempt for attempt in self._attempts.values() if attempt.queue == queue]

    @staticmethod
    async def _close(worker: QueueWorker, running: asyncio.Task[None]) -> None:
        """End a worker loop within a few seconds.

        Not by BullMQ's own ``close``: it waits without limit, and spins for ever when it is
        cancelled during the wait.
        """
        worker.closing = True
        worker.slots.ring()
        if worker.waiting:
            worker.waiting.cancel()
        await asyncio.wait({running}, timeout=CLOSE_SECONDS)
        left: set[asyncio.Future[Any]] = {
            task for task in (running, *worker.processing) if not task.done()
        }
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        worker.closed = True
        with contextlib.suppress(Exception):
            await worker.backend.close(force=True)

    async def _forget(self, wire: RedisConnection) -> None:
        with contextlib.suppress(EngineUnavailable, ReplyError):
            await wire.call("HDEL", self._settings.keys.workers(), self.id)
