"""BullMQ's worker loop, with what is ours in a job, and without the ways in which it would lose
one.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from bullmq import Job as BullJob
from bullmq import Worker as BullWorker
from bullmq.custom_errors import WaitingChildrenError
from bullmq.redis_connection import RedisConnection
from redis.asyncio import Redis
from redis.exceptions import RedisError

from checkback.core.trace_context import TraceContext
from checkback.engine.jobs.adding import KEEP_GRACE_SECONDS
from checkback.engine.jobs.codec import Retention
from checkback.engine.worker.attempt import JobExtras
from checkback.engine.worker.attempt_store import END_RETRY_SECONDS, PASSING_REFUSALS
from checkback.engine.worker.slots import Slots, take_newcomer
from checkback.security.auth.callers import LOCAL_OWNER

logger = logging.getLogger(__name__)

GIVE_UP_SECONDS = 1.0
MOVES_OF_AN_END = ("moveToCompleted", "moveToFailed", "moveToDelayed", "retryJob")


def waiting_name(prefix: str, queue: str, worker_id: str) -> str:
    """What the one connection is called by which ``getWorkers`` of BullMQ for
    Node counts a worker.
    """
    return f"{prefix}:{base64.b64encode(queue.encode()).decode()}:w:checkback-{worker_id}"


RunAttempt = Callable[[BullJob, str, JobExtras, Slots], Awaitable[Any]]
"""Runs one attempt at a job whose lock has this token, and gives its result."""


class QueueWorker(BullWorker):
    """BullMQ's worker, which hands over what is ours in a job and lets nobody's options delete
    results.
    """

    retention: Retention
    #: Ends the attempt at this job that runs here, if one does: another has begun.
    give_up: Callable[[str], None]
    #: Whether it takes no more jobs.
    is_draining = False

    def __init__(
        self, name: str, run_attempt: RunAttempt, opts: dict[str, Any], waiting: Redis
    ) -> None:
        """``waiting`` is a separate client for the wait for jobs, called by ``waiting_name``."""
        super().__init__(name, self._process, opts)
        self._run_attempt = run_attempt
        self.slots = Slots(opts["concurrency"], follow=self._have_under_way)
        self._have_under_way(self.slots.wanted_tasks)
        #: One look at a time for what the extra slot may take.
        self._extra = asyncio.Lock()
        self._waiting_client = waiting
        self.backend.blocking_connection = RedisConnection(waiting)
        #: What is ours in the jobs that run, by job id; taken by the attempt.
        self._extras_of: dict[str, JobExtras] = {}
        self._under_way: dict[str, asyncio.Task[Any]] = {}
        for move in MOVES_OF_AN_END:
            setattr(self.backend, move, self._patiently(getattr(self.backend, move)))

    async def _process(self, job: BullJob, token: str) -> Any:
        extras = self._extras_of.pop(job.id, JobExtras())
        return await self._run_attempt(job, token, extras, self.slots)

    async def _ensure_client_names(self) -> None:
        """Open the connection that waits, and leave it its name: BullMQ's programs count workers by
        it.

        At once, because a worker with much to do does not wait, and would not be counted.
        """
        if self._client_name_set:
            return
        await self.backend.connection.set_client_name(self.clientName)
        await cast("Any", self._waiting_client).ping()
        self._client_name_set = True

    async def processJob(self, job: BullJob, token: str) -> None:
        """One attempt, begun when no earlier one at this job runs here any more.

        One that has lost its lock unnoticed may. BullMQ keeps account of locks by job id: the end
        of the earlier one would end the renewal of the later one's.
        """
        this = cast("asyncio.Task[Any]", asyncio.current_task())
        before = self._under_way.get(job.id)
        self._under_way[job.id] = this
        try:
            while before is not None and not before.done():
                self.give_up(job.id)
                await asyncio.wait({before}, timeout=GIVE_UP_SECONDS)
            await super().processJob(job, token)
        finally:
            self.slots.release(job)
            if self._under_way.get(job.id) is this:
                del self._under_way[job.id]

    def _patiently(self, move: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """A move of BullMQ's that waits where the store takes it later, while the lock may live.

        BullMQ would fail a job whose result was not taken at once. Where it is not known what the
        store has done, the job is left to another attempt.
        """

        async def move_patiently(*told: Any, **more: Any) -> Any:
            ends = time.monotonic() + self.opts["lockDuration"] / 1000
            while True:
                try:
                    return await move(*told, **more)
                except RedisError as error:
                    if not str(error).startswith(PASSING_REFUSALS) or time.monotonic() > ends:
                        logger.warning("The store did not take the end of a job: %r", error)
                        raise WaitingChildrenError("The end was not stored.") from error
                    await asyncio.sleep(END_RETRY_SECONDS)

        return move_patiently

    def drain(self) -> None:
        """Take no more jobs, and go on renewing the locks of those that run.

        Not by ``closing``: BullMQ's loop would end with jobs still running, and its lock renewal
        with it. Nor by its ``pause``, in which a job that is just being taken is held by nobody.
        """
        self.is_draining = True
        self.opts["concurrency"] = 0
        self.slots.ring()
        if self.waiting:
            self.waiting.cancel()

    def _have_under_way(self, tasks: int) -> None:
        if not self.is_draining:
            self.opts["concurrency"] = tasks

    async def getNextJob(self, token: str) -> BullJob | None:
        """The next job; none where the wait for one was ended by ``drain``."""
        try:
            return await super().getNextJob(token)
        except asyncio.CancelledError:
            if self.is_draining:
                return None
            raise

    async def moveToActive(self, token: str) -> BullJob | None:
        """Take the next job that may begin here; waits where the slots are taken."""
        if not self.slots.is_free:
            async with self._extra:
                job = await self._take_extra(token)
            if job is not None or not self.slots.is_free or self._ends:
                return job
        with self.slots.taking():
            return await cast("Any", super()).moveToActive(token)

    @property
    def _ends(self) -> bool:
        return self.is_draining or bool(self.closing)

    async def _take_extra(self, token: str) -> BullJob | None:
        """A job for the extra slot; None once any job may begin, or the worker takes no more."""
        while not (self.slots.is_free or self._ends):
            if self.slots.only_extra_is_free:
                with self.slots.taking():
                    taken = await take_newcomer(self, token)
                    if taken is not None:
                        return await self.nextJobFromJobData(*taken, token=token)
            await self.slots.changed()
        return None

    async def nextJobFromJobData(
        self,
        job_data: dict[str, Any] | None = None,
        job_id: str | None = None,
        limit_until: int = 0,
        delay_until: int = 0,
        token: str | None = None,
    ) -> BullJob | None:
        """The next job, with our fields on it, and our retention in place of its producer's.

        A foreign count of 1 would delete other jobs' results; a trace of our own code belongs into
        our log only.
        """
        job = await super().nextJobFromJobData(job_data, job_id, limit_until, delay_until, token)
        if job is None or job_data is None:
            return job
        self.slots.hold(job, job_data.get("cb:owner") or LOCAL_OWNER)
        deadline = job_data.get("cb:deadline")
        self._extras_of[job.id] = JobExtras(
            job_data.get("cb:owner"),
            float(deadline) if deadline else None,
            job_data.get("cb:saved"),
            job_data.get("cb:parent"),
            job_data.get("cb:request"),
            TraceContext.from_metadata(job.opts.get("tm")),
            int(job_data.get("cb:returned") or 0),
            int(job_data.get("cb:forgiven") or 0),
            "cb:gone" in job_data,
        )
        completed, failed = self.retention.completed, self.retention.failed
        job.opts["removeOnComplete"] = {"age": int(completed.total_seconds()) + KEEP_GRACE_SECONDS}
        job.opts["removeOnFail"] = {"age": int(failed.total_seconds()) + KEEP_GRACE_SECONDS}
        job.opts["stackTraceLimit"] = 0
        return job
