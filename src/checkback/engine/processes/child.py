"""What runs inside a child process: take an assignment, call the kind's function, say how it ended.

A fresh child serves one job. A warm child keeps what its kind's ``warm`` factory made (a browser,
say) and serves one job after another. Either speaks JSON lines with its worker on one socket; see
``Channel``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import io
import json
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from checkback.core.clean_text import clean
from checkback.core.errors import CheckbackError, FailureCode, JobFailed
from checkback.core.job import JSON, Failure
from checkback.core.states import State
from checkback.core.trace_context import TraceContext
from checkback.engine.processes import tree
from checkback.engine.processes.channel import Channel
from checkback.engine.processes.environment import live_in
from checkback.engine.processes.job_folders import OUTGOING, own_folder
from checkback.kinds import registry, sandboxing
from checkback.kinds.context import (
    Egress,
    Environment,
    JobContext,
    LocalFile,
    ResultWarning,
    StartedJob,
)
from checkback.kinds.registry import Kind, MemoryLimit
from checkback.kinds.results import encode_result
from checkback.security.encryption import revealed
from checkback.security.redaction import Redactor
from checkback.storage.artifacts import AttemptArtifacts

MAX_RESULT_BYTES = 64 * 1024
RESULT_ARTIFACT = "result.json"
OPEN_FILES = 4096
LEAST_SLACK_BYTES = 64 << 20
#: Of warm children: the first is how many more objects are made than freed before the young ones
#: are looked through. Python's own number, 700, is meant for programs that make few.
_GARBAGE_THRESHOLDS = (20_000, 20, 20)


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """What all children of a worker share, sent once to the fork server."""

    modules: tuple[str, ...]
    environment: Environment = field(default_factory=Environment)
    #: Whether its children run the built-in kinds; the others run those of ``modules``.
    built_in: bool = True

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), default=str).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ChildSettings:
        values = json.loads(data)
        environment = values["environment"]
        environment["temporary_folder"] = Path(environment["temporary_folder"])
        environment["allow_hosts"] = tuple(environment["allow_hosts"])
        return cls(tuple(values["modules"]), Environment(**environment), values["built_in"])


@dataclass(frozen=True, slots=True)
class Assignment:
    """One attempt of one job, as the worker hands it to a child."""

    job_id: str
    kind: str
    args: JSON
    attempt: int
    deadline_seconds: float
    #: The attempt's own folder, and the one folder that its child may write: the same, or around
    #: it.
    folder: str = ""
    home: str = ""
    #: The files of this server that it works on: source -> path and name.
    files: dict[str, LocalFile] = field(default_factory=dict[str, LocalFile])
    #: What its files may take together, 0 for any amount, and what room their owner has, None for
    #: any.
    most_bytes: int = 0
    owner_room: int | None = None
    egress: dict[str, str] | None = None
    #: The secrets among the arguments, to be masked in what it says, and the server's own key for
    #: PDF.co.
    secrets: list[str] = field(default_factory=list[str], repr=False)
    pdfco_key: str | None = field(default=None, repr=False)
    #: What an earlier attempt saved.
    saved: JSON = None
    #: The trace that the attempt belongs to, as BullMQ's telemetry metadata.
    trace: str | None = None

    @classmethod
    def of(cls, message: dict[str, Any]) -> Assignment:
        """As the worker wrote it."""
        made = cls(**message)
        files = {source: LocalFile(**found) for source, found in message["files"].items()}
        return replace(made, files=files)

    def reach(self) -> sandboxing.Own:
        """What this child may reach inside its sandbox."""
        return sandboxing.Own(Path(self.home), self.egress["proxy_url"] if self.egress else None)


def run_child(channel: socket.socket, output: int, settings: ChildSettings) -> None:
    """Serve the assignments that come on ``channel`` until it closes, or one job for a kind that is
    not warm.
    """
    os.setsid()
    tree.adopt_orphans()
    _redirect_output(output)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower_limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    conversation = Channel(channel)
    first = conversation.first_assignment()
    if first is None:
        return
    kind = registry.get(first["kind"])
    if kind.is_built_in:
        live_in(str(own_folder(kind, first["home"])))
    try:
        warnings = sandboxing.shut_in(kind, Assignment.of(first).reach(), settings.environment)
    except JobFailed as error:
        conversation.end_failed(
            error.code, error.message, retryable=error.retryable, hint=error.hint
        )
        return
    conversation.start()
    _limit_memory(kind)
    if kind.warm is not None:
        asyncio.run(_serve_warm(conversation, first, kind, settings, warnings))
    else:
        _serve_fresh(conversation, first, kind, settings, warnings)


def _serve_fresh(
    conversation: Channel,
    first: dict[str, Any],
    kind: Kind,
    settings: ChildSettings,
    warnings: tuple[ResultWarning, ...],
) -> None:
    attempt = _Attempt(conversation, Assignment.of(first), kind, settings, None, warnings)
    if inspect.iscoroutinefunction(kind.function):
        asyncio.run(attempt.run_async())
    else:
        attempt.run_sync()
    conversation.close()


async def _serve_warm(
    conversation: Channel,
    first: dict[str, Any],
    kind: Kind,
    settings: ChildSettings,
    warnings: tuple[ResultWarning, ...],
) -> None:
    loop = asyncio.get_running_loop()
    message: dict[str, Any] | None = first
    async with AsyncExitStack() as stack:
        kept: Any = None
        while message is not None:
            assignment = Assignment.of(message)
            environment = replace(
                settings.environment, temporary_folder=own_folder(kind, assignment.home)
            )
            try:
                if kept is None and kind.warm is not None:
                    kept = await stack.enter_async_context(kind.warm(environment))
                    _spare_what_stays()
            except JobFailed as error:
                conversation.end_failed(
                    error.code, error.message, retryable=error.retryable, hint=error.hint
                )
                return
            except Exception as error:
                conversation.end_failed(
                    *_internal(error, settings), retryable=True, detail=traceback.format_exc()
                )
                return
            await _Attempt(conversation, assignment, kind, settings, kept, warnings).run_async()
            message = await loop.run_in_executor(None, conversation.next_assignment)


def _spare_what_stays() -> None:
    """Keep the search for garbage away from what a warm child keeps, and let it begin less often.

    A job that builds large trees would otherwise spend a tenth of its time on looking through them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


