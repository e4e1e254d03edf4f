"""Totals of ended jobs, and what else those see who watch a store."""

from __future__ import annotations

import time
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.core.errors import Forbidden
from checkback.engine.jobs.statistics import read_figures
from checkback.engine.worker.upkeep.totals import RUN, WAIT, Tally
from checkback.security.auth.callers import LOCAL, Caller, Scope
from checkback.service import Service


async def test_totals_of_several_workers_add_up(connection: Connection) -> None:
    wire, key = connection.wire, connection.queues.keys.totals()
    one, other = Tally(wire, key), Tally(wire, key)
    one.ended("test.add", "completed", 0.05, 2.0)
    one.ended("test.add", "completed", 0.3, None)
    other.ended("test.add", "completed", 7200.0, 0.0)
    other.ended("test.add", "cancelled", None)
    assert await one.send() and await other.send() and await other.send()
    totals = (await read_figures(connection.queues)).totals
    assert totals.ended == {("test.add", "completed"): 3, ("test.add", "cancelled"): 1}
    buckets, seconds = totals.histograms(RUN)["test.add"]
    counts = dict(buckets)
    assert (counts["0.1"], counts["0.25"], counts["0.5"], counts["3600.0"], counts["+Inf"]) == (
        1,
        1,
        2,
        2,
        3,
    )
    assert seconds == pytest.approx(7200.35)
    waits, seconds = totals.histograms(WAIT)["test.add"]
    assert (dict(waits)["0.1"], dict(waits)["+Inf"], seconds) == (1, 2, 2.0)


async def test_what_a_full_store_refuses_is_counted_later(connection: Connection) -> None:
    tally = Tally(connection.wire, connection.queues.keys.totals())
    tally.ended("test.add", "failed", 1.0)
    await connection.wire.call("SET", connection.queues.keys.totals(), "not a hash")
    assert not await tally.send()
    await connection.wire.call("DEL", connection.queues.keys.totals())
    assert await tally.send()
    assert (await read_figures(connection.queues)).totals.ended == {("test.add", "failed"): 1}


async def test_the_longest_wait_is_told_whoever_is_next(
    connection: Connection, submit: Any
) -> None:
    queues, keys = connection.queues, connection.queues.keys
    first, second, tried, delayed = [await submit("test.add", a=1, b=1) for _ in range(4)]

    async def put_back(job_id: str, **fields: str) -> None:
        flat = [part for item in fields.items() for part in item]
        await connection.wire.call("HSET", keys.job("jobs", job_id), *flat)

    def ago(seconds: float) -> str:
        return str(int((time.time() - seconds) * 1000))

    await put_back(second, timestamp=ago(100))
    # Neither has waited since it was made: one was tried since, the other was to start later.
    await put_back(tried, timestamp=ago(900), ats="1", processedOn=ago(50))
    await put_back(delayed, timestamp=ago(900), opts='{"delay": 890000, "backoff": {"delay": 1}}')
    figures = await read_figures(queues)
    assert 100 <= figures.oldest_wait_seconds["jobs"] < 120
    assert figures.oldest_wait_seconds["documents"] == 0
    assert figures.counts["jobs"]["waiting"] == 4
    await connection.service.cancel(LOCAL, first)


async def test_figures_of_everybody_are_not_for_everybody(service: Service) -> None:
    for scopes in ((Scope.READ,), (Scope.READ, Scope.WRITE)):
        with pytest.raises(Forbidden):
            await service.figures(Caller("ada", frozenset(scopes)))
    await service.figures(Caller("prometheus", frozenset({Scope.METRICS})))
