"""Measures the engine in one run on one Valkey: status reads, pickup, isolation, retained jobs,
submits.

    python benchmarks/engine.py [--quick] [--only reads,pickup,isolation,retained,submits]

It uses a separate data folder, which it removes. Read the ratios, not the figures: other programs
on the machine slow all ways alike, because they are measured in turns. ``docs/performance.md``
explains each part.
"""

# pyright: basic

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import uvloop
from bench_kinds import IDLE_QUEUES
from bench_parts import (
    IN_FLIGHT,
    Aim,
    Reading,
    in_turns,
    open_store,
    own_settings,
    per_second,
    percentile,
    row,
    running_worker,
    title,
)
from bullmq import Job as BullJob
from bullmq import Queue as BullQueue
from redis.asyncio import BlockingConnectionPool, Redis

from checkback.app.connect import Connection
from checkback.core.ids import new_job_id
from checkback.core.job import Job
from checkback.engine.jobs.scripts import STATUS
from checkback.engine.redis.connection import RedisConnection, Script
from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings

EMPTY = Script("return 1")
CLONES_IN_ONE_GO = 500


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    reads: int
    retained: int
    jobs: int
    submits: int
    idle_seconds: float
    idle_rounds: int


FULL = Sizes(
    rounds=5,
    reads=10_000,
    retained=100_000,
    jobs=100,
    submits=2_000,
    idle_seconds=60,
    idle_rounds=2,
)
QUICK = Sizes(
    rounds=3, reads=5_000, retained=20_000, jobs=30, submits=500, idle_seconds=8, idle_rounds=1
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part gets."""

    settings: Settings
    sizes: Sizes
    valkey: EmbeddedValkey
    aims: list[Aim]

    def connection(self) -> dict[str, str | None]:
        """The store, for BullMQ's own classes."""
        where = self.valkey.address
        return {
            "unix_socket_path": where.unix_path,
            "username": where.username,
            "password": where.password,
        }

    def store(self, prefix: str, queues: tuple[str, ...] = ()) -> Settings:
        """Settings of a separate store, with the queues that every server has and those given."""
        return replace(self.settings, prefix=prefix, queues=queues)


async def finished_job(connection: Connection) -> Job:
    """A job that a real worker has run."""
    service = connection.service
    job = (await service.submit(LOCAL, "bench.empty", {})).job
    return await service.wait(LOCAL, job.id, 30)


async def retain(connection: Connection, job: Job, count: int) -> list[str]:
    """Copies of a finished job: its very hash under new ids, with their places in the set and the
    index.
    """
    wire, prefix = connection.wire, connection.settings.prefix
    flat: list[str] = await wire.call("HGETALL", f"{prefix}:{job.queue}:{job.id}")
    finished = flat[flat.index("finishedOn") + 1]
    ids: list[str] = []
    for start in range(0, count, CLONES_IN_ONE_GO):
        fresh = [new_job_id() for _ in range(min(CLONES_IN_ONE_GO, count - start))]
        commands: list[list[Any]] = [
            ["HSET", f"{prefix}:{job.queue}:{one}", *flat] for one in fresh
        ]
        commands.append(["ZADD", f"{prefix}:{job.queue}:completed", *_scored(fresh, finished)])
        commands.append(["ZADD", f"{prefix}:cb:owner:{job.owner}", *_scored(fresh, finished)])
        await wire.transaction(commands)
        ids += fresh
    return ids


def _scored(ids: list[str], score: str) -> list[str]:
    return [part for one in ids for part in (score, one)]


async def measure_reads(bench: Bench) -> None:
    """One status read in each of the ways that a program has."""
    title(f"Status reads of finished jobs, one process, {IN_FLIGHT} in flight")
    sizes = bench.sizes
    async with open_store(bench.store("reads")) as connection:
        async with running_worker(connection):
            job = await finished_job(connection)
        ids = await retain(connection, job, 1000)
        queue: Any = BullQueue("jobs", {"prefix": "reads", "connection": bench.connection()})
        connections: Any = BlockingConnectionPool
        url = bench.valkey.url
        pool: Any = Redis(
            connection_pool=connections.from_url(
                url, max_connections=IN_FLIGHT, decode_responses=True
            )
        )
        pooled: Any = BullQueue("jobs", {"prefix": "reads", "connection": pool})
        await asyncio.gather(*(pool.set(f"raw:{one}", "x" * 300) for one in ids))
        ways: dict[str, Reading] = {
            "checkback: Queues.read": connection.queues.read,
            "BullMQ: Job.fromId + getState": partial(bull_status, queue),
            "the same on a pool of 50 connections": partial(bull_status, pooled),
            "our script, its answer not decoded": partial(undecoded, connection),
            "an empty script on our connection": partial(empty_script, connection),
            "raw GET on our connection": lambda one: connection.wire.call("GET", f"raw:{one}"),
            "raw GET on a redis-py pool of 50": lambda one: pool.get(f"raw:{one}"),
        }
        medians = await in_turns(
            {name: partial(per_second, way, ids, sizes.reads) for name, way in ways.items()},
            sizes.rounds,
        )
        await queue.close()
        await pooled.close()
        await pool.aclose()
    ours, bull = medians["checkback: Queues.read"], medians["BullMQ: Job.fromId + getState"]
    raw = medians["raw GET on our connection"]
    row("", "reads/s", "x BullMQ", "x raw GET")
    for name, value in medians.items():
        row(name, f"{value:,.0f}", f"{value / bull:.2f}", f"{value / raw:.2f}")
    bench.aims.append(
        Aim(f"status read at least 2 x BullMQ's own: {ours / bull:.1f} x", ours / bull >= 2)
    )
    bench.aims.append(
        Aim(
            f"status read at least 35 % of raw GET on the same client: {ours / raw:.0%}",
            ours / raw >= 0.35,
        )
    )


async def bull_status(queue: Any, job_id: str) -> str:
    """What a program does that uses BullMQ itself."""
    job: Any = await BullJob.fromId(queue, job_id)
    return await job.getState()


async def undecoded(connection: Connection, job_id: str) -> object:
    """A status read up to the answer of the store."""
    prefix = connection.settings.prefix
    keys = [f"{prefix}:{queue}:{job_id}" for queue in connection.settings.concurrency]
    return await connection.wire.script(STATUS, keys, [job_id, "0"])


async def empty_script(connection: Connection, job_id: str) -> object:
    """The least that any script costs."""
    return await connection.wire.script(EMPTY, ["reads:jobs:" + job_id])


async def measure_pickup(bench: Bench) -> None:
    """From the call of submit until the event says that a worker has the job."""
    title("Pickup: from submit to active")
    sizes = bench.sizes
    async with (
        open_store(bench.store("pickup", IDLE_QUEUES)) as connection,
        running_worker(connection),
    ):
        heard: dict[str, float] = {}
        rang = asyncio.Event()

        def hear(_queue: str, event: str, job_id: str) -> None:
            if event == "active":
                heard[job_id] = time.perf_counter()
                rang.set()

        await connection.feed.listen(hear)

        async def sample(kind: str) -> float:
            begun = time.perf_counter()
            job_id = (await connection.service.submit(LOCAL, kind, {})).job.id
            while job_id not in heard:
                rang.clear()
                await rang.wait()
            await connection.service.wait(LOCAL, job_id, 30)
            return (heard[job_id] - begun) * 1000

        for queue in IDLE_QUEUES:  # each loop and its child have run once
            await sample(f"bench.{queue}")
        row("", "median ms", "p95 ms", "samples")
        for idle, rounds in ((0.2, 2), (sizes.idle_seconds, sizes.idle_rounds)):
            samples: list[float] = []
            for _ in range(rounds):
                await asyncio.sleep(idle)
                samples += [await sample(f"bench.{queue}") for queue in IDLE_QUEUES]
            median, p95 = statistics.median(samples), percentile(samples, 0.95)
            row(f"after {idle:g} s without a job", f"{median:.1f}", f"{p95:.1f}", str(len(samples)))
            if idle >= 1:
                text = f"pickup after {idle:g} s idle under 20 ms: {median:.1f} ms"
                bench.aims.append(Aim(text, median < 20))


async def measure_isolation(bench: Bench) -> None:
    """Empty jobs through a real worker process and a child process for each."""
    title("Jobs through the isolation: one forked child each")
    sizes = bench.sizes
    async with open_store(bench.store("isolation")) as connection, running_worker(connection):
        service = connection.service

        async def run_one() -> None:
            job = (await service.submit(LOCAL, "bench.empty", {})).job
            await service.wait(LOCAL, job.id, 60)

        async def serial() -> float:
            begun = time.perf_counter()
            for _ in range(sizes.jobs):
                await run_one()
            return (time.perf_counter() - begun) / sizes.jobs * 1000

        async def concurrent() -> float:
            begun = time.perf_counter()
            await asyncio.gather(*(run_one() for _ in range(sizes.jobs)))
            return (time.perf_counter() - begun) / sizes.jobs * 1000

        ways = {"one after the other": serial, "all at once": concurrent}
        medians = await in_turns(ways, min(sizes.rounds, 5))
    row("", "ms a job", "jobs/s")
    for name, value in medians.items():
        row(name, f"{value:.1f}", f"{1000 / value:.0f}")
    value = medians["one after the other"]
    bench.aims.append(
        Aim(f"under 25 ms a job, submit and wait included: {value:.1f} ms", value < 25)
    )


async def measure_retained(bench: Bench) -> None:
    """The same read in a store with few finished jobs and in one with many."""
    title("Status reads with many finished jobs kept")
    sizes = bench.sizes
    few, many = bench.store("few"), bench.store("many")
    async with open_store(few) as small, open_store(many) as large:
        async with running_worker(small):
            job = await finished_job(small)
        small_ids = await retain(small, job, 1000)
        key = f"jobs:{job.id}"
        await small.wire.call("COPY", f"few:{key}", f"many:{key}")
        begun = time.perf_counter()
        large_ids = await retain(large, job, sizes.retained)
        row(f"{sizes.retained:,} finished jobs made in", f"{time.perf_counter() - begun:.1f} s")
        spread = large_ids[:: max(1, len(large_ids) // 1000)]
        ways = {
            "1,000 finished jobs": partial(per_second, small.queues.read, small_ids, sizes.reads),
            f"{sizes.retained:,} finished jobs": partial(
                per_second, large.queues.read, spread, sizes.reads
            ),
        }
        medians = await in_turns(ways, sizes.rounds)
    base = medians["1,000 finished jobs"]
    row("", "reads/s", "ratio")
    for name, value in medians.items():
        row(name, f"{value:,.0f}", f"{value / base:.2f}")
    ratio = list(medians.values())[1] / base
    bench.aims.append(Aim(f"unchanged by {sizes.retained:,} kept jobs: {ratio:.2f} x", ratio > 0.9))


async def measure_submits(bench: Bench) -> None:
    """Submits with each way of writing to disk."""
    title("Submits, by when the store writes to disk (appendfsync)")
    sizes = bench.sizes
    async with open_store(bench.store("submits")) as connection:
        service = connection.service
        admin = RedisConnection(bench.valkey.admin_address, name="bench-admin")

        async def submit(_number: str = "") -> None:
            await service.submit(LOCAL, "bench.empty", {})

        async def one_by_one() -> float:
            count = max(1, sizes.submits // 5)
            begun = time.perf_counter()
            for _ in range(count):
                await submit()
            return count / (time.perf_counter() - begun)

        def under(
            policy: str, measure: Callable[[], Awaitable[float]]
        ) -> Callable[[], Awaitable[float]]:
            async def run() -> float:
                await admin.call("CONFIG", "SET", "appendfsync", policy)
                return await measure()

            return run

        at_once = partial(per_second, submit, [""], sizes.submits)
        ways = {
            f"{policy}, {how}": under(policy, measure)
            for how, measure in (("one by one", one_by_one), (f"{IN_FLIGHT} in flight", at_once))
            for policy in ("everysec", "always")
        }
        medians = await in_turns(ways, min(sizes.rounds, 5))
        await admin.call("CONFIG", "SET", "appendfsync", "everysec")
        await admin.close()
    row("", "submits/s", "ms each", "x everysec")
    base = 1.0
    for name, value in medians.items():
        if name.startswith("everysec"):
            base = value
        row(name, f"{value:,.0f}", f"{1000 / value:.2f}", f"{value / base:.2f}")


PARTS = {
    "reads": measure_reads,
    "pickup": measure_pickup,
    "isolation": measure_isolation,
    "retained": measure_retained,
    "submits": measure_submits,
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the engine of checkback.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes: a minute in all")
    parser.add_argument(
        "--only", default=",".join(PARTS), help="parts to measure: " + ", ".join(PARTS)
    )
    parser.add_argument("--rounds", type=int, help="measured rounds of each part")
    parser.add_argument("--reads", type=int, help="reads in one round")
    parser.add_argument("--retained", type=int, help="finished jobs that are kept")
    parser.add_argument(
        "--idle-seconds", type=float, help="how long the queues idle before a pickup"
    )
    return parser.parse_args()


async def run(names: list[str], bench: Bench) -> None:
    for name in names:
        await PARTS[name](bench)
    title("Aims")
    for aim in bench.aims:
        print(f"  {aim}")


def main() -> None:
    options = parse()
    names = [name.strip() for name in options.only.split(",") if name.strip()]
    given = {
        name: value
        for name in ("rounds", "reads", "retained", "idle_seconds")
        if (value := getattr(options, name)) is not None
    }
    sizes = replace(QUICK if options.quick else FULL, **given)
    with (
        own_settings() as (settings, valkey),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(run(names, Bench(settings, sizes, valkey, [])))


if __name__ == "__main__":
    main()
