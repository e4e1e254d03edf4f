"""Those who use the server during faults: producers, pollers, cancellers, by HTTP and by the
store's socket.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chaos.checker import is_final
from chaos.history import History, now
from chaos.kinds import LONG_DEADLINE, SHORT_DEADLINE
from checkback.client import Client
from checkback.core.errors import CheckbackError, EngineUnavailable, NotFound
from checkback.core.job import Job
from checkback.security.auth.callers import LOCAL
from checkback.service import Service

LONG_SECONDS = 40.0
"""Longer than a lock lives: such a job ends only if its lock is renewed."""
POLL_SECONDS = 0.15
RETRY_SECONDS = 0.3
CANCEL_PART = 0.12
CANCELLED_SECONDS = (10.0, 16.0)
LONG_PART = 0.03
ONCE_PART = 0.15


class Door(Protocol):
    """A public way in."""

    async def submit(self, kind: str, args: dict[str, Any], key: str) -> Job: ...
    async def get(self, job_id: str) -> Job: ...
    async def cancel(self, job_id: str) -> Job: ...
    async def file(self, job_id: str) -> str: ...


class HttpDoor:
    """The HTTP API, by the client that comes with it."""

    def __init__(self, url: str, token: str) -> None:
        self._client = Client(url, token, timeout=10)

    async def submit(self, kind: str, args: dict[str, Any], key: str) -> Job:
        return await asyncio.to_thread(self._client.submit, kind, args, key=key)

    async def get(self, job_id: str) -> Job:
        return await asyncio.to_thread(self._client.get, job_id)

    async def cancel(self, job_id: str) -> Job:
        return await asyncio.to_thread(self._client.cancel, job_id)

    async def file(self, job_id: str) -> str:
        return (await asyncio.to_thread(self._client.artifact, job_id, "run.txt")).decode()


class SocketDoor:
    """The service on the store's socket, as the shell and the stdio server use it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def submit(self, kind: str, args: dict[str, Any], key: str) -> Job:
        return (await self._service.submit(LOCAL, kind, args, key=key)).job

    async def get(self, job_id: str) -> Job:
        return await self._service.get(LOCAL, job_id)

    async def cancel(self, job_id: str) -> Job:
        return await self._service.cancel(LOCAL, job_id)

    async def file(self, job_id: str) -> str:
        _, path = await self._service.artifact(LOCAL, job_id, "run.txt")
        return path.read_text()


@dataclass(slots=True)
class Followed:
    """A job that somebody asks after."""

    id: str
    cancel_at: float | None
    has_file: bool = False


class Clients:
    """All of them; ``open`` are jobs that have not ended yet, ``done`` the others."""

    def __init__(self, doors: Sequence[Door], history: History, seed: int) -> None:
        self._doors = doors
        self._history = history
        self._random = random.Random(seed)
        self._number = 0
        self.open: deque[Followed] = deque()
        self.done: list[Followed] = []
        self._in_hand = 0
        #: Checks that a door answered with anything but the state.
        self.refused = 0

    @property
    def unfinished(self) -> int:
        """How many jobs have not been seen to end."""
        return len(self.open) + self._in_hand

    async def produce(self, name: str, until: float) -> None:
        """Submit job after job until that time, each until it is acknowledged: a key makes that
        safe.
        """
        count = 0
        while time.monotonic() < until:
            count += 1
            left = until - time.monotonic()
            await self._submit(f"{name}-{count}", left)
            await asyncio.sleep(self._random.uniform(0.8, 2.4))

    async def poll(self) -> None:
        """Ask after one job after the other, for ever; now and then after one that had ended."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self.done and self._random.random() < 0.1:
                await self.ask(self._random.choice(self.done))
            if self.open:
                followed = self.open.popleft()
                self._in_hand += 1
                ended = False
                try:
                    ended = await self._step(followed)
                finally:
                    self._in_hand -= 1
                    (self.done if ended else self.open).append(followed)

    async def ask_all_again(self) -> None:
        """One last question for each job."""
        for followed in (*self.done, *self.open):
            if followed.has_file:
                await self._read_file(followed)
            await self.ask(followed)

    async def ask(self, followed: Followed) -> str | None:
        """Check a job and write down the answer; returns its state."""
        asked = now()
        try:
            job = await self._door().get(followed.id)
        except NotFound:
            self._history.tell("missing", job=followed.id, asked=asked)
            return None
        except CheckbackError:
            self.refused += 1
            return None
        self._history.tell("answer", job=followed.id, asked=asked, **_seen(job))
        return job.state

    async def _submit(self, key: str, left: float) -> None:
        cancels = self._random.random() < CANCEL_PART
        kind, seconds, deadline = self._choose(left, cancels)
        self._number += 1
        args = {"number": self._number, "seconds": seconds}
        while True:
            try:
                job = await self._door().submit(kind, args, key)
                break
            except EngineUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
        self._history.tell("submitted", job=job.id, kind=kind, key=key, deadline=deadline)
        cancel_at = time.monotonic() + self._random.uniform(0, seconds / 2) if cancels else None
        self.open.append(Followed(job.id, cancel_at))

    def _choose(self, left: float, cancels: bool) -> tuple[str, float, float]:
        if cancels and self._random.random() < 0.5:
            # Longer than a cancelled job may live on: a cancel that nobody hears must show.
            return "chaos.work", round(self._random.uniform(*CANCELLED_SECONDS), 2), SHORT_DEADLINE
        dice = self._random.random()
        if dice < LONG_PART and left > LONG_SECONDS / 2:
            return "chaos.long", LONG_SECONDS, LONG_DEADLINE
        kind = "chaos.once" if dice < LONG_PART + ONCE_PART else "chaos.work"
        return kind, round(self._random.uniform(0.1, 4.0), 2), SHORT_DEADLINE

    async def _step(self, followed: Followed) -> bool:
        """One look at a job; whether it has ended."""
        if followed.cancel_at is not None and time.monotonic() >= followed.cancel_at:
            await self._cancel(followed)
        state = await self.ask(followed)
        if state == "completed":
            await self._read_file(followed)
        return state is not None and is_final(state)

    async def _cancel(self, followed: Followed) -> None:
        self._history.tell("cancel", job=followed.id)
        try:
            job = await self._door().cancel(followed.id)
        except CheckbackError:
            return  # asked again at the next look
        self._history.tell("cancelled", job=followed.id, state=job.state)
        followed.cancel_at = None

    async def _read_file(self, followed: Followed) -> None:
        try:
            run = await self._door().file(followed.id)
        except EngineUnavailable:
            return
        except NotFound:
            run = "no file"
        followed.has_file = True
        self._history.tell("file", job=followed.id, run=run)

    def _door(self) -> Door:
        return self._random.choice(self._doors)


def _seen(job: Job) -> dict[str, Any]:
    return {
        "state": job.state,
        "run": job.result["run"] if job.result else None,
        "code": job.failure.code if job.failure else None,
        "started": job.attempts.started,
        "finished": job.finished_at.timestamp() if job.finished_at else None,
    }
