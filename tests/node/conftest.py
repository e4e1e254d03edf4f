"""A Node program with a real BullMQ, beside our service and our worker on one Valkey."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.settings import Settings

PROGRAM = Path(__file__).parent / "program.mjs"
CALL_SECONDS = 55
CLOSE_SECONDS = 30


class NodeError(Exception):
    """What a call in Node threw."""


class NodeProgram:
    """A running ``program.mjs``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        #: What its worker told, oldest first.
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def call(self, name: str, /, **args: Any) -> Any:
        """Call one of its functions. Raises NodeError with what it threw."""
        assert self._process.stdin is not None
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"number": number, "call": name, "args": args})
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(CALL_SECONDS):
            return await answer

    async def event(self) -> dict[str, Any]:
        """The next thing its worker told."""
        async with asyncio.timeout(CALL_SECONDS):
            return await self.events.get()

    async def close(self) -> None:
        """Let it close its connections and end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            await self._reading
            with contextlib.suppress(OSError):
                await self._process.stdin.wait_closed()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "event" in said:
                self.events.put_nowait(said)
            elif "error" in said:
                self._answers.pop(said["number"]).set_exception(NodeError(said["error"]))
            else:
                self._answers.pop(said["number"]).set_result(said["value"])
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(NodeError("The Node program ended."))


@pytest.fixture
def settings(settings: Settings, demo_site: str) -> Settings:
    """As everywhere, but jobs may look at the demo site."""
    return replace(settings, allow_hosts=(demo_site,))


@pytest.fixture(params=["bullmq5", "bullmq6"])
async def program(
    request: pytest.FixtureRequest,
    node: Path,
    npm: Callable[[str], Path],
    valkey: EmbeddedValkey,
    settings: Settings,
) -> AsyncIterator[NodeProgram]:
    """A Node program with either release of BullMQ, on the store of this test."""
    packages = await asyncio.to_thread(npm, request.param)
    async with running_program(node, packages, valkey, settings.prefix) as running:
        yield running


@asynccontextmanager
async def running_program(
    node: Path, packages: Path, store: EmbeddedValkey, prefix: str
) -> AsyncGenerator[NodeProgram]:
    """A Node program that ends with the block."""
    process = await asyncio.create_subprocess_exec(
        node, PROGRAM, packages, store.socket_path, str(store.address.password), prefix,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", "")},
        limit=1 << 20,
    )  # fmt: skip
    running = NodeProgram(process)
    try:
        yield running
    finally:
        await running.close()
