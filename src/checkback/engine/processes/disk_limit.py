"""What a running job has on the disk, watched while it writes: past its own limit or its owner's it
ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from checkback.core.errors import FailureCode
from checkback.core.job import Failure
from checkback.engine.processes import tree
from checkback.engine.processes.job_folders import OUTGOING
from checkback.security.auth.callers import LOCAL_OWNER

SCAN_SECONDS = 0.5
HIDDEN_EVERY = 4
"""How many scans there are to one look at files that have no name any more: it asks every process.
"""
MAX_DEPTH = 64
MAX_FILES = 100_000
BLOCK = 512
_GONE = (errno.ENOENT, errno.ENOTDIR)


@dataclass(slots=True)
class DiskUse:
    """What is in a folder."""

    #: On the disk, and of that in files handed over as artifacts.
    total: int = 0
    outgoing: int = 0
    files: int = 0
    is_too_deep: bool = False


@dataclass(slots=True)
class Ledger:
    """What owners keep and what their running jobs hand over, for one worker."""

    #: What one job may take while it runs, and what the results of one owner may; 0 means no limit.
    job_bytes: int = 0
    owner_bytes: int = 0
    #: How many files one job may make while it runs.
    job_files: int = MAX_FILES
    #: Kept results, as they were last measured, with those that came since.
    _kept: Counter[str] = field(default_factory=Counter[str])
    _running: list[Share] = field(default_factory=list["Share"])

    def begin(self, owner: str) -> Share:
        """The share of a job that starts. Call its ``end``."""
        share = Share(self, owner)
        self._running.append(share)
        return share

    def measured(self, kept: Counter[str]) -> None:
        """Take over what the owners keep."""
        self._kept = Counter(kept)

    def room(self, owner: str, besides: Share | None = None) -> int | None:
        """How much more of results this owner may have; None for any amount."""
        if self.owner_bytes <= 0 or owner == LOCAL_OWNER:
            return None
        handed_in = sum(
            one.outgoing for one in self._running if one.owner == owner and one is not besides
        )
        return max(0, self.owner_bytes - self._kept[owner] - handed_in)

    def keep(self, share: Share, size: int) -> None:
        """Count what was taken over into the store."""
        self._kept[share.owner] += size
        share.outgoing = 0

    def end(self, share: Share) -> None:
        """Forget a job that does not run any more."""
        with contextlib.suppress(ValueError):
            self._running.remove(share)


@dataclass(slots=True, eq=False)
class Share:
    """The part of one running job."""

    ledger: Ledger
    owner: str
    #: What it has handed over so far.
    outgoing: int = 0

    @property
    def room(self) -> int | None:
        """How much it may hand over; None for any amount."""
        return self.ledger.room(self.owner, besides=self)

    def problem(self, taken: DiskUse) -> Failure | None:
        """Why the job must end, if it must."""
        if taken.is_too_deep or taken.files > self.ledger.job_files:
            return Failure(
                FailureCode.TOO_LARGE,
                f"The job made more than {self.ledger.job_files} files, or folders more than "
                f"{MAX_DEPTH} levels deep.",
                hint="Give it less to do.",
            )
        most = self.ledger.job_bytes
        if 0 < most < taken.total:
            return Failure(
                FailureCode.TOO_LARGE,
                f"The job's files take more than {_megabytes(most)} on the disk.",
                hint="Give it less to do, or split it into several jobs.",
            )
        room = self.room
        self.outgoing = taken.outgoing
        if room is not None and taken.outgoing > room:
            return over_quota(self.ledger.owner_bytes)
        return None

    def end(self) -> None:
        """The job does not run any more."""
        self.ledger.end(self)


def over_quota(owner_bytes: int) -> Failure:
    """The failure of a job whose owner's results have no more room."""
    return Failure(
        FailureCode.QUOTA_EXCEEDED,
        f"Your job results would use up more than their disk quota ({_megabytes(owner_bytes)}).",
        hint="Delete results that you do not need, or wait until some have expired; then retry "
        "the job.",
    )


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"


async def watch(pid: int, folder: Path, share: Share) -> Failure:
    """Return when this child's files are more than its job or its owner may have."""
    looks = 0
    while True:
        await asyncio.sleep(SCAN_SECONDS)
        looks += 1
        with_hidden = looks % HIDDEN_EVERY == 0
        taken = await asyncio.to_thread(_look, pid, folder, with_hidden, share.ledger.job_files)
        if (problem := share.problem(taken)) is not None:
            return problem


def _look(pid: int, folder: Path, with_hidden: bool, max_files: int) -> DiskUse:
    taken = measure(folder, max_files)
    if with_hidden:
        taken.total += nameless_bytes((pid, *tree.descendants(pid)))
    return taken


def measure(folder: Path, max_files: int = MAX_FILES) -> DiskUse:
    """What the files below a folder take, however a hostile job has made it. Little more than
    ``max_files`` files are looked at.
    """
    taken = DiskUse()
    left = [_Folder(str(folder), 0, is_outgoing=False)]
    while left and taken.files <= max_files and not taken.is_too_deep:
        current = left.pop()
        try:
            _measure_folder(current, taken, left)
        except PermissionError:
            with contextlib.suppress(OSError):  # the job shut it; the next look sees what is inside
                os.chmod(current.path, 0o700)
        except OSError as error:
            taken.is_too_deep = error.errno not in _GONE
        if current.depth >= MAX_DEPTH:
            taken.is_too_deep = True
    return taken


class _Folder(NamedTuple):
    path: str
    depth: int
    #: Whether its files were handed over as artifacts.
    is_outgoing: bool


def _measure_folder(folder: _Folder, taken: DiskUse, left: list[_Folder]) -> None:
    """Add the files of one folder to ``taken``, and its folders to ``left``.

    Raises OSError, also halfway, when an entry vanishes: what was found until then counts.
    """
    with os.scandir(folder.path) as entries:
        for entry in entries:
            taken.files += 1
            if entry.is_dir(follow_symlinks=False):
                is_outgoing = folder.is_outgoing or entry.name == OUTGOING
                left.append(_Folder(entry.path, folder.depth + 1, is_outgoing))
                continue
            status = entry.stat(follow_symlinks=False)
            size = min(status.st_size, status.st_blocks * BLOCK)
            taken.total += size
            if folder.is_outgoing:
                taken.outgoing += size


def nameless_bytes(pids: Iterable[int]) -> int:
    """What processes hold open in files without a name: removed ones, and files in memory."""
    seen: dict[tuple[int, int], int] = {}
    for pid in pids:
        with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    found = entry.stat()
                    if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                        seen[found.st_dev, found.st_ino] = found.st_blocks * BLOCK
    return sum(seen.values())
