"""Signed, expiring links to results and uploads, and the API that answers them.

A client with a link needs no token; so a link is valid for one file and one method, and for an hour
by default.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from checkback.api.operations import StrictJsonResponse
from checkback.core.errors import CheckbackError, Forbidden, NotFound
from checkback.core.job import Job
from checkback.core.request_ids import resolve_request_id
from checkback.core.states import State
from checkback.dialects import native
from checkback.dialects.pdfco import responses as pdfco
from checkback.security.auth.callers import Caller, Scope
from checkback.security.signed_urls import LinkSigner
from checkback.security.source_refs import FILES, UPLOADS

if TYPE_CHECKING:
    from checkback.service import Service
    from checkback.storage.uploads import Upload, UploadWriter

DEFAULT_MINUTES = 60
PUT = "/files/put/"
SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "cache-control": "private, no-store",
    "referrer-policy": "no-referrer",
}
"""Content of documents may be HTML: it is a download, never a page of this server."""

_READER = Caller("", frozenset(Scope))


@dataclass(frozen=True, slots=True)
class FileLinks:
    """Makes links for one client, below the address that it called."""

    signer: LinkSigner
    #: ``http://127.0.0.1:8787``, without a slash at its end.
    base_url: str

    def result(self, job_id: str, name: str, until: datetime) -> str:
        """The URL of one of a job's files; it works once the job has completed."""
        return self._signed("GET", f"{FILES}{job_id}/{name}", until)

    def results(self, job_id: str, name: str, until: datetime) -> str:
        """The URL of a JSON list of the URLs of all of a job's files."""
        return self._signed("GET", f"{FILES}{job_id}/all/{name}", until)

    def upload(self, upload: Upload, until: datetime) -> str:
        """The URL of an uploaded file."""
        return self._signed("GET", f"{UPLOADS}{upload.id}/{upload.name}", until)

    def put(self, owner: str, upload_id: str, name: str, until: datetime) -> str:
        """A URL that accepts the bytes of one upload by PUT, once."""
        return self._signed("PUT", f"{PUT}{quote(owner, safe='')}/{upload_id}/{name}", until)

    def of_job(self, job: Job, until: datetime) -> dict[str, Any]:
        """The ``url`` of a completed job's file; for kinds with several files that of their list,
        and ``urls``.
        """
        names = pdfco.outputs(job) or [artifact.name for artifact in job.artifacts]
        if not makes_many(job.kind) and len(names) <= 1:
            return pdfco.links_of([self.result(job.id, name, until) for name in names], None)
        urls = [self.result(job.id, name, until) for name in names]
        return pdfco.links_of(urls, self.results(job.id, "files.json", until))

    def _signed(self, method: str, path: str, until: datetime) -> str:
        return f"{self.base_url}{quote(path)}?{self.signer.query(method, path, until.timestamp())}"


def makes_many(kind: str) -> bool:
    """Whether jobs of this kind make a list of files; of an unknown kind they make one."""
    # Imported here: a command that only shows a link must not wait for pydantic.
    from checkback.kinds import registry

    found = registry.find(kind)
    return found is not None and found.outputs == "many"


def valid_until(minutes: int | None) -> datetime:
    """When a link that is made now expires."""
    return datetime.now(UTC) + timedelta(minutes=minutes or DEFAULT_MINUTES)


BASE_URL = "checkback.base_url"
"""Where a request's scope has the server's public address, if one is set."""


class SignedFilesApi:
    """Answers signed links. An invalid link is refused with the same message for every reason."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def get(self, request: Request) -> Response:
        """A file, as a download."""
        return await self._answer(request, self._get)

    async def put(self, request: Request) -> Response:
        """The bytes of an upload."""
        return await self._answer(request, self._put)

    async def _get(self, request: Request, path: str) -> Response:
        if path.startswith(UPLOADS):
            upload, where = self._service.uploads.find(
                _READER, path[len(UPLOADS) :].partition("/")[0]
            )
            return FileResponse(where, filename=upload.name, headers=SAFE_HEADERS)
        job_id, _, name = path[len(FILES) :].partition("/")
        job = await self._service.get(_READER, job_id)
        if job.state is not State.COMPLETED:
            raise NotFound(
                "The file does not exist yet.", hint="Check the job, then try this link again."
            )
        if name.startswith("all/"):
            return self._list(request, job)
        artifact, where = await self._service.artifact(_READER, job_id, name)
        return FileResponse(
            where, media_type=artifact.media_type, filename=artifact.name, headers=SAFE_HEADERS
        )

    def _list(self, request: Request, job: Job) -> Response:
        until = datetime.fromtimestamp(int(request.query_params["exp"]), UTC)
        links = FileLinks(self._service.links, base_url(request))
        urls = [links.result(job.id, name, until) for name in pdfco.outputs(job)]
        return Response(json.dumps(urls), media_type="application/json", headers=SAFE_HEADERS)

    async def _put(self, request: Request, path: str) -> Response:
        owner, upload_id, name = path[len(PUT) :].split("/", 2)
        caller = Caller(unquote(owner))
        await save(self._service.uploads.begin(caller, name, upload_id=upload_id), request.stream())
        return Response(status_code=200, headers={"cache-control": "no-store"})

    async def _answer(self, request: Request, work: Any) -> Response:
        request_id = resolve_request_id(request.headers.get("x-request-id"))
        path = str(request.scope["path"])  # decoded once: a name may contain a % itself
        try:
            self._check_link(request, path)
            return await work(request, path)
        except FileExistsError:
            error: CheckbackError = Forbidden(
                "This link was used already.", hint="Request a new link."
            )
        except CheckbackError as refused:
            error = refused
        return StrictJsonResponse(
            native.error(error, request_id), error.http_status, _headers(error)
        )

    def _check_link(self, request: Request, path: str) -> None:
        method = "PUT" if request.method == "PUT" else "GET"
        if not self._service.links.allows(method, path, request.query_params):
            raise Forbidden(
                "This link is not valid, or it has expired.",
                hint="Request a new link; links expire.",
            )

    def routes(self) -> list[BaseRoute]:
        """The routes of this API."""
        return [
            Route("/files/put/{rest:path}", self.put, methods=["PUT"]),
            Route("/files/{rest:path}", self.get, methods=["GET"]),
        ]


def _headers(error: CheckbackError) -> dict[str, str]:
    after = native.retry_after(error)
    return {"cache-control": "no-store", **({"retry-after": str(after)} if after else {})}


def base_url(request: Request) -> str:
    """The URL at which a client reached this server, without a slash at its end. The authentication
    middleware has checked the host.
    """
    named: str | None = request.scope.get(BASE_URL)
    return named or str(request.base_url).rstrip("/")


async def save(writer: UploadWriter, chunks: AsyncIterator[bytes]) -> Upload:
    """Write the bytes into an upload, which becomes visible when it is complete."""
    with writer:
        async for chunk in chunks:
            writer.write(chunk)
        return await asyncio.to_thread(writer.finish)
