"""Every request has one id: in its scope, for the code that handles or logs it, and in its
response.
"""

from __future__ import annotations

from starlette.types import Message, Scope, Send

from checkback.core.request_ids import resolve_request_id

HEADER = b"x-request-id"


def named(scope: Scope, send: Send) -> Send:
    """``send``, which puts the request's id into the response; in ``scope`` it is set as if the
    client had sent it.

    So all readers of the header find the same id, whether the caller sent it or it was created
    here.
    """
    others = [(name, value) for name, value in scope["headers"] if name != HEADER]
    sent = next((value for name, value in scope["headers"] if name == HEADER), b"")
    line = (HEADER, resolve_request_id(sent.decode("latin-1")).encode())
    scope["headers"] = [*others, line]

    async def tagged(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), line]}
        await send(message)

    return tagged
