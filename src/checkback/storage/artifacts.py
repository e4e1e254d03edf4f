"""Result files: a folder for each attempt of each job, under names that we generate.

``<root>/<job id>/<attempt>/<artifact id>``: what a kind calls a file never becomes part of a path.
A job's process never writes here: it hands its files in, in a folder of its attempt, and its worker
checks them and takes them over (``engine/worker/artifact_intake.py``). A late attempt has a
separate folder, which nobody lists.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import re
import secrets
import shutil
from pathlib import Path

from checkback.core.clean_text import clean_json
from checkback.core.errors import FailureCode, JobFailed
from checkback.core.job import JSON, Artifact

MAX_NAME_CHARACTERS = 200
MAX_ARTIFACT_BYTES = 1 << 30
MAX_ARTIFACTS = 1000
CHUNK = 1 << 20
ANY_BYTES = "application/octet-stream"
_MEDIA_TYPE = re.compile(
    r"[\w.+-]{1,100}/[\w.+-]{1,100}(; ?[\w.+-]{1,100}=(\"[ "
    r"!#-\[\]-~]{0,100}\"|[\w.+:-]{1,100})){0,4}",
    re.ASCII,
)


class ArtifactStore:
    """The artifacts of all jobs of one data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, job_id: str, artifact: Artifact) -> Path:
        """Where an artifact lies; it may be gone."""
        return self.folder(job_id, artifact.attempt) / artifact.id

    def folder(self, job_id: str, attempt: int) -> Path:
        """Where the files of one attempt are kept."""
        return self.root / job_id / str(attempt)

    def keep_only(self, job_id: str, attempt: int) -> None:
        """Remove what other attempts of a job left behind."""
        folder = self.root / job_id
        if folder.is_dir():
            for other in folder.iterdir():
                if other.name != str(attempt):
                    shutil.rmtree(other, ignore_errors=True)

    def remove(self, job_id: str) -> None:
        """Remove every file of a job."""
        shutil.rmtree(self.root / job_id, ignore_errors=True)

    def job_ids(self) -> list[str]:
        """The jobs that have a folder here."""
        return [entry.name for entry in self.root.iterdir()] if self.root.is_dir() else []


class AttemptArtifacts:
    """Hands in the files of one attempt: they wait in ``folder`` until the worker takes them over.

    Used in the child process.
    """

    def __init__(
        self, folder: Path, attempt: int, *, most_bytes: int = 0, owner_room: int | None = None
    ) -> None:
        self._folder = folder
        self._attempt = attempt
        #: What the files may take together; 0 means no limit.
        self._most_bytes = most_bytes
        #: What room there is for results of the job's owner.
        self._owner_room = math.inf if owner_room is None else owner_room
        self._bytes = 0
        self.written: list[Artifact] = []

    def write(self, name: str, content: bytes | Path, media_type: str) -> Artifact:
        """Hand a file in. The worker flushes it to the disk before it is named anywhere.

        A media type that is not one is kept as ``application/octet-stream``. Raises ValueError for
        a name that is not a plain file name or was used before, JobFailed past the limits.
        """
        check_name(name)
        media_type = plain_media_type(media_type)
        if any(artifact.name == name for artifact in self.written):
            raise ValueError(f"This attempt has an artifact called {name!r} already.")
        size = _size(content)
        self._require_room(size)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        artifact_id = secrets.token_hex(8)
        target = self._folder / artifact_id
        try:
            digest = _put(content, target)
        except OSError as error:
            target.unlink(missing_ok=True)  # half a file is worse than none
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full() from None
            raise
        artifact = Artifact(artifact_id, name, media_type, size, digest, self._attempt)
        self.written.append(artifact)
        self._bytes += size
        return artifact

    def _require_room(self, size: int) -> None:
        """Raise JobFailed when one more file of this size is more than a job may make."""
        if len(self.written) >= MAX_ARTIFACTS:
            raise JobFailed(
                "too_large", f"The job made more than {MAX_ARTIFACTS} files.", retryable=False
            )
        if size > MAX_ARTIFACT_BYTES:
            raise JobFailed("too_large", "The job made a file of more than 1 GB.", retryable=False)
        if 0 < self._most_bytes < self._bytes + size:
            raise JobFailed(
                "too_large",
                f"The job made files of more than {self._most_bytes // 1_000_000} MB together.",
                retryable=False,
                hint="Split the work into several jobs.",
            )
        if self._bytes + size > self._owner_room:
            raise JobFailed(
                FailureCode.QUOTA_EXCEEDED,
                "Your job results would use up more than their disk quota.",
                retryable=False,
                hint="Delete results that you do not need, or wait until some have expired, and "
                "retry it.",
            )


def disk_full() -> JobFailed:
    """The failure of a job for whose file there was no room."""
    return JobFailed(
        FailureCode.STORAGE_FULL, "The disk was full when the job wrote a file.",
        hint="Retry it when there is room on the server's disk.",
    )  # fmt: skip


def read_json(path: Path) -> JSON:
    """A result file as every API can encode it, whichever version wrote it."""
    return clean_json(json.loads(path.read_bytes()))


def plain_media_type(media_type: str) -> str:
    """The media type, or the one of any bytes where it could not be a header's value."""
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else ANY_BYTES


def _size(content: bytes | Path) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _put(content: bytes | Path, target: Path) -> str:
    """Bring the content to its place; returns its hash."""
    if isinstance(content, Path):
        shutil.move(content, target)
        return _digest(target)
    target.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def check_name(name: str) -> None:
    """Raise ValueError for a name that is not a plain file name."""
    plain = name.isprintable() and name not in (".", "..") and not set(name) & set('/\\:*?"<>|')
    if not name or len(name) > MAX_NAME_CHARACTERS or not plain:
        raise ValueError(f"{name[:50]!r} is not a plain file name.")


def _digest(path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()
