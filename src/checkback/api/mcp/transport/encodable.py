"""Checks every response of MCP: one that cannot be encoded must not end the connection.

MCP's transports encode a response after all of our code has run. Over stdio, a response that cannot
be encoded ends the server; over HTTP, its client waits forever. So the encoding is tried here,
around everything else.
"""

from __future__ import annotations

import logging
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, ErrorData
from pydantic_core import to_json

from checkback.core.clean_text import clean_json

log = logging.getLogger(__name__)


async def encodable(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware of the SDK's server: the answer, or the error, in a form that every transport can
    encode.
    """
    try:
        result = await call_next(ctx)
    except MCPError as error:
        raise MCPError.from_error_data(_clean_error(error.error)) from error
    if result is None or _can_be_encoded(result):
        return result
    log.error("The response to %s could not be encoded unchanged.", ctx.method)
    cleaned = _cleaned(result)
    if cleaned is None or not _can_be_encoded(cleaned):
        raise MCPError(code=INTERNAL_ERROR, message="The response could not be encoded.")
    return cleaned


def _cleaned(result: Any) -> dict[str, Any] | None:
    """A result without what no transport can encode; None if it is nested too deep."""
    try:
        return clean_json(result if isinstance(result, dict) else _plain(result))
    except RecursionError:
        return None


def _can_be_encoded(value: Any) -> bool:
    try:
        to_json(value)
    except (ValueError, RecursionError):  # half a surrogate pair, too many levels
        return False
    return True


def _plain(result: Any) -> dict[str, Any]:
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


def _clean_error(error: ErrorData) -> ErrorData:
    if _can_be_encoded(error):
        return error
    return ErrorData.model_validate(clean_json(_plain(error)))
