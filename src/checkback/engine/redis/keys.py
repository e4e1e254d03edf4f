"""The names of all keys, and which of them stand for ever.

BullMQ's keys are ``<prefix>:<queue>:...``; ours are ``<prefix>:cb:...`` next to them. Every
key belongs to a job and goes with it, except the standing ones listed here.
"""

from __future__ import annotations

from dataclasses import dataclass

STANDING_PER_QUEUE = (
    "meta",
    "id",
    "events",
    "marker",
    "pc",
    "stalled-check",
    "stalled",
    "cb-turns",
)
"""What is kept for a queue itself, whether it holds jobs or not: BullMQ's, and the turns."""

STANDING_OF_OURS = ("server", "workers", "callbacks", "runs", "totals", "sizes")
"""Ours: what the running server published, the workers alive, the jobs whose end is to be reported,
how long the last runs of each kind took, how many attempts ended how, how many bytes each owner's
jobs take.
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under one prefix. On Redis Cluster the prefix must have braces: ``{bull}``."""

    prefix: str = "bull"

    def queue(self, queue: str, part: str) -> str:
        return f"{self.prefix}:{queue}:{part}"

    def job(self, queue: str, job_id: str) -> str:
        return f"{self.prefix}:{queue}:{job_id}"

    def owner_prefix(self) -> str:
        return f"{self.prefix}:cb:owner:"

    def owner(self, owner: str) -> str:
        """Sorted set of one owner's job ids by the time they were made: the index behind every
        list.
        """
        return self.owner_prefix() + owner

    def turns(self, queue: str) -> str:
        """Which turn a queue is at, and which each owner had last; reset whenever nothing
        waits.
        """
        return self.queue(queue, "cb-turns")

    def open_prefix(self) -> str:
        return f"{self.prefix}:cb:open:"

    def open(self, owner: str) -> str:
        """Sorted set of ``queue:id`` of one owner's jobs that have not ended, by when they were
        made.

        Ended ones are taken out by the sweeper, or when the owner's limit seems to be reached.
        """
        return self.open_prefix() + owner

    def disk_full(self, owner: str | None = None) -> str:
        """There while some worker's artifacts and uploads take more than they may, or its artifacts
        of one owner; ends by itself.
        """
        return f"{self.prefix}:cb:disk-full" + (f":{owner}" if owner is not None else "")

    def server(self) -> str:
        return f"{self.prefix}:cb:server"

    def callbacks(self) -> str:
        """Sorted set of ``queue job-id``, by when to look whether the job's end can be reported."""
        return f"{self.prefix}:cb:callbacks"

    def runs(self) -> str:
        """Hash of each kind's last completed runs, for estimates."""
        return f"{self.prefix}:cb:runs"

    def totals(self) -> str:
        """Hash of counts of ended attempts, by kind and outcome, and by how long they took."""
        return f"{self.prefix}:cb:totals"

    def sizes(self) -> str:
        """Hash of how many bytes the jobs of each owner take in the store."""
        return f"{self.prefix}:cb:sizes"

    def claim(self, job_id: str) -> str:
        """Held by the worker that is reporting a job's end; ends by itself."""
        return f"{self.prefix}:cb:claim:{job_id}"

    def telling(self, owner: str) -> str:
        """Sorted set of an owner's jobs whose callback is being sent; expires by itself."""
        return f"{self.prefix}:cb:telling:{owner}"

    def streams(self, owner: str) -> str:
        """Sorted set of an owner's open streams, by until when each is believed to be open; expires
        by itself.
        """
        return f"{self.prefix}:cb:streams:{owner}"

    def workers(self) -> str:
        return f"{self.prefix}:cb:workers"
