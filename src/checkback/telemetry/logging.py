"""How log lines look: as text, or each as one JSON object. In both, what looks like a key is
masked.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from checkback.core import log_context
from checkback.security.redaction import RedactingFormatter, redact

TEXT = "%(asctime)s %(levelname)s %(name)s [%(about)s]: %(message)s"
NOISY = ("uvicorn.error", "mcp", "fastmcp", "httpx2")
"""Loggers whose everyday lines say nothing to an operator."""

logger = logging.getLogger(__name__)


class ContextFilter(logging.Filter):
    """Notes on every record, while it is made, for which request, job and trace that is. Put it on
    a handler.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        found = log_context.fields()
        record.context = found
        about = [str(found["request_id"])] if "request_id" in found else []
        about += [f"job {found['job_id']}"] if "job_id" in found else []
        record.about = " ".join(about) or "-"
        return True


def _redacted(value: Any) -> Any:
    return redact(value) if isinstance(value, str) else value


class JsonFormatter(logging.Formatter):
    """One JSON object in one line. Each text in it is masked by itself: masking the whole could
    break it.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        context: dict[str, Any] = getattr(record, "context", {})
        line |= {name: _redacted(value) for name, value in context.items()}
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = redact(self.formatStack(record.stack_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to_stderr(level: str, form: str, *, text: str = TEXT) -> None:
    """Send this process's log lines to standard error, from ``level`` on. ``form`` is ``text`` or
    ``json``; in JSON warnings and what ends the process are lines of that form, too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(ContextFilter())
    handler.setFormatter(JsonFormatter() if form == "json" else RedactingFormatter(text))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    _take_over_others()
    _quiet_noisy_ones()
    if form == "json":
        logging.captureWarnings(True)
        sys.excepthook = _log_the_end


def _quiet_noisy_ones() -> None:
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _take_over_others() -> None:
    """Let no library write its own lines past this format and its masking, as FastMCP does when
    imported.
    """
    os.environ["FASTMCP_LOG_ENABLED"] = "false"
    for name in list(logging.Logger.manager.loggerDict):
        other = logging.getLogger(name)
        other.handlers.clear()
        other.propagate = True


def _log_the_end(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logger.critical("The process ends with an error.", exc_info=(kind, error, trace))
