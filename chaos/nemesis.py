"""Kills, stops, cuts and restarts one thing at a time, by a plan that its seed decides."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable

from chaos.history import History, now
from chaos.parts import NotReady, Parts
from checkback.engine.processes import tree
from checkback.engine.redis.embedded import ping, socket_path

SHORT_SECONDS = 4.0
"""Silence that nobody may take for a death."""
LONG_SECONDS = 40.0
"""Silence that outlives a lock."""
OUTAGE_SECONDS = 90.0
LONG_RUN_SECONDS = 180.0
PAUSE_SECONDS = (1.0, 4.0)

Hits = list[int] | None
"""The processes that were hit; None for all of them."""


class Nemesis:
    """Does something bad, waits until the parts stand again, and writes down what it was."""

    def __init__(
        self, parts: Parts, history: History, seed: int, seconds: float, only: str
    ) -> None:
        self._parts = parts
        self._history = history
        self._random = random.Random(seed)
        self._seconds = seconds
        self._only = only
        self._acts: dict[str, Callable[[], Awaitable[Hits]]] = {
            "kill -9 the far worker": self._kill_far,
            "kill -9 the near worker": self._kill_near,
            "kill -9 a child": lambda: self._hit_child(signal.SIGKILL),
            "stop a child for ever": lambda: self._hit_child(signal.SIGSTOP),
            "stop the far worker": lambda: self._stop(self._parts.far.pid, SHORT_SECONDS),
            "stop the server process": lambda: self._stop(self._parts.server.pid, SHORT_SECONDS),
            "stop Valkey": lambda: self._stop_valkey(SHORT_SECONDS),
            "kill -9 Valkey": self._kill_valkey,
            "sever the far worker": lambda: self._cut(self._parts.cable.sever, SHORT_SECONDS),
            "freeze the far worker's line": lambda: self._cut(
                self._parts.cable.freeze, SHORT_SECONDS
            ),
            "kill -9 the server and all below it": self._kill_server,
            "end the far worker": self._end_far,
        }
        self._long_acts: dict[str, Callable[[], Awaitable[Hits]]] = {
            "sever the far worker for long": lambda: self._cut(
                self._parts.cable.sever, LONG_SECONDS
            ),
            "freeze the far worker's line for long": lambda: self._cut(
                self._parts.cable.freeze, LONG_SECONDS
            ),
            "stop the far worker for long": lambda: self._stop(self._parts.far.pid, LONG_SECONDS),
        }
        #: Done only where ``only`` names them.
        self._rare_acts: dict[str, Callable[[], Awaitable[Hits]]] = {
            "stop Valkey for ninety seconds": lambda: self._stop_valkey(OUTAGE_SECONDS),
        }

    async def run(self) -> None:
        """Go through the plan again and again until the time is over."""
        ends = time.monotonic() + self._seconds
        acts = self._acts | self._long_acts if self._seconds >= LONG_RUN_SECONDS else self._acts
        if self._only:
            acts = acts | self._long_acts | self._rare_acts
        chosen = [what for what in acts if self._only in what]
        while chosen:
            for what in self._random.sample(chosen, len(chosen)):
                await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))
                if time.monotonic() >= ends:
                    return
                await self._do(what, acts[what])

    async def _do(self, what: str, act: Callable[[], Awaitable[Hits]]) -> None:
        began = now()
        hits = await act()
        await self._parts.server.ready()
        if hits != []:
            self._history.tell("fault", what=what, began=began, hits=hits)

    async def _kill_far(self) -> Hits:
        hits = _tree(self._parts.far.pid)
        tree.send(self._parts.far.pid, signal.SIGKILL)
        await self._parts.far.wait()
        self._parts.far.start()
        return hits

    async def _kill_near(self) -> Hits:
        near = self._parts.near
        pid = near.pid if near else self._parts.server.below("worker")
        if pid is None:
            return []
        hits = _tree(pid)
        tree.send(pid, signal.SIGKILL)
        if near:
            await near.wait()
            near.start()
            return hits
        async with asyncio.timeout(30):
            while self._parts.server.below("worker") in (None, pid):
                await asyncio.sleep(0.05)
        return hits

    async def _end_far(self) -> Hits:
        hits = _tree(self._parts.far.pid)
        tree.send(self._parts.far.pid, signal.SIGTERM)
        await self._parts.far.wait()
        self._parts.far.start()
        return hits

    async def _hit_child(self, what: signal.Signals) -> Hits:
        running = self._parts.running()
        if not running:
            return []
        pid = self._random.choice(running)
        tree.send(pid, what)
        return [pid]

    async def _stop(self, pid: int, seconds: float) -> Hits:
        tree.send(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            tree.send(pid, signal.SIGCONT)
        return [pid]

    async def _stop_valkey(self, seconds: float) -> Hits:
        pid = self._parts.server.below("valkey")
        if pid is None:
            return []
        await self._stop(pid, seconds)
        return None

    async def _kill_valkey(self) -> Hits:
        pid = self._parts.server.below("valkey")
        if pid is None:
            return []
        tree.send(pid, signal.SIGKILL)
        await self._store_answers()
        return None

    async def _cut(self, cut: Callable[[], None], seconds: float) -> Hits:
        pid = self._parts.far.pid
        cut()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._parts.cable.mend()
        return [pid]

    async def _kill_server(self) -> Hits:
        began, hits = now(), _tree(self._parts.server.pid)
        for pid in hits or ():
            tree.send(pid, signal.SIGKILL)
        await self._parts.server.wait()
        await self._parts.server.start()
        await self._parts.server.ready()
        if (count := len(self._parts.stores())) != 1:
            raise NotReady(f"{count} stores run on one folder")
        # Those whom it did not hit missed the store for this time.
        self._history.tell("fault", what="the store was away", began=began, hits=None)
        return hits

    async def _store_answers(self) -> None:
        path = socket_path(self._parts.home)
        try:
            async with asyncio.timeout(60):
                while not await asyncio.to_thread(ping, path):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise NotReady("the store did not come back") from None


def _tree(pid: int) -> Hits:
    return [pid, *tree.descendants(pid)]
