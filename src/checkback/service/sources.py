"""The source files of a job: checked, and named as the job's process finds them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from checkback.core.errors import NotReady
from checkback.core.job import Artifact, Job
from checkback.core.states import State
from checkback.security.addresses import AddressPolicy, check_url
from checkback.security.auth.callers import Caller, Scope
from checkback.security.signed_urls import LinkSigner
from checkback.security.source_refs import (
    ArtifactSource,
    UploadSource,
    change_sources,
    not_of_kind,
    parse_source,
)
from checkback.service.access import may_see
from checkback.service.uploads import no_upload
from checkback.storage.uploads import UploadStore

FindArtifact = Callable[[Job, str], tuple[Artifact, object]]


class KindWithSources(Protocol):
    """What is asked of a kind: which of its arguments name files, and files of which kind."""

    @property
    def sources(self) -> tuple[str, ...]: ...

    @property
    def source_kinds(self) -> dict[str, str]: ...


class Sources:
    """Checks the sources of jobs. Everything raises an error if the caller may not use a source."""

    def __init__(
        self,
        uploads: UploadStore,
        links: LinkSigner,
        addresses: AddressPolicy,
        get_job: Callable[[Caller, str], Awaitable[Job]],
        find_artifact: FindArtifact,
    ) -> None:
        self._uploads = uploads
        self._links = links
        self._addresses = addresses
        self._get_job = get_job
        self._find_artifact = find_artifact

    async def resolve(
        self, caller: Caller, kind: KindWithSources, args: dict[str, Any], keep_seconds: float
    ) -> dict[str, Any]:
        """The arguments with every source as a job's process finds it. Uploads among them are kept
        for that many seconds.
        """
        of_kinds = kind.source_kinds
        for path in kind.sources:
            resolved: dict[str, str] = {}
            for source in _named_sources(args, path):
                resolved[source] = await self._resolve(
                    caller, source, keep_seconds, path, of_kinds.get(path)
                )
            args = change_sources(args, path, resolved.__getitem__)
        return args

    async def _resolve(
        self, caller: Caller, source: str, keep_seconds: float, path: str, of_kind: str | None
    ) -> str:
        """One source. If the argument ``path`` accepts files of one kind only, this must be one."""
        named = parse_source(source, self._links)
        if isinstance(named, ArtifactSource):
            return await self._artifact(caller, named, path, of_kind)
        if of_kind is not None:
            raise not_of_kind(path, of_kind)
        if isinstance(named, UploadSource):
            return self._upload(caller, named, keep_seconds)
        check_url(source, self._addresses)
        return source

    def _upload(self, caller: Caller, source: UploadSource, keep_seconds: float) -> str:
        """An upload, which is kept for the job."""
        upload = self._uploads.find(source.upload_id)
        if upload is None or not (source.signed or may_see(caller, upload.owner)):
            raise no_upload()
        self._uploads.keep(source.upload_id, keep_seconds)
        return f"upload:{source.upload_id}"

    async def _artifact(
        self, caller: Caller, source: ArtifactSource, path: str, of_kind: str | None
    ) -> str:
        """A file of another job."""
        reader = Caller(caller.owner, frozenset(Scope)) if source.signed else caller
        job = await self._get_job(reader, source.job_id)
        if job.state is not State.COMPLETED:
            raise NotReady(
                f"The job whose file is named as a source has not completed; it is {job.state}."
            )
        if of_kind is not None and job.kind != of_kind:
            raise not_of_kind(path, of_kind)
        artifact, _ = self._find_artifact(job, source.name)
        return f"artifact:{job.id}/{artifact.attempt}/{artifact.id}/{artifact.name}"


def _named_sources(args: dict[str, Any], path: str) -> list[str]:
    """The sources that the argument ``path`` names, each once."""
    named: dict[str, None] = {}

    def note(source: str) -> str:
        named[source] = None
        return source

    change_sources(args, path, note)
    return list(named)
