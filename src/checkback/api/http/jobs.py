"""The native API: ``/api/jobs`` and what belongs to it, as Starlette routes.

``app`` puts ``AuthenticationMiddleware`` around them, which finds out who is asking.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from checkback.api.http.models import (
    Health,
    JobList,
    KindList,
    KindRecord,
    ListQuery,
    LogRecord,
    Readiness,
    SigninQuery,
    SubmitBody,
    WaitQuery,
)
from checkback.api.http.openapi import document
from checkback.api.http.uploads import upload_operations
from checkback.api.middleware.authentication import comes_from_elsewhere
from checkback.api.operations import (
    Operation,
    OperationCall,
    OperationResult,
    Resource,
    StrictJsonResponse,
    check_model,
    read_json,
    while_connected,
)
from checkback.api.sse import HEARTBEAT_SECONDS, EventStream, event_id, events
from checkback.core import heavy
from checkback.core.errors import (
    AddressBlocked,
    ArgumentsGone,
    CheckbackError,
    Conflict,
    EngineUnavailable,
    Forbidden,
    InvalidInput,
    KeyReused,
    NotFound,
    NotReady,
    QuotaExceeded,
    TooLarge,
    Unauthorized,
    UnknownKind,
)
from checkback.core.estimates import NO_ESTIMATE
from checkback.core.job import Job
from checkback.dialects import native
from checkback.kinds import registry
from checkback.security.auth.authenticator import SESSION_SECONDS, Authenticator, GuessLimit
from checkback.security.auth.callers import SESSION_COOKIE, client_of, user_of_client
from checkback.service import Service, SubmitResult

MAX_WAIT_SECONDS = 50.0


class _Api:
    """The handlers. One for each operation; what they share is the service."""

    def __init__(
        self,
        service: Service,
        authenticator: Authenticator,
        readiness: Callable[[], Awaitable[Readiness]],
        guesses: GuessLimit,
        heartbeat_seconds: float,
    ) -> None:
        self.service = service
        self._authenticator = authenticator
        self._readiness = readiness
        self._guesses = guesses
        self._heartbeat_seconds = heartbeat_seconds
        self.openapi_document: dict[str, Any] = {}
        #: The list of kinds as it was sent last: generating their schemas takes a while.
        self._listed_kinds: list[registry.Kind] = []
        self._kinds_body = b""

    async def submit(self, call: OperationCall) -> Response:
        body = check_model(SubmitBody, await read_json(call.request))
        done: SubmitResult = await self.service.submit(
            call.caller,
            body.kind,
            body.args,
            key=_one_key(call.request.headers.get("idempotency-key"), body.key),
            deadline_seconds=body.deadline_seconds,
            delay_seconds=body.delay_seconds,
            attempts=body.attempts,
            request_id=call.request_id,
        )
        headers = {"location": f"/api/jobs/{done.job.id}"}
        return await self._job(done.job, 200 if done.existing else 202, headers)

    async def get(self, call: OperationCall) -> Response:
        seconds = min(call.query(WaitQuery).wait, MAX_WAIT_SECONDS)
        if seconds <= 0:
            return await self._job(await self.service.get(call.caller, call.job_id))
        waiting = self.service.wait(call.caller, call.job_id, seconds, or_refuse=True)
        return await self._job(await while_connected(call.request, waiting))

    async def list(self, call: OperationCall) -> Response:
        query = call.query(ListQuery)
        page = await self.service.list(call.caller, **query.model_dump())
        now = datetime.now(UTC)
        jobs = [native.job(job, now=now) for job in page.jobs]
        return _json({"jobs": jobs, "cursor": page.cursor})

    async def cancel(self, call: OperationCall) -> Response:
        return await self._job(await self.service.cancel(call.caller, call.job_id))

    async def retry(self, call: OperationCall) -> Response:
        return await self._job(await self.service.retry(call.caller, call.job_id), 202)

    async def delete(self, call: OperationCall) -> Response:
        await self.service.delete(call.caller, call.job_id)
        return Response(status_code=204, headers={"cache-control": "no-store"})

    async def result(self, call: OperationCall) -> Response:
        result = await self.service.stored_result(call.caller, call.job_id)
        await self.service.mark_read(await self.service.get(call.caller, call.job_id))
        if isinstance(result, Path):  # the file as it is: parsing it would block all other requests
            headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
            return FileResponse(result, media_type="application/json", headers=headers)
        return _json(result)

    async def log(self, call: OperationCall) -> Response:
        return _json({"lines": await self.service.log(call.caller, call.job_id)})

    async def artifact(self, call: OperationCall) -> Response:
        name = str(call.request.path_params["name"])
        artifact, path = await self.service.artifact(call.caller, call.job_id, name)
        # It may be HTML from a hostile page: a browser must never show it as a page of this server.
        headers = {
            "x-content-type-options": "nosniff",
            "content-security-policy": "sandbox; default-src 'none'",
            "cache-control": "private, no-store",
        }
        return FileResponse(
            path, media_type=artifact.media_type, filename=artifact.name, headers=headers
        )

    async def events(self, call: OperationCall) -> ASGIApp:
        # Read first: errors of the request can only be reported before the stream begins.
        job = await self.service.get(call.caller, call.job_id)
        last_seen = call.request.headers.get("last-event-id")
        if job.state.is_final and last_seen == event_id(job):
            return Response(status_code=204)  # makes a browser's EventSource stop reconnecting
        source = events(
            self.service,
            call.caller,
            job.id,
            last_seen=last_seen,
            heartbeat_seconds=self._heartbeat_seconds,
        )
        ended = await self.service.open_stream(call.caller)
        return EventStream(source, call.request_id, ended)

    async def kinds(self, call: OperationCall) -> Response:
        listed = registry.all_kinds()
        if listed != self._listed_kinds:
            answer = await heavy.run(lambda: _json({"kinds": [_kind(kind) for kind in listed]}))
            self._listed_kinds, self._kinds_body = listed, bytes(answer.body)
        return Response(self._kinds_body, 200, {"cache-control": "no-store"}, "application/json")

    async def health(self, call: OperationCall) -> Response:
        readiness = await self._readiness()
        body: Health = {
            "live": True,
            "ready": readiness.ready,
            "reasons": list(readiness.reasons),
            "workers": readiness.workers,
            "restarts": dict(readiness.restarts),
            "warnings": list(readiness.warnings),
            "loop_lag_seconds": round(readiness.loop_lag_seconds, 3),
        }
        if readiness.sandbox is not None:
            body["sandbox"] = dict(readiness.sandbox)
        return _json(body, 200 if readiness.ready else 503)

    async def openapi(self, call: OperationCall) -> Response:
        return _json(self.openapi_document)

    async def signin(self, call: OperationCall) -> Response:
        request = call.request
        code = call.query(SigninQuery).code
        if comes_from_elsewhere(request.scope):
            raise Forbidden("Open this link yourself; other sites may not sign you in.")
        try:
            session = self._authenticator.redeem(code, user_of_client(request.scope))
        except Unauthorized:
            self._guesses.failed(client_of(request.scope))
            raise
        response = RedirectResponse(
            "/", 303, {"referrer-policy": "no-referrer", "cache-control": "no-store"}
        )
        response.set_cookie(
            SESSION_COOKIE,
            session,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def _job(
        self, job: Job, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        try:
            outlook = await self.service.outlook(job)
        except EngineUnavailable:  # an outage costs the estimate, not the response
            outlook = NO_ESTIMATE
        return _json(native.job(job, now=datetime.now(UTC), outlook=outlook), status, headers)


def build_routes(
    service: Service,
    *,
    authenticator: Authenticator,
    readiness: Callable[[], Awaitable[Readiness]],
    guesses: GuessLimit | None = None,
    version: str = "0",
    production: bool = True,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> list[BaseRoute]:
    """Every route of the native API, with ``/health``, ``/openapi.json`` and ``/signin``.

    ``readiness`` is called for each ``/health``. ``guesses`` must be the limit of the
    authentication middleware, so that both count together. Outside of ``production`` an unexpected
    error shows its text.
    """
    api = _Api(service, authenticator, readiness, guesses or GuessLimit(), heartbeat_seconds)
    table = operations(api)
    api.openapi_document = document(table, version=version)
    paths: dict[str, list[Operation]] = {}
    for operation in table:
        paths.setdefault(operation.path, []).append(operation)
    routes: list[BaseRoute] = [
        Route(path, Resource(found, production=production)) for path, found in paths.items()
    ]
    return [*routes, Route("/api/{rest:path}", Resource([], production=production))]


def operations(api: _Api) -> list[Operation]:
    """The table of the API."""
    return [
        *_list_operations(api),
        *_job_operations(api),
        _delete_operation(api),
        *_part_operations(api),
        *upload_operations(api.service),
        *_server_operations(api),
    ]


def _list_operations(api: _Api) -> Sequence[Operation]:
    refused: list[type[CheckbackError]] = [
        InvalidInput,
        UnknownKind,
        AddressBlocked,
        TooLarge,
        KeyReused,
    ]
    return [
        Operation(
            "submitJob",
            "POST",
            "/api/jobs",
            "Submit a job. The response is sent once the job is stored, before it runs.",
            api.submit,
            {
                202: OperationResult("The job was accepted.", native.JobRecord),
                200: OperationResult(
                    "An earlier request with this key has already created the job.",
                    native.JobRecord,
                ),
            },
            body=SubmitBody,
            headers={"Idempotency-Key": "Same as `key` in the body."},
            errors=[*refused, Forbidden, QuotaExceeded],
        ),
        Operation(
            "listJobs",
            "GET",
            "/api/jobs",
            "List your jobs, newest first.",
            api.list,
            {200: OperationResult("Some jobs, and where the next page begins.", JobList)},
            query=ListQuery,
            errors=[InvalidInput, Forbidden],
        ),
    ]


def _job_operations(api: _Api) -> Sequence[Operation]:
    a_job = OperationResult("The job's current record.", native.JobRecord)
    one = "/api/jobs/{job_id}"
    return [
        Operation(
            "getJob",
            "GET",
            one,
            "Get a job, and optionally wait for its end. A timeout is not an error.",
            api.get,
            {200: a_job},
            query=WaitQuery,
            errors=[InvalidInput, NotFound, QuotaExceeded],
        ),
        Operation(
            "cancelJob",
            "POST",
            one + "/cancel",
            "Cancel a job in any state. Repeating the request has no effect; a job that has "
            "ended stays unchanged.",
            api.cancel,
            {200: a_job},
            errors=[InvalidInput, NotFound, Forbidden],
        ),
        Operation(
            "retryJob",
            "POST",
            one + "/retry",
            "Run a failed or cancelled job again under the same id.",
            api.retry,
            {202: a_job},
            errors=[InvalidInput, NotFound, Forbidden, Conflict, ArgumentsGone],
        ),
    ]


def _delete_operation(api: _Api) -> Operation:
    return Operation(
        "deleteJob",
        "DELETE",
        "/api/jobs/{job_id}",
        "Delete a job that is not running, with its result, log and files. Cancel a running "
        "job first.",
        api.delete,
        {204: OperationResult("The job was deleted.", empty=True)},
        errors=[InvalidInput, NotFound, Forbidden, Conflict],
    )


def _part_operations(api: _Api) -> Sequence[Operation]:
    one = "/api/jobs/{job_id}"
    missing: list[type[CheckbackError]] = [InvalidInput, NotFound]
    return [
        Operation(
            "watchJob",
            "GET",
            one + "/events",
            "Stream the job as server-sent events: one at each change, until the job ends.",
            api.events,
            {
                200: OperationResult(
                    "Events named job, each with a job record.", media_type="text/event-stream"
                ),
                204: OperationResult("Last-Event-ID names the final event.", empty=True),
            },
            headers={"Last-Event-ID": "Id of the last event that was received."},
            errors=[*missing, QuotaExceeded],
        ),
        Operation(
            "getResult",
            "GET",
            one + "/result",
            "Get the whole result of a completed job.",
            api.result,
            {200: OperationResult("The JSON value that the job returned.")},
            errors=[*missing, NotReady, Conflict],
        ),
        Operation(
            "getLog",
            "GET",
            one + "/log",
            "Get the lines that the job logged; of very many lines only the newest.",
            api.log,
            {200: OperationResult("The lines.", LogRecord)},
            errors=missing,
        ),
        Operation(
            "getArtifact",
            "GET",
            one + "/artifacts/{name}",
            "Download one of the job's files.",
            api.artifact,
            {
                200: OperationResult(
                    "The file, with the media type in its record.", media_type="*/*"
                )
            },
            errors=missing,
        ),
    ]


def _server_operations(api: _Api) -> Sequence[Operation]:
    return [
        Operation(
            "listKinds",
            "GET",
            "/api/kinds",
            "List the kinds of job that this server runs, with the JSON schemas of their "
            "arguments.",
            api.kinds,
            {200: OperationResult("The kinds.", KindList)},
        ),
        Operation(
            "getHealth",
            "GET",
            "/health",
            "Check whether the server is ready, and why not.",
            api.health,
            {
                200: OperationResult("Ready.", Health),
                503: OperationResult("The server is running, but not ready.", Health),
            },
            public=True,
        ),
        Operation(
            "getOpenApi",
            "GET",
            "/openapi.json",
            "This document.",
            api.openapi,
            {200: OperationResult("The OpenAPI 3.1 document.")},
            public=True,
        ),
        Operation(
            "signIn",
            "GET",
            "/signin",
            "Exchange the code of a sign-in link for a browser session.",
            api.signin,
            {303: OperationResult("Signed in; redirects to the web page.", empty=True)},
            query=SigninQuery,
            errors=[InvalidInput, Unauthorized, Forbidden, QuotaExceeded],
            public=True,
        ),
    ]


def _kind(kind: registry.Kind) -> KindRecord:
    return {
        "name": kind.name,
        "title": kind.title,
        "description": kind.description,
        "queue": kind.queue,
        "deadline_seconds": kind.deadline_seconds,
        "attempts": kind.attempts,
        "phases": list(kind.phases),
        "args_schema": kind.args_schema(),
    }


def _json(
    content: Any, status: int = 200, headers: dict[str, str] | None = None
) -> StrictJsonResponse:
    return StrictJsonResponse(content, status, {"cache-control": "no-store", **(headers or {})})


def _one_key(header: str | None, key: str | None) -> str | None:
    """The idempotency key of a submit, which may name it in two places."""
    if header is not None and key is not None and header != key:
        raise InvalidInput("The Idempotency-Key header and `key` in the body differ.")
    return key if header is None else header
