"""Request ids: one for each call of an API, in its response and on every line that is logged for
it.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

from checkback.core.ids import new_job_id

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

current: ContextVar[str | None] = ContextVar("checkback_request_id", default=None)
"""The id of the request that is being answered; None outside of one."""


def resolve_request_id(sent: object = None) -> str:
    """The caller's own id if it is valid, else a new UUIDv7. It becomes the current one."""
    text = sent if isinstance(sent, str) and _SANE.fullmatch(sent) else new_job_id()
    current.set(text)
    return text
