"""How long the event loop was blocked: requests that arrive in that time wait."""

from __future__ import annotations

import asyncio
from collections import deque

from checkback.telemetry.measures import loop_lag

EVERY_SECONDS = 0.1
REMEMBERED_SECONDS = 60.0


class LoopLag:
    """Measures the lag of the loop in which ``run`` runs."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    @property
    def worst_seconds(self) -> float:
        """The longest lag within the last minute."""
        return max((lag for _, lag in self._seen), default=0.0)

    async def run(self) -> None:
        """Measure for ever."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.sleep(EVERY_SECONDS)
            now = loop.time()
            self.note(now, max(0.0, now - began - EVERY_SECONDS))

    def note(self, now: float, lag: float) -> None:
        """Count one measurement."""
        loop_lag.observe(lag)
        self._seen.append((now, lag))
        while self._seen[0][0] < now - REMEMBERED_SECONDS:
            self._seen.popleft()
