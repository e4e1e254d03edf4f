"""Files that callers upload for later jobs."""

from __future__ import annotations

from pathlib import Path

from checkback.core.errors import NotFound, StorageFull
from checkback.security.auth.callers import Caller, Scope
from checkback.security.rate_limits import Quotas, has_quota
from checkback.service.access import may_see, require
from checkback.storage.uploads import Upload, UploadStore, UploadWriter, new_id


class Uploads:
    """The uploads of every caller. An upload that is not the caller's does not exist."""

    def __init__(self, store: UploadStore, quotas: Quotas, disk_budget_bytes: int) -> None:
        """``disk_budget_bytes`` is what all uploads may take; 0 means no limit."""
        self._store = store
        self._quotas = quotas
        self._disk_budget = disk_budget_bytes

    def begin(self, caller: Caller, name: str, *, upload_id: str | None = None) -> UploadWriter:
        """A writer for the bytes of a file that later jobs use as ``upload:ID``. The file is kept
        for a day after its last use. Raises QuotaExceeded or StorageFull if there is no room;
        always leave the ``with``.
        """
        require(caller, Scope.WRITE)
        if self._disk_budget and self._store.taken().size_bytes >= self._disk_budget:
            raise StorageFull("The server's disk quota for uploads and artifacts is used up.")
        if not has_quota(caller):
            return self._store.begin(caller.owner, name, upload_id=upload_id)
        kept = self._store.taken(caller.owner)
        ended = self._quotas.begin_upload(caller, kept.size_bytes, kept.files)
        limit = self._quotas.limits.upload_bytes
        left = limit - kept.size_bytes if limit else None
        return self._store.begin(
            caller.owner, name, upload_id=upload_id, most_bytes=left, ended=ended
        )

    def announce(self, caller: Caller) -> str:
        """The id of an upload whose bytes come later by a signed link, which then replaces write
        access.
        """
        require(caller, Scope.WRITE)
        return new_id()

    def find(self, caller: Caller, upload_id: str) -> tuple[Upload, Path]:
        """One of the caller's uploads, and its path. Raises NotFound."""
        upload = self._store.find(upload_id)
        if upload is None or not may_see(caller, upload.owner):
            raise no_upload()
        return upload, self._store.path(upload_id)

    def remove(self, caller: Caller, upload_id: str) -> None:
        """Remove one of the caller's uploads at once. Raises NotFound."""
        require(caller, Scope.WRITE)
        self.find(caller, upload_id)
        self._store.remove(upload_id)


def no_upload() -> NotFound:
    """The error for an upload that does not exist for the caller."""
    return NotFound(
        "This upload does not exist, has expired, or is not yours.", hint="Upload the file again."
    )
