"""What the APIs share about errors: how an unexpected one is masked, and responses that ASGI
middleware sends without a framework.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import Send

from checkback.core.errors import CheckbackError
from checkback.security.redaction import redact

log = logging.getLogger(__name__)

Header = tuple[bytes, bytes]


def mask_unexpected(
    error: Exception, request_id: str, *, production: bool = True
) -> CheckbackError:
    """An unexpected error as callers may see it; the log has the details.

    Outside of ``production`` its text is shown, without secrets.
    """
    log.error("Request %s failed.", request_id, exc_info=error)
    message = "An unexpected error occurred in the server."
    if not production:
        message = redact(f"{type(error).__name__}: {error}")
    hint = f"Find the details in the server's log under the request id {request_id}."
    return CheckbackError(message, hint=hint)


async def send_json(
    send: Send, status: int, body: Mapping[str, Any], headers: Iterable[Header] = ()
) -> None:
    """Send a whole JSON response."""
    content = json.dumps(body).encode()
    lines = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": content})
