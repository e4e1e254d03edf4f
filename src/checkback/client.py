"""A small client for the HTTP API, for Python programs and the shell.

Built on ``http.client``: it is imported in a few milliseconds, where an HTTP library takes
hundreds, which would slow down a shell command that reads one status. ``AsyncClient`` runs the same
calls in threads.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from checkback.core import errors
from checkback.core.errors import CheckbackError, EngineUnavailable, InvalidInput
from checkback.core.ids import parse_job_id
from checkback.core.job import JSON, Artifact, Attempts, Failure, Job
from checkback.core.states import State

WAIT_SECONDS = 25.0
"""How long one request waits for the end of a job; longer waits are several requests."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, newest first, and where the next page begins (None on the last one)."""

    jobs: list[Job]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class _File:
    """A request's body that is a file."""

    content: BinaryIO
    size_bytes: int


class Client:
    """Calls one server. Keeps no connection, so threads may share it.

    Every method raises the errors of ``checkback.core.errors`` that the server answers with, and
    EngineUnavailable when the server cannot be reached.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8787", token: str | None = None, *, timeout: float = 30.0
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput("`url` must be an http or https URL.")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._base = parts.path.rstrip("/")
        self._token = token
        self._timeout = timeout

    def submit(
        self,
        kind: str,
        args: Mapping[str, JSON] | None = None,
        *,
        key: str | None = None,
        deadline_seconds: float | None = None,
        delay_seconds: float = 0.0,
        attempts: int | None = None,
    ) -> Job:
        """Submit a job. With a ``key`` it is safe to submit again after a lost response: the job is
        the same.
        """
        body: dict[str, JSON] = {
            "kind": kind,
            "args": dict(args or {}),
            "delay_seconds": delay_seconds,
        }
        optional = {"key": key, "deadline_seconds": deadline_seconds, "attempts": attempts}
        body |= {name: value for name, value in optional.items() if value is not None}
        return to_job(self._call("POST", "/api/jobs", body))

    def upload(self, path: str | os.PathLike[str], *, name: str | None = None) -> str:
        """Upload a file and return a source for a job's ``url``: ``upload:ID``, valid for a day.

        The file is read in pieces and may have 200 MB. Raises OSError for a file that cannot be
        read.
        """
        query = urlencode({"name": name or Path(path).name})
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return self._call("POST", f"/api/uploads?{query}", _File(file, size))["source"]

    def get(self, job_id: str) -> Job:
        """The job in its current state."""
        return to_job(self._call("GET", _path(job_id)))

    def wait(self, job_id: str, timeout_seconds: float | None = None) -> Job:
        """The job at its end, or its state after ``timeout_seconds``: a timeout is not an error."""
        deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            left = max(0.0, min(WAIT_SECONDS, deadline - time.monotonic()))
            path = f"{_path(job_id)}?wait={left:.3f}"
            job = to_job(self._call("GET", path, timeout=self._timeout + left))
            if job.state.is_final or time.monotonic() >= deadline:
                return job

    def cancel(self, job_id: str) -> Job:
        """Cancel a job in any state."""
        return to_job(self._call("POST", _path(job_id, "cancel"), {}))

    def retry(self, job_id: str) -> Job:
        """Run a failed or cancelled job again under the same id."""
        return to_job(self._call("POST", _path(job_id, "retry"), {}))

    def delete(self, job_id: str) -> None:
        """Delete a job that is not running, with its result, log and files. Raises Conflict if it
        runs.
        """
        with self._request("DELETE", _path(job_id)):
            return

    def list(
        self,
        *,
        state: State | None = None,
        kind: str | None = None,
        owner: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> JobPage:
        """Your jobs, newest first."""
        wanted = {"state": state, "kind": kind, "owner": owner, "limit": limit, "cursor": cursor}
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        page = self._call("GET", f"/api/jobs?{query}")
        return JobPage([to_job(record) for record in page["jobs"]], page["cursor"])

    def result(self, job_id: str) -> JSON:
        """The whole result of a completed job. Raises NotReady while the job runs, Conflict if it
        has no result.
        """
        return self._call("GET", _path(job_id, "result"))

    def log(self, job_id: str) -> list[str]:
        """The lines that the job logged, oldest first."""
        return self._call("GET", _path(job_id, "log"))["lines"]

    def artifact(self, job_id: str, name: str) -> bytes:
        """The content of one of the job's files."""
        with self._request(
            "GET", f"{_path(job_id, 'artifacts')}/{quote(name, safe='')}"
        ) as response:
            return response.read()

    def events(self, job_id: str) -> Iterator[Job]:
        """The job now and at each change, ending with its final state."""
        with self._request("GET", _path(job_id, "events")) as response:
            for name, data in _events(response):
                if name == "error":
                    raise to_error(data, 503)
                yield to_job(data)

    def _call(
        self, method: str, path: str, body: JSON | _File = None, *, timeout: float | None = None
    ) -> Any:
        with self._request(method, path, body, timeout=timeout) as response:
            return _parsed(response.read())

    @contextmanager
    def _request(
        self, method: str, path: str, body: JSON | _File = None, *, timeout: float | None = None
    ) -> Generator[http.client.HTTPResponse]:
        payload, headers = _encoded(body)
        headers |= {"Accept": "application/json, text/event-stream", "Connection": "close"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connection(timeout or self._timeout)
        try:
            connection.request(method, self._base + path, payload, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise to_error(_parsed(response.read()), response.status)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(error) from error
        finally:
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)


class AsyncClient:
    """The same for asynchronous programs. A cancelled call stops waiting; its thread ends later."""

    def __init__(
        self, url: str = "http://127.0.0.1:8787", token: str | None = None, *, timeout: float = 30.0
    ) -> None:
        self._client = Client(url, token, timeout=timeout)

    async def submit(
        self, kind: str, args: Mapping[str, JSON] | None = None, **options: Any
    ) -> Job:
        """As ``Client.submit``, with its options."""
        return await asyncio.to_thread(self._client.submit, kind, args, **options)

    async def upload(self, path: str | os.PathLike[str], *, name: str | None = None) -> str:
        """Upload a file and return a source for a job's ``url``."""
        return await asyncio.to_thread(self._client.upload, path, name=name)

    async def get(self, job_id: str) -> Job:
        """The job in its current state."""
        return await asyncio.to_thread(self._client.get, job_id)

    async def wait(self, job_id: str, timeout_seconds: float | None = None) -> Job:
        """The job at its end, or its state after ``timeout_seconds``: a timeout is not an error."""
        return await asyncio.to_thread(self._client.wait, job_id, timeout_seconds)

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job in any state."""
        return await asyncio.to_thread(self._client.cancel, job_id)

    async def retry(self, job_id: str) -> Job:
        """Run a failed or cancelled job again under the same id."""
        return await asyncio.to_thread(self._client.retry, job_id)

    async def delete(self, job_id: str) -> None:
        """Delete a job that is not running, with its result, log and files."""
        await asyncio.to_thread(self._client.delete, job_id)

    async def list(self, **options: Any) -> JobPage:
        """Your jobs, newest first; the options are those of ``Client.list``."""
        return await asyncio.to_thread(self._client.list, **options)

    async def result(self, job_id: str) -> JSON:
        """The whole result of a completed job. Raises NotReady while the job runs, Conflict if it
        has no result.
        """
        return await asyncio.to_thread(self._client.result, job_id)

    async def events(self, job_id: str) -> AsyncIterator[Job]:
        """The job now and at each change, ending with its final state."""
        source = self._client.events(job_id)
        try:
            while (job := await asyncio.to_thread(next, source, None)) is not None:
                yield job
        finally:
            await asyncio.to_thread(_close, source)


def to_job(record: Mapping[str, Any]) -> Job:
    """The job that a record of the API describes."""
    failure = record["failure"]
    return Job(
        id=record["id"],
        kind=record["kind"],
        queue=record["queue"],
        owner=record["owner"],
        state=State(record["state"]),
        created_at=datetime.fromisoformat(record["created_at"]),
        phase=record["phase"],
        progress=record["progress"],
        message=record["message"],
        attempts=Attempts(**record["attempts"]),
        started_at=_time(record["started_at"]),
        finished_at=_time(record["finished_at"]),
        expires_at=_time(record["expires_at"]),
        deadline_seconds=record["deadline_seconds"],
        result=record["result"],
        artifacts=tuple(
            Artifact(
                **{
                    name: item[name]
                    for name in ("id", "name", "media_type", "size_bytes", "sha256")
                }
            )
            for item in record["artifacts"]
        ),
        failure=Failure(**failure) if failure else None,
    )


def to_error(body: Any, status: int) -> CheckbackError:
    """The exception for an error response: the class with its code, or the base class."""
    try:
        error = body["error"]
        code, message, hint = str(error["code"]), str(error["message"]), str(error["hint"])
    except (KeyError, TypeError):
        return CheckbackError(
            f"The server answered with status {status} and without an error message.",
            hint="Check that the URL is that of a checkback server.",
        )
    return _by_code().get(code, CheckbackError)(message, hint=hint)


def _by_code() -> dict[str, type[CheckbackError]]:
    found = (value for value in vars(errors).values() if isinstance(value, type))
    return {form.code: form for form in found if issubclass(form, CheckbackError)}


def _encoded(body: JSON | _File) -> tuple[bytes | BinaryIO | None, dict[str, str]]:
    """The body of a request as it is sent, and the headers that describe it."""
    if isinstance(body, _File):
        size = str(body.size_bytes)
        return body.content, {"Content-Type": "application/octet-stream", "Content-Length": size}
    content = None if body is None else json.dumps(body, allow_nan=False).encode()
    return content, {"Content-Type": "application/json"} if content else {}


def _unreachable(error: Exception) -> EngineUnavailable:
    return EngineUnavailable(
        f"The server cannot be reached: {error or type(error).__name__}.",
        hint="Start the server with `checkback serve`, or check its URL.",
    )


def _path(job_id: str, part: str = "") -> str:
    # Checked here, so that no id can change the path.
    return f"/api/jobs/{parse_job_id(job_id)}" + (f"/{part}" if part else "")


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _events(response: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    name = "message"
    for line in response:
        field, _, value = line.decode().rstrip("\r\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _close(source: Iterator[Job]) -> None:
    close: Callable[[], None] | None = getattr(source, "close", None)
    if close is not None:
        close()
