"""``python -m chaos.kills --times 50``: the whole server killed in the middle of submits, again and
again.

In every other round a worker runs what is submitted, and a long job is under way when it dies.
Every id that was acknowledged must be known after every start, one store may run for the folder,
and in the end all jobs run. Ends with 0 where that was so, and where each round acknowledged
something.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from chaos.crowd_line import Line, Refused
from chaos.parts import Parts, Server
from checkback.engine.processes import tree

SUBMITTERS = 2
LEAST_SECONDS, MAX_SECONDS = 0.2, 1.0
CHECKED_AT_ONCE = 20
END_SECONDS = 300.0
LONG_SECONDS = 8.0


class Kills:
    """One folder, and the servers that die on it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._parts = Parts(folder, 0, None)
        self._random = random.Random(seed)
        self._log = folder / "log.txt"
        self._acknowledged: list[str] = []
        self._long: set[str] = set()
        self._worked = False
        self.problems: list[str] = []
        self.started: list[float] = []

    async def run(self, times: int) -> None:
        """Start, check, submit, kill; then let everything end."""
        for number in range(times):
            await self._round(number, with_worker=number % 2 == 1)
        server = await self._start(with_worker=True)
        try:
            await self._all(server, "?wait=50", {"completed"})
        finally:
            await asyncio.to_thread(tree.kill_tree, server.pid)
            await server.wait()

    async def _round(self, number: int, *, with_worker: bool) -> None:
        """Start, check, submit; kill everything amid that."""
        server = await self._start(with_worker=with_worker)
        before = len(self._acknowledged)
        submitting = [asyncio.create_task(self._submit(server)) for _ in range(SUBMITTERS)]
        if with_worker:
            self._worked = True
            await self._run_long(server)
        await asyncio.sleep(self._random.uniform(LEAST_SECONDS, MAX_SECONDS))
        for pid in (server.pid, *tree.descendants(server.pid)):
            tree.send(pid, signal.SIGKILL)
        await server.wait()
        await asyncio.gather(*submitting)
        if len(self._acknowledged) == before:
            self.problems.append(f"nothing was acknowledged in round {number}")

    async def _run_long(self, server: Server) -> None:
        """Return when a job runs that will not have ended when the server dies."""
        line = Line(server.url, server.token)
        body = {"kind": "chaos.work", "args": {"number": 0, "seconds": LONG_SECONDS}}
        job = await line.post("/api/jobs", body)
        self._long.add(job["id"])
        async with asyncio.timeout(END_SECONDS):
            while job["state"] == "waiting":
                await asyncio.sleep(0.05)
                job = await line.get(f"/api/jobs/{job['id']}")
        if job["state"] != "active":
            self.problems.append(f"{job['id']} is {job['state']} at once")
        line.hang_up()

    def tell(self, times: int) -> None:
        """Print what was found."""
        print(f"kills: {times} times the server and all below it")
        print(f"  {'jobs acknowledged':40} {len(self._acknowledged):>8}")
        print(f"  {'long jobs that were under way':40} {len(self._long):>8}")
        print(f"  {'slowest start, s':40} {max(self.started):>8.1f}")
        print(f"  {'problems':40} {len(self.problems):>8}")
        for problem in self.problems[:10]:
            print(f"PROBLEM: {problem}")
        print(
            "FAILED" if self.problems else "every id was known after every start, and every job ran"
        )

    async def _start(self, *, with_worker: bool) -> Server:
        began = time.monotonic()
        server = Server(self._parts.environment, self._log, with_worker=with_worker)
        await server.start()
        self.started.append(time.monotonic() - began)
        if (stores := len(self._parts.stores())) != 1:
            self.problems.append(f"{stores} stores on one folder")
        await self._all(
            server, "", {"waiting", "active", "completed"} if self._worked else {"waiting"}
        )
        return server

    async def _submit(self, server: Server) -> None:
        """Submit until the server is dead."""
        line = Line(server.url, server.token)
        while True:
            try:
                body = {"kind": "chaos.work", "args": {"number": 1, "seconds": 0}}
                self._acknowledged.append((await line.post("/api/jobs", body))["id"])
            except (OSError, EOFError, Refused):
                return

    async def _all(self, server: Server, query: str, states: set[str]) -> None:
        """Ask for every acknowledged job: each must be there, in one of these states."""
        left = iter((*self._acknowledged, *self._long))

        async def some() -> None:
            line = Line(server.url, server.token)
            for job_id in left:
                try:
                    job = await line.get(f"/api/jobs/{job_id}{query}")
                    if job["state"] not in states and not self._was_lost_too_often(job):
                        self.problems.append(
                            f"{job_id} is {job['state']}, not one of {sorted(states)}: "
                            f"{job['failure']}"
                        )
                except Refused as refused:
                    self.problems.append(f"{job_id}: {refused}")

        async with asyncio.timeout(END_SECONDS):
            await asyncio.gather(*(some() for _ in range(CHECKED_AT_ONCE)))

    def _was_lost_too_often(self, job: dict[str, Any]) -> bool:
        """Whether it was one of the long ones, whose worker may have died under it three times."""
        failure: dict[str, Any] = job["failure"] or {}
        return job["id"] in self._long and failure.get("code") == "worker_lost"


def main() -> int:
    """Run by the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m chaos.kills", description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="how often it is killed (50)")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        kills = Kills(Path(folder), options.seed)
        asyncio.run(kills.run(options.times))
    kills.tell(options.times)
    return bool(kills.problems)


if __name__ == "__main__":
    sys.exit(main())