class _Attempt:
    """One run of a kind's function, from its arguments to the message that ends it."""

    def __init__(
        self,
        conversation: Channel,
        assignment: Assignment,
        kind: Kind,
        settings: ChildSettings,
        kept: Any,
        warnings: tuple[ResultWarning, ...] = (),
    ) -> None:
        self._conversation = conversation
        self._assignment = assignment
        self._kind = kind
        self._settings = settings
        self._artifacts = AttemptArtifacts(
            Path(assignment.folder) / OUTGOING,
            assignment.attempt,
            most_bytes=assignment.most_bytes,
            owner_room=assignment.owner_room,
        )
        self._context = JobContext(
            job_id=assignment.job_id,
            kind=kind.name,
            attempt=assignment.attempt,
            deadline_seconds=assignment.deadline_seconds,
            folder=Path(assignment.folder),
            reporter=conversation.reporter(self._artifacts),
            environment=replace(
                settings.environment,
                temporary_folder=own_folder(kind, assignment.home),
                pdfco_key=assignment.pdfco_key,
            ),
            egress=Egress(**assignment.egress) if assignment.egress else None,
            resource=kept,
            saved=assignment.saved,
            trace=TraceContext.from_metadata(assignment.trace),
            starter=_Starter(conversation),
            files=assignment.files,
            warnings=warnings,
        )

    def run_sync(self) -> None:
        """Call a plain function on the main thread, where libraries expect to be."""
        self._conversation.on_cancel(self._context.mark_cancelled)
        try:
            self._succeed(self._kind.function(**self._parameters()))
        except BaseException as error:
            self._fail(error)

    async def run_async(self) -> None:
        """Await a coroutine function in a separate task, which a cancel ends."""
        loop = asyncio.get_running_loop()
        task: asyncio.Task[Any] | None = None

        def cancel() -> None:
            self._context.mark_cancelled()
            loop.call_soon_threadsafe(lambda: task.cancel() if task is not None else None)

        self._conversation.on_cancel(cancel)
        try:
            os.chdir(self._assignment.folder)
            result = self._kind.function(**self._parameters())
            if inspect.isawaitable(result):
                task = asyncio.ensure_future(result)
                result = await task
            self._succeed(result)
        except BaseException as error:
            self._fail(error)

    def _parameters(self) -> dict[str, Any]:
        os.chdir(self._assignment.folder)
        self._conversation.redact = Redactor(self._assignment.secrets)
        _mask_output(self._conversation)
        model = self._kind.check_args(self._assignment.args)
        return self._kind.parameters(model, self._context)

    def _succeed(self, result: JSON) -> None:
        text, was_clean = encode_result(result, self._context.warnings)
        if not was_clean:
            self._conversation.note_replaced("result")
        if len(text) > MAX_RESULT_BYTES:
            self._artifacts.write(RESULT_ARTIFACT, text.encode(), "application/json")
            text = json.dumps({"spilled_to": RESULT_ARTIFACT, "size_bytes": len(text)})
        self._conversation.end_completed(text, self._artifacts.written)

    def _fail(self, error: BaseException) -> None:
        detail = "".join(traceback.format_exception(error))
        if isinstance(error, JobFailed):
            self._conversation.end_failed(
                error.code,
                error.message,
                retryable=error.retryable,
                hint=error.hint,
                detail=detail,
                artifacts=self._artifacts.written,
            )
        elif isinstance(error, CheckbackError):
            self._conversation.end_failed(
                error.code, error.message, retryable=False, hint=error.hint, detail=detail
            )
        elif isinstance(error, MemoryError):
            message = "The job needed more memory than its kind allows."
            self._conversation.end_failed(
                FailureCode.OUT_OF_MEMORY, message, retryable=False, detail=detail
            )
        elif isinstance(error, SystemExit):
            message = "The job's process ended itself before the job was done."
            self._conversation.end_failed(
                FailureCode.CRASHED, message, retryable=True, detail=detail
            )
        else:
            self._conversation.end_failed(
                *_internal(error, self._settings), retryable=True, detail=detail
            )


