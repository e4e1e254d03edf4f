"""A part of the crowd that asks as fast as it can, whatever the answers say: that has limits."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chaos.crowd_line import Line, Refused

ASKED_JOBS = 5


class Ignoring:
    """Clients of one owner who never pause. ``answers`` are counted by their status."""

    def __init__(self, url: str, token: str, clients: int) -> None:
        self._lines = [Line(url, token) for _ in range(clients)]
        self.answers: Counter[str] = Counter()
        #: Refusals that did not say when to come again.
        self.untold = 0

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[None]:
        """They ask all the while."""
        late = {"kind": "crowd.work", "args": {"seconds": 0}, "delay_seconds": 3600}
        ids = [str((await self._lines[0].post("/api/jobs", late))["id"]) for _ in range(ASKED_JOBS)]
        tasks = [
            asyncio.create_task(self._ask(line, job_id))
            for line, job_id in zip(self._lines, itertools.cycle(ids), strict=False)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for line in self._lines:
                line.hang_up()

    async def _ask(self, line: Line, job_id: str) -> None:
        while True:
            try:
                await line.get(f"/api/jobs/{job_id}")
                self.answers["200"] += 1
            except Refused as refused:
                self.answers[refused.status] += 1
                self.untold += not refused.retry_after
            except (OSError, EOFError):
                self.answers["no answer"] += 1
