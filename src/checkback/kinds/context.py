"""What a running job may do: tell its phase and progress, log, leave files, see that it was
cancelled.
"""

from __future__ import annotations

import json
import mimetypes
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from checkback.core.clean_text import clean, clean_json, replaced
from checkback.core.job import JSON, Artifact, Failure
from checkback.core.states import State
from checkback.core.trace_context import TraceContext

MAX_SAVED_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Egress:
    """The way out: the one proxy through which a job may reach the network, and this job's key to
    it.
    """

    #: ``http://127.0.0.1:PORT``
    proxy_url: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Environment:
    """What a child process knows of its server; plain values, the same for all its jobs."""

    #: Path of the browser program, or None to look for an installed one.
    browser: str | None = None
    #: Private ``host:port`` addresses that jobs may reach.
    allow_hosts: tuple[str, ...] = ()
    #: The one folder that the child may write; each attempt has its own there.
    temporary_folder: Path = Path("/tmp")  # noqa: S108 - a default for tests; the child always sets it
    production: bool = True
    #: The server's own key for PDF.co's API, and where that is.
    pdfco_key: str | None = None
    pdfco_url: str = "https://api.pdf.co"
    #: Which walls are used, as ``guard.sandbox`` has them, and whether jobs run where there are too
    #: few.
    sandbox: str = "auto"
    accept_missing_sandbox: bool = False


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this server that a job works on, copied into the attempt's folder before it
    started.
    """

    path: str
    #: A plain file name, as its upload or its job calls it.
    name: str


@dataclass(frozen=True, slots=True)
class ResultWarning:
    """Something that a reader of the result should know: a code, and one sentence of ours."""

    code: str
    message: str


class Reporter(Protocol):
    """Where a context sends what the job says: the pipe to the worker, or a list in a test."""

    def progress(self, phase: str | None, percent: int, message: str | None) -> None: ...
    def log(self, line: str) -> None: ...
    def artifact(self, name: str, content: bytes | Path, media_type: str) -> Artifact: ...
    def save(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class StartedJob:
    """How a job stands that a running job has started."""

    id: str
    state: State
    #: 0 to 100.
    progress: int = 0
    result: JSON = None
    failure: Failure | None = None


class Starter(Protocol):
    """Who starts other jobs for a running one, and tells how they stand."""

    def start(self, kind: str, args: dict[str, JSON], key: str) -> str: ...
    def look(self, ids: list[str]) -> list[StartedJob]: ...


class JobContext:
    """A running job's side of the conversation. All methods return at once and may be called from
    any thread.

    What is said is coalesced to four writes a second on its way to the engine, so calling often
    costs little.
    """

    def __init__(
        self,
        *,
        job_id: str,
        kind: str,
        attempt: int,
        deadline_seconds: float,
        folder: Path,
        reporter: Reporter,
        environment: Environment,
        egress: Egress | None = None,
        resource: Any = None,
        saved: JSON = None,
        trace: TraceContext | None = None,
        starter: Starter | None = None,
        files: Mapping[str, LocalFile] | None = None,
        warnings: tuple[ResultWarning, ...] = (),
    ) -> None:
        self.job_id = job_id
        self.kind = kind
        #: 1 for the first attempt; counts attempts that a lost worker began, too.
        self.attempt = attempt
        #: An empty folder of this attempt, removed after it.
        self.folder = folder
        self.environment = environment
        #: None for kinds that did not ask for the network.
        self.egress = egress
        #: What the kind's ``warm`` factory made: a browser, a loaded model.
        self.resource = resource
        #: What an earlier attempt of this job saved last, also one whose worker was lost; else
        #: None.
        self.saved = saved
        #: The value of a ``traceparent`` header, for calls that shall belong to the trace of the
        #: job; None where there is none.
        self.traceparent = trace.traceparent if trace is not None else None
        #: The uploads and results among the job's sources, by their names in its arguments. One
        #: that is gone is missing here.
        self.files: Mapping[str, LocalFile] = files or {}
        #: What the result, where it is an object, says under ``warnings``.
        self.warnings: list[ResultWarning] = []
        self._reporter = reporter
        self._starter = starter
        self._ends_at = time.monotonic() + deadline_seconds
        self._phase: str | None = None
        self._percent = 0
        self._message: str | None = None
        self._cancelled = False
        self._replaced: set[str] = set()
        for warning in warnings:
            self.warn(warning.code, warning.message)

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for the end. A job that does not look is ended by force within 5
        s.
        """
        return self._cancelled

    @property
    def deadline(self) -> float:
        """Seconds left before this attempt is ended, never below 0."""
        return max(0.0, self._ends_at - time.monotonic())

    def phase(self, name: str, message: str | None = None) -> None:
        """Enter a phase. ``name`` is a word of the kind's own, never text from
        a page or document.
        """
        self._phase, self._message = name, message
        self._reporter.progress(name, self._percent, message)

    def progress(self, percent: float, message: str | None = None) -> None:
        """Say how much of the whole is done, 0 to 100. A smaller number than before changes
        nothing.

        100 is kept for the end: until the result is stored it shows as 99.
        """
        self._percent = max(self._percent, min(99, int(percent)))
        if message is not None:
            self._message = message
        self._reporter.progress(self._phase, self._percent, self._message)

    def log(self, line: str) -> None:
        """Add a line to the job's log, where its owner reads it. Long lines are cut, old ones
        dropped.
        """
        self._reporter.log(line)

    def warn(self, code: str, message: str) -> None:
        """Have the result and the log say something that its reader should know. ``message`` is a
        sentence of ours.
        """
        warning = ResultWarning(code, message)
        if warning not in self.warnings:
            self.warnings.append(warning)
            self.log(f"{code}: {message}")

    def artifact(
        self, name: str, content: bytes | str | Path, media_type: str | None = None
    ) -> Artifact:
        """Keep a file: bytes, text, or a path in ``folder`` (which is moved). Seen once the job is
        completed.

        ``name`` is a plain file name; a name used twice in one attempt raises ValueError.
        """
        body = self._encoded(content) if isinstance(content, str) else content
        guessed = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self._reporter.artifact(name, body, guessed)

    def save(self, value: JSON) -> None:
        """Keep a small value for a later attempt of this job; on return it is stored, as durably as
        the job.

        For work that must not be done twice: save what it takes to go on. Raises ValueError for
        more than 16 KB, ConnectionError when it could not be stored. Blocks for a moment: in
        ``async`` work, call it in a thread.
        """
        cleaned = clean_json(value, numbers=False)
        text = json.dumps(cleaned, allow_nan=False)
        if len(text) > MAX_SAVED_BYTES:
            raise ValueError(f"A saved value may have {MAX_SAVED_BYTES // 1024} KB.")
        if cleaned != value:
            self._note_replaced("saved value")
        self._reporter.save(text)
        self.saved = cleaned

    def start(self, kind: str, args: dict[str, JSON], *, key: str) -> str:
        """Start another job, a part of this one, as this job's owner; returns its id once it is
        stored.

        The same ``key`` gives the same part in every attempt of this job; one that had failed or
        was cancelled runs again. Who cancels this job cancels its parts; so does its failure.
        Raises InvalidInput for wrong args, ValueError for a kind that works on files,
        ConnectionError when it could not be stored. Blocks for a moment.
        """
        if self._starter is None:
            raise ConnectionError("This job cannot start others.")
        return self._starter.start(kind, args, key)

    def look(self, ids: list[str]) -> list[StartedJob]:
        """How some parts of this job stand now, in the order of ``ids``. Blocks for a moment."""
        if self._starter is None:
            raise ConnectionError("This job cannot start others.")
        return self._starter.look(ids)

    def _encoded(self, text: str) -> bytes:
        cleaned = clean(text)
        if cleaned != text:
            self._note_replaced("files")
        return cleaned.encode()

    def _note_replaced(self, where: str) -> None:
        if where not in self._replaced:
            self._replaced.add(where)
            self._reporter.log(replaced(where))

    def mark_cancelled(self) -> None:
        """Called by the child when its worker says that the job was cancelled."""
        self._cancelled = True
