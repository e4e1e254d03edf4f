"""``checkback worker`` processes, for tests that kill, stop or end them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from checkback.app.connect import Connection
from checkback.core.job import Job
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.engine.redis import store_users
from checkback.engine.redis.connection import RedisAddress, RedisConnection
from checkback.engine.redis.embedded import store_address
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings, to_environment
from waiting import wait_until

RESCUE_SECONDS = 45

SHORT_LOCK_SECONDS = 4.0


def short_locks(settings: Settings) -> Settings:
    """With locks that live for 4 s, not 30: for tests of what follows when one has run out, not of
    when it does.
    """
    return replace(settings, lock_seconds=SHORT_LOCK_SECONDS)


RUN_WORKER = """
import sys
from checkback.cli import main
sys.exit(main(["worker"]))
"""


class WorkerProcesses:
    """Workers that end with the test."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, settings: Settings, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one; ``arguments`` are those of Python."""
        command = [sys.executable, *(arguments or ("-m", "checkback", "worker"))]
        process = subprocess.Popen(command, env=os.environ | to_environment(settings))
        self.started.append(process)
        return process

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                tree.kill_tree(process.pid)
            process.wait(10)


async def until(connection: Connection, job_id: str, state: State, phase: str | None = None) -> Job:
    """The job once it is in that state (and phase)."""
    async with asyncio.timeout(RESCUE_SECONDS + 15):
        async for job in connection.service.watch(LOCAL, job_id):
            if job.state is state and (phase is None or job.phase == phase):
                return job
    raise AssertionError("the job ended otherwise")


async def until_attempt(
    connection: Connection, job_id: str, number: int, seconds: float = RESCUE_SECONDS
) -> Job:
    """The job once that attempt of it runs."""
    async with asyncio.timeout(seconds):
        async for job in connection.service.watch(LOCAL, job_id):
            if (job.state, job.attempts.started) == (State.ACTIVE, number):
                return job
    raise AssertionError("the job ended otherwise")


async def gone(pids: list[int], seconds: float = 5) -> None:
    """Return when none of these processes lives."""
    await wait_until(
        "the processes have ended", lambda: not any(tree.is_alive(pid) for pid in pids), seconds
    )


async def there(path: Path, seconds: float = 20) -> None:
    """Return when a job has made this file."""
    await wait_until("the file exists", path.exists, seconds)


async def as_admin(settings: Settings, *command: str | int) -> Any:
    """Give the store of these settings a command that nothing of ours may give."""
    if settings.redis_url is None:
        address = store_address(settings.home, store_users.ADMIN)
    else:
        found = RedisAddress.parse(settings.redis_url)
        password = store_users.password(Path(str(found.unix_path)).parent, store_users.ADMIN)
        address = replace(found, username=store_users.ADMIN, password=password)
    wire = RedisConnection(address, name="checkback-test-admin")
    try:
        return await wire.call(*command)
    finally:
        await wire.close()
