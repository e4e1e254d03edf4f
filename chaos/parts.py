"""The parts that run: one server with its store and worker, and one worker more at the end of a
cable.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from chaos.cut import Cable
from chaos.kinds import HISTORY_VARIABLE
from checkback.engine.processes import tree
from checkback.engine.redis.embedded import socket_path, store_url

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
ROOT = Path(__file__).parents[1]


class NotReady(Exception):
    """The server did not get ready again in time; that alone breaks promise 2."""


class Server:
    """``checkback serve`` and everything below it."""

    def __init__(self, environment: Mapping[str, str], log: Path, *, with_worker: bool) -> None:
        self._environment = dict(environment)
        self._log = log
        self._command = [sys.executable, "-m", "checkback", "serve", "--json"]
        if not with_worker:
            self._command.append("--no-worker")
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.token = ""

    @property
    def started(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise NotReady("it was never started")
        return self._process.pid

    def below(self, name: str) -> int | None:
        """The child of the server with this word in its command."""
        return next((pid for pid in tree.children(self.pid) if name in command_of(pid)), None)

    async def start(self) -> None:
        """Start it and return when it listens; its first worker may not be there yet."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        if self._process.stdout is None:
            raise NotReady
        announced = json.loads(await asyncio.to_thread(self._process.stdout.readline))
        self.url, self.token = announced["url"], announced["token"]

    async def ready(self) -> None:
        """Return when it says that it is. Raises NotReady after a minute."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await asyncio.to_thread(self._is_ready):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise NotReady("the server did not get ready again") from None

    async def wait(self) -> None:
        """Return when it has ended."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, STOP_SECONDS)
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _is_ready(self) -> bool:
        host = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class FreeWorker:
    """A worker process that no server watches."""

    def __init__(self, environment: Mapping[str, str], log: Path, broken: str | None) -> None:
        self._environment = dict(environment)
        self._log = log
        words = ["checkback", "worker"] if broken is None else ["chaos.broken", broken]
        self._command = [sys.executable, "-m", *words]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise NotReady("it was never started")
        return self._process.pid

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )

    async def wait(self) -> None:
        """Return when it has ended."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, STOP_SECONDS)


class Parts:
    """Everything of one run, in one folder. A broken build has two free workers and none of the
    server's.
    """

    def __init__(self, folder: Path, port: int, broken: str | None) -> None:
        self.home = folder / "home"
        self.history = folder / "history.jsonl"
        self.log = folder / "log.txt"
        self.environment = environment = {
            name: value for name, value in os.environ.items() if not name.startswith("CHECKBACK_")
        } | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(
                os.pathsep
            ),
            HISTORY_VARIABLE: str(self.history),
            "CHECKBACK_HOME": str(self.home),
            "CHECKBACK_KINDS": "chaos.kinds",
            "CHECKBACK_PORT": str(port),
            "CHECKBACK_JOB_CONCURRENCY": "12",
            "CHECKBACK_GRACE_SECONDS": "2",
        }
        self.server = Server(environment, self.log, with_worker=broken is None)
        self.cable = Cable(str(folder / "cable"), socket_path(self.home))
        at_cable = environment | {"CHECKBACK_REDIS_URL": store_url(self.home, path=self.cable.path)}
        self.far = FreeWorker(at_cable, self.log, broken)
        at_store = environment | {"CHECKBACK_REDIS_URL": store_url(self.home)}
        self.near = FreeWorker(at_store, self.log, broken) if broken else None

    async def start(self) -> None:
        await self.cable.start()
        await self.server.start()
        for worker in self._free():
            worker.start()
        await self.server.ready()

    async def stop(self) -> None:
        """End everything that was started."""
        for part in (*self._free(), self.server):
            if part.started:
                await asyncio.to_thread(tree.kill_tree, part.pid)
                await part.wait()
        await self.cable.close()

    def _free(self) -> list[FreeWorker]:
        return [self.far] if self.near is None else [self.far, self.near]

    def workers(self) -> list[int]:
        """The worker processes that live now."""
        near = self.near.pid if self.near else self.server.below("worker")
        return [pid for pid in (near, self.far.pid) if pid is not None and tree.is_alive(pid)]

    def stores(self) -> list[int]:
        """Every Valkey of this machine that has this folder."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if f"unixsocket:{socket_path(self.home)}" in command_of(pid)]

    def running(self) -> list[int]:
        """The children that run a job now."""
        return [
            child
            for worker in self.workers()
            for forks in tree.children(worker)
            if "fork_server" in command_of(forks)
            for child in tree.children(forks)
        ]


def command_of(pid: int) -> str:
    """The command line of a process; empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
