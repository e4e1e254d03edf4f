"""Runs one attempt in a child process and makes sure that it ends: deadline, memory, cancel, crash.

A fresh child serves one job. A warm child keeps a resource and goes back to the pool when its job
ended well; it is replaced after some jobs, some idle time, or at the first sign of trouble.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from checkback.core.errors import FailureCode, JobFailed
from checkback.core.job import Artifact, Failure
from checkback.engine.processes import disk_limit, limits
from checkback.engine.processes import tree as process_tree
from checkback.engine.processes.child import Assignment
from checkback.engine.processes.disk_limit import DiskUse, Share
from checkback.engine.processes.fork_client import ChildProcess, ForkServers
from checkback.engine.processes.job_folders import (
    OUTGOING,
    Home,
    JobFolders,
    local_sources,
    remove_tree,
)
from checkback.engine.processes.messages import BadChildMessage, Pace, artifacts_of, dump, parse
from checkback.engine.worker.artifact_intake import adopt
from checkback.kinds.context import LocalFile
from checkback.kinds.registry import Kind
from checkback.security.redaction import redact
from checkback.security.sandbox import policy
from checkback.storage.artifacts import disk_full

logger = logging.getLogger(__name__)

CANCEL_GRACE_SECONDS = 2.0
"""What a cancelled job gets to clean up before it is killed; with the killing, well under the
promised 5 s.
"""
RECYCLE_JOBS = 100
RECYCLE_IDLE_SECONDS = 600.0
MAX_OUTPUT_LINE = 2000
MAX_OUTPUT_LINES = 200
OUTPUT_CHUNK = 1 << 20
OUTPUT_PAUSE_SECONDS = 0.05
OUTPUT_DRAIN_SECONDS = 0.5
EXIT_SECONDS = 0.5
"""What a child that has ended its job gets to end itself."""


class Stop(StrEnum):
    """Why a worker ends an attempt that could go on."""

    CANCELLED = "cancelled"
    #: Another worker may run the job now: whatever this one says is void.
    LOCK_LOST = "lock_lost"
    #: The worker shuts down; the job goes back to its queue.
    HAND_BACK = "hand_back"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How an attempt ended: a result, a failure, or stopped by us."""

    result: str | None = None
    failure: Failure | None = None
    stopped: Stop | None = None
    artifacts: tuple[Artifact, ...] = ()
    #: For the server's log only.
    detail: str = ""


Say = Callable[[dict[str, Any]], None]
Answer = Callable[[dict[str, Any]], Awaitable[Any]]
ASKING = ("save", "start", "look")
"""What a child says and waits for an answer to."""


@dataclass(slots=True)
class Warm:
    """An idle child of a warm kind."""

    child: ChildProcess
    home: Home
    #: The egress proxy that it was started with: its walls let it connect to no other.
    proxy_url: str | None = None
    jobs: int = 0
    idle_since: float = field(default_factory=time.monotonic)


