"""What the benchmarks share: a store and a worker of their own, measuring in turns, and a table."""

# pyright: basic

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from checkback.app.connect import Connection, make_engine, make_service
from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.kinds import registry
from checkback.settings import Settings, to_environment

HERE = Path(__file__).parent
WORKER_READY_SECONDS = 30.0
IN_FLIGHT = 50

Reading = Callable[[str], Awaitable[object]]


@contextmanager
def own_settings(**values: object) -> Generator[tuple[Settings, EmbeddedValkey]]:
    """A temporary data folder with its own Valkey."""
    registry.load(("bench_kinds",))
    with tempfile.TemporaryDirectory(prefix="checkback-bench-") as folder:
        home = Path(folder)
        valkey = EmbeddedValkey(home, appendfsync="everysec")
        valkey.start()
        settings = Settings(
            home=home,
            redis_url=valkey.url,
            kinds=("bench_kinds",),
            log_level="error",
        )
        try:
            yield replace(settings, **values), valkey  # type: ignore[arg-type]
        finally:
            valkey.stop()


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncGenerator[Connection]:
    """The use cases on a store."""
    wire, feed, queues = make_engine(settings, "checkback-bench")
    try:
        yield Connection(make_service(settings, queues), queues, wire, feed, settings, None)
    finally:
        await feed.close()
        await wire.close()


@asynccontextmanager
async def running_worker(connection: Connection) -> AsyncGenerator[int]:
    """``checkback worker`` as a process, ready to take jobs; its number."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "checkback", "worker",
        env={**os.environ, "PYTHONPATH": path, **to_environment(connection.settings)},
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        workers = f"{connection.settings.prefix}:cb:workers"
        async with asyncio.timeout(WORKER_READY_SECONDS):
            while not await connection.wire.call("HLEN", workers):
                await asyncio.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def per_second(reading: Reading, ids: list[str], total: int) -> float:
    """How many reads a second, with 50 in flight."""

    async def read_some(start: int) -> None:
        for number in range(start, total, IN_FLIGHT):
            await reading(ids[number % len(ids)])

    begun = time.perf_counter()
    await asyncio.gather(*(read_some(start) for start in range(IN_FLIGHT)))
    return total / (time.perf_counter() - begun)


async def in_turns(
    ways: Mapping[str, Callable[[], Awaitable[float]]], rounds: int, *, warm_up: bool = True
) -> dict[str, float]:
    """The median of each way, measured in turns, so that a noisy moment hits all of them."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + warm_up):
        for name, measure in ways.items():
            value = await measure()
            if number or not warm_up:
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of the others do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should be, and whether it is."""

    text: str
    reached: bool

    def __str__(self) -> str:
        return f"{'reached' if self.reached else 'MISSED '}  {self.text}"


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def row(name: str, *cells: str) -> None:
    print(f"  {name:<46}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
