"""The worker's side of the egress proxy: starts it, gives each job a key, and takes the key back.

A dead proxy is replaced, and every key that it knew is worth nothing from then on: jobs that hold
one have no network until they end. Nothing here ever falls back to a direct connection.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from checkback.core.errors import EngineUnavailable
from checkback.security.addresses import AddressPolicy
from checkback.security.egress.accounts import EgressLimits, EgressReport, Incident

__all__ = ["EgressGrant", "EgressLimits", "EgressProxy", "EgressReport", "Incident"]

START_SECONDS = 15.0
ANSWER_SECONDS = 5.0
CLOSE_SECONDS = 2.0
MAX_RESTART_DELAY_SECONDS = 5.0
MAX_ANSWER_BYTES = 1024 * 1024

_COMMAND = (sys.executable, "-P", "-m", "checkback.security.egress")
# The proxy reads hostile bytes: it gets no secret that a server's environment may hold.
_PASSED_ON = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "LOCALDOMAIN",
    "RES_OPTIONS",
)


@dataclass(frozen=True, slots=True)
class EgressGrant:
    """One job's key to the proxy. It works until it is revoked or the proxy dies."""

    job_id: str
    proxy_url: str
    username: str
    password: str = field(repr=False)


class _Lost(Exception):
    """The proxy died, or does not answer."""


class EgressProxy:
    """The proxy process of one worker. Made by ``start``; ends with ``close``
    or with the worker.
    """

    def __init__(
        self, configuration: dict[str, Any], command: Sequence[str], start_seconds: float
    ) -> None:
        self._start_seconds = start_seconds
        self._configuration = configuration
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0
        self._ready = asyncio.Event()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_id = 0
        self._closing = False
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        *,
        allow_hosts: Iterable[str] = (),
        deny_networks: Iterable[str] = (),
        limits: EgressLimits | None = None,
        command: Sequence[str] = _COMMAND,
        start_seconds: float = START_SECONDS,
    ) -> EgressProxy:
        """Start a proxy and wait until it listens.

        ``command`` is for tests: another program that calls ``egress_process.main``. Raises
        InvalidInput for a bad entry of either list, EngineUnavailable when the process does not
        start.
        """
        policy = AddressPolicy.of(allow_hosts, deny_networks)
        proxy = cls(
            {
                "parent": os.getpid(),
                "allow_hosts": sorted(policy.allow_hosts),
                "deny_networks": [str(network) for network in policy.deny_networks],
                "limits": asdict(limits or EgressLimits()),
            },
            command,
            start_seconds,
        )
        proxy._keeper = asyncio.create_task(proxy._keep_running(), name="egress proxy")
        try:
            await proxy._wait_ready()
        except BaseException:
            await proxy.close()
            raise
        return proxy

    @property
    def pid(self) -> int | None:
        """The current process; None while it is not running."""
        return self._process.pid if self._process is not None and self._ready.is_set() else None

    async def grant(self, job_id: str) -> EgressGrant:
        """A new key for a job. Raises EngineUnavailable when no proxy runs and
        none can be started.
        """
        # One restart in between must not fail a job that has not begun.
        for _ in range(2):
            await self._wait_ready()
            grant = EgressGrant(
                job_id=job_id,
                proxy_url=f"http://127.0.0.1:{self._port}",
                username=secrets.token_hex(8),
                password=secrets.token_urlsafe(24),
            )
            with suppress(_Lost):
                await self._ask("grant", username=grant.username, password=grant.password)
                return grant
        raise _unavailable()

    async def report(self, grant: EgressGrant) -> EgressReport:
        """What the job did so far; ``lost`` is set when the proxy that knew is gone."""
        return await self._ask_report("report", grant)

    async def revoke(self, grant: EgressGrant) -> EgressReport:
        """Take the key back and cut the job's connections; returns what it did. Never raises."""
        return await self._ask_report("revoke", grant)

    async def close(self) -> None:
        """End the process, and with it every connection of every job."""
        self._closing = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._keeper is not None:
            await self._end_keeper(self._keeper)

    async def _end_keeper(self, keeper: asyncio.Task[None]) -> None:
        """Wait until the process has ended; one that does not end in time is killed."""
        done, _ = await asyncio.wait({keeper}, timeout=2 * CLOSE_SECONDS)
        if not done:
            self._kill()
            keeper.cancel()
            await asyncio.wait({keeper})

    async def _ask_report(self, do: str, grant: EgressGrant) -> EgressReport:
        with suppress(_Lost):
            answer = await self._ask(do, username=grant.username)
            if answer["report"] is not None:
                return EgressReport.from_json(answer["report"])
        return EgressReport(lost=True)

    async def _ask(self, do: str, **fields: str) -> dict[str, Any]:
        stdin = self._commands()
        self._last_id += 1
        number = self._last_id
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                stdin.write(json.dumps({"id": number, "do": do, **fields}).encode() + b"\n")
                await stdin.drain()
                return await answer
        except TimeoutError:
            # It hangs. Killing it is the way back to one that works; its keys die with it.
            self._kill()
            raise _Lost from None
        except OSError:
            raise _Lost from None
        finally:
            self._answers.pop(number, None)

    def _commands(self) -> asyncio.StreamWriter:
        """Where the running process reads commands. Raises _Lost."""
        process = self._process
        if process is None or process.stdin is None or not self._ready.is_set():
            raise _Lost
        return process.stdin

    async def _wait_ready(self) -> None:
        try:
            async with asyncio.timeout(self._start_seconds):
                await self._ready.wait()
        except TimeoutError:
            raise _unavailable() from None

    async def _keep_running(self) -> None:
        delay = 0.0
        while not self._closing:
            started_at = time.monotonic()
            with suppress(OSError, ValueError, KeyError):
                await self._run_once()
            delay = _next_delay(delay, time.monotonic() - started_at)
            if not self._closing:
                await asyncio.sleep(delay)

    async def _run_once(self) -> None:
        """Run one process from its start to its end, and hand out its answers."""
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            limit=MAX_ANSWER_BYTES,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            if self._closing:
                return
            process.stdin.write(json.dumps(self._configuration).encode() + b"\n")
            await process.stdin.drain()
            self._port = json.loads(await process.stdout.readline())["port"]
            self._ready.set()
            while line := await process.stdout.readline():
                self._take_answer(json.loads(line))
        finally:
            self._ready.clear()
            self._fail_all()
            await self._reap(process)

    def _take_answer(self, answer: dict[str, Any]) -> None:
        waiting = self._answers.get(answer["id"])
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _fail_all(self) -> None:
        """Let everyone who waits for an answer know that there will be none."""
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(_Lost())

    async def _reap(self, process: asyncio.subprocess.Process) -> None:
        # Its pipe has closed, so it is ending. Killing it now would race asyncio for its exit
        # status.
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await process.wait()
        except TimeoutError:
            self._kill()
            await process.wait()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()


def _next_delay(delay: float, lived_seconds: float) -> float:
    """How long to wait before the next start: a process that dies at once, again and again, is not
    started a thousand times a minute.
    """
    if lived_seconds > MAX_RESTART_DELAY_SECONDS:
        return 0.0
    return min(MAX_RESTART_DELAY_SECONDS, delay * 2 + 0.1)


def _unavailable() -> EngineUnavailable:
    return EngineUnavailable(
        "The egress proxy, the only way to the network, is not running.",
        hint="Try again in a few seconds; if the error persists, check the worker's log.",
    )
