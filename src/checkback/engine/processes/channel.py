"""The child's side of its talk with the worker: JSON lines over one socket.

In: ``assignment``, ``cancel``, ``answer``. Out: ``progress``, ``log``, ``completed``, ``failed``,
and what is answered: ``save``, ``start``, ``look``. A thread reads and flushes, so that a cancel is
heard and the newest progress leaves even while the job computes. What is said faster than four
times a second is coalesced here, in the child: it never loads the worker's loop.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from checkback.core.clean_text import clean, clean_json, numbered, replaced
from checkback.core.job import Artifact
from checkback.engine.processes.messages import (
    MAX_DETAIL,
    MAX_ENTERED,
    MAX_MESSAGE,
    MAX_PHASE,
    dump,
    plain_code,
)
from checkback.security.redaction import Redactor
from checkback.storage.artifacts import AttemptArtifacts

FLUSH_SECONDS = 0.25
PHASE_SECONDS = 0.02
"""A new phase is reported at once, but not more often than this."""
ANSWER_SECONDS = 60.0
MAX_LOG_LINE = 2000
MAX_LOG_BURST = 200
"""Log lines that one flush carries; of more, the oldest are dropped and counted."""


class Channel:
    """One child's talk with its worker. All methods may be called from any thread."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._waiting = threading.Lock()
        self._assignments: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._asking = threading.Lock()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._cancel: Callable[[], None] | None = None
        self._progress: dict[str, Any] | None = None
        self._phase: str | None = None
        self._entered: list[tuple[str | None, float]] = []
        self._log: list[str] = []
        self._dropped = 0
        self._flushed_at = 0.0
        #: What was replaced in what the current job says, and is noted in its log.
        self._replaced: set[str] = set()
        #: Masks what looks like a key in all that is said; the current job's own secrets, too.
        self.redact = Redactor()
        self._pending = b""

    def first_assignment(self) -> dict[str, Any] | None:
        """Block for the first job, before ``start``; None when the worker wants none.

        Walls hold for the thread that enters them and those that it starts later: the first job
        says which are needed, so it is read before there is a second thread.
        """
        while self._assignments.empty():
            self._receive()
        return self._assignments.get()

    def start(self) -> None:
        """Begin to listen and to flush, in a separate thread."""
        threading.Thread(target=self._run, name="conversation", daemon=True).start()

    def next_assignment(self) -> dict[str, Any] | None:
        """Block for the next job; None when the worker wants no more."""
        return self._assignments.get()

    def on_cancel(self, action: Callable[[], None]) -> None:
        """What to do when the worker says that the current job was cancelled; runs in the reading
        thread.
        """
        self._cancel = action

    def reporter(self, artifacts: AttemptArtifacts) -> _Reporter:
        return _Reporter(self, artifacts)

    def progress(self, phase: str | None, percent: int, message: str | None) -> None:
        message = None if message is None else self.redact(message)[:MAX_MESSAGE]
        phase = None if phase is None else phase[:MAX_PHASE]
        with self._waiting:
            self._progress = {
                "say": "progress",
                "phase": phase,
                "percent": percent,
                "message": message,
            }
            entered = phase != self._phase
            self._phase = phase
            if entered and len(self._entered) < MAX_ENTERED:
                # Every process of a machine has the same monotonic clock.
                self._entered.append((phase, time.monotonic()))
            fresh = entered and time.monotonic() - self._flushed_at > PHASE_SECONDS
        if fresh:
            self._flush()

    def log(self, line: str) -> None:
        with self._waiting:
            self._log.append(line[: 10 * MAX_LOG_LINE])
            if len(self._log) > MAX_LOG_BURST:
                del self._log[0]
                self._dropped += 1

    def _shown(self, line: str) -> str:
        masked = self.redact(line)
        return masked if len(masked) <= MAX_LOG_LINE else masked[:MAX_LOG_LINE] + " [cut]"

    def save(self, text: str) -> None:
        """Have the worker store a value; returns once it has. Raises ConnectionError when it could
        not.
        """
        if not self.ask({"say": "save", "value": text})["stored"]:
            raise ConnectionError("The value could not be saved.")

    def ask(self, message: dict[str, Any]) -> Any:
        """The worker's answer. Raises ConnectionError when none comes."""
        with self._asking:
            self._send(message)
            try:
                return self._answers.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                raise ConnectionError("The worker does not answer.") from None

    def end_completed(self, result: str, artifacts: Sequence[Artifact]) -> None:
        """Say that the attempt is done. ``result`` is JSON text, so that it is taken apart only by
        its readers.
        """
        self._end(
            {
                "say": "completed",
                "result": result,
                "artifacts": [asdict(item) for item in artifacts],
            }
        )

    def end_failed(
        self,
        code: str,
        message: str,
        *,
        retryable: bool,
        hint: str | None = None,
        detail: str = "",
        artifacts: Sequence[Artifact] = (),
    ) -> None:
        """Say that the attempt failed. ``detail`` is for the server's log only."""
        self._end(
            {
                "say": "failed",
                "code": plain_code(str(code)),
                "message": self.redact(message)[:MAX_MESSAGE],
                "retryable": retryable,
                "hint": self.redact(hint or "")[:MAX_MESSAGE],
                "detail": self.redact(detail)[-MAX_DETAIL:],
                "artifacts": [asdict(item) for item in artifacts],
            }
        )

    def close(self) -> None:
        """Say no more; whatever was said has been sent."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)

    def _end(self, message: dict[str, Any]) -> None:
        self._cancel = None
        self._flush()
        self._phase = None
        self._send(message)
        self._replaced.clear()

    def _run(self) -> None:
        while True:
            readable, _, _ = select.select([self._channel], [], [], FLUSH_SECONDS)
            self._flush()
            if readable and not self._receive():
                return

    def _receive(self) -> bool:
        """Hear what the worker says next; False when it says no more."""
        try:
            data = self._channel.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            # The worker is gone or has no more work. A job that still runs has nobody to run for.
            self._assignments.put(None)
            if self._cancel is not None:
                os._exit(75)
            return False
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))
        return True

    def _hear(self, message: dict[str, Any]) -> None:
        if message["say"] == "assignment":
            self._assignments.put(message["assignment"])
        elif message["say"] == "answer":
            self._answers.put(message["answer"])
        elif message["say"] == "cancel" and self._cancel is not None:
            self._cancel()

    def _flush(self) -> None:
        with self._waiting:
            progress, self._progress = self._progress, None
            entered, self._entered = self._entered, []
            lines, self._log = self._log, []
            dropped, self._dropped = self._dropped, 0
            self._flushed_at = time.monotonic()
        if dropped:
            lines.insert(0, f"[{dropped} lines were dropped: the job logged too fast]")
        if lines:
            # Only now: of a flood most lines were dropped.
            self._send({"say": "log", "lines": [self._shown(line) for line in lines]})
        if progress is not None:
            self._send(progress | {"entered": entered})

    def note_replaced(self, where: str) -> None:
        """Say in the job's log that text which no door could encode was replaced, once for each
        place.
        """
        if where in self._replaced:
            return
        self._replaced.add(where)
        self._send({"say": "log", "lines": [replaced(where)]})

    def _send(self, message: dict[str, Any]) -> None:
        cleaned = clean_json(message)
        if cleaned != message:
            self.note_replaced(_PLACES[message["say"]])
            message = cleaned
        with self._sending, contextlib.suppress(OSError):
            self._channel.sendall(dump(message))


_PLACES = {
    "progress": "phase or message",
    "log": "log",
    "failed": "failure",
    "completed": "names of files",
    "save": "saved value",
    "start": "arguments for another job",
    "look": "question about other jobs",
}
"""How the log calls the messages of a child."""


class _Reporter:
    """What a JobContext says, put into messages."""

    def __init__(self, conversation: Channel, artifacts: AttemptArtifacts) -> None:
        self._conversation = conversation
        self._artifacts = artifacts

    def progress(self, phase: str | None, percent: int, message: str | None) -> None:
        self._conversation.progress(phase, percent, message)

    def log(self, line: str) -> None:
        self._conversation.log(line)

    def artifact(self, name: str, content: bytes | Path, media_type: str) -> Artifact:
        plain = clean(name)
        if plain != name:
            self._conversation.note_replaced("names of files")
            used = {artifact.name for artifact in self._artifacts.written}
            stem, dot, ending = plain.rpartition(".") if "." in plain else (plain, "", "")
            plain = numbered(stem, used.__contains__, dot + ending)
        return self._artifacts.write(plain, content, media_type)

    def save(self, text: str) -> None:
        self._conversation.save(text)
