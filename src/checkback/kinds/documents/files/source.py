"""A job's sources as files in its folder: downloads through the egress proxy, uploads and results
as its worker copied them.

What a source is called comes from its address or its upload; what it *is* only ``sniff`` says.
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
REDIRECTS = 5
CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to work on, in the job's folder."""

    path: Path
    #: A plain file name, as its address or its upload calls it; never to be trusted for what it is.
    name: str

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return Path(self.name).stem or self.name


@dataclass(frozen=True, slots=True)
class Login:
    """User name and password for the sources' server; sent to the host of the address only, never
    further.
    """

    username: str = ""
    password: str = ""


def fetch_source(source: str, target: Path, ctx: JobContext, login: Login) -> SourceFile:
    """One source as a file of the attempt's: downloaded to ``target``, or what the worker brought
    for it.

    Raises a failure that says why it cannot be had.
    """
    if source.startswith(("upload:", "artifact:")):
        return _local(source, ctx)
    if ctx.egress is None:
        raise failures.source_unreachable()
    try:
        return download(source, target, ctx.egress, login)
    except HostBlocked:
        raise failures.source_blocked() from None
    except FetchFailed:
        raise failures.source_unreachable() from None


def _local(source: str, ctx: JobContext) -> SourceFile:
    found = ctx.files.get(source)
    if found is None:
        if source.startswith("upload:"):
            raise failures.source_not_found()
        raise failures.source_not_found("The result that is to be worked on is gone.")
    return SourceFile(Path(found.path), found.name)


def download(url: str, target: Path, egress: Egress, login: Login) -> SourceFile:
    """Put what lies at an address into the file ``target``. Raises JobFailed, FetchFailed or
    HostBlocked.
    """
    end = time.monotonic() + DOWNLOAD_SECONDS
    first = url
    for _ in range(REDIRECTS + 1):
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        if login.username and proxy_client.is_same_origin(first, url):
            key = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
            headers["Authorization"] = f"Basic {key}"
        left = end - time.monotonic()
        with proxy_client.get(
            url, egress, seconds=READ_SECONDS, total_seconds=left, headers=headers
        ) as response:
            further = proxy_client.location(url, response)
            if further is None:
                if response.status != 200:
                    raise failures.source_status(response.status)
                _save(response, target, end)
                return SourceFile(target, _name(url, response))
        url = further
    raise failures.source_unreachable()


def _save(response: http.client.HTTPResponse, target: Path, end: float) -> None:
    """Write the body to a file, never more than is allowed, whatever its length was said to be."""
    size = 0
    with target.open("wb") as file:
        while chunk := response.read1(CHUNK):
            size += len(chunk)
            if size > MAX_UPLOAD_BYTES:
                raise failures.too_large("The source", f"{MAX_UPLOAD_BYTES >> 20} MB")
            if time.monotonic() > end:
                raise failures.source_unreachable()
            file.write(chunk)
    if response.length:  # the connection ended before the body did
        raise failures.source_unreachable()


def _name(url: str, response: http.client.HTTPResponse) -> str:
    message = Message()
    message["Content-Disposition"] = response.getheader("Content-Disposition") or ""
    given = message.get_filename() or unquote(urlsplit(url).path)
    return plain_name(given, default="document")
