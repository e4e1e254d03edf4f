"""What a soak measures once a minute, and what must not have grown between its
warm-up and its end.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from chaos.parts import command_of
from checkback.engine.processes import tree
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.keys import STANDING_OF_OURS, STANDING_PER_QUEUE, Keys

ROLES = {"valkey": "valkey", "egress": "proxy", "fork_server": "fork server", "worker": "worker"}
"""What each of our processes is, by a word of its command."""
MAX_GROWTH = 0.10
MAX_MORE_HANDLES = 2
MAX_MORE_CHILDREN = 10
"""As many processes as a browser has: one that runs at the moment of every sample is not a leak."""
MAX_STORE_GROWTH = 0.25
"""Of what the store's data takes, without its streams of events: they fill up for an hour or more.
"""
STORE = "bytes of the store's data"
WINDOW_SECONDS = 300.0
ZOMBIE_SECONDS = 3.0
MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment. ``rss`` (bytes) and ``handles`` by process, ``keys`` and ``files`` by kind."""

    seconds: float
    rss: dict[str, int]
    handles: dict[str, int]
    keys: dict[str, int]
    files: dict[str, int]
    #: Children that run a job, or are ready to, and all below them: browsers.
    others: int
    zombies: int
    store_bytes: int

    def line(self) -> str:
        """For the log of the run."""
        memory = " ".join(
            f"{role} {size / MEGABYTE:.1f}" for role, size in sorted(self.rss.items())
        )
        handles = " ".join(f"{role} {count}" for role, count in sorted(self.handles.items()))
        keys = " ".join(f"{kind} {count}" for kind, count in sorted(self.keys.items()))
        files = " ".join(f"{kind} {count}" for kind, count in sorted(self.files.items()))
        return (
            f"{self.seconds / 60:6.1f} min | MB: {memory} (used "
            f"{self.store_bytes / MEGABYTE:.1f}) | "
            f"handles: {handles} | keys: {keys} | files: {files} | others {self.others}, "
            f"zombies {self.zombies}"
        )


class Meter:
    """Takes samples of one server and everything below it."""

    def __init__(
        self, server: int, home: Path, wire: RedisConnection, queues: tuple[str, ...]
    ) -> None:
        self._server = server
        self._home = home
        self._wire = wire
        self._streams = [Keys().queue(queue, "events") for queue in queues]
        self._prefix = Keys().prefix
        self._standing = {
            *(f"{self._prefix}:{queue}:{part}" for queue in queues for part in STANDING_PER_QUEUE),
            *(f"{self._prefix}:cb:{part}" for part in STANDING_OF_OURS),
        }
        self._began = time.monotonic()
        self.samples: list[Sample] = []

    async def sample(self) -> Sample:
        """Measure now."""
        roles = self._roles()
        sample = Sample(
            seconds=time.monotonic() - self._began,
            rss={role: sum(map(resident, pids)) for role, pids in roles.items() if role != "other"},
            handles={
                role: sum(map(count_handles, pids))
                for role, pids in roles.items()
                if role != "other"
            },
            keys=dict(await self._keys()),
            files={
                part: _count_files(self._home / part) for part in ("artifacts", "tmp", "uploads")
            },
            others=len(roles.get("other", ())),
            zombies=len(await self._zombies()),
            store_bytes=await self._store_bytes(),
        )
        self.samples.append(sample)
        return sample

    def _roles(self) -> dict[str, list[int]]:
        roles: dict[str, list[int]] = {"server": [self._server]}
        for pid in tree.children(self._server):
            roles.setdefault(_role(pid), []).append(pid)
        for worker in roles.get("worker", []):
            for pid in tree.children(worker):
                role = _role(pid)
                roles.setdefault(role, []).append(pid)
                if role == "fork server":
                    roles.setdefault("other", []).extend(tree.descendants(pid))
        return roles

    async def _zombies(self) -> set[int]:
        """Processes that have ended and that nobody has asked for, for some seconds."""
        first = self._dead()
        if first:
            await asyncio.sleep(ZOMBIE_SECONDS)
        return first & self._dead()

    def _dead(self) -> set[int]:
        return {pid for pid in tree.descendants(self._server) if not tree.is_alive(pid)}

    async def _keys(self) -> Counter[str]:
        found: Counter[str] = Counter()
        cursor = "0"
        while True:
            cursor, names = await self._wire.call("SCAN", cursor, "COUNT", 1000)
            found.update(self._kind_of(name) for name in names)
            if cursor == "0":
                return found

    def _kind_of(self, key: str) -> str:
        if key in self._standing:
            return "standing"
        parts = key.split(":")
        if parts[1] == "cb":
            return f"cb:{parts[2]}"
        is_set = parts[2] in ("wait", "active", "completed", "failed", "delayed", "prioritized")
        return parts[2] if is_set else ":".join(["job", *parts[3:]])

    async def _store_bytes(self) -> int:
        """What the store holds, except the streams of events, whose length is bounded."""
        lines: str = await self._wire.call("INFO", "memory")
        used = next(int(line[12:]) for line in lines.split() if line.startswith("used_memory:"))
        for stream in self._streams:
            used -= await self._wire.call("MEMORY", "USAGE", stream, "SAMPLES", 0) or 0
        return used


