"""The attempts that run in a worker: started here, ended when their lock or job is lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import Any, NoReturn

from bullmq.custom_errors import DelayedError, WaitingChildrenError

from checkback.core.errors import EngineUnavailable
from checkback.engine.processes.runner import Stop
from checkback.engine.redis.connection import ReplyError
from checkback.engine.worker.attempt import Attempt, AttemptFailed
from checkback.engine.worker.instrumentation import known_kind

logger = logging.getLogger(__name__)

LOCK_LOOK_SECONDS = 1.0
LOCK_TRUSTED_SHARE = 0.9
"""The rest is for the way of a renewal's answer, and for the end of the children."""
INTERRUPTED_SECONDS = 3.0
"""What an attempt gets to end when BullMQ's loop gives it up."""


class Closing:
    """Whether a worker is to end, and whether at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()

    def ask(self) -> None:
        """Ask for the end; the second time, for the end at once."""
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()


class RunningAttempts:
    """All attempts that run in one worker, of every queue."""

    def __init__(self, lock_seconds: float, closing: Closing) -> None:
        self._lock_seconds = lock_seconds
        self._closing = closing
        self._attempts: dict[str, Attempt] = {}
        #: Checks of whether jobs are cancelled that were said to be.
        self._checks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._attempts)

    def of_queue(self, queue: str) -> list[Attempt]:
        return [attempt for attempt in self._attempts.values() if attempt.queue == queue]

    def count_by_kind(self) -> Counter[str]:
        return Counter(known_kind(one.name, one.queue) for one in self._attempts.values())

    async def run(self, attempt: Attempt) -> Any:
        """Run an attempt in a separate task: nothing that leaks out of it may end BullMQ's loop.

        Returns its result, or raises what BullMQ understands.
        """
        self._attempts[attempt.job_id] = attempt
        if self._closing.asked.is_set():
            attempt.stop(Stop.HAND_BACK)
        task = asyncio.create_task(attempt.run(), name=f"attempt-{attempt.job_id}")
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            await _interrupt(attempt, task)
            raise
        finally:
            self._attempts.pop(attempt.job_id, None)
        if task.cancelled():
            raise AttemptFailed("The attempt was interrupted in the worker.")
        problem = task.exception()
        if problem is not None:
            _raise_for_bullmq(attempt.job_id, problem)
        return task.result()

    def stop(self, job_ids: list[str], why: Stop) -> list[str]:
        """End the attempts at these jobs; gives the ids of those that ran here."""
        running = [job_id for job_id in job_ids if job_id in self._attempts]
        for job_id in running:
            self._attempts[job_id].stop(why)
        return running

    def stop_queue(self, queue: str, why: Stop) -> None:
        """End every attempt of one queue."""
        for attempt in self.of_queue(queue):
            attempt.stop(why)

    def renewed(self, job_ids: list[str]) -> None:
        """The locks of these jobs have been renewed."""
        for job_id in job_ids:
            if job_id in self._attempts:
                self._attempts[job_id].renewed_at = time.monotonic()

    def lock_lost(self, job_ids: list[str]) -> None:
        """The locks of these jobs belong to somebody else, or to nobody."""
        for job_id in self.stop(job_ids, Stop.LOCK_LOST):
            logger.warning("The lock of job %s was lost; its child is ended.", job_id)

    async def watch_locks(self) -> None:
        """End attempts before their locks run out unrenewed, so that none runs at the same time as
        the next one.
        """
        while True:
            await asyncio.sleep(LOCK_LOOK_SECONDS)
            oldest = time.monotonic() - LOCK_TRUSTED_SHARE * self._lock_seconds
            for attempt in self._attempts.values():
                if attempt.renewed_at < oldest:
                    attempt.stop(Stop.LOCK_LOST)

    def check_cancelled(self, job_id: str) -> None:
        """End the attempt at this job if the store says, too, that the job is cancelled."""
        if job_id in self._attempts:
            check = asyncio.create_task(self._attempts[job_id].stop_if_cancelled())
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)

    async def close(self) -> None:
        """Leave off every check."""
        checks = tuple(self._checks)
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)


async def _interrupt(attempt: Attempt, task: asyncio.Task[Any]) -> None:
    """End an attempt that BullMQ's loop does not wait for any more."""
    attempt.stop(Stop.LOCK_LOST)
    await asyncio.wait({task}, timeout=INTERRUPTED_SECONDS)
    if task.done() and not task.cancelled():
        task.exception()  # seen: BullMQ asks for it no more


def _raise_for_bullmq(job_id: str, problem: BaseException) -> NoReturn:
    """Raise what BullMQ understands for the problem that ended an attempt."""
    if isinstance(problem, EngineUnavailable | ReplyError):
        # No failure of the job's. Its lock runs out, and another attempt follows.
        logger.warning("job %s is left to another attempt: %r", job_id, problem)
        raise WaitingChildrenError("The store could not be asked.") from problem
    if not isinstance(problem, Exception):
        raise AttemptFailed(f"{type(problem).__name__} in the worker.")
    if not isinstance(problem, AttemptFailed | WaitingChildrenError | DelayedError):
        logger.info("job %s ended with %r", job_id, problem)
    raise problem
