"""PDF.co's HTTP API: ``/v1/...``, and the same without ``/v1``, as Starlette routes.

Every submit is answered before its source is fetched. Requests come as JSON, as a form, with files,
or as a query; errors have this API's own format and numbers
(``checkback.dialects.pdfco.responses``).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from checkback.api.error_responses import mask_unexpected
from checkback.api.middleware.authentication import refuse_other_pages
from checkback.api.operations import StrictJsonResponse
from checkback.api.pdfco_jobs import PdfcoJobs, wants_async
from checkback.api.request_body import ValueCounter, read_body
from checkback.api.signed_files import FileLinks, base_url, save, valid_until
from checkback.core import heavy
from checkback.core.errors import CheckbackError, InvalidInput, NotFound, TooLarge
from checkback.core.job import Job
from checkback.core.request_ids import resolve_request_id
from checkback.core.states import State
from checkback.dialects import native
from checkback.dialects.pdfco import responses as pdfco
from checkback.dialects.pdfco.requests import ENDPOINTS, Endpoint, flag, lowered, source_url
from checkback.security import strict_json
from checkback.security.auth.callers import Caller, caller_of
from checkback.security.source_refs import ArtifactSource, UploadSource, parse_source
from checkback.service import Service
from checkback.storage.uploads import MAX_UPLOAD_BYTES, Upload, plain_name

MAX_JSON_BYTES = 2 * 1024 * 1024
MAX_BASE64_BYTES = 64 * 1024 * 1024
MAX_FIELDS = 200
MAX_LARGE_VALUES = 10_000
"""How many values a body may have that is larger than one without a file."""
BASE64_PIECE = 1 << 16
"""A multiple of four characters, which encode three bytes."""
SYNC_SECONDS = 25.0
PUT_MINUTES = 30
FETCH_KIND = "file.fetch"

Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PdfcoCall:
    """A request whose caller is known and whose parameters are read; their names are lower-case."""

    request: Request
    caller: Caller
    request_id: str
    parameters: Parameters
    jobs: PdfcoJobs

    def text(self, *names: str) -> str:
        """The first of these parameters that was sent. Raises InvalidInput if none was."""
        for name in names:
            value = self.parameters.get(name)
            if isinstance(value, str) and value.strip():
                return value.strip()
        raise InvalidInput(f"`{names[0]}` is required.")


Handler = Callable[[PdfcoCall], Awaitable[Response]]
OwnToken = Callable[[str], bool]


class PdfcoApi:
    """The handlers of the whole API."""

    def __init__(
        self,
        service: Service,
        *,
        production: bool,
        is_own_token: OwnToken,
        sync_seconds: float = SYNC_SECONDS,
    ) -> None:
        self._service = service
        self._is_own_token = is_own_token
        self._production = production
        self._sync_seconds = sync_seconds

    async def submit(self, call: PdfcoCall, endpoint: Endpoint) -> Response:
        """Start a job; with ``async: false`` wait at most 25 seconds for its end."""
        key = self._remote_key(call.parameters)
        done = await call.jobs.submit(
            call.caller, endpoint, call.parameters, request_id=call.request_id, api_key=key
        )
        if wants_async(call.parameters):
            return _json(done.answer)
        job = await self._service.wait(call.caller, done.job.id, self._sync_seconds)
        if job.state is not State.COMPLETED:
            number, answer = pdfco.failure_answer(job)
            return _json(answer, number)
        inline = flag("inline", call.parameters.get("inline"))
        return _json(await call.jobs.finished(call.caller, job, done.name, inline=inline))

    async def check(self, call: PdfcoCall) -> Response:
        """The status of a job."""
        force = flag("force", call.parameters.get("force"))
        _, answer = await call.jobs.check(call.caller, call.text("jobid"), force=force)
        return _json(answer)

    def _remote_key(self, parameters: Parameters) -> str | None:
        """A key of PDF.co for this one job; our own tokens are never sent there."""
        key = parameters.get("api_key")
        if not isinstance(key, str) or not key or self._is_own_token(key):
            return None
        return key

    async def upload(self, call: PdfcoCall) -> Response:
        """Upload a file from a multipart form."""
        file: Any = call.parameters.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidInput("The form has no file in a part named `file`.")
        writer = self._service.uploads.begin(call.caller, _upload_name(call, file))
        return self._uploaded(call, await save(writer, _pieces(file)))

    async def upload_base64(self, call: PdfcoCall) -> Response:
        """Upload a file as base64 text, also as a data: URL."""
        text = call.text("file")
        if text.startswith("data:"):
            text = text.partition(",")[2]
        name = str(call.parameters.get("name") or "file")
        writer = self._service.uploads.begin(call.caller, name)
        return self._uploaded(call, await save(writer, _decoded(text)))

    async def upload_url(self, call: PdfcoCall) -> Response:
        """Fetch a file for later jobs."""
        job = await self._fetched(call, call.text("url"), str(call.parameters.get("name") or ""))
        until = valid_until(None)
        answer = _file_answer(
            call.jobs.links.of_job(job, until)["url"], pdfco.outputs(job)[0], until
        )
        return _json(answer)

    async def presigned(self, call: PdfcoCall) -> Response:
        """A URL that accepts a file by PUT, and the URL to read it from."""
        name = plain_name(str(call.parameters.get("name") or "file"))
        upload_id = self._service.uploads.announce(call.caller)
        until = valid_until(None)
        put_until = datetime.now(UTC) + timedelta(minutes=PUT_MINUTES)
        links = call.jobs.links
        answer = _file_answer(links.upload(Upload(upload_id, "", name, 0, ""), until), name, until)
        answer["presignedUrl"] = links.put(call.caller.owner, upload_id, name, put_until)
        return _json(answer)

    async def delete(self, call: PdfcoCall) -> Response:
        """Remove an upload or a result file that a link names."""
        match parse_source(source_url(call.text("url")), self._service.links):
            case UploadSource(upload_id):
                self._service.uploads.remove(call.caller, upload_id)
            case ArtifactSource(job_id, name):
                await self._service.remove_artifact(call.caller, job_id, name)
            case None:
                raise NotFound(
                    "This URL does not point to a file on this server.",
                    hint="Use the link exactly as you received it.",
                )
        return _json({"error": False, "status": 200, "credits": 0, "remainingCredits": 0})

    async def hash(self, call: PdfcoCall) -> Response:
        """The MD5 of a file, on this server or at a URL."""
        url = source_url(call.text("url"))
        match parse_source(url, self._service.links):
            case UploadSource(upload_id):
                digest = self._service.uploads.find(call.caller, upload_id)[0].md5
            case ArtifactSource(job_id, name):
                _, path = await self._service.artifact(call.caller, job_id, name)
                digest = await asyncio.to_thread(_md5, path)
            case None:
                job = await self._fetched(call, url, "")
                digest = str(cast("dict[str, Any]", job.result)["md5"])
        return _json(
            {"hash": digest, "error": False, "status": 200, "credits": 0, "remainingCredits": 0}
        )

    async def balance(self, call: PdfcoCall) -> Response:
        """Nothing costs credits here."""
        return _json({"remainingCredits": 0})

    async def _fetched(self, call: PdfcoCall, url: str, name: str) -> Job:
        """A completed job that has fetched a file. Raises the reason if it has not."""
        args = {"url": source_url(url), "name": name}
        done = await self._service.submit(call.caller, FETCH_KIND, args, request_id=call.request_id)
        job = await self._service.wait(call.caller, done.job.id, self._sync_seconds)
        if job.state is not State.COMPLETED:
            number, answer = pdfco.failure_answer(job)
            raise _Answered(number, answer)
        return job

    def _uploaded(self, call: PdfcoCall, upload: Upload) -> Response:
        until = valid_until(None)
        return _json(_file_answer(call.jobs.links.upload(upload, until), upload.name, until))

    def route(
        self, path: str, handler: Handler, *methods: str, limit: int = MAX_JSON_BYTES
    ) -> list[BaseRoute]:
        """An endpoint, with and without ``/v1``."""

        async def answer(request: Request) -> Response:
            return await self._answer(request, handler, limit)

        return [Route(f"{prefix}/{path}", answer, methods=list(methods)) for prefix in ("/v1", "")]

    async def _answer(self, request: Request, handler: Handler, limit: int) -> Response:
        request_id = resolve_request_id(request.headers.get("x-request-id"))
        try:
            caller = caller_of(request.scope)
            refuse_other_pages(request.scope)
            links = FileLinks(self._service.links, base_url(request))
            async with _read_parameters(request, limit) as parameters:
                jobs = PdfcoJobs(self._service, links)
                return await handler(PdfcoCall(request, caller, request_id, parameters, jobs))
        except _Answered as answered:
            return _json(answered.answer, answered.number)
        except ClientDisconnect:
            return Response(status_code=400)
        except CheckbackError as error:
            number, answer = pdfco.refusal(error)
            response = _json(answer, number)
            if after := native.retry_after(error):
                response.headers["retry-after"] = str(after)
            return response
        except Exception as error:
            masked = mask_unexpected(error, request_id, production=self._production)
            return _json(pdfco.error(500, f"{masked.message} {masked.hint}"), 500)


class _Answered(Exception):
    """A response that is raised below a handler."""

    def __init__(self, number: int, answer: dict[str, Any]) -> None:
        super().__init__(number)
        self.number, self.answer = number, answer


class _read_parameters:
    """The parameters of a request, of its query and its body, for as long as its files are open."""

    def __init__(self, request: Request, limit: int) -> None:
        self._request = request
        self._limit = limit

    async def __aenter__(self) -> Parameters:
        parameters = lowered(dict(self._request.query_params))
        kind = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
            self._form = form = await self._read_form()
            return parameters | lowered(dict(form.items()))
        body = await _read_body(self._request, self._limit)
        if not body.strip():
            return parameters
        fields = await heavy.run(strict_json.parse, body, light=len(body) <= heavy.SMALL_BYTES)
        if not isinstance(fields, dict):
            raise InvalidInput("The body is not a JSON object.")
        return parameters | lowered(cast("Parameters", fields))

    async def _read_form(self) -> FormData:
        limited = Request(self._request.scope, _Limited(self._request, MAX_UPLOAD_BYTES).receive)
        try:
            return await limited.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=self._limit)
        except (CheckbackError, ClientDisconnect):
            raise
        except (HTTPException, MultiPartException, FormParserError, LookupError, ValueError):
            # The parser has an exception for each error, and Python's own for bytes that are not
            # text.
            raise InvalidInput(
                "The body is not a valid form.",
                hint=f"Send at most {MAX_FIELDS} well-formed fields and one file.",
            ) from None

    async def __aexit__(self, *_: object) -> None:
        form = getattr(self, "_form", None)
        if form is not None:
            await form.close()


class _Limited:
    """Counts a body while it is read: a Content-Length can lie."""

    def __init__(self, request: Request, limit: int) -> None:
        self._request = request
        self._left = limit + 64 * 1024

    async def receive(self) -> Any:
        message = await self._request.receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise TooLarge(f"The file is larger than the limit of {MAX_UPLOAD_BYTES >> 20} MB.")
        return message


async def _read_body(request: Request, limit: int) -> bytes:
    counter = ValueCounter()

    def check(piece: bytes, size: int) -> None:
        if counter.add(piece) > MAX_LARGE_VALUES and size > MAX_JSON_BYTES:
            raise TooLarge(
                f"A body of more than {MAX_JSON_BYTES >> 20} MB may have at most "
                f"{MAX_LARGE_VALUES} values.",
                hint="Send the file's content as one base64 string in `file`, and nothing else "
                "that is large.",
            )

    return await read_body(request, limit, check=check)


def _upload_name(call: PdfcoCall, file: UploadFile) -> str:
    name = call.parameters.get("name")
    if isinstance(name, str) and name:
        return name
    return file.filename or "file"


async def _decoded(text: str) -> AsyncIterator[bytes]:
    """The decoded bytes in pieces: decoding everything at once would block all other requests.
    Raises InvalidInput.
    """
    for start in range(0, len(text), BASE64_PIECE):
        piece = text[start : start + BASE64_PIECE]
        is_last = start + BASE64_PIECE >= len(text)
        yield _decode_piece(piece, is_last=is_last)
        await asyncio.sleep(0)


def _decode_piece(piece: str, *, is_last: bool) -> bytes:
    try:
        if "=" in piece and not is_last:
            raise ValueError
        return base64.b64decode(piece, validate=True)
    except ValueError:
        raise InvalidInput("`file` must be valid base64.") from None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(1 << 20):
        yield chunk


def _file_answer(url: str, name: str, until: datetime) -> dict[str, Any]:
    return {
        "url": url,
        "error": False,
        "status": 200,
        "name": name,
        "credits": 0,
        "remainingCredits": 0,
        "duration": 0,
        "outputLinkValidTill": pdfco.moment(until),
    }


def build_routes(
    service: Service,
    *,
    is_own_token: OwnToken,
    production: bool = True,
    sync_seconds: float = SYNC_SECONDS,
) -> list[BaseRoute]:
    """Every route of this API. The authentication middleware before them identifies the caller;
    ``is_own_token`` distinguishes our tokens from keys of PDF.co.
    """
    api = PdfcoApi(
        service, production=production, is_own_token=is_own_token, sync_seconds=sync_seconds
    )
    both = ("GET", "POST")
    routes = [
        *api.route("job/check", api.check, *both),
        *api.route("file/upload", api.upload, "POST"),
        *api.route("file/upload/base64", api.upload_base64, "POST", limit=MAX_BASE64_BYTES),
        *api.route("file/upload/url", api.upload_url, *both),
        *api.route("file/upload/get-presigned-url", api.presigned, *both),
        *api.route("file/delete", api.delete, *both),
        *api.route("file/hash", api.hash, *both),
        *api.route("account/credit/balance", api.balance, *both),
    ]
    for path, endpoint in ENDPOINTS.items():
        routes += api.route(path, _submitter(api, endpoint), *both)
    return [*routes, *api.route("{rest:path}", _unknown, *both)[:1]]


def _submitter(api: PdfcoApi, endpoint: Endpoint) -> Handler:
    async def submit(call: PdfcoCall) -> Response:
        return await api.submit(call, endpoint)

    return submit


async def _unknown(call: PdfcoCall) -> Response:
    raise NotFound("This endpoint does not exist.", hint="docs/pdfco.md lists all endpoints.")


def _json(content: Any, status: int = 200) -> StrictJsonResponse:
    return StrictJsonResponse(content, status, {"cache-control": "no-store"})
