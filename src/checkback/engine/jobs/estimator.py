"""How long a job will still take, from how long others took and what waits before it."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

from checkback.core import estimates
from checkback.core.job import Job
from checkback.core.states import State
from checkback.engine.jobs.backlog import SCAN_LIMIT
from checkback.engine.jobs.store import JobStore

ESTIMATE_SECONDS = 10.0
BACKLOG_SECONDS = 1.0


class Estimator:
    """The outlook of any job, and what was read for it a moment ago."""

    def __init__(
        self,
        queues: JobStore,
        *,
        runs_seconds: float = ESTIMATE_SECONDS,
        backlog_seconds: float = BACKLOG_SECONDS,
    ) -> None:
        """How long jobs took is read again when it is older than ``runs_seconds``, what waits in a
        queue when it is older than ``backlog_seconds``.
        """
        self._queues = queues
        self._runs_seconds = runs_seconds
        self._backlog_seconds = backlog_seconds
        self._estimates: dict[str, tuple[float, list[estimates.KindRun]]] = {}
        self._backlogs: dict[str, tuple[float, estimates.Backlog]] = {}

    async def runs(self, kind: str) -> list[estimates.KindRun]:
        """How long the last completed runs of a kind took, newest first; read a
        moment ago.
        """
        read_at, runs = self._estimates.get(kind, (-math.inf, []))
        if time.monotonic() - read_at > self._runs_seconds:
            runs = await self._queues.runs(kind)
            self._estimates[kind] = (time.monotonic(), runs)
        return runs

    async def of(self, job: Job) -> estimates.Estimate:
        """A job's position in its queue and how long it will take, where that is known.

        What waits in a queue is read again, too, for a job that is newer than the last reading.
        """
        if job.state.is_final:
            return estimates.NO_ESTIMATE
        if job.state is State.WAITING:
            position = await self._queues.position(job)
            seconds = (
                await self._seconds_until_done(job)
                if (position or math.inf) <= SCAN_LIMIT
                else None
            )
            return estimates.Estimate(position, seconds)
        runs = await self.runs(job.kind)
        return estimates.Estimate(None, estimates.eta_seconds(job, runs, datetime.now(UTC)))

    async def _seconds_until_done(self, job: Job) -> int | None:
        if len(await self.runs(job.kind)) < estimates.LEAST_RUNS:
            return None  # what waits before it need not be looked at
        read_at, backlog = self._backlogs.get(job.queue, (-math.inf, None))
        place = None if backlog is None else backlog.position(job.id)
        if backlog is None or place is None or time.monotonic() - read_at > self._backlog_seconds:
            backlog = await self._queues.backlog(job.queue)
            self._backlogs[job.queue] = (time.monotonic(), backlog)
            place = backlog.position(job.id)
        if place is None:
            return None
        typical = {
            kind: estimates.typical_seconds(await self.runs(kind)) for kind in backlog.kinds(place)
        }
        return estimates.seconds_until_done(backlog, place, typical)