def growth(
    samples: list[Sample], warm_seconds: float, until: float
) -> Iterator[tuple[str, float, float]]:
    """For each process what it held after the warm-up and at the end: bytes in the median, and
    handles at their fewest: each job that runs at the moment of a sample has some.
    """
    early = [one for one in samples if warm_seconds <= one.seconds < warm_seconds + WINDOW_SECONDS]
    late = [one for one in samples if until - WINDOW_SECONDS <= one.seconds <= until]
    third = (until - warm_seconds) / 3
    first = [one for one in samples if warm_seconds <= one.seconds < warm_seconds + third]
    last = [one for one in samples if until - third <= one.seconds <= until]
    for role in sorted({role for one in (*early, *late) for role in one.rss}):
        yield f"memory of {role}", _median(early, role), _median(late, role)
        yield f"handles of {role}", _fewest(first, role), _fewest(last, role)
    if first and last:
        yield (
            "children and browsers",
            min(one.others for one in first),
            min(one.others for one in last),
        )
        yield STORE, min(one.store_bytes for one in first), min(one.store_bytes for one in last)


def _median(window: list[Sample], role: str) -> float:
    return statistics.median(one.rss.get(role, 0) for one in window) if window else 0.0


def _fewest(window: list[Sample], role: str) -> float:
    return min((one.handles.get(role, 0) for one in window), default=0)


def judge_growth(samples: list[Sample], warm_seconds: float, until: float) -> list[str]:
    """What has grown that must not."""
    problems: list[str] = []
    for what, early, late in growth(samples, warm_seconds, until):
        if what.startswith("memory") and late > early * (1 + MAX_GROWTH):
            problems.append(f"{what} grew from {early / MEGABYTE:.1f} to {late / MEGABYTE:.1f} MB")
        if what == STORE and late > early * (1 + MAX_STORE_GROWTH):
            problems.append(f"{what} grew from {early / MEGABYTE:.1f} to {late / MEGABYTE:.1f} MB")
        if what.startswith("handles") and late > early + MAX_MORE_HANDLES:
            problems.append(f"{what} grew from {early:.0f} to {late:.0f}")
        if what.startswith("children") and late > early + MAX_MORE_CHILDREN:
            problems.append(f"{what} grew from {early:.0f} to {late:.0f}")
    zombies = [one for one in samples if one.zombies]
    problems += [f"{one.zombies} zombies after {one.seconds / 60:.0f} minutes" for one in zombies]
    return problems


def judge_restarts(restarts: Mapping[str, int]) -> list[str]:
    """What ended and was started again: it would hide that it grew."""
    return [
        f"the {what} was started again {count} times" for what, count in restarts.items() if count
    ]


def judge_end(first: Sample, last: Sample) -> list[str]:
    """What is left of the jobs, when the time of all of them is over."""
    problems = [
        f"keys left: {count} of {kind}" for kind, count in last.keys.items() if kind != "standing"
    ]
    problems += [
        f"{last.files[part]} files in {part}, {first.files[part]} at the beginning"
        for part in last.files
        if last.files[part] > first.files[part]
    ]
    return problems


def _role(pid: int) -> str:
    command = command_of(pid)
    return next((role for word, role in ROLES.items() if word in command), "other")


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * tree.PAGE_BYTES
    except OSError:
        return 0


def count_handles(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def _count_files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