class _Starter:
    """Starts other jobs for a running one: asks the worker, which checks, seals and stores."""

    def __init__(self, conversation: Channel) -> None:
        self._conversation = conversation

    def start(self, kind: str, args: dict[str, JSON], key: str) -> str:
        found = registry.get(kind)
        if found.sources:
            raise ValueError(f"{kind} works on files and cannot be started by a job.")
        found.check_args(args)
        answer = self._conversation.ask(
            {"say": "start", "kind": kind, "key": key, "args": revealed(args)}
        )
        if "error" in answer:
            raise ConnectionError(answer["error"])
        return str(answer["id"])

    def look(self, ids: list[str]) -> list[StartedJob]:
        answer = self._conversation.ask({"say": "look", "ids": ids})
        return [_started(one, found) for one, found in zip(ids, answer["jobs"], strict=True)]


def _started(job_id: str, found: dict[str, Any] | None) -> StartedJob:
    if found is None:
        return StartedJob(
            job_id, State.FAILED, failure=Failure("job_not_found", "The job is gone.")
        )
    failure = Failure(**found["failure"]) if found["failure"] else None
    return StartedJob(job_id, State(found["state"]), found["progress"], found["result"], failure)


def _internal(error: BaseException, settings: ChildSettings) -> tuple[str, str]:
    if settings.environment.production:
        return (
            FailureCode.INTERNAL_ERROR,
            "Internal error; the server's log has the details under this job's id.",
        )
    return FailureCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}"[:500]


def _redirect_output(output: int) -> None:
    """Send what the job prints to its log, and give it nothing to read."""
    sys.stdout.flush()
    sys.stderr.flush()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


class _MaskedOutput(io.TextIOWrapper):
    """What Python code prints, without what looks like a key or is one of the job's own secrets."""

    conversation: Channel

    def write(self, text: str, /) -> int:
        super().write(clean(self.conversation.redact(text)))
        return len(text)


def _mask_output(conversation: Channel) -> None:
    """Put a mask before standard output and error; a warm child has it from its first job on."""
    if isinstance(sys.stdout, _MaskedOutput):
        return
    for name, number in (("stdout", 1), ("stderr", 2)):
        raw = io.FileIO(number, "w", closefd=False)
        masked = _MaskedOutput(io.BufferedWriter(raw), "utf-8", "replace", line_buffering=True)
        masked.conversation = conversation
        setattr(sys, name, masked)


def _limit_memory(kind: Kind) -> None:
    """Have the kernel hold the kind's limit, exactly or, where the worker watches it, a tenth
    above.

    The second is a wall in each process alone, for one that grows faster than it is looked at; a
    program that knows that it only reserves what it does not use may raise it for itself.
    """
    if not kind.memory_bytes:
        return
    if kind.memory_limit is MemoryLimit.ADDRESS_SPACE:
        _lower_limit(resource.RLIMIT_AS, kind.memory_bytes)
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wall = kind.memory_bytes + max(kind.memory_bytes // 10, LEAST_SLACK_BYTES)
    if hard == resource.RLIM_INFINITY or wall < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (wall, hard))


def _lower_limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(
        what, (value, value) if hard == resource.RLIM_INFINITY or hard > value else (hard, hard)
    )
