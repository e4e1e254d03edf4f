"""A job's sources as files in its folder: downloads through the egress proxy, and uploads and
results that the worker copied.

The name of a source comes from its URL or its upload. Only ``sniff`` determines its type.
"""

from __future__ import annotations

import base64
import http.client
import time
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from urllib.parse import unquote, urlsplit

from checkback.kinds import proxy_client
from checkback.kinds.context import Egress, JobContext
from checkback.kinds.documents import failures
from checkback.kinds.proxy_client import FetchFailed, HostBlocked
from checkback.storage.uploads import MAX_UPLOAD_BYTES, plain_name

USER_AGENT = "checkback"
READ_SECONDS = 30.0
DOWNLOAD_SECONDS = 300.0
MAX_REDIRECTS = 5
CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to work on, in the job's folder."""

    path: Path
    #: A plain file name, from its URL or its upload. It says nothing reliable about the type.
    name: str

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return Path(self.name).stem or self.name


@dataclass(frozen=True, slots=True)
class Login:
    """User name and password for the source's server. They are sent to the host of the URL only,
    not to the targets of redirects.
    """

    username: str = ""
    password: str = ""


def fetch_source(source: str, target: Path, ctx: JobContext, login: Login) -> SourceFile:
    """One source as a file: downloaded to ``target``, or copied there before by the worker.

    Raises a failure that says why the source is not available.
    """
    if source.startswith(("upload:", "artifact:")):
        return _local(source, ctx)
    if ctx.egress is None:
        raise failures.source_unreachable()
    return _downloaded(source, target, ctx.egress, login)


def _downloaded(url: str, target: Path, egress: Egress, login: Login) -> SourceFile:
    """The download of a URL. Only the job's own failures are raised."""
    try:
        return download(url, target, egress, login)
    except HostBlocked:
        raise failures.source_blocked() from None
    except FetchFailed:
        raise failures.source_unreachable() from None


def _local(source: str, ctx: JobContext) -> SourceFile:
    file = ctx.files.get(source)
    if file is not None:
        return SourceFile(Path(file.path), file.name)
    if source.startswith("upload:"):
        raise failures.upload_expired()
    raise failures.result_expired()


def download(url: str, target: Path, egress: Egress, login: Login) -> SourceFile:
    """Download a URL to the file ``target``. Raises JobFailed, FetchFailed or HostBlocked."""
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    first_url = url
    for _ in range(MAX_REDIRECTS + 1):
        with proxy_client.get(
            url,
            egress,
            seconds=READ_SECONDS,
            total_seconds=deadline - time.monotonic(),
            headers=_headers(_login_for(url, first_url, login)),
        ) as response:
            next_url = proxy_client.location(url, response)
            if next_url is None:
                _check_status(response)
                _save(response, target, deadline)
                return SourceFile(target, _name(url, response))
        url = next_url
    raise failures.source_unreachable()


def _check_status(response: http.client.HTTPResponse) -> None:
    if response.status != 200:
        raise failures.source_status(response.status)


def _login_for(url: str, first_url: str, login: Login) -> Login:
    """The login if the URL has the origin of the first one, else an empty login."""
    return login if proxy_client.is_same_origin(first_url, url) else Login()


def _headers(login: Login) -> dict[str, str]:
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
    if login.username:
        key = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        headers["Authorization"] = f"Basic {key}"
    return headers


def _save(response: http.client.HTTPResponse, target: Path, deadline: float) -> None:
    """Write the body to a file, within the size limit, whatever length the server declared."""
    size = 0
    with target.open("wb") as file:
        while chunk := response.read1(CHUNK):
            size += len(chunk)
            _check_limits(size, deadline)
            file.write(chunk)
    if response.length:  # the connection ended before the body did
        raise failures.source_unreachable()


def _check_limits(size: int, deadline: float) -> None:
    """Refuse a source that is too large or takes too long."""
    if size > MAX_UPLOAD_BYTES:
        raise failures.too_large("The source", f"{MAX_UPLOAD_BYTES >> 20} MB")
    if time.monotonic() > deadline:
        raise failures.source_unreachable()


def _name(url: str, response: http.client.HTTPResponse) -> str:
    message = Message()
    message["Content-Disposition"] = response.getheader("Content-Disposition") or ""
    name = message.get_filename() or unquote(urlsplit(url).path)
    return plain_name(name, default="document")
