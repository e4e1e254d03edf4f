"""The native API: ``/api/jobs`` and what belongs to it, as Starlette routes.

``app`` puts ``checkback.doors.gate.Gate`` around them, which finds out who is asking.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp
from typing_extensions import TypedDict

from checkback.core.errors import (
    AddressBlocked,
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
from checkback.core.estimates import NO_OUTLOOK
from checkback.core.job import Job
from checkback.core.states import State
from checkback.dialects import native
from checkback.doors.gate import comes_from_elsewhere
from checkback.doors.http_events import HEARTBEAT_SECONDS, EventStream, event_id, events
from checkback.doors.http_openapi import document
from checkback.doors.http_uploads import upload_operations
from checkback.doors.http_wire import (
    Answer,
    Call,
    JsonAnswer,
    Operation,
    Resource,
    check_model,
    read_json,
    while_connected,
)
from checkback.guard.access import SESSION_COOKIE, client_of, user_of_client
from checkback.guard.authenticator import SESSION_SECONDS, Authenticator, GuessLimit
from checkback.kinds import registry
from checkback.service import MAX_PAGE, Service, Submission

MAX_WAIT_SECONDS = 50.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server can do its work, and if not why: one sentence for each reason, free of internals."""

    reasons: tuple[str, ...] = ()
    workers: int = 0
    restarts: Mapping[str, int] = field(default_factory=dict[str, int])
    sandbox: Mapping[str, Any] | None = None

    @property
    def ready(self) -> bool:
        return not self.reasons


