"""What PDF.co's HTTP API and its MCP tools share: submit a job, check it, link its results."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from checkback.api.signed_files import FileLinks, makes_many, valid_until
from checkback.core.errors import InvalidInput, NotFound
from checkback.core.job import JSON, Job
from checkback.core.states import State
from checkback.dialects.pdfco import responses
from checkback.dialects.pdfco.profiles import InvalidProfiles
from checkback.dialects.pdfco.requests import Endpoint, arguments, flag, flattened, parts_of
from checkback.kinds.documents.args.profiles import read_options
from checkback.kinds.documents.files.names import result_stem, stem_of_url
from checkback.security.auth.callers import Caller
from checkback.security.source_refs import parse_source

if TYPE_CHECKING:
    from checkback.service import Service

REMOTE_KIND = "pdfco.run"
SECRET_PARAMETERS = (
    "profiles",
    "password",
    "httppassword",
    "ownerpassword",
    "owner_password",
    "userpassword",
    "user_password",
)
MAX_BODY_BYTES = 4 * 1024 * 1024
_TEXT_ENDINGS = frozenset({".txt", ".csv", ".xml", ".html", ".json"})
_OURS = frozenset({"provider", "api_key", "apikey", "x-api-key", "async", "callback"})


@dataclass(frozen=True, slots=True)
class PdfcoJobs:
    """Jobs in PDF.co's format, for one client: ``links`` begin with the address that this client
    uses.
    """

    service: Service
    links: FileLinks

    async def submit(
        self,
        caller: Caller,
        endpoint: Endpoint,
        parameters: Mapping[str, Any],
        *,
        request_id: str,
        api_key: str | None = None,
    ) -> PdfcoSubmission:
        """Start the job of an endpoint; parameter names are lower-case.

        ``provider: "pdfco"`` runs it at PDF.co, with ``api_key`` or the server's own key.
        """
        began = time.monotonic()
        parameters = flattened(parameters)
        _check_profiles(parameters.get("profiles"))
        name = _result_name(endpoint, parameters)
        provider = str(parameters.get("provider") or "local").lower()
        kind: str
        args: dict[str, Any]
        if provider == "pdfco":
            kind, args = REMOTE_KIND, self._remote_arguments(endpoint, parameters, name, api_key)
        elif provider in ("local", "checkback"):
            kind, args = endpoint.kind, arguments(endpoint, parameters) | {"name": name}
        else:
            raise InvalidInput("`provider` must be local or pdfco.")
        callback = parameters.get("callback")
        done = await self.service.submit(
            caller,
            kind,
            args,
            request_id=request_id,
            callback=_callback(callback, self.links, args) if callback else None,
        )
        until = valid_until(args.get("expiration"))
        link = self.links.results if makes_many(endpoint.kind) else self.links.result
        url = link(done.job.id, name, until)
        answer = responses.submitted(
            done.job, url=url, name=name, valid_till=until, duration_ms=_since(began)
        )
        return PdfcoSubmission(done.job, name, answer)

    def _remote_arguments(
        self, endpoint: Endpoint, parameters: Mapping[str, Any], name: str, api_key: str | None
    ) -> dict[str, Any]:
        """The arguments of the kind that runs an endpoint at PDF.co; passwords travel encrypted.

        Files of this server are listed in ``files``: they are uploaded there first.
        """
        files: list[str] = []
        args: dict[str, Any] = {
            "endpoint": endpoint.path,
            "params": self._plain_parameters(parameters, files),
            "name": name,
            "files": files,
        }
        secret = _secret_parameters(parameters)
        if secret:
            args["secret_params"] = json.dumps(secret)
        if api_key:
            args["api_key"] = api_key
        return args

    def _plain_parameters(self, parameters: Mapping[str, Any], files: list[str]) -> dict[str, Any]:
        """The parameters for PDF.co that are not secret, with links to files of this server put
        into ``files``.
        """
        plain = {key: value for key, value in parameters.items() if _is_sent(key, value)}
        if isinstance(plain.get("url"), str):
            plain["url"] = self._remote_urls(plain["url"], files)
        if isinstance(plain.get("images"), list):
            plain["images"] = [self._remote_image(image, files) for image in plain["images"]]
        return plain

    def _remote_image(self, image: Any, files: list[str]) -> Any:
        if not isinstance(image, dict):
            return image
        fields = cast("dict[str, Any]", image)
        url: object = fields.get("url")
        return fields | {"url": self._remote_url(url, files)} if isinstance(url, str) else fields

    def _remote_url(self, source: str, files: list[str]) -> str:
        """A source for PDF.co: a URL, or ``file:N`` for a file of this server."""
        if parse_source(source, self.service.links) is None:
            return source
        if source not in files:
            files.append(source)
        return f"file:{files.index(source)}"

    async def check(
        self, caller: Caller, job_id: str, *, force: bool
    ) -> tuple[Job | None, dict[str, Any]]:
        """The response of a check, and the job if there is one."""
        began = time.monotonic()
        try:
            job = await self.service.get_with_args(caller, job_id)
        except (NotFound, InvalidInput):
            return None, responses.no_such_job(job_id, force=force)
        return job, self.describe(job, began)

    def _remote_urls(self, text: str, files: list[str]) -> str:
        return ",".join(self._remote_url(part, files) for part in parts_of(text))

    def describe(self, job: Job, began: float) -> dict[str, Any]:
        """The answer of a check about a job that was read with its arguments."""
        until = _links_end(job)
        links = self.links.of_job(job, until) if job.state is State.COMPLETED else {}
        return responses.check(job, links=links, valid_till=until, duration_ms=_since(began))

    async def finished(
        self, caller: Caller, job: Job, name: str, *, inline: bool
    ) -> dict[str, Any]:
        """The answer to a submission that waited for its job, which has completed."""
        until = valid_until(None)
        links = self.links.of_job(job, until)
        body = await self._body(caller, job, inline=inline)
        if makes_many(job.kind):
            links.pop("url", None)
        return responses.finished(
            job, name=name, links=links, body=body, valid_till=until, duration_ms=0
        )

    async def _body(self, caller: Caller, job: Job, *, inline: bool) -> JSON:
        """The content of the job's file, if the result contains it or the caller asks for it."""
        value: object = job.result
        result = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        names = responses.outputs(job)
        is_wanted = inline and result.get("body") is None
        if is_wanted and len(names) == 1:
            return await self._read_body(caller, job, names[0])
        return result.get("body")

    async def _read_body(self, caller: Caller, job: Job, name: str) -> JSON:
        """The content of a file; None if it is not text, or is too large for an answer."""
        artifact, path = await self.service.artifact(caller, job.id, name)
        suffix = PurePosixPath(artifact.name).suffix
        if suffix not in _TEXT_ENDINGS or artifact.size_bytes > MAX_BODY_BYTES:
            return None
        text = (await asyncio.to_thread(path.read_bytes)).decode("utf-8", "replace")
        return json.loads(text) if suffix == ".json" else text


