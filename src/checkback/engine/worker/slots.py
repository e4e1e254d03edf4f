"""Which job may begin next in a worker: its slots in one queue, and one more that no owner can hold
twice.

A queue has as many slots in a worker as its concurrency says. Above that there is one extra slot,
for an owner who runs nothing in the queue, in whatever worker. So an owner who is alone loses
nothing, and one who takes every slot for an hour keeps nobody else waiting. Who runs what is read
from BullMQ's own list of active jobs, so all workers of a store agree, and a killed worker leaves
nothing to clean up.

A job that only waits for others is set apart: it holds no slot, up to a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any

import msgpack
from bullmq import Worker as BullWorker

from checkback.engine.redis import bullmq_scripts
from checkback.engine.redis.connection import Script

OWNER_TURN = Script.named("owner_turn")
SCAN_LIMIT = 200
"""How many waiting jobs are looked at for one whose owner runs nothing. Turns bring it to the
front.
"""
LOOK_SECONDS = 1.0
"""How often it is looked without a sign that anything has changed."""
APART_OF_OWNER = 8
APART_IN_ALL = 32
"""Jobs that wait for others and hold no slot. Each has a process, so further ones hold one like any
job.
"""


class Slots:
    """The slots of one queue in one worker, by the jobs that hold them.

    Not by lock token: BullMQ's loop gives the same to several jobs.
    """

    def __init__(self, concurrency: int, *, follow: Callable[[int], None] = lambda _: None) -> None:
        """``follow`` is called with how many jobs and looks for a job BullMQ's loop should have
        under way.
        """
        self._concurrency = concurrency
        self._follow = follow
        self._owners: dict[object, str] = {}
        self._apart: set[object] = set()
        self._being_taken = 0
        self._changed = asyncio.Event()

    @property
    def wanted_tasks(self) -> int:
        """How many jobs and looks for a job BullMQ's loop should have under
        way: always one look.
        """
        return self._concurrency + len(self._apart) + 2

    @property
    def is_free(self) -> bool:
        """Whether any owner's job may begin."""
        return self._used < self._concurrency

    @property
    def only_extra_is_free(self) -> bool:
        """Whether a job of an owner who runs nothing in the queue may begin."""
        return self._used == self._concurrency

    @property
    def _used(self) -> int:
        return len(self._owners) - len(self._apart) + self._being_taken

    @contextlib.contextmanager
    def taking(self) -> Generator[None]:
        """Keep a slot for the job that is being taken."""
        self._being_taken += 1
        try:
            yield
        finally:
            self._being_taken -= 1

    def hold(self, job: object, owner: str) -> None:
        """A job has begun."""
        self._owners[job] = owner

    def release(self, job: object) -> None:
        """A job has ended."""
        self._owners.pop(job, None)
        self._apart.discard(job)
        self._follow(self.wanted_tasks)
        self.ring()

    def may_set_apart(self, job: object) -> bool:
        """Whether there is room for one more of this owner's jobs that holds no slot."""
        if job in self._apart or job not in self._owners:
            return False
        of_owner = Counter(self._owners[one] for one in self._apart)[self._owners[job]]
        return len(self._apart) < APART_IN_ALL and of_owner < APART_OF_OWNER

    def set_apart(self, job: object) -> None:
        """A job waits for others from now on, until it ends: its slot is free."""
        if job in self._owners:
            self._apart.add(job)
            self._follow(self.wanted_tasks)
            self.ring()

    def ring(self) -> None:
        """Something has changed: a job waits, or ended, here or in another worker."""
        self._changed.set()

    async def changed(self) -> None:
        """Return after the next change, or after ``LOOK_SECONDS``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._changed.wait()
        self._changed.clear()


async def take_newcomer(worker: BullWorker, token: str) -> tuple[dict[str, Any], str] | None:
    """The hash and id of the next job whose owner runs nothing in the queue, taken as BullMQ takes
    any.

    BullMQ's own script is run with other names for the lists: in the waiting one lies the job that
    our script has set aside in the same MULTI, and nothing else.
    """
    bull: Any = worker
    prefix: str = bull.keys[""]
    now = bullmq_scripts.now_ms()
    aside, nothing = f"{prefix}cb-aside", f"{prefix}cb-nothing"
    listed = [bull.keys[part] for part in ("active", "wait", "prioritized", "delayed", "meta")]
    options = msgpack.packb(
        {"token": token, "lockDuration": bull.opts["lockDuration"]}, use_bin_type=True
    )
    keys = [aside, bull.keys["active"], nothing, bull.keys["events"], bull.keys["stalled"], nothing]
    keys += [nothing, nothing, nothing, nothing, bull.keys["marker"]]
    client = bull.client
    newcomer = client.register_script(OWNER_TURN.text)
    async with client.pipeline(transaction=True) as pipe:
        await newcomer(keys=[*listed, aside], args=[prefix, SCAN_LIMIT, now], client=pipe)
        await bull.scripts.commands["moveToActive"](
            keys=keys, args=[prefix, now, options], client=pipe
        )
        found, raw = await pipe.execute()
    if found != 1:
        return None
    data, job_id, *_ = raw
    return dict(zip(data[::2], data[1::2], strict=True)), job_id