class SubmitBody(BaseModel):
    """A job to be run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: str = Field(max_length=64, description="What kind of job; GET /api/kinds lists them.")
    args: dict[str, Any] = Field(default_factory=dict, description="The kind's arguments.")
    key: str | None = Field(
        None, description="Idempotency key: the same key gives the same job, however often it is sent."
    )
    deadline_seconds: float | None = Field(None, description="Running time of one attempt.")
    delay_seconds: float = Field(0.0, description="Start that much later.")
    attempts: int | None = Field(None, description="How often the job may be tried in all.")


class WaitQuery(BaseModel):
    """How long to wait."""

    wait: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="Wait for the end up to so many seconds, at most 50."),
    ] = 0.0


class ListQuery(BaseModel):
    """Which jobs to list."""

    state: State | None = Field(None, description="Only jobs in this state.")
    kind: str | None = Field(None, description="Only jobs of this kind.")
    owner: str | None = Field(None, description="Another owner's jobs, or * for all: admin tokens only.")
    limit: int = Field(20, ge=1, le=MAX_PAGE, description="How many at most.")
    cursor: str | None = Field(None, description="Where to go on: the cursor of the page before.")


class SigninQuery(BaseModel):
    """The code to exchange."""

    code: str = Field(
        max_length=200, description="The code of the link that serve printed: good once, for ten minutes."
    )


class JobList(TypedDict):
    """Some jobs, newest first."""

    jobs: list[native.JobRecord]
    cursor: str | None


class LogRecord(TypedDict):
    """What a job logged, oldest line first."""

    lines: list[str]


class KindRecord(TypedDict):
    """A kind of job."""

    name: str
    title: str
    description: str
    queue: str
    deadline_seconds: float
    attempts: int
    phases: list[str]
    args_schema: dict[str, Any]


class KindList(TypedDict):
    """Every kind that this server runs."""

    kinds: list[KindRecord]


class Health(TypedDict):
    """Whether the server lives and can work."""

    live: bool
    ready: bool
    reasons: list[str]
    #: How many workers are alive.
    workers: int
    #: How often what had ended was started again: the embedded store, the server's worker, and the loops
    #: of the workers that are alive.
    restarts: dict[str, int]
    sandbox: NotRequired[dict[str, Any]]


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

    async def submit(self, call: Call) -> Response:
        body = check_model(SubmitBody, await read_json(call.request))
        header = call.request.headers.get("idempotency-key")
        if header is not None and body.key is not None and header != body.key:
            raise InvalidInput("The Idempotency-Key header and the key in the body differ.")
        done: Submission = await self.service.submit(
            call.caller,
            body.kind,
            body.args,
            key=body.key if header is None else header,
            deadline_seconds=body.deadline_seconds,
            delay_seconds=body.delay_seconds,
            attempts=body.attempts,
            request_id=call.request_id,
        )
        headers = {"location": f"/api/jobs/{done.job.id}"}
        return await self._job(done.job, 200 if done.existing else 202, headers)

    async def get(self, call: Call) -> Response:
        seconds = min(call.query(WaitQuery).wait, MAX_WAIT_SECONDS)
        if seconds <= 0:
            return await self._job(await self.service.get(call.caller, call.job_id))
        waiting = self.service.wait(call.caller, call.job_id, seconds)
        return await self._job(await while_connected(call.request, waiting))

    async def list(self, call: Call) -> Response:
        query = call.query(ListQuery)
        page = await self.service.list(call.caller, **query.model_dump())
        now = datetime.now(UTC)
        jobs = [native.job(job, now=now) for job in page.jobs]
        return _json({"jobs": jobs, "cursor": page.cursor})

    async def cancel(self, call: Call) -> Response:
        return await self._job(await self.service.cancel(call.caller, call.job_id))

    async def retry(self, call: Call) -> Response:
        return await self._job(await self.service.retry(call.caller, call.job_id), 202)

    async def result(self, call: Call) -> Response:
        result = await self.service.result(call.caller, call.job_id)
        await self.service.mark_read(await self.service.get(call.caller, call.job_id))
        return _json(result)

    async def log(self, call: Call) -> Response:
        return _json({"lines": await self.service.log(call.caller, call.job_id)})

    async def artifact(self, call: Call) -> Response:
        name = str(call.request.path_params["name"])
        found, path = await self.service.artifact(call.caller, call.job_id, name)
        # It may be HTML out of a hostile page: never to be shown as a page of ours.
        headers = {
            "x-content-type-options": "nosniff",
            "content-security-policy": "sandbox; default-src 'none'",
            "cache-control": "private, no-store",
        }
        return FileResponse(path, media_type=found.media_type, filename=found.name, headers=headers)

    async def events(self, call: Call) -> ASGIApp:
        # Asked for first: what is wrong with the request can only be said before the stream begins.
        job = await self.service.get(call.caller, call.job_id)
        last_seen = call.request.headers.get("last-event-id")
        if job.state.is_final and last_seen == event_id(job):
            return Response(status_code=204)  # tells a browser's EventSource not to come back
        source = events(
            self.service,
            call.caller,
            job.id,
            last_seen=last_seen,
            heartbeat_seconds=self._heartbeat_seconds,
        )
        return EventStream(source, call.request_id)

    async def kinds(self, call: Call) -> Response:
        return _json({"kinds": [_kind(kind) for kind in registry.all_kinds()]})

    async def health(self, call: Call) -> Response:
        found = await self._readiness()
        body: Health = {
            "live": True,
            "ready": found.ready,
            "reasons": list(found.reasons),
            "workers": found.workers,
            "restarts": dict(found.restarts),
        }
        if found.sandbox is not None:
            body["sandbox"] = dict(found.sandbox)
        return _json(body, 200 if found.ready else 503)

    async def openapi(self, call: Call) -> Response:
        return _json(self.openapi_document)

    async def signin(self, call: Call) -> Response:
        request = call.request
        code = call.query(SigninQuery).code
        if comes_from_elsewhere(request.scope):
            raise Forbidden("Open this address yourself; pages of other sites may not sign you in.")
        try:
            session = self._authenticator.redeem(code, user_of_client(request.scope))
        except Unauthorized:
            self._guesses.failed(client_of(request.scope))
            raise
        response = RedirectResponse("/", 303, {"referrer-policy": "no-referrer", "cache-control": "no-store"})
        response.set_cookie(
            SESSION_COOKIE,
            session,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def _job(self, job: Job, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        try:
            outlook = await self.service.outlook(job)
        except EngineUnavailable:  # that takes away the outlook, not the answer
            outlook = NO_OUTLOOK
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

    ``readiness`` is asked for each ``/health``. Give ``guesses`` the limit that the gate has, so that both
    count together. Outside of ``production`` an unexpected error shows its text.
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
        *_part_operations(api),
        *upload_operations(api.service),
        *_server_operations(api),
    ]


def _list_operations(api: _Api) -> Sequence[Operation]:
    refused: list[type[CheckbackError]] = [InvalidInput, UnknownKind, AddressBlocked, TooLarge, KeyReused]
    return [
        Operation(
            "submitJob",
            "POST",
            "/api/jobs",
            "Submit a job. The answer comes once it is stored, long before it has run.",
            api.submit,
            {
                202: Answer("The job was accepted.", native.JobRecord),
                200: Answer("This key gave it before.", native.JobRecord),
            },
            body=SubmitBody,
            headers={"Idempotency-Key": "The same as `key` in the body."},
            errors=[*refused, Forbidden, QuotaExceeded],
        ),
        Operation(
            "listJobs",
            "GET",
            "/api/jobs",
            "List your jobs, newest first.",
            api.list,
            {200: Answer("Some jobs, and where the next page begins.", JobList)},
            query=ListQuery,
            errors=[InvalidInput, Forbidden],
        ),
    ]


def _job_operations(api: _Api) -> Sequence[Operation]:
    a_job = Answer("The job as it stands.", native.JobRecord)
    one = "/api/jobs/{job_id}"
    return [
        Operation(
            "getJob",
            "GET",
            one,
            "Ask for a job, and wait for its end if you like. Running out of time is not an error.",
            api.get,
            {200: a_job},
            query=WaitQuery,
            errors=[InvalidInput, NotFound],
        ),
        Operation(
            "cancelJob",
            "POST",
            one + "/cancel",
            "Cancel a job in any state. Asking again gives the same answer; an ended job stays as it is.",
            api.cancel,
            {200: a_job},
            errors=[InvalidInput, NotFound, Forbidden],
        ),
        Operation(
            "retryJob",
            "POST",
            one + "/retry",
            "Run a failed or cancelled job again, under the same id.",
            api.retry,
            {202: a_job},
            errors=[InvalidInput, NotFound, Forbidden, Conflict],
        ),
    ]


def _part_operations(api: _Api) -> Sequence[Operation]:
    one = "/api/jobs/{job_id}"
    missing: list[type[CheckbackError]] = [InvalidInput, NotFound]
    return [
        Operation(
            "watchJob",
            "GET",
            one + "/events",
            "The job at each change as server-sent events, until its end.",
            api.events,
            {
                200: Answer("Events called job, each with a job record.", media_type="text/event-stream"),
                204: Answer("Last-Event-ID was the end.", empty=True),
            },
            headers={"Last-Event-ID": "The event that was seen last."},
            errors=missing,
        ),
        Operation(
            "getResult",
            "GET",
            one + "/result",
            "The whole result of a completed job.",
            api.result,
            {200: Answer("Whatever JSON the job returned.")},
            errors=[*missing, NotReady, Conflict],
        ),
        Operation(
            "getLog",
            "GET",
            one + "/log",
            "The lines that the job logged; of very many the newest.",
            api.log,
            {200: Answer("The lines.", LogRecord)},
            errors=missing,
        ),
        Operation(
            "getArtifact",
            "GET",
            one + "/artifacts/{name}",
            "The content of one of the job's files, always as a download.",
            api.artifact,
            {200: Answer("The file, of the type that its record tells.", media_type="*/*")},
            errors=missing,
        ),
    ]


def _server_operations(api: _Api) -> Sequence[Operation]:
    return [
        Operation(
            "listKinds",
            "GET",
            "/api/kinds",
            "The kinds of job that this server runs, and the form of their arguments.",
            api.kinds,
            {200: Answer("The kinds.", KindList)},
        ),
        Operation(
            "getHealth",
            "GET",
            "/health",
            "Whether the server is ready, and why not.",
            api.health,
            {200: Answer("Ready.", Health), 503: Answer("Alive, but not ready.", Health)},
            public=True,
        ),
        Operation(
            "getOpenApi",
            "GET",
            "/openapi.json",
            "This document.",
            api.openapi,
            {200: Answer("An OpenAPI 3.1 document.")},
            public=True,
        ),
        Operation(
            "signIn",
            "GET",
            "/signin",
            "Exchange the code of a sign-in link for a browser session.",
            api.signin,
            {303: Answer("Signed in; go to the web page.", empty=True)},
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


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> JsonAnswer:
    return JsonAnswer(content, status, {"cache-control": "no-store", **(headers or {})})
