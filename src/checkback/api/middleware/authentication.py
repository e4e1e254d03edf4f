"""Middleware in front of every HTTP API: pure ASGI, put around the whole application by ``app``.

``AuthenticationMiddleware`` refuses hosts and origins that are not on the list, before any handler;
then it identifies the caller and stores it in the scope
(``checkback.security.auth.callers.caller_of``). It does not refuse a bad token itself: each API
does, in its own format. ``RequireCaller`` does it for MCP's application, not ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from starlette.types import ASGIApp, Receive, Scope, Send

from checkback.api.error_responses import send_json
from checkback.api.middleware.request_id import named
from checkback.api.operations import HeadersTooLarge
from checkback.core.errors import CheckbackError, Forbidden, QuotaExceeded, Unauthorized
from checkback.core.request_ids import resolve_request_id
from checkback.dialects import native
from checkback.security.auth.authenticator import Authenticator, GuessLimit
from checkback.security.auth.callers import (
    SESSION_COOKIE,
    Caller,
    attach,
    caller_of,
    client_of,
    user_of_client,
)
from checkback.security.host_check import HostList, check
from checkback.security.rate_limits import Quotas

METRICS_PATH = "/metrics"
MAX_HEADERS = 100
MAX_HEAD_BYTES = 32 * 1024


class AuthenticationMiddleware:
    """Host, Origin, caller and id of each request. ``allowed`` may be a function if the port is
    known later.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        allowed: HostList | Callable[[], HostList],
        guesses: GuessLimit | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._app = app
        self._quotas = quotas
        self._authenticator = authenticator
        self._allowed = allowed
        self._guesses = guesses or GuessLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # no API has one
            return
        if scope["type"] == "http":
            send = named(scope, send)
            try:
                self._check_head(scope)
            except CheckbackError as error:
                await refuse(error, scope, send)
                return
            attach(scope, self._identify(scope))
        await self._app(scope, receive, send)

    def _check_head(self, scope: Scope) -> None:
        """Raises a CheckbackError for a head that is too large, and for other hosts and origins."""
        if is_large(scope):
            raise HeadersTooLarge
        allowed = self._allowed if isinstance(self._allowed, HostList) else self._allowed()
        check(allowed, headers(scope, "host"), headers(scope, "origin"))

    def _identify(self, scope: Scope) -> Caller | CheckbackError:
        """The caller, or the error that every API reports in its own format."""
        try:
            caller = self._find_caller(scope)
            if caller.only_measures and scope["path"] != METRICS_PATH:
                raise Forbidden(f"This token may read {METRICS_PATH} only.")
            if self._quotas is not None:
                self._quotas.request(caller)
        except (Forbidden, QuotaExceeded, Unauthorized) as error:
            return error
        return caller

    def _find_caller(self, scope: Scope) -> Caller:
        """The caller of a token or a session. Raises Unauthorized, Forbidden for a session that
        another site uses, and QuotaExceeded for a client that has guessed too often.
        """
        token = bearer(scope)
        cookie = None if token else session_cookie(scope)
        try:
            if cookie is None:
                return self._authenticator.caller(token)
            return self._session_caller(scope, cookie)
        except Unauthorized:
            if token or cookie:
                self._guesses.failed(client_of(scope))
            raise

    def _session_caller(self, scope: Scope, cookie: str) -> Caller:
        if scope["method"] not in ("GET", "HEAD") and comes_from_elsewhere(scope):
            raise Forbidden("Pages of other sites may not change anything on this server.")
        return self._authenticator.session(cookie, user_of_client(scope))


class RequireCaller:
    """Lets requests with a known caller through; answers all others with 401 or 429."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                caller_of(scope)
            except CheckbackError as error:
                await refuse(error, scope, send)
                return
        await self._app(scope, receive, send)


def is_large(scope: Scope) -> bool:
    """Whether the headers are too large. uvicorn limits only incomplete ones."""
    lines = scope["headers"]
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    size += sum(len(name) + len(value) for name, value in lines)
    return len(lines) > MAX_HEADERS or size > MAX_HEAD_BYTES


def headers(scope: Scope, name: str) -> Iterator[str]:
    """Every value of one request header, as sent."""
    wanted = name.encode()
    return (value.decode("latin-1") for key, value in scope["headers"] if key == wanted)


def header(scope: Scope, name: str) -> str | None:
    """A request header's value; of several the first."""
    return next(headers(scope, name), None)


def bearer(scope: Scope) -> str | None:
    """The token of the request: ``Authorization: Bearer`` or, as some clients send it,
    ``X-API-Key``.
    """
    scheme, _, value = (header(scope, "authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return header(scope, "x-api-key") or None


def comes_from_elsewhere(scope: Scope) -> bool:
    """Whether a browser says that a page of another site sends this, including other ports of this
    machine.
    """
    return header(scope, "sec-fetch-site") not in (None, "same-origin", "none")


def refuse_other_pages(scope: Scope) -> None:
    """Raise Forbidden for a request that another site's page makes a browser send, unless it has a
    token.

    For paths where a GET changes something: it has no Origin, and pages on another port of this
    machine count as the same site, so the cookie comes along.
    """
    if bearer(scope) is None and comes_from_elsewhere(scope):
        raise Forbidden("Pages of other sites may not change anything on this server.")


def session_cookie(scope: Scope) -> str | None:
    """The value of our cookie, if the request has one.

    Read by hand: ``http.cookies`` needs quadratic time before Python 3.11.10 and 3.12.6
    (CVE-2024-7592), and this is read before the caller is known. Our values need no quotes.
    """
    for line in headers(scope, "cookie"):
        for pair in line.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == SESSION_COOKIE:
                return value
    return None


async def refuse(error: CheckbackError, scope: Scope, send: Send) -> None:
    """Answer with an error in our own format, without reading the request."""
    body = native.error(error, resolve_request_id(header(scope, "x-request-id")))
    await send_json(send, error.http_status, body, _error_headers(error))


def _error_headers(error: CheckbackError) -> Iterator[tuple[bytes, bytes]]:
    yield b"cache-control", b"no-store"
    if error.http_status == 401:
        yield b"www-authenticate", b"Bearer"
    if after := native.retry_after(error):
        yield b"retry-after", str(after).encode()
