"""The folders that jobs' processes may write: one for each attempt, below the folder for temporary
files.

A fresh child has ``<temporary>/<job>-<attempt>``. A warm child has ``<temporary>/child-<token>``
for its whole life, with its attempts' folders below: a wall that it entered once holds for all its
jobs. In an attempt's folder ``.in`` holds the files of this server that the job works on, copied
before it starts, and ``.out`` what it hands over. A lock on each shows whether a folder is in use
or its worker was killed; the sweeper removes those.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from checkback.core.job import JSON, Artifact
from checkback.kinds.context import LocalFile
from checkback.kinds.registry import Kind
from checkback.security.source_refs import change_sources
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore

INCOMING, OUTGOING, OWN = ".in", ".out", "own"
YOUNG_SECONDS = 60.0
"""So old a folder without a lock is before it counts as left behind: it is locked after it was
made.
"""
MAX_DEPTH = 64
"""JobFolders within folders that a job may make. What lies deeper is not looked for, so there may
be none.
"""

_JOB = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_ARTIFACT = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_OURS = re.compile(r"child-[0-9a-f]{16}|[0-9A-Za-z-]{1,64}-\d{1,9}", re.ASCII)
_COPIED_AT_ONCE = 1 << 30


@dataclass(slots=True)
class Home:
    """All that one child may write, for as long as it lives."""

    path: Path
    #: User and group of the child, where it is not the worker's own.
    user: tuple[int, int] | None = None
    _lock: int = field(default=-1, repr=False)

    def lock(self) -> None:
        """Mark the folder as one in use."""
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        """Remove it with all that is in it, when its child has ended. Call it in a thread."""
        remove_tree(self.path)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@dataclass(frozen=True, slots=True)
class JobFolders:
    """Makes the folders of one worker's children."""

    root: Path
    artifacts: ArtifactStore
    uploads: UploadStore

    def for_child(self, kind: Kind, job_id: str, attempt: int) -> Home:
        """A folder for a child that is about to be started: for this attempt, or of a warm one for
        all.
        """
        name = f"child-{secrets.token_hex(8)}" if kind.warm is not None else f"{job_id}-{attempt}"
        home = Home(self.root / name)
        # Another user of the machine may pass, if it knows the name of what is in there.
        home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if kind.warm is not None:
            home.path.chmod(
                0o711
            )  # by chmod: a server's umask closes what it makes to everybody else
        home.lock()
        return home

    def for_attempt(self, kind: Kind, home: Home, job_id: str, attempt: int) -> Path:
        """The attempt's own folder in its child's."""
        if kind.warm is None:
            return home.path
        path = home.path / f"{job_id}-{attempt}"
        path.mkdir(exist_ok=True, mode=0o700)
        return path

    def bring_sources(self, wanted: Iterable[str], folder: Path) -> dict[str, LocalFile]:
        """Copy files of this server into an attempt's folder, each once; those that are gone are
        left out.

        Call it in a thread. Raises OSError where there is no room.
        """
        brought: dict[str, LocalFile] = {}
        for source in wanted:
            found = self._find(source)
            if found is None:
                continue
            path, name = found
            # A name that nobody can guess: of the files of other jobs nothing is known either.
            target = folder / INCOMING / secrets.token_hex(8)
            target.parent.mkdir(exist_ok=True, mode=0o700)
            if _copy(path, target):
                brought[source] = LocalFile(str(target), name)
        return brought

    def _find(self, source: str) -> tuple[Path, str] | None:
        """Where a source of this server lies, and what it is called."""
        scheme, _, rest = source.partition(":")
        if scheme == "upload":
            upload = self.uploads.find(rest)
            return None if upload is None else (self.uploads.path(rest), upload.name)
        # JOB/ATTEMPT/ID/NAME, as the service wrote it when it accepted the job.
        parts = rest.split("/", 3)
        if len(parts) != 4 or not _JOB.fullmatch(parts[0]) or not _ARTIFACT.fullmatch(parts[2]):
            return None
        if not parts[1].isascii() or not parts[1].isdigit() or len(parts[1]) > 9:
            return None
        job_id, attempt, artifact_id, name = parts
        return self.artifacts.path(
            job_id, Artifact(artifact_id, name, "", 0, "", int(attempt))
        ), name

    def give(self, home: Home, folder: Path) -> None:
        """Make an attempt's folder, with what was brought there, the child's own where it is
        another user.
        """
        paths = [folder]
        if folder != home.path:
            # The folder around it stays the worker's: a child that owned it could exchange the next
            # attempt's folder for a link while the worker writes there.
            own = home.path / OWN
            own.mkdir(exist_ok=True, mode=0o700)
            paths.append(own)
        if home.user is None:
            return
        incoming = folder / INCOMING
        if incoming.is_dir():
            paths += [incoming, *incoming.iterdir()]
        for path in paths:
            os.chown(path, *home.user, follow_symlinks=False)

    def remove_left_behind(self) -> int:
        """Remove the folders of workers that were killed; returns how many. Call it in a thread."""
        removed = 0
        for entry in list(os.scandir(self.root)) if self.root.is_dir() else ():
            if _OURS.fullmatch(entry.name) and _is_left_behind(entry):
                remove_tree(Path(entry.path))
                removed += 1
        return removed


def own_folder(kind: Kind, home: str) -> Path:
    """Where a child makes files that belong to none of its attempts."""
    return Path(home) / OWN if kind.warm is not None else Path(home)


def local_sources(kind: Kind, args: JSON) -> list[str]:
    """The files of this server that a job works on, each once, in the order of its arguments."""
    found: dict[str, None] = {}

    def note(source: str) -> str:
        if source.startswith(("upload:", "artifact:")):
            found.setdefault(source)
        return source

    if isinstance(args, dict):
        for path in kind.sources:
            change_sources(cast("dict[str, Any]", args), path, note)
    return list(found)


def _copy(path: Path, target: Path) -> bool:
    """Whether the file was there to be copied; where the file system can, both
    share their blocks.
    """
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    with os.fdopen(source, "rb") as reading, target.open("xb") as writing:
        os.fchmod(writing.fileno(), 0o600)
        if not stat.S_ISREG(os.fstat(source).st_mode):
            return False
        try:
            while os.copy_file_range(source, writing.fileno(), _COPIED_AT_ONCE):
                pass
        except OSError:
            if writing.tell() or os.lseek(source, 0, os.SEEK_CUR):
                raise
            shutil.copyfileobj(reading, writing)
    return True


def _is_left_behind(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        if (
            entry.is_symlink()
            or entry.stat(follow_symlinks=False).st_mtime > time.time() - YOUNG_SECONDS
        ):
            return False
        lock = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        finally:
            os.close(lock)
    return False


def remove_tree(folder: Path) -> None:
    """Remove a folder, however deep a hostile job has made it."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.is_dir() and not folder.is_symlink():
        _remove_deep(folder)


def _remove_deep(folder: Path) -> None:
    """Bring every folder up to the top before it is emptied: no path gets long, nothing calls
    itself.
    """
    left = [str(folder)]
    while left:
        current = left.pop()
        with contextlib.suppress(OSError):
            os.chmod(current, 0o700)
        with contextlib.suppress(OSError), os.scandir(current) as entries:
            for entry in list(entries):
                with contextlib.suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.path)
                        continue
                    up = f"{folder}/{secrets.token_hex(8)}"
                    os.chmod(entry.path, 0o700)
                    os.rename(entry.path, up)
                    left.append(up)
        if current != str(folder):
            with contextlib.suppress(OSError):
                os.rmdir(current)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
