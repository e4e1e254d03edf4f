"""What a running job reports, kept until it is stored: the newest progress, and all log lines."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from checkback.core.errors import EngineUnavailable
from checkback.core.job import PhaseStart
from checkback.engine.jobs.codec import encode_progress
from checkback.engine.redis.connection import ReplyError
from checkback.engine.worker.attempt_store import KEPT_LOG_LINES, AttemptStore

KEPT_PHASES = 64


class ProgressBuffer:
    """``on_reply`` gets what the store answers to each write: whether the job is still ours."""

    def __init__(self, store: AttemptStore, on_reply: Callable[[int], None]) -> None:
        self._store = store
        self._on_reply = on_reply
        self._progress: str | None = None
        self._lines: list[str] = []
        self._percent = 0
        self._phase: str | None = None
        self._has_news = asyncio.Event()
        self._started = time.monotonic()
        self.phases: list[PhaseStart] = []

    def start(self) -> None:
        """The process starts now: progress is 0, and phases count from here."""
        self._started = time.monotonic()
        self._set_progress(None, 0, None)

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def add_lines(self, lines: Iterable[str]) -> None:
        """Add log lines; the oldest are dropped when there are too many."""
        self._lines += lines
        del self._lines[:-KEPT_LOG_LINES]
        self._has_news.set()

    def on_message(self, message: dict[str, Any]) -> None:
        """Take a message of the child: log lines or progress."""
        if message["say"] == "log":
            self.add_lines(message["lines"])
            return
        now = time.monotonic()
        for phase, entered_at in message["entered"]:
            if phase:
                after = max(0.0, min(entered_at, now) - self._started)
                self.phases.append(PhaseStart(phase, after))
        del self.phases[KEPT_PHASES:]
        self._set_progress(message["phase"], int(message["percent"]), message["message"])

    def completed(self) -> str:
        """The progress object of a completed job."""
        return encode_progress(self._phase, 100, None, self.phases)

    async def write_forever(self) -> None:
        """Store what was reported, whenever there is something new."""
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            await self.write()

    async def write(self) -> None:
        """Store what was reported since the last time. Progress may be lost in an outage."""
        progress, self._progress = self._progress, None
        lines, self._lines = self._lines, []
        if progress is None and not lines:
            return
        with contextlib.suppress(EngineUnavailable, ReplyError):
            self._on_reply(await self._store.write_progress(progress or "", lines))

    def _set_progress(self, phase: str | None, percent: int, message: str | None) -> None:
        self._phase = phase
        self._percent = max(self._percent, percent)
        self._progress = encode_progress(phase, self._percent, message, self.phases)
        self._has_news.set()
