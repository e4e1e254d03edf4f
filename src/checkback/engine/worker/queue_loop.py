"""One queue's loop in a worker: BullMQ's, started again when it ends, and closed within limits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

from bullmq import Job as BullJob

from checkback.engine.processes.runner import Stop
from checkback.engine.redis.bullmq_client import worker_client
from checkback.engine.worker.attempt import Attempt, JobExtras, WorkerParts
from checkback.engine.worker.bullmq_worker import QueueWorker, waiting_name
from checkback.engine.worker.instrumentation import Observer
from checkback.engine.worker.running_attempts import Closing, RunningAttempts
from checkback.engine.worker.slots import Slots
from checkback.engine.worker.worker_settings import WorkerSettings

logger = logging.getLogger(__name__)

MAX_STALLED = 10
"""Lost workers that a job survives if no worker of checkback ever ran it: see
``attempt.MAX_LOST_WORKERS``.
"""
RESTART_SECONDS = 0.5
CLOSE_SECONDS = 3.0
HAND_BACK_SECONDS = 5.0
"""What the children of attempts that are handed back get to end, and the store to hear of it."""
DRAIN_LOOK_SECONDS = 0.05


class QueueLoop:
    """Takes the jobs of one queue and runs them, until the worker closes."""

    def __init__(
        self,
        queue: str,
        worker_id: str,
        settings: WorkerSettings,
        parts: WorkerParts,
        attempts: RunningAttempts,
        observer: Observer,
        closing: Closing,
    ) -> None:
        self._queue = queue
        self._worker_id = worker_id
        self._settings = settings
        self._parts = parts
        self._attempts = attempts
        self._observer = observer
        self._closing = closing
        #: BullMQ's worker, while the loop runs.
        self.worker: QueueWorker | None = None
        self.restarts = 0

    def look_again(self) -> None:
        """A job may begin that could not before."""
        if self.worker is not None:
            self.worker.slots.ring()

    async def run(self) -> None:
        """Keep BullMQ's loop running: it can end silently."""
        while not self._closing.asked.is_set():
            worker = self.worker = self._make_worker()
            running = asyncio.create_task(worker.run())
            closing = asyncio.create_task(self._closing.asked.wait())
            await asyncio.wait({running, closing}, return_when=asyncio.FIRST_COMPLETED)
            if self._closing.asked.is_set():
                await self._drain(worker)
                await _close(worker, running)
                return
            closing.cancel()
            problem = None if running.cancelled() else running.exception()
            logger.error(
                "The worker loop of %s ended unexpectedly (%r); it is started again.",
                self._queue,
                problem,
            )
            self.restarts += 1
            self._attempts.stop_queue(self._queue, Stop.LOCK_LOST)
            await _close(worker, running)
            await asyncio.sleep(RESTART_SECONDS)

    def _make_worker(self) -> QueueWorker:
        settings, queue = self._settings, self._queue
        options = {
            "autorun": False,
            "connection": worker_client(settings.address, f"checkback-worker:{self._worker_id}"),
            "prefix": settings.keys.prefix,
            "concurrency": settings.concurrency[queue],
            "lockDuration": settings.locks.lock_ms,
            "lockRenewTime": settings.locks.renew_ms,
            "stalledInterval": settings.locks.stalled_check_ms,
            "maxStalledCount": MAX_STALLED,
            "drainDelay": 1,
            "runRetryDelay": 250,
        }
        waiting = worker_client(
            settings.address, waiting_name(settings.keys.prefix, queue, self._worker_id)
        )
        worker = QueueWorker(queue, self._run_attempt, options, waiting)
        worker.retention = settings.retention
        worker.give_up = self._give_up
        worker.on("error", self._warn)
        worker.on("completed", self._completed)
        worker.on("failed", self._failed)
        worker.on("locksRenewed", self._locks_renewed)
        worker.on("lockRenewalFailed", self._attempts.lock_lost)
        return worker

    async def _run_attempt(self, job: BullJob, token: str, extras: JobExtras, slots: Slots) -> Any:
        """Run one attempt, as BullMQ's loop asks for it."""
        with self._observer.attempt(
            self._queue, job, trace=extras.trace, request_id=extras.request_id
        ) as span:
            attempt = Attempt(self._parts, self._queue, job, token, extras, slots)
            try:
                return await self._attempts.run(attempt)
            finally:
                if attempt.failure_code is not None:
                    span.failed(attempt.failure_code)

    def _give_up(self, job_id: str) -> None:
        self._attempts.stop([job_id], Stop.LOCK_LOST)

    def _warn(self, error: object, *_: object) -> None:
        logger.warning("worker of %s: %s", self._queue, error)

    def _completed(self, job: BullJob, _result: Any) -> None:
        self._observer.completed(self._queue, job)

    def _failed(self, job: BullJob, error: Exception) -> None:
        self._observer.failed(self._queue, job, error)

    def _locks_renewed(self, event: dict[str, list[str]]) -> None:
        self._attempts.renewed(event["jobIds"])

    async def _drain(self, worker: QueueWorker) -> None:
        """Let running attempts finish within the grace, then send the rest back to the queue."""
        worker.drain()
        ends = time.monotonic() + self._settings.grace_seconds
        at_once = self._closing.at_once
        while worker.processing and not at_once.is_set() and time.monotonic() < ends:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_LOOK_SECONDS):
                    await at_once.wait()
        self._attempts.stop_queue(self._queue, Stop.HAND_BACK)
        if worker.processing:
            await asyncio.wait(worker.processing, timeout=HAND_BACK_SECONDS)


async def _close(worker: QueueWorker, running: asyncio.Task[None]) -> None:
    """End a worker loop within a few seconds.

    Not by BullMQ's own ``close``: it waits without limit, and spins for ever when it is cancelled
    during the wait.
    """
    worker.closing = True
    worker.slots.ring()
    if worker.waiting:
        worker.waiting.cancel()
    await asyncio.wait({running}, timeout=CLOSE_SECONDS)
    left: set[asyncio.Future[Any]] = set()
    for task in (running, *worker.processing):
        if not task.done():
            left.add(task)
            task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    worker.closed = True
    with contextlib.suppress(Exception):
        await worker.backend.close(force=True)
