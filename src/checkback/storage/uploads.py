"""Uploaded files: what a caller hands in for later jobs, under names that we generate.

``<root>/<id>/content`` and ``<root>/<id>/record.json``. An upload appears whole or not at all, and
is kept for a day after its last use; a job that names it as its source counts as use from submit to
its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from checkback.core.errors import InvalidInput, QuotaExceeded, TooLarge

MAX_UPLOAD_BYTES = 200 * 1024 * 1024
KEEP_SECONDS = 24 * 3600.0
MAX_NAME_CHARACTERS = 120
UNFINISHED_SECONDS = 3600.0
SCAN_SECONDS = 10.0

_ID = re.compile(r"[0-9a-f]{32}")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\u202a-\u202e\u2066-\u2069]')


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was uploaded."""

    id: str
    owner: str
    #: A plain file name, as its sender called it.
    name: str
    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True)
class UploadUse:
    """How many uploads there are, and how large they are together."""

    files: int
    size_bytes: int


class UploadStore:
    """The uploads of one data folder."""

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int = MAX_UPLOAD_BYTES,
        scan_seconds: float = SCAN_SECONDS,
    ) -> None:
        """An upload may have ``max_bytes``. What other processes bring is seen ``scan_seconds``
        later at most.
        """
        self.root = root
        self._max_bytes = max_bytes
        self._scan_seconds = scan_seconds
        #: Owner and size of the uploads that this process knows.
        self._seen: dict[str, tuple[str, int]] = {}
        self._scanned_at = float("-inf")

    def taken(self, owner: str | None = None) -> UploadUse:
        """What the uploads take, one owner's or all.

        Those of this process count at once. What others bring and remove is looked at every ten
        seconds, not each time: small uploads that follow each other fast would cost more with each
        that is there.
        """
        if time.monotonic() - self._scanned_at > self._scan_seconds:
            self._scan()
        sizes = [size for whose, size in self._seen.values() if owner is None or whose == owner]
        return UploadUse(len(sizes), sum(sizes))

    def _scan(self) -> None:
        """Look what is there; the record of each upload is read once."""
        self._scanned_at = time.monotonic()
        there = {folder.name for folder in self._folders()}
        self._seen = {name: seen for name, seen in self._seen.items() if name in there}
        for name in there - self._seen.keys():
            if (found := self.find(name)) is not None:
                self._note(found)

    def _folders(self) -> Iterable[Path]:
        """What is there; the folder of uploads is made with the first."""
        return self.root.iterdir() if self.root.is_dir() else ()

    def _note(self, upload: Upload) -> None:
        self._seen[upload.id] = (upload.owner, upload.size_bytes)

    def begin(
        self,
        owner: str,
        name: str,
        *,
        upload_id: str | None = None,
        most_bytes: int | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> UploadWriter:
        """Where the content of a new upload is written; ``upload_id`` is one that ``new_id`` gave
        out.

        ``ended`` is called when the writer is left, whichever way.
        """
        writer = UploadWriter(self.root, upload_id or new_id(), owner, plain_name(name))
        writer.max_bytes = self._max_bytes
        writer.owner_bytes = most_bytes
        writer.ended = ended
        writer.appeared = self._note
        return writer

    def find(self, upload_id: str) -> Upload | None:
        """The upload of that id, or None if it does not exist (any more)."""
        folder = self._folder(upload_id)
        if folder is None:
            return None
        try:
            if self._kept_until(folder) < time.time():
                return None
            return Upload(**json.loads((folder / "record.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def path(self, upload_id: str) -> Path:
        """Where the content is; it may be gone. Raises InvalidInput for a malformed id."""
        folder = self._folder(upload_id)
        if folder is None:
            raise InvalidInput("This is not the id of an upload.")
        return folder / "content"

    def keep(self, upload_id: str, seconds: float) -> None:
        """Keep an upload for ``seconds`` from now, at least; it is never kept
        for less than before.
        """
        folder = self._folder(upload_id)
        if folder is not None:
            with contextlib.suppress(FileNotFoundError):
                until = max(time.time() + seconds, self._kept_until(folder))
                os.utime(folder / "record.json", (until, until))

    def remove(self, upload_id: str) -> None:
        """Remove an upload at once.

        Its empty folder stays for an hour, longer than any link that takes bytes: a link that was
        used could else be used again.
        """
        folder = self._folder(upload_id)
        if folder is not None and folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            self._seen.pop(upload_id, None)

    def sweep(self) -> int:
        """Remove what has had its time, and what was never finished; returns how many."""
        removed = 0
        for folder in self._folders():
            try:
                kept_until = self._kept_until(folder)
            except FileNotFoundError:
                kept_until = folder.stat().st_mtime + UNFINISHED_SECONDS
            if kept_until < time.time():
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    def _folder(self, upload_id: str) -> Path | None:
        return self.root / upload_id if _ID.fullmatch(upload_id) else None

    @staticmethod
    def _kept_until(folder: Path) -> float:
        # The record's time is the end, not the beginning: keeping it longer is one system call.
        return (folder / "record.json").stat().st_mtime


class UploadWriter:
    """Takes the content of one upload, piece by piece. Leaving the ``with`` without ``finish``
    removes it.
    """

    def __init__(self, root: Path, upload_id: str, owner: str, name: str) -> None:
        self._folder = root / upload_id
        self._upload_id, self._owner, self._name = upload_id, owner, name
        self._size = 0
        self._hash = hashlib.md5(usedforsecurity=False)
        self._done = False
        #: What one file may have, and what its owner may still keep; None for any amount.
        self.max_bytes = MAX_UPLOAD_BYTES
        self.owner_bytes: int | None = None
        self.ended: Callable[[], None] = lambda: None
        self.appeared: Callable[[Upload], None] = lambda _: None

    def __enter__(self) -> UploadWriter:
        try:
            self._folder.mkdir(parents=True, mode=0o700)
            self._file = (self._folder / "content").open("xb")
        except OSError:
            self.ended()
            raise
        return self

    def write(self, chunk: bytes) -> None:
        """Add a piece. Raises TooLarge past 200 MB, QuotaExceeded past what its owner may still
        keep.
        """
        self._size += len(chunk)
        if self._size > self.max_bytes:
            raise TooLarge(f"A file may have {self.max_bytes >> 20} MB at most.")
        if self.owner_bytes is not None and self._size > self.owner_bytes:
            raise QuotaExceeded(
                "Your uploads would take more than you may keep here.",
                hint="Delete some, or wait: each is removed a day after its last use.",
            )
        self._file.write(chunk)
        self._hash.update(chunk)

    def finish(self) -> Upload:
        """Make the upload appear; it is on disk when this returns."""
        self._file.flush()
        os.fsync(self._file.fileno())
        upload = Upload(
            self._upload_id, self._owner, self._name, self._size, self._hash.hexdigest()
        )
        fresh = self._folder / "record.new"
        fresh.write_text(json.dumps(asdict(upload)))
        until = time.time() + KEEP_SECONDS
        os.utime(fresh, (until, until))
        fresh.rename(self._folder / "record.json")
        self._done = True
        self.appeared(upload)
        return upload

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._done:
            shutil.rmtree(self._folder, ignore_errors=True)
        self.ended()


def new_id() -> str:
    """An id that nobody can guess."""
    return secrets.token_hex(16)


def _split_extension(name: str) -> tuple[str, str]:
    """What is before a file's ending, and the ending; a long one is part of the name."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or len(extension) > 10:
        return name, ""
    return stem, extension


def plain_name(name: str, default: str = "file") -> str:
    """The last part of a path or URL, free of what could trick a file system, a terminal or a
    reader.

    At most 120 bytes; the ending survives the cut.
    """
    last = _UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(" .")
    stem, extension = _split_extension(last)
    room = MAX_NAME_CHARACTERS - len(extension.encode()) - 1
    stem = stem.encode()[:room].decode(errors="ignore").strip(" .")
    shown = f"{stem}.{extension}" if extension else stem
    return shown or default
