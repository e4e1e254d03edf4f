"""What a job may work on besides public addresses: uploads and results, by their names or by signed
links.

A source is ``upload:ID``, ``artifact:JOB/NAME``, one of our own signed links to either, or an
http(s) address. Our own links are never fetched over HTTP: the file lies here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from checkback.core.errors import InvalidInput
from checkback.security.signed_urls import LinkSigner

FILES = "/files/"
UPLOADS = "/files/upload/"


@dataclass(frozen=True, slots=True)
class UploadSource:
    """An uploaded file. ``signed`` says that a valid link named it, so that its owner does not
    matter.
    """

    upload_id: str
    signed: bool = False


@dataclass(frozen=True, slots=True)
class ArtifactSource:
    """A result file of another job, by its name."""

    job_id: str
    name: str
    signed: bool = False


def parse_source(source: str, links: LinkSigner) -> UploadSource | ArtifactSource | None:
    """What a source names; None for an address elsewhere. Raises InvalidInput for half a name."""
    scheme, _, rest = source.partition(":")
    if scheme == "upload":
        return UploadSource(rest)
    if scheme == "artifact":
        return _artifact_source(rest)
    if scheme.lower() in ("http", "https"):
        return _parse_signed_link(source, links)
    return None


def _artifact_source(text: str) -> ArtifactSource:
    job_id, _, name = text.partition("/")
    if not name:
        raise InvalidInput("A result is named as artifact:JOB/NAME.")
    return ArtifactSource(job_id, name.rsplit("/", 1)[-1])


def _parse_signed_link(url: str, links: LinkSigner) -> UploadSource | ArtifactSource | None:
    """What one of our own links names; None for any other URL, and for a link that has expired."""
    path = _signed_path(url, links)
    if path.startswith(UPLOADS):
        upload_id = path.removeprefix(UPLOADS).partition("/")[0]
        return UploadSource(upload_id, signed=True)
    if path.startswith(FILES):
        job_id, _, name = path.removeprefix(FILES).partition("/")
        return ArtifactSource(job_id, name, signed=True)
    return None


def _signed_path(url: str, links: LinkSigner) -> str:
    """The path that a URL may read by its signature; empty if it has none, or no valid one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    path = unquote(parts.path)
    return path if links.allows("GET", path, dict(parse_qsl(parts.query))) else ""


def not_of_kind(path: str, kind: str) -> InvalidInput:
    """The error for an argument that takes files of one kind of job alone."""
    return InvalidInput(
        f"`{path}` must be the id of a {kind} job.", hint=f"Give the id of a completed {kind} job."
    )


def change_sources(args: dict[str, Any], path: str, change: Callable[[str], str]) -> dict[str, Any]:
    """A copy of ``args`` with ``change`` applied to each text at ``path``: ``url``, or
    ``images.url``.
    """
    return cast("dict[str, Any]", _change(args, path.split("."), change))


def _change(value: Any, path: list[str], change: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_change(item, path, change) for item in cast("list[Any]", value)]
    if path:
        return _change_member(value, path[0], path[1:], change)
    return change(value) if isinstance(value, str) else value


def _change_member(value: Any, name: str, rest: list[str], change: Callable[[str], str]) -> Any:
    if not isinstance(value, dict) or name not in value:
        return cast("Any", value)
    fields = cast("dict[str, Any]", value)
    return fields | {name: _change(fields[name], rest, change)}
