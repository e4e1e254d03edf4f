"""What one attempt writes to the store. Our scripts check the attempt's lock token, so an attempt
that lost its lock stores nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bullmq import Job as BullJob
from bullmq.custom_errors import WaitingChildrenError

from checkback.core.errors import EngineUnavailable
from checkback.core.estimates import REMEMBERED_RUNS
from checkback.core.job import PhaseStart
from checkback.engine.jobs.codec import encode_phases
from checkback.engine.redis import bullmq_scripts
from checkback.engine.redis.connection import RedisConnection, ReplyError, Script
from checkback.engine.redis.keys import Keys
from checkback.security.auth.callers import LOCAL_OWNER

logger = logging.getLogger(__name__)

COUNT_RETURNED = Script.named("count_returned")
FINISH = Script.named("finish")
MARK_WAITING = Script.named("mark_waiting")
PROGRESS = Script.named("progress")
RECORD_RUN = Script.named("record_run")
SAVE_STATE = Script.named("save_state")

KEPT_LOG_LINES = 1000
STORED, STORED_AND_CANCELLED, NO_JOB, NOT_OURS = 1, 2, -1, -2
"""What the scripts answer; see their headers."""
END_RETRY_SECONDS = 0.25
PASSING_REFUSALS: Final = (
    "OOM",
    "MISCONF",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "NOREPLICAS",
    "CLUSTERDOWN",
    "TRYAGAIN",
)
"""Refusals of a store that will take the end of a job later: full, stuck, or changing its master.
"""


@dataclass(frozen=True, slots=True)
class Finish:
    """What belongs to the end of an attempt; texts are JSON, "" means nothing."""

    artifacts: str = ""
    failure: str = ""
    progress: str = ""
    #: How many lost workers are not to be counted when the job is retried.
    forgiven: str = ""
    #: How many bytes the result has, which BullMQ's own script stores next.
    result_bytes: int = 0


class AttemptStore:
    """The writes of one attempt of ``job``."""

    def __init__(
        self,
        connection: RedisConnection,
        keys: Keys,
        queue: str,
        job: BullJob,
        token: str,
        *,
        owner_store_bytes: int = 0,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._queue = queue
        self._job = job
        self._job_id: str = job.id
        self._token = token
        self._hash = keys.job(queue, self._job_id)
        #: What the jobs of one owner may take in the store; 0 means no limit.
        self._owner_store_bytes = owner_store_bytes

    async def write_progress(self, progress: str, lines: Sequence[str]) -> int:
        """Store progress and log lines. Raises EngineUnavailable and ReplyError."""
        events = self._keys.queue(self._queue, "events")
        keys = [self._hash, events, self._hash + ":logs", self._keys.sizes()]
        limits = (KEPT_LOG_LINES, self._owner_store_bytes)
        return await self._connection.script(
            PROGRESS, keys, [self._job_id, self._token, progress, *limits, *lines]
        )

    async def save(self, text: str) -> bool:
        """Store what the job keeps for a later attempt; false if another attempt has the job."""
        try:
            reply = await self._connection.script(
                SAVE_STATE, [self._hash, self._keys.sizes()], [self._token, text]
            )
        except (EngineUnavailable, ReplyError):
            return False
        return reply == STORED

    async def mark_waiting(self) -> bool:
        """Mark the attempt as one that waits for other jobs; false if that could not be stored."""
        try:
            reply = await self._connection.script(MARK_WAITING, [self._hash], [self._token])
        except (EngineUnavailable, ReplyError):
            return False
        return reply == STORED

    async def count_returned(self, number: int) -> bool:
        """Count attempts that did not run. False in an outage, which only makes the count of lost
        workers too small.
        """
        try:
            return await self._connection.script(COUNT_RETURNED, [self._hash], [number]) == STORED
        except (EngineUnavailable, ReplyError):
            return False

    async def finish(self, end: Finish, has_lost_lock: Callable[[], bool]) -> int:
        """Store what belongs to the end; waits out an outage or a full store while the lock may
        live. Raises WaitingChildrenError once it is lost: the job is another attempt's.
        """
        keys = [self._hash, self._keys.sizes()]
        args = [
            self._token,
            end.artifacts,
            end.failure,
            end.progress,
            end.forgiven,
            end.result_bytes,
        ]
        while True:
            try:
                reply = await self._connection.script(FINISH, keys, args)
                break
            except (EngineUnavailable, ReplyError) as error:
                if isinstance(error, ReplyError) and not str(error).startswith(PASSING_REFUSALS):
                    raise
            if has_lost_lock():
                raise WaitingChildrenError("The lock was lost in an outage.")
            await asyncio.sleep(END_RETRY_SECONDS)
        if reply in (NOT_OURS, NO_JOB):
            raise WaitingChildrenError("The lock was lost; nothing is stored.")
        return reply

    async def record_run(self, kind: str, seconds: float, phases: Sequence[PhaseStart]) -> None:
        """Record how long the run took, for the estimates of later jobs; nothing depends on it."""
        run = json.dumps([round(seconds * 1000), encode_phases(phases)])
        try:
            await self._connection.script(
                RECORD_RUN, [self._keys.runs()], [kind, run, REMEMBERED_RUNS]
            )
        except (EngineUnavailable, ReplyError) as error:
            logger.info("how long job %s took was not recorded: %s", self._job_id, error)

    async def return_to_queue(self) -> None:
        """Put the job back to the front of its queue, with this attempt not counted."""
        names = (
            "active",
            "wait",
            "stalled",
            "paused",
            "meta",
            "limiter",
            "prioritized",
            "marker",
            "events",
        )
        keys = [self._keys.queue(self._queue, name) for name in names]
        script = bullmq_scripts.script("moveJobFromActiveToWait-9")
        args = [self._job_id, self._token, self._hash]
        if await self._connection.script(script, keys, args) >= 0:
            await self._connection.script(COUNT_RETURNED, [self._hash], [1])

    async def adopt(self) -> None:
        """Give a job that another BullMQ client added its owner and its place in the index."""
        index = self._keys.owner(LOCAL_OWNER)
        await self._connection.transaction(
            [
                ["HSETNX", self._hash, "cb:owner", LOCAL_OWNER],
                ["ZADD", index, "NX", self._job.timestamp, self._job_id],
            ]
        )
