"""Connections, workers and servers that tests start themselves, when one fixture is not enough."""

import asyncio
import http.client
import json
import signal
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from checkback.app.connect import Connection, make_engine, make_service
from checkback.app.worker import worker_settings
from checkback.engine.worker.process import WorkerProcess
from checkback.settings import Settings

Submit = Callable[..., Awaitable[str]]
"""Submits a job of a kind with these arguments as the local owner; gives its id."""


@asynccontextmanager
async def open_connection(settings: Settings) -> AsyncGenerator[Connection]:
    """What ``connect`` gives, without a running server."""
    settings.home.mkdir(parents=True, exist_ok=True)
    wire, feed, queues = make_engine(settings, "checkback-test")
    try:
        yield Connection(make_service(settings, queues), queues, wire, feed, settings, None)
    finally:
        await feed.close()
        await wire.close()


@asynccontextmanager
async def running_worker(settings: Settings, **changes: Any) -> AsyncGenerator[WorkerProcess]:
    """As the fixture ``worker``, for tests that need several or other settings. ``changes`` are
    fields of WorkerSettings.
    """
    process = WorkerProcess(replace(worker_settings(settings), **changes))
    task = asyncio.create_task(process.run())
    ready = asyncio.create_task(process.ready.wait())
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield process
    finally:
        ready.cancel()
        process.shut_down()
        process.shut_down()
        await task


@dataclass
class ServerProcess:
    """A running ``checkback serve``."""

    process: subprocess.Popen[str]
    url: str
    home: Path
    token: str

    def health(self) -> dict[str, Any]:
        """What ``/health`` says, whether the server is ready or not."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        try:
            connection.request("GET", "/health")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def stop(self) -> int:
        """End it as an operator does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


StartServer = Callable[..., ServerProcess]
"""Starts ``checkback serve``; keyword arguments are settings."""
