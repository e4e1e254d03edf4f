"""Middleware in front of MCP's own HTTP application: reads each body within a limit, strictly, and
refuses everything that is not a JSON-RPC message with the codes of the specification.

| code | what was sent |
|---|---|
| -32700 | no JSON: bad UTF-8, NaN, a key twice, more than 64 levels |
| -32600 | JSON, but no message: a batch, another version, a method or an id of the wrong type |
| -32602 | a message whose ``params`` are no object |

MCP's own code reports an unknown method (-32601) and wrong arguments of a known one.
"""

from __future__ import annotations

import json
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checkback.api.error_responses import send_json
from checkback.api.request_body import ValueCounter
from checkback.core import heavy
from checkback.core.errors import InvalidInput
from checkback.security import strict_json

MAX_MESSAGE_BYTES = 2 * 1024 * 1024
MAX_VALUES = 50_000
"""How many values a message may have: each is visited several times. Commas in texts count as well.
"""
MESSAGE = "checkback.mcp.message"
"""Key of the message in a request's scope, for later middleware."""

PARSE_ERROR, INVALID_REQUEST, INVALID_PARAMS = -32700, -32600, -32602


class BadJsonRpcMessage(Exception):
    """What is wrong with a message; ``message_id`` is its id, where that could be read."""

    def __init__(
        self, code: int, message: str, message_id: str | int | None = None, *, status: int = 400
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.message_id, self.status = code, message, message_id, status

    def answer(self) -> dict[str, Any]:
        """The JSON-RPC error response."""
        error = {"code": self.code, "message": self.message}
        return {"jsonrpc": "2.0", "id": self.message_id, "error": error}


def check_message(body: bytes) -> dict[str, Any]:
    """The message. Raises BadJsonRpcMessage for anything that is not a JSON-RPC message as MCP
    defines it.
    """
    message = _parse_object(body)
    message_id = message.get("id")
    if not _is_id(message_id):
        raise _invalid_request("id must be a string or a whole number")
    if message.get("jsonrpc") != "2.0":
        raise _invalid_request('jsonrpc must be "2.0"', message_id)
    if "method" in message:
        _check_request(message, message_id)
    elif message_id is None or not ("result" in message or "error" in message):
        raise _invalid_request("method is required", message_id)
    return message


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        value = strict_json.parse(body)
    except InvalidInput as error:
        raise BadJsonRpcMessage(
            PARSE_ERROR, f"Parse error: {error.message}", _readable_id(body)
        ) from None
    if isinstance(value, list):
        raise _invalid_request("batches are not supported")
    if not isinstance(value, dict):
        raise _invalid_request("a message must be an object")
    return cast("dict[str, Any]", value)


def _is_id(value: object) -> bool:
    """Whether a message may have this id; None is for messages without one."""
    return isinstance(value, str | int | None) and not isinstance(value, bool)


def _check_request(message: dict[str, Any], message_id: str | int | None) -> None:
    if not isinstance(message["method"], str):
        raise _invalid_request("method must be a string", message_id)
    if "id" in message and message_id is None:
        raise _invalid_request("id must be a string or a whole number")
    if not isinstance(message.get("params", {}), dict):
        raise BadJsonRpcMessage(
            INVALID_PARAMS, "Invalid params: params must be an object.", message_id
        )


def _invalid_request(
    reason: str, message_id: str | int | None = None, *, status: int = 400
) -> BadJsonRpcMessage:
    return BadJsonRpcMessage(
        INVALID_REQUEST, f"Invalid request: {reason}.", message_id, status=status
    )


def _readable_id(body: bytes) -> str | int | None:
    """The id of a message that some parsers can read and ours refuses, such as one with half a
    surrogate pair: otherwise a client that waits for this id would wait until it gives up.
    """
    try:
        message: object = json.loads(body.decode(), object_pairs_hook=strict_json.unique)
        message_id = (
            cast("dict[str, Any]", message).get("id") if isinstance(message, dict) else None
        )
        strict_json.check(message_id)
    except (InvalidInput, RecursionError, ValueError):
        return None
    return message_id if _is_id(message_id) else None


class StrictMessages:
    """Lets only valid messages through, so that the application can read them again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(receive)
            if body is None:
                return
            light = len(body) <= heavy.SMALL_BYTES
            scope[MESSAGE] = await heavy.run(check_message, body, light=light)
        except BadJsonRpcMessage as bad:
            await refuse(bad, send)
            return
        await self._app(scope, _replayed(body, receive), send)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """``receive`` as if the body had not been read yet."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None if the client disconnected. Raises BadJsonRpcMessage past the limit,
    while reading.
    """
    body, counter = bytearray(), ValueCounter()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        piece = message.get("body", b"")
        body += piece
        if len(body) > MAX_MESSAGE_BYTES:
            reason = f"the message is larger than the limit of {MAX_MESSAGE_BYTES >> 20} MB"
            raise _invalid_request(reason, status=413)
        if counter.add(piece) > MAX_VALUES:
            reason = f"the message has more than the limit of {MAX_VALUES} values"
            raise _invalid_request(reason, status=413)
        if not message.get("more_body", False):
            return bytes(body)


async def refuse(bad: BadJsonRpcMessage, send: Send) -> None:
    """Answer with the JSON-RPC error."""
    await send_json(send, bad.status, bad.answer())
