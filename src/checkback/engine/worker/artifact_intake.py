"""Moves the files that a job's process handed over into the artifact store. Nothing it says is
trusted.

Each file must be a plain one in the attempt's own folder, with one name, of the size and the hash
that were said. Files are on the disk, under their names in the store, when ``adopt`` returns.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checkback.core.errors import FailureCode, JobFailed
from checkback.core.job import Artifact
from checkback.storage.artifacts import (
    CHUNK,
    MAX_ARTIFACT_BYTES,
    MAX_ARTIFACTS,
    ArtifactStore,
    check_name,
    disk_full,
    plain_media_type,
)

ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_FLUSHING = ThreadPoolExecutor(8, thread_name_prefix="flush")
_LOOK = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
#: A pipe in the place of a file must not make the worker wait for somebody who writes into it.
_OPEN = _LOOK | os.O_NONBLOCK


def adopt(
    store: ArtifactStore,
    job_id: str,
    attempt: int,
    handed_in: Path,
    listed: Sequence[Artifact],
    *,
    may_move: bool,
) -> None:
    """Bring the listed files from ``handed_in`` into the store, all or none. Call it in a thread.

    ``may_move`` says that every process that could write to them has ended; else they are copied.
    Raises JobFailed: ``invalid_result`` for what is not as it was said, ``storage_full`` where
    there is no room.
    """
    if not listed:
        return
    check_list(listed, attempt)
    target = store.folder(job_id, attempt)
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        source = _open_folder(handed_in)
        try:
            for artifact in listed:
                _take(source, target, artifact, may_move=may_move)
        finally:
            os.close(source)
        _flush([*(target / artifact.id for artifact in listed), target, target.parent])
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from None
        raise _invalid("One of its files could not be read.") from error
    except JobFailed:
        shutil.rmtree(target, ignore_errors=True)
        raise


def check_list(listed: Sequence[Artifact], attempt: int) -> None:
    """Raise JobFailed unless this could be a list of files from one attempt."""
    if len(listed) > MAX_ARTIFACTS:
        raise _invalid(f"It handed over more than {MAX_ARTIFACTS} files.")
    if len({one.id for one in listed}) < len(listed) or len({one.name for one in listed}) < len(
        listed
    ):
        raise _invalid("It handed over two files with the same name.")
    for one in listed:
        if not ID.fullmatch(one.id) or one.attempt != attempt:
            raise _invalid("It named a file that is not its own.")
        if not 0 <= one.size_bytes <= MAX_ARTIFACT_BYTES:
            raise _invalid("It gave a file an impossible size.")
        if plain_media_type(one.media_type) != one.media_type:
            raise _invalid("It gave a file a media type that is not valid.")
        try:
            check_name(one.name)
        except ValueError:
            raise _invalid("It gave a file a name that is not allowed.") from None


def _take(source: int, target: Path, artifact: Artifact, *, may_move: bool) -> None:
    descriptor = os.open(artifact.id, _OPEN, dir_fd=source)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise _invalid("One of its files is not a plain file.")
        if found.st_size != artifact.size_bytes:
            raise _invalid("One of its files does not have the size that it gave.")
        own = target / artifact.id
        if not may_move:
            digest = _copy(descriptor, own, artifact.size_bytes)
        else:
            digest = _hash(descriptor, artifact.size_bytes)
            if not _move(artifact.id, source, own):
                os.lseek(descriptor, 0, os.SEEK_SET)
                digest = _copy(descriptor, own, artifact.size_bytes)
            elif not _is_same(own, found):
                raise _invalid("One of its files was replaced while it was taken over.")
            else:
                _own(descriptor, found)
        if digest != artifact.sha256:
            raise _invalid("One of its files was changed after it was handed over.")
    finally:
        os.close(descriptor)


def _move(name: str, source: int, own: Path) -> bool:
    """Whether it could be moved: not from one file system to another."""
    try:
        os.rename(name, own, src_dir_fd=source)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def _is_same(path: Path, found: os.stat_result) -> bool:
    now = path.lstat()
    return (now.st_dev, now.st_ino, now.st_nlink) == (found.st_dev, found.st_ino, 1)


def _own(descriptor: int, found: os.stat_result) -> None:
    """Make a file the worker's own, whichever process wrote it."""
    if found.st_uid != os.geteuid():
        os.fchown(descriptor, os.geteuid(), os.getegid())
    os.fchmod(descriptor, 0o600)


def _copy(descriptor: int, own: Path, size: int) -> str:
    """Copy so many bytes into a new file; returns the hash of what was copied."""
    hashed = hashlib.sha256()
    copy = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(copy, "wb", buffering=0) as file:
        while size > 0 and (chunk := os.read(descriptor, min(CHUNK, size))):
            hashed.update(chunk)
            file.write(chunk)
            size -= len(chunk)
    return hashed.hexdigest()


def _hash(descriptor: int, size: int) -> str:
    hashed = hashlib.sha256()
    while size > 0 and (chunk := os.read(descriptor, min(CHUNK, size))):
        hashed.update(chunk)
        size -= len(chunk)
    return hashed.hexdigest()


def _open_folder(path: Path) -> int:
    """The folder at ``path``, itself and not what a link there leads to."""
    parent = os.open(path.parent, _LOOK | os.O_DIRECTORY)
    try:
        return os.open(path.name, _LOOK | os.O_DIRECTORY, dir_fd=parent)
    finally:
        os.close(parent)


def _flush(paths: Sequence[Path]) -> None:
    """Have files and folders on the disk: at once, because the disk then does much of the work only
    once.
    """
    list(_FLUSHING.map(_flush_one, paths))


def _flush_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems flush no folders
            raise
    finally:
        os.close(descriptor)


def _invalid(why: str) -> JobFailed:
    return JobFailed(
        FailureCode.INVALID_RESULT,
        f"The job's files could not be taken over. {why}",
        retryable=False,
        hint="Hand each file in once with ctx.artifact(), and leave it alone afterwards.",
    )
