"""The settings of a worker process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from checkback.engine.jobs.codec import Retention
from checkback.engine.processes.child import ChildSettings
from checkback.engine.processes.disk_limit import MAX_FILES
from checkback.engine.redis.connection import RedisAddress
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.webhooks import WebhookSettings

GRACE_SECONDS = 25.0


@dataclass(frozen=True)
class LockTimes:
    """How long a lock of a job lives, and what follows from it.

    Renewed after a third: after a renewal of 30 s at least 20 s are left, so 12 s without the store
    run nothing twice. Looked for lost ones after a sixth. Every worker of a queue must use the
    same: the longest of them rules all (docs/engine.md).
    """

    seconds: float = 30.0

    @property
    def lock_ms(self) -> int:
        return round(self.seconds * 1000)

    @property
    def renew_ms(self) -> int:
        return round(self.seconds * 1000 / 3)

    @property
    def stalled_check_ms(self) -> int:
        return round(self.seconds * 1000 / 6)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Plain values, from the settings table."""

    address: RedisAddress
    keys: Keys
    #: How many jobs of each queue run at once.
    concurrency: dict[str, int]
    children: ChildSettings
    #: The data folder's secret, from which every key is made.
    secret: bytes = field(repr=False)
    retention: Retention
    temporary_folder: Path
    artifacts_folder: Path
    uploads_folder: Path
    pdfco_key: str | None = field(default=None, repr=False)
    allow_hosts: tuple[str, ...] = ()
    deny_networks: tuple[str, ...] = ()
    grace_seconds: float = GRACE_SECONDS
    locks: LockTimes = field(default_factory=LockTimes)
    version: str = ""
    #: Who is notified of a job's end, and how; None notifies nobody.
    callbacks: WebhookSettings | None = None
    #: What artifacts and uploads may take together; 0 means no limit.
    disk_budget_bytes: int = 0
    #: What the artifacts of one owner may take; 0 means no limit.
    owner_artifact_bytes: int = 0
    #: What the files of one job may take while it runs; 0 means no limit.
    job_disk_bytes: int = 0
    #: How many files one job may make while it runs.
    job_files: int = MAX_FILES
    #: What the jobs of one owner may take in the store; 0 means no limit.
    owner_store_bytes: int = 0

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues whose jobs it runs."""
        return tuple(self.concurrency)
