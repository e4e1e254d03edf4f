"""Whole process trees on Linux: tie them to a parent's life, find their members, measure and end
them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MANY_FILES = 65_536
IS_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None, use_errno=True)
"""Loaded here: after a fork in a threaded process nothing may be loaded any more."""


def die_with_parent(parent: int, death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel end this process when its parent dies. ``parent`` closes the gap before this
    call.
    """
    if IS_LINUX:
        _prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Make orphaned descendants children of this process, so that none escapes from its tree."""
    if IS_LINUX:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)


def allow_many_files() -> None:
    """Let this process open as many files as it may, up to 65,536: each client that waits is one.
    Often only 1,024 are allowed until somebody asks for more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descendants(pid: int) -> list[int]:
    """Every live process below ``pid``, parents before their children."""
    found: list[int] = []
    queue = [pid]
    while queue:
        for child in children(queue.pop()):
            found.append(child)
            queue.append(child)
    return found


def children(pid: int) -> list[int]:
    """The live children of all threads of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def resident_bytes(pids: Iterable[int]) -> int:
    """Memory that processes really hold, shared pages counted once for each
    process that uses them.
    """
    total = 0
    for member in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * PAGE_BYTES
    return total


def proportional_bytes(pid: int) -> int:
    """Memory of a process tree with shared pages divided among their users: exact, some ms a
    process.
    """
    total = 0
    for member in (pid, *descendants(pid)):
        with contextlib.suppress(OSError, IndexError, ValueError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def kill_tree(pid: int) -> None:
    """Kill a process and everything below it, orphans it had adopted too.

    The root is stopped first and dies last: while it lives, whatever its descendants leave behind
    still hangs on it.
    """
    send(pid, signal.SIGSTOP)
    for _ in range(20):
        below = [member for member in descendants(pid) if is_alive(member)]
        if not below:
            break
        for member in below:
            send(member, signal.SIGKILL)
    send(pid, signal.SIGKILL)


def send(pid: int, what: signal.Signals) -> None:
    """Send a signal; a process that is gone, or no longer ours, is ignored."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, what)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