class Runner:
    """All children of one worker."""

    def __init__(self, forks: ForkServers, folders: JobFolders) -> None:
        self._forks = forks
        self._folders = folders
        self._warm: defaultdict[str, list[Warm]] = defaultdict(list)
        self._cleaning: set[asyncio.Task[None]] = set()

    async def run(
        self,
        kind: Kind,
        assignment: Assignment,
        say: Say,
        stop: asyncio.Future[Stop],
        answer: Answer,
        share: Share,
    ) -> RunOutcome:
        """Run an attempt to its end, whatever it does. ``say`` hears its progress and log messages;
        ``answer`` is asked what it wants to know or have done; ``share`` is what it may have on the
        disk."""
        try:
            warm = self._take(kind, assignment) or await self._start(kind, assignment)
        except OSError as error:
            return RunOutcome(failure=_not_started(error), detail=repr(error))
        child = warm.child
        folder = self._folders.for_attempt(kind, warm.home, assignment.job_id, assignment.attempt)
        printing = asyncio.create_task(_forward_output(child, say))
        try:
            assignment = await self._prepared(kind, assignment, warm.home, folder, share)
            outcome = await self._converse(kind, child, assignment, say, stop, answer, share)
            if kind.warm is None and outcome.stopped is None:
                # What it printed last belongs into the log before the job counts as ended.
                await asyncio.wait({printing}, timeout=OUTPUT_DRAIN_SECONDS)
            outcome = await self._adopted(kind, child, assignment, outcome, share)
        except OSError as error:
            outcome = RunOutcome(failure=_not_started(error), detail=repr(error))
        except BaseException:
            self._end(warm)
            raise
        finally:
            printing.cancel()
        self._give_back(kind, warm, outcome, folder)
        return outcome

    async def _start(self, kind: Kind, assignment: Assignment) -> Warm:
        """A fresh child with its own folder. Raises OSError if there is no process or no room."""
        home = self._folders.for_child(kind, assignment.job_id, assignment.attempt)
        try:
            child = await self._forks.fork(kind)
            if kind.sandbox:
                home.user = policy.user_for_child(child.pid)
            return Warm(child, home, _proxy_url(assignment))
        except BaseException:
            self._in_background(asyncio.to_thread(home.remove))
            raise

    async def _prepared(
        self, kind: Kind, assignment: Assignment, home: Home, folder: Path, share: Share
    ) -> Assignment:
        """The assignment with the attempt's folder, where the files of this server lie that it
        works on.
        """
        wanted = local_sources(kind, assignment.args)
        files: dict[str, LocalFile] = {}
        if wanted:
            files = await asyncio.to_thread(self._folders.bring_sources, wanted, folder)
        self._folders.give(home, folder)
        return replace(
            assignment,
            folder=str(folder),
            home=str(home.path),
            files=files,
            most_bytes=share.ledger.job_bytes,
            owner_room=share.room,
        )

    async def _adopted(
        self,
        kind: Kind,
        child: ChildProcess,
        assignment: Assignment,
        outcome: RunOutcome,
        share: Share,
    ) -> RunOutcome:
        """The outcome, once the files that belong to it are in the store.

        Files that are not as the child said fail a job that was completed.
        """
        if not outcome.artifacts:
            return outcome
        if outcome.failure is not None and outcome.failure.code == FailureCode.QUOTA_EXCEEDED:
            return replace(outcome, artifacts=())  # what there is no room for is not kept in part
        size = sum(one.size_bytes for one in outcome.artifacts)
        problem = share.problem(DiskUse(total=size, outgoing=size))
        if problem is not None:
            return replace(outcome, result=None, failure=outcome.failure or problem, artifacts=())
        if kind.warm is None:
            # When its end is reported, all that it started is gone as well: nobody can write to the
            # files.
            await _wait_for_exit(child)
        try:
            await asyncio.to_thread(
                adopt,
                self._folders.artifacts,
                assignment.job_id,
                assignment.attempt,
                Path(assignment.folder) / OUTGOING,
                outcome.artifacts,
                may_move=kind.warm is None,
            )
        except JobFailed as error:
            failure = outcome.failure or Failure(
                error.code, error.message, error.retryable, error.hint or ""
            )
            return replace(outcome, result=None, failure=failure, artifacts=(), detail=str(error))
        share.ledger.keep(share, size)
        return outcome

    async def close(self) -> None:
        """End every idle child and wait until what was to be cleaned is clean."""
        for idle in self._warm.values():
            while idle:
                self._end(idle.pop())
        while self._cleaning:
            await asyncio.wait(set(self._cleaning))

    def idle(self) -> dict[str, int]:
        """How many warm children of each kind wait for their next job."""
        return {kind: len(idle) for kind, idle in self._warm.items() if idle}

    def drop_idle(self) -> None:
        """End warm children that nobody has needed for a while."""
        oldest = time.monotonic() - RECYCLE_IDLE_SECONDS
        for idle in self._warm.values():
            for warm in [
                warm for warm in idle if warm.idle_since < oldest or warm.child.exited.done()
            ]:
                idle.remove(warm)
                self._end(warm)

    async def _converse(
        self,
        kind: Kind,
        child: ChildProcess,
        assignment: Assignment,
        say: Say,
        stop: asyncio.Future[Stop],
        answer: Answer,
        share: Share,
    ) -> RunOutcome:
        message = {"say": "assignment", "assignment": asdict(assignment)}
        child.writer.write(dump(message))
        reading = asyncio.create_task(_read_to_end(child, say, answer))
        watching = asyncio.create_task(limits.watch(child.pid, kind))
        measuring = asyncio.create_task(disk_limit.watch(child.pid, Path(assignment.home), share))
        try:
            await asyncio.wait(
                {reading, watching, measuring, stop},
                timeout=assignment.deadline_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if reading.done():
                return await self._ended(child, reading, kind)
            if stop.done():
                return await self._stop(child, reading, stop.result())
            for looking in (watching, measuring):
                if looking.done():
                    return RunOutcome(failure=looking.result())
            seconds = f"{assignment.deadline_seconds:.0f}"
            return RunOutcome(
                failure=Failure(
                    FailureCode.TIMEOUT,
                    f"The job did not end within its deadline of {seconds} s.",
                    retryable=not kind.deterministic,
                    hint="Submit it again with a larger deadline_seconds, or give it less to do.",
                )
            )
        finally:
            reading.cancel()
            watching.cancel()
            measuring.cancel()

    async def _stop(
        self, child: ChildProcess, reading: asyncio.Task[dict[str, Any] | None], why: Stop
    ) -> RunOutcome:
        if why is not Stop.LOCK_LOST:
            with contextlib.suppress(OSError):
                child.writer.write(b'{"say": "cancel"}\n')
            await asyncio.wait({reading}, timeout=CANCEL_GRACE_SECONDS)
        return RunOutcome(stopped=why)

    async def _ended(
        self, child: ChildProcess, reading: asyncio.Task[dict[str, Any] | None], kind: Kind
    ) -> RunOutcome:
        try:
            end = reading.result()
        except BadChildMessage as error:
            return RunOutcome(failure=_unheard(), detail=f"invalid message: {error}")
        if end is None:
            return await self._crash(child, kind)
        artifacts = artifacts_of(end)
        if end["say"] == "completed":
            return RunOutcome(result=end["result"], artifacts=artifacts)
        failure = Failure(end["code"], end["message"], end["retryable"], end["hint"])
        return RunOutcome(failure=failure, artifacts=artifacts, detail=end["detail"])

    async def _crash(self, child: ChildProcess, kind: Kind) -> RunOutcome:
        """The child went without a word: say how."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                status = await asyncio.shield(child.exited)
            if status < 0:
                name = (
                    signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
                )
                how = f"The job's process was ended by the signal {name}."
            else:
                how = f"The job's process ended itself with exit code {status}."
            return RunOutcome(failure=_crashed(how, retryable=not kind.deterministic))
        return RunOutcome(failure=_crashed("The job's process closed its connection."))

    def _take(self, kind: Kind, assignment: Assignment) -> Warm | None:
        idle = self._warm[kind.name]
        while idle:
            warm = idle.pop()
            lives = not warm.child.exited.done() and not warm.child.reader.at_eof()
            if lives and warm.proxy_url == _proxy_url(assignment):
                return warm
            self._end(warm)
        return None

    def _give_back(self, kind: Kind, warm: Warm, outcome: RunOutcome, folder: Path) -> None:
        warm.jobs += 1
        fine = outcome.result is not None or (
            outcome.failure is not None and outcome.failure.code not in _TROUBLE
        )
        if kind.warm is None or not fine or warm.jobs >= RECYCLE_JOBS or warm.child.reader.at_eof():
            self._end(warm)
            return
        self._in_background(asyncio.to_thread(remove_tree, folder))
        warm.idle_since = time.monotonic()
        self._warm[kind.name].append(warm)

    def _end(self, warm: Warm) -> None:
        self._in_background(_end_child(warm))

    def _in_background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)


_TROUBLE = frozenset(
    {
        FailureCode.CRASHED,
        FailureCode.INVALID_MESSAGE,
        FailureCode.INVALID_RESULT,
        FailureCode.OUT_OF_MEMORY,
        FailureCode.TIMEOUT,
        FailureCode.TOO_MANY_PROCESSES,
        "BROWSER_ERROR",
    }
)
"""Failures after which a warm child's resource is not trusted again."""


def _proxy_url(assignment: Assignment) -> str | None:
    return assignment.egress["proxy_url"] if assignment.egress else None


async def _end_child(warm: Warm) -> None:
    """Kill a child's whole tree, at once and for certain, and remove its folder."""
    await _kill(warm.child)
    warm.child.close()
    await asyncio.to_thread(warm.home.remove)


async def _wait_for_exit(child: ChildProcess) -> None:
    """Return when a child that has said its last word is gone, with all that it started."""
    await asyncio.wait({child.exited}, timeout=EXIT_SECONDS)
    await _kill(child)


async def _kill(child: ChildProcess) -> None:
    if not child.exited.done():
        await asyncio.to_thread(process_tree.kill_tree, child.pid)
        await asyncio.wait({child.exited}, timeout=5)


async def _read_to_end(child: ChildProcess, say: Say, answer: Answer) -> dict[str, Any] | None:
    """Pass on what the child says until it says how its job ended; None when it went without a
    word.

    Raises BadChildMessage.
    """
    pace = Pace()
    while True:
        await pace.next()
        try:
            line = await child.reader.readline()
        except OSError:
            return None
        except ValueError:
            raise BadChildMessage("a line without an end") from None
        if not line.endswith(b"\n"):
            return None
        message = parse(line)
        if message["say"] in ("completed", "failed"):
            return message
        if message["say"] in ASKING:
            reply = {"say": "answer", "answer": await answer(message)}
            child.writer.write(dump(reply))
            continue
        say(message)


async def _forward_output(child: ChildProcess, say: Say) -> None:
    """Put what the job prints into its log; of a flood only the newest lines, so that it never
    loads this loop.
    """
    rest = b""
    while chunk := await child.output.read(OUTPUT_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[:MAX_OUTPUT_LINE]
        if lines:
            shown = (
                line[:MAX_OUTPUT_LINE].decode(errors="replace")
                for line in lines[-MAX_OUTPUT_LINES:]
            )
            kept = [redact(line) for line in shown]
            if len(lines) > len(kept):
                kept.insert(
                    0, f"[{len(lines) - len(kept)} lines were dropped: the job printed too fast]"
                )
            say({"say": "log", "lines": kept})
        if len(chunk) > MAX_OUTPUT_LINE * MAX_OUTPUT_LINES // 4:
            await asyncio.sleep(OUTPUT_PAUSE_SECONDS)
    if rest:
        say({"say": "log", "lines": [redact(rest.decode(errors="replace"))]})


def _unheard() -> Failure:
    return Failure(
        FailureCode.INVALID_MESSAGE,
        "The job's process sent its worker an invalid message.",
        hint="A document of the job may be hostile: check the server's log before you retry it.",
    )


def _not_started(error: OSError) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = disk_full()
        return Failure(full.code, full.message, full.retryable, full.hint or "")
    return _crashed("No process could be started for the job.")


def _crashed(message: str, *, retryable: bool = True) -> Failure:
    return Failure(
        FailureCode.CRASHED,
        message,
        retryable=retryable,
        hint="Check the job's log and the server's log.",
    )
