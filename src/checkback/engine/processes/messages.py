"""What a job's process may say to its worker, checked word by word.

The process may have been taken over by what it read. Whatever it sends costs its own job at most: a
line that is not one of these messages ends it as ``invalid_message``.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import Any, cast

from checkback.core.clean_text import MAX_DEPTH
from checkback.core.errors import InvalidInput
from checkback.core.job import Artifact
from checkback.kinds.context import MAX_SAVED_BYTES
from checkback.security import strict_json
from checkback.storage.artifacts import MAX_ARTIFACTS

MAX_LINE_BYTES = 4 << 20
"""More than the longest message takes: one that names 1,000 files."""
MAX_RESULT_CHARACTERS = 64 * 1024
MAX_PHASE = 200
MAX_MESSAGE = 2000
MAX_LINES = 202
MAX_LOG_LINE = 2100
MAX_ENTERED = 200
MAX_DETAIL = 20_000
MAX_KEY = 10_000
MAX_LOOKED_AT = 1000
MESSAGES_A_SECOND = 500
"""What comes faster waits: a child that talks without end must not take the worker's loop."""
CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""How a failure's code may look."""

_ARTIFACT_TEXTS = {"id": 16, "name": 200, "media_type": 800, "sha256": 64}


class BadChildMessage(Exception):
    """The process said something that no job's process says; the text is for the server's log."""


def plain_code(code: str) -> str:
    """A failure's code as it can be sent: other characters become ``_``."""
    if CODE.fullmatch(code):
        return code
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", code)
    return (plain if CODE.match(plain) else f"code_{plain}")[:64]


def parse(line: bytes) -> dict[str, Any]:
    """The message of one line. Raises BadChildMessage."""
    try:
        message = strict_json.parse(line, max_depth=MAX_DEPTH + 4)
    except InvalidInput as error:
        raise BadChildMessage(error.message) from None
    if not isinstance(message, dict):
        raise BadChildMessage("not an object")
    checked = cast("dict[str, Any]", message)
    say = checked.get("say")
    check = _CHECKS.get(say) if isinstance(say, str) else None
    if check is None:
        raise BadChildMessage("no known word")
    names, look = check
    if checked.keys() != {"say", *names}:
        raise BadChildMessage(f"{say}: other fields than it has")
    look(checked)
    return checked


def artifacts_of(message: dict[str, Any]) -> tuple[Artifact, ...]:
    """The files that a checked end names."""
    return tuple(Artifact(**item) for item in message["artifacts"])


class Pace:
    """Makes a child that talks too fast wait."""

    def __init__(self) -> None:
        self._second = 0.0
        self._heard = 0

    async def next(self) -> None:
        """Return when the next message may be read."""
        now = time.monotonic()
        if now - self._second >= 1:
            self._second, self._heard = now, 0
        self._heard += 1
        # Reading a line does not yield while others are there already.
        await asyncio.sleep(0 if self._heard < MESSAGES_A_SECOND else 1 - (now - self._second))


def _progress(message: dict[str, Any]) -> None:
    _text(message["phase"], MAX_PHASE, or_none=True)
    _text(message["message"], MAX_MESSAGE, or_none=True)
    if not 0 <= _number(message["percent"]) <= 100:
        raise BadChildMessage("progress: percent")
    for entry in _list(message["entered"], MAX_ENTERED):
        phase, at = _list(entry, 2, least=2)
        _text(phase, MAX_PHASE, or_none=True)
        _number(at)


def _log(message: dict[str, Any]) -> None:
    for line in _list(message["lines"], MAX_LINES):
        _text(line, MAX_LOG_LINE)


def _completed(message: dict[str, Any]) -> None:
    _json_text(message["result"], MAX_RESULT_CHARACTERS)
    _artifacts(message["artifacts"])


def _failed(message: dict[str, Any]) -> None:
    _text(message["code"], 64)
    if not CODE.fullmatch(message["code"]):
        raise BadChildMessage("failed: code")
    _text(message["message"], MAX_MESSAGE)
    _text(message["hint"], MAX_MESSAGE)
    _text(message["detail"], MAX_DETAIL)
    if not isinstance(message["retryable"], bool):
        raise BadChildMessage("failed: retryable")
    _artifacts(message["artifacts"])


def _save(message: dict[str, Any]) -> None:
    _json_text(message["value"], MAX_SAVED_BYTES)


def _start(message: dict[str, Any]) -> None:
    _text(message["kind"], 200)
    _text(message["key"], MAX_KEY)
    if not isinstance(message["args"], dict):
        raise BadChildMessage("start: args")


def _look(message: dict[str, Any]) -> None:
    for job_id in _list(message["ids"], MAX_LOOKED_AT):
        _text(job_id, 64)


Check = Callable[[dict[str, Any]], None]
_CHECKS: dict[str, tuple[tuple[str, ...], Check]] = {
    "progress": (("phase", "percent", "message", "entered"), _progress),
    "log": (("lines",), _log),
    "completed": (("result", "artifacts"), _completed),
    "failed": (("code", "message", "retryable", "hint", "detail", "artifacts"), _failed),
    "save": (("value",), _save),
    "start": (("kind", "key", "args"), _start),
    "look": (("ids",), _look),
}


def _artifacts(value: Any) -> None:
    for item in _list(value, MAX_ARTIFACTS):
        if not isinstance(item, dict):
            raise BadChildMessage("artifacts: not an object")
        found = cast("dict[str, Any]", item)
        if found.keys() != {*_ARTIFACT_TEXTS, "size_bytes", "attempt"}:
            raise BadChildMessage("artifacts: other fields than they have")
        for name, most in _ARTIFACT_TEXTS.items():
            _text(found[name], most)
        for name in ("size_bytes", "attempt"):
            if type(found[name]) is not int or not 0 <= found[name] < 1 << 53:
                raise BadChildMessage(f"artifacts: {name}")


def _text(value: Any, most: int, *, or_none: bool = False) -> None:
    if value is None and or_none:
        return
    if not isinstance(value, str) or len(value) > most:
        raise BadChildMessage(f"not a text of {most} characters at most")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
        raise BadChildMessage("not a number")
    return value


def _list(value: Any, most: int, *, least: int = 0) -> list[Any]:
    if not isinstance(value, list) or not least <= len(cast("list[Any]", value)) <= most:
        raise BadChildMessage(f"not a list of {most} items at most")
    return cast("list[Any]", value)


def _json_text(value: Any, most: int) -> None:
    """A text that is JSON itself, as it is stored."""
    _text(value, most)
    try:
        strict_json.parse(value.encode(), max_depth=MAX_DEPTH + 1)
    except InvalidInput as error:
        raise BadChildMessage(error.message) from None


def dump(message: dict[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"
