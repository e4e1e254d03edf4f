"""BullMQ's own Lua scripts, unchanged, as they lie in the installed package.

The doors add, promote and retry with these on their own connection instead of through BullMQ's
Queue class: one MULTI then holds BullMQ's step and ours, and nothing of BullMQ need be imported to
ask for a state. The lists of keys and arguments are those of each script's own header (bullmq 3.4).
"""

from __future__ import annotations

import importlib.util
import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import msgpack

from checkback.core.job import JSON
from checkback.engine.redis.connection import Part, Script
from checkback.engine.redis.keys import Keys

Command = list[Part]


@cache
def script(name: str) -> Script:
    """A script of BullMQ's by its file name without the ending. BullMQ itself is found, not
    imported.
    """
    package = importlib.util.find_spec("bullmq")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("The package bullmq is not installed.")
    return Script.read(Path(package.submodule_search_locations[0]) / "commands" / f"{name}.lua")


def add_script(delayed: bool) -> Script:
    """The script that ``add`` runs for such a job."""
    return script("addDelayedJob-6" if delayed else "addPrioritizedJob-9")


def add(
    keys: Keys, queue: str, job_id: str, name: str, data: JSON, opts: dict[str, Any], created: int
) -> Command:
    """EVALSHA that adds a job, delayed or with a priority, as ``opts`` says. Adding twice is not an
    error.
    """
    arguments = [keys.queue(queue, ""), job_id, name, created, None, None, None, None, None]
    packed = msgpack.packb(arguments, use_bin_type=True)
    body = json.dumps(data, separators=(",", ":"), allow_nan=False)
    if opts.get("delay"):
        which, names = "addDelayedJob-6", ("marker", "meta", "id", "delayed", "completed", "events")
    else:
        which = "addPrioritizedJob-9"
        names = (
            "marker",
            "meta",
            "id",
            "prioritized",
            "delayed",
            "completed",
            "active",
            "events",
            "pc",
        )
    return _evalsha(
        which, [keys.queue(queue, part) for part in names], [packed, body, msgpack.packb(opts)]
    )


def promote(keys: Keys, queue: str, job_id: str) -> Command:
    """EVALSHA that moves a delayed job to the waiting ones; refuses quietly (-3) where it is not
    delayed.
    """
    names = ("delayed", "wait", "paused", "meta", "prioritized", "active", "pc", "events", "marker")
    listed = [keys.queue(queue, part) for part in names]
    return _evalsha("promote-9", listed, [keys.queue(queue, ""), job_id])


def reprocess(keys: Keys, queue: str, job_id: str, *, ended_as: str) -> Command:
    """EVALSHA that moves a finished job back to the waiting ones; -3 where it
    is not in that set.
    """
    listed = [keys.job(queue, job_id), keys.queue(queue, "events"), keys.queue(queue, ended_as)]
    listed += [
        keys.queue(queue, part)
        for part in ("wait", "meta", "active", "marker", "prioritized", "pc")
    ]
    field = "failedReason" if ended_as == "failed" else "returnvalue"
    return _evalsha("reprocessJob-9", listed, [job_id, "LPUSH", field, ended_as, "0", "0"])


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _evalsha(name: str, keys: list[str], args: list[Part]) -> Command:
    return ["EVALSHA", script(name).sha, len(keys), *keys, *args]
