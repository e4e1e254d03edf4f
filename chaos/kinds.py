"""The jobs of a run: they work a while and write down what they see of themselves."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from pathlib import Path
from typing import Any

from chaos.history import History
from checkback.kinds.context import JobContext
from checkback.kinds.registry import job

HISTORY_VARIABLE = "CHAOS_HISTORY"
BEAT_SECONDS = 0.5
SHORT_DEADLINE = 20.0
LONG_DEADLINE = 60.0


class Witness:
    """One attempt's side of the story."""

    def __init__(self, ctx: JobContext) -> None:
        self._history = History(Path(os.environ[HISTORY_VARIABLE]))
        self._ctx = ctx
        self.run = uuid.uuid4().hex
        self._tell("start", attempt=ctx.attempt, worker=_parent(os.getppid()), child=os.getpid())

    def beat(self, part: float) -> None:
        self._tell("beat")
        self._ctx.progress(100 * part)

    def end(self, number: int) -> dict[str, Any]:
        """The result, which says whose it is."""
        self._ctx.artifact("run.txt", self.run)
        self._tell("end")
        return {"number": number, "run": self.run}

    def _tell(self, event: str, **facts: Any) -> None:
        self._history.tell(event, job=self._ctx.job_id, run=self.run, **facts)


@job("chaos.work", deadline_seconds=SHORT_DEADLINE)
def work(number: int, seconds: float, ctx: JobContext) -> dict[str, Any]:
    """Work for so long, deaf to every cancel."""
    witness, began = Witness(ctx), time.monotonic()
    while (spent := time.monotonic() - began) < seconds:
        witness.beat(spent / seconds)
        time.sleep(min(BEAT_SECONDS, seconds - spent))
    return witness.end(number)


@job("chaos.long", deadline_seconds=LONG_DEADLINE)
async def work_long(number: int, seconds: float, ctx: JobContext) -> dict[str, Any]:
    """The same for longer than a lock lives, with an ear for cancels."""
    return await _work_politely(number, seconds, ctx)


@job("chaos.once", deadline_seconds=SHORT_DEADLINE, safe_to_repeat=False)
async def work_once(number: int, seconds: float, ctx: JobContext) -> dict[str, Any]:
    """The same, not to be repeated."""
    return await _work_politely(number, seconds, ctx)


async def _work_politely(number: int, seconds: float, ctx: JobContext) -> dict[str, Any]:
    witness, began = Witness(ctx), time.monotonic()
    while (spent := time.monotonic() - began) < seconds:
        witness.beat(spent / seconds)
        await asyncio.sleep(min(BEAT_SECONDS, seconds - spent))
    return witness.end(number)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@job("chaos.say")
def say(words: str, ctx: JobContext) -> dict[str, str]:
    """Give back what was said, in the result, the log and a file."""
    ctx.log(words)
    ctx.artifact("said.txt", words)
    return {"said": words}
