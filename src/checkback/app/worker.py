"""The worker process: ``checkback worker``, and the one that serve starts for itself."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from checkback.app.connect import address, retention
from checkback.app.daemon import find_version, prepare_home
from checkback.app.webhooks import callback_settings
from checkback.core.errors import EngineUnavailable, InvalidInput
from checkback.engine.processes import tree
from checkback.settings import Settings
from checkback.telemetry import recording

if TYPE_CHECKING:
    from checkback.engine.worker.process import WorkerProcess
    from checkback.engine.worker.worker_settings import WorkerSettings

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
JOBS_OF_ROOT = Path("/var/lib/checkback")
"""Folder of the processes of root's jobs, if other users cannot enter the data folder."""


def run_worker(settings: Settings, *, parent: int | None = None) -> int:
    """Work until SIGTERM or SIGINT; a second one ends at once. Returns the process's exit code.

    ``parent`` is the server that this worker may not outlive, and that has looked at the store. A
    worker without one raises UnfitStore for a store that would lose jobs.
    """
    if parent is not None:
        tree.die_with_parent(parent)
    tree.adopt_orphans()
    prepare_home(settings.home)
    # Only workers import BullMQ and redis-py.
    import uvloop

    recording.start("worker", find_version())
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_work(settings, check=parent is None))
    finally:
        recording.stop()


def make_worker(settings: Settings) -> WorkerProcess:
    """A worker with these settings; its ``run`` does the work. Raises InvalidInput for a missing
    module.
    """
    from checkback.engine.worker.process import WorkerProcess

    return WorkerProcess(worker_settings(settings))


def worker_settings(settings: Settings) -> WorkerSettings:
    """What a worker needs to know of the settings. Loads the kinds."""
    from checkback.engine.processes.child import ChildSettings
    from checkback.engine.redis.keys import Keys
    from checkback.engine.worker.worker_settings import LockTimes, WorkerSettings
    from checkback.kinds.context import Environment
    from checkback.security.encryption import load_secret

    load_kinds(settings)
    folder = children_folder(settings)
    environment = Environment(
        browser=settings.browser,
        allow_hosts=settings.allow_hosts,
        temporary_folder=folder,
        production=settings.production,
        pdfco_url=settings.pdfco_url,
        sandbox=settings.sandbox,
        accept_missing_sandbox=settings.accept_missing_sandbox,
    )
    children = ChildSettings(settings.kinds, environment)
    return WorkerSettings(
        address=address(settings),
        keys=Keys(settings.prefix),
        concurrency=settings.concurrency,
        children=children,
        secret=load_secret(settings.home, settings.secret_key),
        pdfco_key=settings.pdfco_key,
        retention=retention(settings),
        temporary_folder=folder,
        artifacts_folder=settings.artifacts_folder,
        uploads_folder=settings.uploads_folder,
        allow_hosts=settings.allow_hosts,
        deny_networks=settings.deny_networks,
        grace_seconds=settings.grace_seconds,
        locks=LockTimes(settings.lock_seconds),
        version=find_version(),
        callbacks=callback_settings(settings),
        disk_budget_bytes=settings.disk_budget_bytes,
        owner_artifact_bytes=int(settings.owner_artifact_gb * 1e9),
        job_disk_bytes=int(settings.job_disk_gb * 1e9),
        owner_store_bytes=settings.owner_store_bytes,
    )


def children_folder(settings: Settings, of_root: Path = JOBS_OF_ROOT) -> Path:
    """The folder for the processes of jobs: in the data folder, if they can enter it.

    A server that runs as root gives each its own user. If no other user can enter the data folder,
    as in root's home, their folder is below ``of_root``.
    """
    from checkback.security.sandbox import policy

    folder = settings.temporary_folder
    if policy.user_for_child(os.getpid()) is None:
        return folder
    if policy.others_may_enter(settings.home.resolve().parent):
        _let_pass(settings.home, folder)
        return folder
    name = hashlib.sha256(str(settings.home.resolve()).encode()).hexdigest()[:16]
    elsewhere = of_root / name
    try:
        _make_enterable(of_root)
        _make_enterable(elsewhere)
    except OSError:
        logger.warning("%s cannot be created, so office files cannot be converted.", elsewhere)
        return folder
    return elsewhere


def _make_enterable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # the server's umask would close it to everybody


def _let_pass(home: Path, folder: Path) -> None:
    """Let other users enter the folder of jobs' processes, and nothing else."""
    folder.mkdir(exist_ok=True, mode=0o711)
    for entry in os.scandir(home):
        if not entry.is_symlink():
            os.chmod(entry.path, entry.stat().st_mode & 0o700)
    for path in (home, folder):
        path.chmod(0o711)


def load_kinds(settings: Settings) -> None:
    """Import every module that registers kinds. Raises InvalidInput, in one sentence, for one that
    cannot be imported; a kind that is refused is left out with a warning.
    """
    from checkback.kinds import registry

    try:
        registry.load(settings.kinds)
    except registry.ModuleNotLoaded as error:
        hint = "Fix the module, or remove it from CHECKBACK_KINDS and --import."
        if _is_missing(error):
            hint = (
                "In CHECKBACK_KINDS or --import, name .py files, or modules that are on PYTHONPATH."
            )
        raise InvalidInput(f"The module {error}", hint=hint) from error


def _is_missing(error: ImportError) -> bool:
    """Whether the module itself was not found, rather than one that it imports."""
    cause = error.__cause__
    if not isinstance(cause, ImportError):
        return False
    return not cause.name or str(error).startswith(cause.name)


async def _work(settings: Settings, *, check: bool) -> int:
    from checkback.engine.processes.fork_client import KindsNotLoaded

    worker = make_worker(settings)
    if check:
        await _check_store(settings)
    loop = asyncio.get_running_loop()
    for what in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(what, worker.shut_down)
    try:
        await worker.run()
    except KindsNotLoaded as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


async def _check_store(settings: Settings) -> None:
    """Refuse a store that would lose jobs. Waits for one that is unavailable or still loading."""
    from checkback.engine.redis.bullmq_client import check_server
    from checkback.engine.redis.connection import RedisConnection, UnfitStore

    wire = RedisConnection(address(settings), name="checkback-check")
    try:
        while True:
            try:
                await check_server(wire)
                return
            except UnfitStore:
                raise
            except EngineUnavailable as error:
                logger.warning("%s The worker is waiting for it.", error.message)
                await asyncio.sleep(CHECK_SECONDS)
    finally:
        await wire.close()
