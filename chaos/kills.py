"""``python -m chaos.kills --times 50``: the whole server killed in the middle of submits, again and again.

Every id that was acknowledged must be known after every start, one store may run for the folder, and in the
end all jobs run. Ends with 0 where that was so.
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

from chaos.crowd_line import Line, Refused
from chaos.parts import Parts, Server
from checkback.engine import process_tree

SUBMITTERS = 2
LEAST_SECONDS, MOST_SECONDS = 0.2, 1.0
CHECKED_AT_ONCE = 20
END_SECONDS = 300.0


class Kills:
    """One folder, and the servers that die on it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._parts = Parts(folder, 0, None)
        self._random = random.Random(seed)
        self._log = folder / "log.txt"
        self._acknowledged: list[str] = []
        self.problems: list[str] = []
        self.started: list[float] = []

    async def run(self, times: int) -> None:
        """Start, check, submit, kill; then let everything end."""
        for _ in range(times):
            server = await self._start(with_worker=False)
            submitting = [asyncio.create_task(self._submit(server)) for _ in range(SUBMITTERS)]
            await asyncio.sleep(self._random.uniform(LEAST_SECONDS, MOST_SECONDS))
            for pid in (server.pid, *process_tree.descendants(server.pid)):
                process_tree.send(pid, signal.SIGKILL)
            await server.wait()
            await asyncio.gather(*submitting)
        server = await self._start(with_worker=True)
        try:
            await self._all(server, "?wait=50", "completed")
        finally:
            await asyncio.to_thread(process_tree.kill_tree, server.pid)
            await server.wait()

    def tell(self, times: int) -> None:
        """Print what was found."""
        print(f"kills: {times} times the server and all below it")
        print(f"  {'jobs acknowledged':40} {len(self._acknowledged):>8}")
        print(f"  {'slowest start, s':40} {max(self.started):>8.1f}")
        print(f"  {'problems':40} {len(self.problems):>8}")
        for problem in self.problems[:10]:
            print(f"PROBLEM: {problem}")
        print("FAILED" if self.problems else "every id was known after every start, and every job ran")

    async def _start(self, *, with_worker: bool) -> Server:
        began = time.monotonic()
        server = Server(self._parts.environment, self._log, with_worker=with_worker)
        await server.start()
        self.started.append(time.monotonic() - began)
        if (stores := len(self._parts.stores())) != 1:
            self.problems.append(f"{stores} stores on one folder")
        if not with_worker:
            await self._all(server, "", "waiting")
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

    async def _all(self, server: Server, query: str, state: str) -> None:
        """Ask for every acknowledged job: each must be there, in this state."""
        left = iter(self._acknowledged)

        async def some() -> None:
            line = Line(server.url, server.token)
            for job_id in left:
                try:
                    job = await line.get(f"/api/jobs/{job_id}{query}")
                    if job["state"] != state:
                        self.problems.append(f"{job_id} is {job['state']}, not {state}")
                except Refused as refused:
                    self.problems.append(f"{job_id}: {refused}")

        async with asyncio.timeout(END_SECONDS):
            await asyncio.gather(*(some() for _ in range(CHECKED_AT_ONCE)))


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
