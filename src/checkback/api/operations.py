"""How the native API turns requests into calls and errors into responses.

An ``Operation`` is one line of the API's table: the router, the checks of query and body, and the
OpenAPI document are all made from it, so they cannot contradict each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checkback.api.error_responses import mask_unexpected
from checkback.api.request_body import read_body
from checkback.core import heavy
from checkback.core.clean_text import clean_json
from checkback.core.errors import CheckbackError, InvalidInput, Unauthorized
from checkback.core.job import JSON
from checkback.core.request_ids import resolve_request_id
from checkback.dialects import native
from checkback.kinds.argument_errors import describe
from checkback.security import strict_json
from checkback.security.auth.callers import Caller, caller_of

MAX_BODY_BYTES = 1024 * 1024

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class StrictJsonResponse(JSONResponse):
    """A JSON response with any content: what cannot be encoded is replaced."""

    def render(self, content: Any) -> bytes:
        try:
            return super().render(content)
        except ValueError:  # half a surrogate pair, NaN
            return super().render(clean_json(content))


class RouteNotFound(CheckbackError):
    """This path does not exist."""

    code = "not_found"
    http_status = 404
    default_hint = "GET /openapi.json lists the paths of this API."


class MethodNotAllowed(CheckbackError):
    """This path does not support this method."""

    code = "method_not_allowed"
    http_status = 405
    default_hint = "GET /openapi.json lists the methods of each path."


class HeadersTooLarge(CheckbackError):
    """The headers of the request are too large."""

    code = "head_too_large"
    http_status = 431
    default_hint = "Send fewer or shorter headers."


class RequestTooSlow(CheckbackError):
    """The body of the request did not arrive in time."""

    code = "request_too_slow"
    http_status = 408
    default_hint = "Send the request again over a faster connection."


@dataclass(frozen=True, slots=True)
class OperationResult:
    """One successful result of an operation. ``schema`` is a type that pydantic supports, or
    None.
    """

    description: str
    schema: Any = None
    media_type: str = "application/json"
    #: Whether it has a body at all.
    empty: bool = False


@dataclass(slots=True)
class OperationCall:
    """An accepted request: its caller and its request id."""

    request: Request
    caller: Caller
    request_id: str

    @property
    def job_id(self) -> str:
        return str(self.request.path_params["job_id"])

    def query(self, model: type[M]) -> M:
        """The query string as a checked model. Raises InvalidInput; unknown parameters are
        ignored.
        """
        known = {
            key: value
            for key, value in self.request.query_params.items()
            if key in model.model_fields
        }
        return check_model(model, known)


Handler = Callable[[OperationCall], Awaitable[ASGIApp]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    id: str
    method: str
    path: str
    summary: str
    handler: Handler
    answers: Mapping[int, OperationResult]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    errors: Sequence[type[CheckbackError]] = ()
    #: Answers without a token.
    public: bool = False


class Resource:
    """Everything that one path answers, as an ASGI application.

    An ASGI application rather than a handler function for each method, because Starlette answers a
    wrong method in plain text.
    """

    def __init__(self, operations: Sequence[Operation], *, production: bool) -> None:
        #: By method.
        self.operations = {operation.method: operation for operation in operations}
        self._production = production

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        request_id = resolve_request_id(request.headers.get("x-request-id"))
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            answer = await self._answer(request, request_id)
        except ClientDisconnect:
            return
        except Exception as error:
            answer = self._refusal(error, request_id)
        try:
            await answer(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                raise
            await self._refusal(error, request_id)(scope, receive, watched)

    async def _answer(self, request: Request, request_id: str) -> ASGIApp:
        operation = self.operations.get("GET" if request.method == "HEAD" else request.method)
        if operation is None:
            return self._other_methods(request_id)
        caller = Caller("") if operation.public else caller_of(request.scope)
        return await operation.handler(OperationCall(request, caller, request_id))

    def _other_methods(self, request_id: str) -> ASGIApp:
        """The answer to a method that this path does not have. Raises RouteNotFound if it has
        none.
        """
        if not self.operations:
            raise RouteNotFound
        allowed = ", ".join(sorted(self.operations))
        wrong = MethodNotAllowed(f"This path supports {allowed} only.")
        return StrictJsonResponse(
            native.error(wrong, request_id), wrong.http_status, {"allow": allowed}
        )

    def _refusal(self, error: Exception, request_id: str) -> JSONResponse:
        return refusal(error, request_id, production=self._production)


def refusal(error: Exception, request_id: str, *, production: bool = True) -> JSONResponse:
    """The response for an error: the one place where this API translates errors.

    An unexpected error shows only the request id, under which the log has the details.
    """
    if not isinstance(error, CheckbackError):
        error = mask_unexpected(error, request_id, production=production)
    headers: dict[str, str] = {"cache-control": "no-store"}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    if after := native.retry_after(error):
        headers["retry-after"] = str(after)
    return StrictJsonResponse(native.error(error, request_id), error.http_status, headers)


async def read_json(request: Request) -> JSON:
    """The body as strictly read JSON; an empty body is an empty object. Raises InvalidInput or
    TooLarge.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await read_body(request, MAX_BODY_BYTES)
    if not body:
        return {}
    # A form on another site can send text/plain, but not this type without asking the server first.
    if kind != "application/json":
        raise InvalidInput(
            "The content type of the body is not application/json.",
            hint="Send Content-Type: application/json.",
        )
    return await heavy.run(strict_json.parse, body, light=len(body) <= heavy.SMALL_BYTES)


def check_model(model: type[M], value: object) -> M:
    """``value`` as a checked model. Raises InvalidInput that names each wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidInput(describe(error, model)) from None


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result of ``work``, which is cancelled when the client disconnects. Raises
    ClientDisconnect then.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, gone):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