@dataclass(frozen=True, slots=True)
class PdfcoSubmission:
    """A job that was started, and the response."""

    job: Job
    name: str
    answer: dict[str, Any]


def _secret_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    secret = {key: parameters[key] for key in SECRET_PARAMETERS if parameters.get(key)}
    if "profiles" in secret:
        secret["profiles"] = json.dumps(secret["profiles"])
    return secret


def _is_sent(key: str, value: object) -> bool:
    """Whether PDF.co gets a parameter as it is: it is PDF.co's, not secret, and not empty."""
    return key not in _OURS and key not in SECRET_PARAMETERS and value not in (None, "", [])


def _links_end(job: Job) -> datetime:
    """Until when links to the files of a job work: as asked for, at most as long as there are
    files.
    """
    args: Any = job.args
    minutes = cast("dict[str, Any]", args).get("expiration") if isinstance(args, dict) else None
    until = valid_until(minutes if isinstance(minutes, int) else None)
    return until if job.expires_at is None else min(until, job.expires_at)


def _result_name(endpoint: Endpoint, parameters: Mapping[str, Any]) -> str:
    """What the result will be called: the name is in the link that the submit returns."""
    extension = "json" if makes_many(endpoint.kind) else endpoint.extension
    return f"{_result_stem(parameters)}.{extension}"


def _result_stem(parameters: Mapping[str, Any]) -> str:
    given, source = parameters.get("name"), parameters.get("url")
    if isinstance(given, str) and given.strip():
        return result_stem(given)
    if isinstance(source, str):
        return stem_of_url(source.partition(",")[0])
    return "document"


def _check_profiles(options: dict[str, Any] | None) -> None:
    """Raises InvalidProfiles for an option with an invalid value."""
    try:
        read_options(json.dumps(options or {}))
    except ValueError as error:
        raise InvalidProfiles(f"{error}.") from None


def _callback(url: Any, links: FileLinks, args: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(url, str):
        raise InvalidInput("`callback` must be an http or https URL.")
    return {
        "url": url,
        "context": {"base_url": links.base_url, "expiration": args.get("expiration")},
    }


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def wants_async(parameters: Mapping[str, Any]) -> bool:
    """Whether a submit must be answered at once."""
    return flag("async", flattened(parameters).get("async"))
