"""``python -m chaos.crowd``: one server, 10,000 queued jobs, 1,000 clients that wait, 1,000 that
poll.

Measures over HTTP, on the embedded store at its default settings, and ends with 0 where every aim
was reached: submits and lists stay quick, all who wait are answered within a second, memory and
handles stay flat, the order is kept, and nothing is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import uvloop

from chaos.crowd_ignoring import Ignoring
from chaos.crowd_line import Line
from chaos.parts import ROOT, FreeWorker, Server
from chaos.soak_measure import MEGABYTE, count_handles, resident
from checkback.app.daemon import TOKENS_NAME
from checkback.engine.processes import tree
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.embedded import store_address, store_url
from checkback.engine.redis.keys import Keys
from checkback.kinds.registry import DEFAULT_QUEUE
from checkback.security.auth.token_files import add_token

SUBMITTERS = 20
WAIT_SECONDS = 30
POLL_SECONDS, POLL_ROUNDS = 15.0, 3
BACK_SECONDS = 10.0
FIRST_SECONDS = 10.0
WIDE = 8
MAX_SUBMIT_SECONDS, MAX_LIST_SECONDS, MAX_WAKE_SECONDS, MAX_POLL_SECONDS = 0.05, 0.3, 1.0, 1.0
MAX_AT_ONCE_SECONDS, MAX_BESIDE_SECONDS = 0.5, 5.0
MAX_STORE_BYTES = 100_000_000
MAX_GROWTH, MAX_LOSS = 0.10, 0.10
DRAIN_SECONDS = 600


@dataclass(slots=True)
class Findings:
    """What was measured, and which aims were missed."""

    missed: list[str] = field(default_factory=list[str])

    def tell(
        self,
        what: str,
        figure: float,
        unit: str,
        most: float | None = None,
        *,
        least: float | None = None,
    ) -> None:
        aim = "" if most is None else f"  (at most {most:g})"
        aim += "" if least is None else f"  (at least {least:g})"
        print(f"  {what:<56} {figure:>10.3f} {unit}{aim}", flush=True)
        if most is not None and figure > most:
            self.missed.append(f"{what}: {figure:.3f} {unit}, at most {most:g}")
        if least is not None and figure < least:
            self.missed.append(f"{what}: {figure:.3f} {unit}, at least {least:g}")


class Crowd:
    """One server, its worker, and those who come to it."""

    def __init__(self, folder: Path, jobs: int, clients: int) -> None:
        self._home = folder / "home"
        self._gate = folder
        self._jobs, self._clients = jobs, clients
        environment = _environment(self._home)
        self._server = Server(environment, folder / "log.txt", with_worker=False)
        store = {"CHECKBACK_REDIS_URL": store_url(self._home)}
        one = environment | store | {"CHECKBACK_JOB_CONCURRENCY": "1"}
        self._narrow = FreeWorker(one, folder / "log.txt", None)
        self._wide = FreeWorker(
            environment | store | {"CHECKBACK_JOB_CONCURRENCY": str(WIDE)}, folder / "log.txt", None
        )
        self._wire = RedisConnection(store_address(self._home), name="crowd")
        self._found = Findings()
        self._submitted: set[str] = set()
        self._other = ""

    async def run(self) -> list[str]:
        """Measure everything; returns what was missed."""
        try:
            self._home.mkdir(mode=0o700)
            self._other = add_token(self._home / TOKENS_NAME, "impatient")
            await self._server.start()
            await self._fill()
            order = await self._queued()
            await self._wait_and_submit()
            await self._hang_up()
            await self._drain(order)
            await self._poll()
            await self._ignore()
            return self._found.missed
        finally:
            await self._wire.close()
            for part in (self._narrow, self._wide, self._server):
                if part.started:
                    await asyncio.to_thread(tree.kill_tree, part.pid)
                    await part.wait()

    def _line(self) -> Line:
        return Line(self._server.url, self._server.token)

    async def _submit(self, line: Line, kind: str, **args: Any) -> str:
        job = await line.post("/api/jobs", {"kind": kind, "args": args})
        return str(job["id"])

    async def _fill(self) -> None:
        """A job that holds the queue up, and all the others behind it."""
        self._first = await self._submit(self._line(), "crowd.gate", path=str(self._gate / "first"))
        self._second = await self._submit(
            self._line(), "crowd.gate", path=str(self._gate / "second")
        )
        began = time.monotonic()
        await self._submit_many(self._jobs)
        self._found.tell(
            f"{self._jobs} submits, 20 at once", (time.monotonic() - began), "s in all"
        )

    async def _submit_many(self, count: int) -> list[float]:
        """Submit on twenty connections; returns what each took."""
        left, took = iter(range(count)), list[float]()

        async def some() -> None:
            line = self._line()
            for number in left:
                began = time.monotonic()
                self._submitted.add(await self._submit(line, "crowd.number", number=number))
                took.append(time.monotonic() - began)
            line.hang_up()

        await asyncio.gather(*(some() for _ in range(SUBMITTERS)))
        return took

    async def _queued(self) -> list[str]:
        """The ids that wait, in the order in which they are to run."""
        found: list[str] = await self._wire.call(
            "ZRANGE", Keys().queue(DEFAULT_QUEUE, "prioritized"), 0, -1
        )
        return found

    async def _works(self) -> bool:
        """Whether anything waits or runs."""
        waiting = await self._wire.call("ZCARD", Keys().queue(DEFAULT_QUEUE, "prioritized"))
        return bool(waiting or await self._active())

    async def _wait_and_submit(self) -> None:
        """A thousand waits for the first job, over and over, while others submit and list; then its
        end.
        """
        self._narrow.start()
        await self._until_active(self._first)
        lines = [self._line() for _ in range(self._clients)]
        before = resident(self._server.pid)
        waits = asyncio.gather(*(self._wait(line, self._first) for line in lines))
        await asyncio.sleep(5)
        self._found.tell("memory of the server, before anybody waits", before / MEGABYTE, "MB")
        early = resident(self._server.pid)
        self._found.tell(f"with {self._clients} that wait", early / MEGABYTE, "MB")
        await self._measure_doors()
        await asyncio.sleep(2 * WAIT_SECONDS)
        late = resident(self._server.pid)
        self._found.tell(
            "after two more rounds of waits", late / MEGABYTE, "MB", early / MEGABYTE * 1.1
        )
        (self._gate / "first").touch()
        late_by = await waits
        self._found.tell("the first hears of the end within", min(late_by), "s")
        self._found.tell("the last within", max(late_by), "s", MAX_WAKE_SECONDS)
        for line in lines:
            line.hang_up()

    async def _measure_doors(self) -> None:
        line, reader = self._line(), self._line()

        async def submit() -> None:
            self._submitted.add(await self._submit(line, "crowd.number", number=0))

        one_by_one = await _timed(submit, 300)
        self._found.tell("submit, one after the other, median", statistics.median(one_by_one), "s")
        self._found.tell("submit, p95", _percentile(one_by_one, 0.95), "s", MAX_SUBMIT_SECONDS)
        at_once = await self._submit_many(500)
        self._found.tell(
            "submit, 20 at once, p95", _percentile(at_once, 0.95), "s", MAX_AT_ONCE_SECONDS
        )
        listing = await _timed(lambda: reader.get("/api/jobs?limit=20"), 50)
        self._found.tell(
            "first page of the list, slowest of 50", max(listing), "s", MAX_LIST_SECONDS
        )
        reading = await _timed(lambda: reader.get(f"/api/jobs/{self._second}"), 200)
        self._found.tell("check of a waiting job, p95", _percentile(reading, 0.95), "s")
        self._found.tell("memory that the store uses", await self._used(), "bytes", MAX_STORE_BYTES)

    async def _wait(self, line: Line, job_id: str) -> float:
        """Wait for the end; returns how long after it the answer came."""
        while True:
            job = await line.get(f"/api/jobs/{job_id}?wait={WAIT_SECONDS}")
            if job["is_final"]:
                return time.time() - datetime.fromisoformat(job["finished_at"]).timestamp()

    async def _hang_up(self) -> None:
        """A thousand waits that are left: their handles and their memory come back."""
        await self._until_active(self._second)
        handles, memory = count_handles(self._server.pid), resident(self._server.pid)
        for _ in range(3):
            lines = [self._line() for _ in range(self._clients)]
            await asyncio.gather(
                *(line.begin(f"/api/jobs/{self._second}?wait=50") for line in lines)
            )
            await asyncio.sleep(2)
            for line in lines:
                line.hang_up()
            began = time.monotonic()
            async with asyncio.timeout(BACK_SECONDS):
                while count_handles(self._server.pid) > handles:
                    await asyncio.sleep(0.05)
            self._found.tell("handles are back after", time.monotonic() - began, "s", 2.0)
        grown = resident(self._server.pid) / memory - 1
        self._found.tell("memory has grown by", 100 * grown, "%", 100 * MAX_GROWTH)
        (self._gate / "second").touch()
        async with asyncio.timeout(WAIT_SECONDS):
            await self._wait(self._line(), self._second)
        tree.send(self._narrow.pid, signal.SIGTERM)
        await self._narrow.wait()

    async def _drain(self, order: list[str]) -> None:
        """Let all that wait run, and read every one of them."""
        waiting = len(await self._queued())
        self._wide.start()
        began = time.monotonic()
        async with asyncio.timeout(DRAIN_SECONDS):
            while await self._works():
                await asyncio.sleep(0.1)
        self._found.tell(
            "jobs a second until the queue is empty", waiting / (time.monotonic() - began), ""
        )
        line, seen, path = self._line(), dict[str, Any](), "/api/jobs?kind=crowd.number&limit=100"
        page = await line.get(path)
        while True:
            seen.update({job["id"]: job for job in page["jobs"]})
            if page["cursor"] is None:
                break
            page = await line.get(f"{path}&cursor={page['cursor']}")
        lost = self._submitted - {one for one, job in seen.items() if job["state"] == "completed"}
        self._found.tell("jobs submitted", len(self._submitted), "")
        self._found.tell("jobs lost", len(lost), "", 0)
        ran = [job_id for job_id in order if job_id in seen]
        starts = sorted(
            ran, key=lambda job_id: seen[job_id]["started_at"]
        )  # equal ones stay in order
        place = {job_id: number for number, job_id in enumerate(starts)}
        moved = max(abs(place[job_id] - number) for number, job_id in enumerate(ran))
        self._found.tell("places by which a job started early or late", moved, "", WIDE)

    async def _poll(self) -> None:
        """What a thousand pollers, who poll when the answers say so, cost the workers."""
        alone, loaded, took = list[float](), list[float](), list[float]()
        lasted = 0.0
        for _ in range(POLL_ROUNDS):
            alone.append(await self._throughput())
            pollers = [asyncio.create_task(self._poll_one(took)) for _ in range(self._clients)]
            began = time.monotonic()
            try:
                await asyncio.sleep(FIRST_SECONDS)
                loaded.append(await self._throughput())
            finally:
                lasted += time.monotonic() - began
                for poller in pollers:
                    poller.cancel()
            answers = await asyncio.gather(*pollers, return_exceptions=True)
            refused = sum(not isinstance(one, asyncio.CancelledError) for one in answers)
            self._found.tell("pollers that were refused", refused, "", 0)
        before, after = statistics.median(alone), statistics.median(loaded)
        self._found.tell("jobs a second, nobody polls", before, "")
        self._found.tell(f"jobs a second, {self._clients} poll", after, "")
        self._found.tell("that is less by", 100 * (1 - after / before), "%", 100 * MAX_LOSS)
        self._found.tell("checks a second", len(took) / lasted, "")
        self._found.tell("check, p99", _percentile(took, 0.99), "s", MAX_POLL_SECONDS)

    async def _poll_one(self, took: list[float]) -> None:
        """Submit a job that starts late, and ask as often as the answers say, until cancelled."""
        line = self._line()
        try:
            await asyncio.sleep(
                random.uniform(0, FIRST_SECONDS)
            )  # a thousand do not come in one moment
            late = {"kind": "crowd.work", "args": {"seconds": 0}, "delay_seconds": 3600}
            job = await line.post("/api/jobs", late)
            while True:
                began = time.monotonic()
                job = await line.get(f"/api/jobs/{job['id']}")
                took.append(time.monotonic() - began)
                await asyncio.sleep(job["check_after_seconds"])
        finally:
            line.hang_up()

    async def _ignore(self) -> None:
        """What a thousand clients of one owner, who ask without a pause, are answered, and cost the
        others.

        They and the server use up two cores: the pace of the workers at the same time is printed,
        and has no aim.
        """
        count = await self._submit_work()
        ignoring = Ignoring(self._server.url, self._other, self._clients)
        line, began = self._line(), time.monotonic()
        async with ignoring.asking():
            took = await _timed(lambda: line.get(f"/api/jobs/{self._second}"), 10)
            await self._worked()
        pace = count / (time.monotonic() - began)
        answers = dict(ignoring.answers)
        self._found.tell("of those who never pause: answered", answers.pop("200", 0), "")
        self._found.tell("refused (429)", answers.pop("429", 0), "", least=1)
        self._found.tell("refused (503): there was no time for it", answers.pop("503", 0), "")
        self._found.tell("refused without Retry-After", ignoring.untold, "", 0)
        self._found.tell("answered otherwise, or not at all", sum(answers.values()), "", 0)
        self._found.tell(
            "check of another owner at the same time, slowest of 10",
            max(took),
            "s",
            MAX_BESIDE_SECONDS,
        )
        self._found.tell("jobs a second at the same time", pace, "")

    async def _throughput(self) -> float:
        """Jobs of 0.1 s a second through the worker, for a while."""
        began = time.monotonic()
        count = await self._submit_work()
        await self._worked()
        return count / (time.monotonic() - began)

    async def _submit_work(self) -> int:
        line = self._line()
        count = round(POLL_SECONDS * WIDE / 0.13)
        for _ in range(count):
            await line.post("/api/jobs", {"kind": "crowd.work", "args": {"seconds": 0.1}})
        return count

    async def _worked(self) -> None:
        """Return when nothing waits or runs."""
        async with asyncio.timeout(DRAIN_SECONDS):
            while await self._works():
                await asyncio.sleep(0.05)

    async def _until_active(self, job_id: str) -> None:
        line = self._line()
        async with asyncio.timeout(60):
            while (await line.get(f"/api/jobs/{job_id}"))["state"] != "active":
                await asyncio.sleep(0.05)

    async def _active(self) -> int:
        return await self._wire.call("LLEN", Keys().queue(DEFAULT_QUEUE, "active"))

    async def _used(self) -> float:
        lines: str = await self._wire.call("INFO", "memory")
        return next(float(line[12:]) for line in lines.split() if line.startswith("used_memory:"))


async def _timed(ask: Callable[[], Awaitable[object]], times: int) -> list[float]:
    took: list[float] = []
    for _ in range(times):
        began = time.monotonic()
        await ask()
        took.append(time.monotonic() - began)
    return took


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _environment(home: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("CHECKBACK_")}
    return own | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(
            os.pathsep
        ),
        "CHECKBACK_HOME": str(home),
        "CHECKBACK_KINDS": "chaos.crowd_kinds",
        "CHECKBACK_PORT": "0",
        "CHECKBACK_LOG_LEVEL": "warning",
    }


def main() -> int:
    """Run by the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m chaos.crowd", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=1000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="crowd-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        missed = runner.run(Crowd(Path(folder), options.jobs, options.clients).run())
    for one in missed:
        print(f"MISSED: {one}")
    print("FAILED" if missed else "every aim was reached")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
