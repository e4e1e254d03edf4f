"""What a running job can do: report its phase and progress, log, keep files, and see whether it was
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
    """The proxy through which a job may reach the network, with this job's credentials for it."""

    #: ``http://127.0.0.1:PORT``
    proxy_url: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Environment:
    """What a child process knows about its server: plain values, the same for all its jobs."""

    #: Path of the browser program; None to search for an installed one.
    browser: str | None = None
    #: Private ``host:port`` addresses that jobs may reach.
    allow_hosts: tuple[str, ...] = ()
    #: The only folder that the child may write to; each attempt has its own folder in it.
    temporary_folder: Path = Path("/tmp")  # noqa: S108 - a default for tests; the child always sets it
    production: bool = True
    #: The server's own key for PDF.co's API, and the URL of the API.
    pdfco_key: str | None = None
    pdfco_url: str = "https://api.pdf.co"
    #: Which sandbox is used, as in ``security.sandbox``, and whether jobs may run without one.
    sandbox: str = "auto"
    accept_missing_sandbox: bool = False


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A source file of this server, copied into the attempt's folder before the attempt started."""

    path: str
    #: A plain file name, from its upload or its job.
    name: str


@dataclass(frozen=True, slots=True)
class ResultWarning:
    """Something that a reader of the result should know: a code, and one sentence."""

    code: str
    message: str


class Reporter(Protocol):
    """Receives what the job reports: the pipe to the worker, or a list in a test."""

    def progress(self, phase: str | None, percent: int, message: str | None) -> None: ...
    def log(self, line: str) -> None: ...
    def artifact(self, name: str, content: bytes | Path, media_type: str) -> Artifact: ...
    def save(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class StartedJob:
    """The status of a job that a running job has started."""

    id: str
    state: State
    #: 0 to 100.
    progress: int = 0
    result: JSON = None
    failure: Failure | None = None


class Starter(Protocol):
    """Starts other jobs for a running job, and returns their status."""

    def start(self, kind: str, args: dict[str, JSON], key: str) -> str: ...
    def look(self, ids: list[str]) -> list[StartedJob]: ...


class JobContext:
    """What a running job uses to report and to ask. Methods return at once unless they say
    otherwise, and may be called from any thread.

    Reports are combined into at most four writes a second, so frequent calls cost little.
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
        #: 1 for the first attempt. Attempts whose worker was lost count too.
        self.attempt = attempt
        #: An empty folder of this attempt, removed after it.
        self.folder = folder
        self.environment = environment
        #: None for kinds without ``network=True``.
        self.egress = egress
        #: The resource that the kind's ``warm`` factory made: a browser, a loaded model.
        self.resource = resource
        #: What an earlier attempt of this job saved last, even if its worker was lost; else None.
        self.saved = saved
        #: The value of a ``traceparent`` header, for calls that belong to the trace of the job;
        #: None without a trace.
        self.traceparent = trace.traceparent if trace is not None else None
        #: The uploads and results among the job's sources, by their names in its arguments. A
        #: source that no longer exists is missing here.
        self.files: Mapping[str, LocalFile] = files or {}
        #: The entries of ``warnings`` in the result, if the result is an object.
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
        """Whether the job was cancelled. A job that ignores it is killed within 5 s."""
        return self._cancelled

    @property
    def deadline(self) -> float:
        """Seconds left before this attempt is killed, never below 0."""
        return max(0.0, self._ends_at - time.monotonic())

    def phase(self, name: str, message: str | None = None) -> None:
        """Enter a phase. ``name`` is a word of the kind, never text from a page or document."""
        self._phase, self._message = name, message
        self._reporter.progress(name, self._percent, message)

    def progress(self, percent: float, message: str | None = None) -> None:
        """Report how much of the job is done, 0 to 100. A smaller number than before is ignored.

        100 is reserved for the end: until the result is stored, it is shown as 99.
        """
        self._percent = max(self._percent, min(99, int(percent)))
        if message is not None:
            self._message = message
        self._reporter.progress(self._phase, self._percent, self._message)

    def log(self, line: str) -> None:
        """Add a line to the job's log, which its owner can read. Long lines are cut, and old lines
        are dropped.
        """
        self._reporter.log(line)

    def warn(self, code: str, message: str) -> None:
        """Add a warning to the result and to the log. ``message`` is a sentence of the kind, never
        text from a page or document.
        """
        warning = ResultWarning(code, message)
        if warning not in self.warnings:
            self.warnings.append(warning)
            self.log(f"{code}: {message}")

    def artifact(
        self, name: str, content: bytes | str | Path, media_type: str | None = None
    ) -> Artifact:
        """Keep a file: bytes, text, or a path in ``folder`` (which is moved). It is visible once
        the job is completed.

        ``name`` is a plain file name. A name that is used twice in one attempt raises ValueError.
        """
        body = self._encoded(content) if isinstance(content, str) else content
        guessed = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self._reporter.artifact(name, body, guessed)

    def save(self, value: JSON) -> None:
        """Save a small value for a later attempt of this job. On return it is stored, as durably as
        the job.

        For work that must not be done twice: save what a later attempt needs to continue. Raises
        ValueError for more than 16 KB, and ConnectionError if the value could not be stored. Blocks
        for a moment: in ``async`` functions, call it in a thread.
        """
        cleaned = clean_json(value, numbers=False)
        text = json.dumps(cleaned, allow_nan=False)
        if len(text) > MAX_SAVED_BYTES:
            raise ValueError(f"A saved value may have at most {MAX_SAVED_BYTES // 1024} KB.")
        if cleaned != value:
            self._note_replaced("saved value")
        self._reporter.save(text)
        self.saved = cleaned

    def start(self, kind: str, args: dict[str, JSON], *, key: str) -> str:
        """Start another job as a subjob of this one, for the same owner; returns its id once it is
        stored.

        The same ``key`` returns the same subjob in every attempt of this job. A subjob that failed
        or was cancelled runs again. If this job is cancelled or fails, its subjobs are cancelled.
        Raises InvalidInput for invalid args, ValueError for a kind with source files, and
        ConnectionError if the job could not be stored. Blocks for a moment.
        """
        if self._starter is None:
            raise ConnectionError("This job cannot start others.")
        return self._starter.start(kind, args, key)

    def look(self, ids: list[str]) -> list[StartedJob]:
        """The status of subjobs of this job, in the order of ``ids``. Blocks for a moment."""
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
        """Called by the child process when its worker reports that the job was cancelled."""
        self._cancelled = True
