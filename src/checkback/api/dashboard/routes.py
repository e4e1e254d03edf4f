"""The routes of the web page. Reading is GET; changes are forms of this page, sent by POST."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from checkback.api.dashboard import forms, job_view, list_view
from checkback.api.dashboard.singleflight import SingleFlight
from checkback.api.dashboard.templating import HEADERS, html
from checkback.api.error_responses import mask_unexpected
from checkback.api.middleware.authentication import bearer, comes_from_elsewhere, session_cookie
from checkback.api.request_body import read_body
from checkback.api.signed_files import base_url
from checkback.api.sse import EventStream
from checkback.core.errors import (
    CheckbackError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthorized,
)
from checkback.core.request_ids import resolve_request_id
from checkback.dialects import native
from checkback.kinds import registry
from checkback.security.auth.authenticator import SESSION_SECONDS, Authenticator, GuessLimit
from checkback.security.auth.callers import (
    SESSION_COOKIE,
    Caller,
    caller_of,
    client_of,
    user_of_client,
)
from checkback.service import Service

STATIC = Path(__file__).parent / "static"
STATIC_TYPES = {"checkback.css": "text/css", "checkback.js": "text/javascript"}
MAX_FORM_BYTES = 512 * 1024
MAX_FIELDS = 500
HEARTBEAT_SECONDS = 15.0
LEAST_SECONDS = 0.25
"""Least time between two change events of a list."""

Workers = Callable[[], Awaitable[int]]
Answer = Callable[[Request, Caller], Awaitable[ASGIApp]]


class Dashboard:
    """The handlers. ``workers`` returns how many workers are running."""

    def __init__(
        self, service: Service, authenticator: Authenticator, guesses: GuessLimit, workers: Workers
    ) -> None:
        self._service = service
        self._authenticator = authenticator
        self._guesses = guesses
        self._workers = workers
        self._lists = SingleFlight[bytes]()

    # --- Reading
    # ---------------------------------------------------------------------------------------

    async def jobs(self, request: Request, caller: Caller) -> Response:
        query = request.query_params
        # The page contains the form token of the cookie, so only requests with the same cookie
        # share it.
        question = (caller, session_cookie(request.scope), query.get("q", ""))
        body = await self._lists.ask(question, lambda: self._list(request, caller, query))
        return HTMLResponse(body, headers=HEADERS)

    async def _list(self, request: Request, caller: Caller, query: Mapping[str, str]) -> bytes:
        """The whole list as a page: two hundred open pages may request it at once."""
        page = await list_view.collect(self._service, caller, query, self._workers)
        return bytes(self._page(request, "jobs.html", caller=caller, **page).body)

    async def job(self, request: Request, caller: Caller) -> Response:
        job_id = str(request.path_params["job_id"])
        page = await job_view.collect(self._service, caller, job_id, base_url(request))
        return self._page(request, "job.html", caller=caller, **page)

    async def changes(self, request: Request, caller: Caller) -> ASGIApp:
        """A stream of ``changed`` events, one when any of the caller's jobs changes: the page then
        fetches itself again.
        """
        owner = request.query_params.get("owner") or None
        ended = await self._service.open_stream(caller)
        return EventStream(self._changes(caller, owner), _request_id(request), ended)

    async def _changes(self, caller: Caller, owner: str | None) -> AsyncGenerator[bytes, None]:
        async with self._service.changes(caller, owner) as changes:
            yield b"event: listening\ndata: {}\n\n"
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await changes.next()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                yield b"event: changed\ndata: {}\n\n"
                await asyncio.sleep(LEAST_SECONDS)

    # --- Changing
    # --------------------------------------------------------------------------------------

    async def cancel(self, request: Request, caller: Caller) -> Response:
        await self._form(request)
        job = await self._service.cancel(caller, str(request.path_params["job_id"]))
        return _see(f"/jobs/{job.id}")

    async def delete(self, request: Request, caller: Caller) -> Response:
        await self._form(request)
        await self._service.delete(caller, str(request.path_params["job_id"]))
        return _see("/")

    async def retry(self, request: Request, caller: Caller) -> Response:
        await self._form(request)
        job = await self._service.retry(caller, str(request.path_params["job_id"]))
        return _see(f"/jobs/{job.id}")

    async def kinds(self, request: Request, caller: Caller) -> Response:
        kinds = [kind for kind in registry.all_kinds() if forms.can_be_filled_in(kind)]
        return self._page(request, "kinds.html", caller=caller, kinds=kinds)

    async def submit(self, request: Request, caller: Caller) -> Response:
        kind = registry.get(str(request.path_params["kind"]))
        fields = forms.fields(kind)
        first, more = forms.split(fields)
        shown: dict[str, Any] = {"kind": kind, "fields": first, "more": more}
        if request.method == "GET":
            return self._page(request, "submit.html", caller=caller, given={}, **shown)
        given = await self._form(request)
        try:
            done = await self._service.submit(caller, kind.name, forms.arguments(fields, given))
        except CheckbackError as error:
            return self._page(
                request,
                "submit.html",
                status=error.http_status,
                caller=caller,
                given=given,
                error=error,
                **shown,
            )
        return _see(f"/jobs/{done.job.id}")

    async def signin(self, request: Request) -> Response:
        """Exchange a token for the cookie. The form needs no form token: its sender knows a
        token.
        """
        if comes_from_elsewhere(request.scope):
            raise Forbidden("Open this link yourself; other sites may not sign you in.")
        token = (await _fields(request)).get("token", "").strip()
        try:
            session = self._authenticator.open_session(token, user_of_client(request.scope))
        except Unauthorized as error:
            self._guesses.failed(client_of(request.scope))
            return self._page(request, "signin.html", status=401, error=error)
        response = _see("/")
        response.set_cookie(
            SESSION_COOKIE, session, max_age=SESSION_SECONDS, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return response

    async def signout(self, request: Request, caller: Caller) -> Response:
        await self._form(request)
        response = _see("/")
        response.delete_cookie(SESSION_COOKIE)
        return response

    async def static(self, request: Request) -> Response:
        name = str(request.path_params["name"])
        if name not in STATIC_TYPES:
            raise NotFound("This file does not exist.", hint="Go back to the list of jobs.")
        return FileResponse(
            STATIC / name, media_type=STATIC_TYPES[name], headers={"cache-control": "no-cache"}
        )

    # --- What they share
    # -------------------------------------------------------------------------------

    def known(self, answer: Answer) -> Callable[[Request], Awaitable[Any]]:
        """``answer`` for signed-in callers; all others see the sign-in page."""

        async def run(request: Request) -> Any:
            try:
                caller = caller_of(request.scope)
            except Unauthorized:
                return self._page(request, "signin.html", status=401)
            return await answer(request, caller)

        return self.guarded(run)

    def guarded(
        self, answer: Callable[[Request], Awaitable[Any]]
    ) -> Callable[[Request], Awaitable[Any]]:
        """``answer``, with every error as a page."""

        async def run(request: Request) -> Any:
            try:
                return await answer(request)
            except CheckbackError as error:
                return self._page(request, "error.html", status=error.http_status, error=error)
            except ClientDisconnect:  # the client has disconnected
                return Response(status_code=400)
            except Exception as error:
                masked = mask_unexpected(error, _request_id(request))
                return self._page(request, "error.html", status=500, error=masked)

        return run

    def _page(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> Response:
        values["form_token"] = self._authenticator.form_token(session_cookie(request.scope))
        values["now"] = datetime.now(UTC)
        page = html(template, values, status)
        error: CheckbackError | None = values.get("error")
        if error is not None and (after := native.retry_after(error)):
            page.headers["retry-after"] = str(after)
        return page

    async def _form(self, request: Request) -> dict[str, str]:
        """The fields of one of the page's forms. Raises Forbidden for a form that another site made
        its visitor send.

        There are three protections: requests from other sites do not carry the cookie
        (SameSite=Strict), the authentication middleware refuses foreign origins, and the form has a
        token that only our own pages contain. A request with a bearer token comes from a program
        that knows the token.
        """
        fields = await _fields(request)
        expected = self._authenticator.form_token(session_cookie(request.scope))
        if bearer(request.scope) is None and not hmac.compare_digest(
            expected.encode(), fields.get("form_token", "").encode("utf-8", "surrogatepass")
        ):
            raise Forbidden(
                "This form has expired, or it does not belong to this page.",
                hint="Reload the page, then send the form again.",
            )
        return fields


class _Dispatch:
    """An endpoint that may answer with an ASGI application, as event streams are."""

    def __init__(self, answer: Callable[[Request], Awaitable[Any]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive, send))
        with suppress(ClientDisconnect):
            await response(scope, receive, send)


def build_routes(
    service: Service, *, authenticator: Authenticator, guesses: GuessLimit, workers: Workers
) -> list[BaseRoute]:
    """Every route of the web page."""
    page = Dashboard(service, authenticator, guesses, workers)
    known = page.known
    return [
        Route("/", known(page.jobs), methods=["GET"]),
        Route("/changes", _Dispatch(known(page.changes)), methods=["GET"]),
        Route("/jobs/{job_id}", known(page.job), methods=["GET"]),
        Route("/jobs/{job_id}/cancel", known(page.cancel), methods=["POST"]),
        Route("/jobs/{job_id}/delete", known(page.delete), methods=["POST"]),
        Route("/jobs/{job_id}/retry", known(page.retry), methods=["POST"]),
        Route("/submit", known(page.kinds), methods=["GET"]),
        Route("/submit/{kind}", known(page.submit), methods=["GET", "POST"]),
        Route("/signin", page.guarded(page.signin), methods=["POST"]),
        Route("/signout", known(page.signout), methods=["POST"]),
        Route("/static/{name}", page.guarded(page.static), methods=["GET"]),
    ]


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a form without files, each as its last value."""
    body = await read_body(request, MAX_FORM_BYTES, name="form")
    text = body.decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise InvalidInput(
            f"The form has more than the limit of {MAX_FIELDS} fields.",
            hint="Reload the page and use its form.",
        ) from None


def _request_id(request: Request) -> str:
    return resolve_request_id(request.headers.get("x-request-id"))


def _see(address: str) -> RedirectResponse:
    return RedirectResponse(address, 303, {"cache-control": "no-store"})
