"""The walls around a process that reads a stranger's bytes: Landlock, another user, fewer system
calls.

``standing`` says which walls this machine has, ``enter`` puts them around this process and
everything that it starts, for good. What is inside can read the system's programs, libraries and
fonts, and read and write its own folder; the data folder, other jobs' folders, homes and secrets
are not there for it. Where the kernel has no Landlock, programs can be started by bubblewrap
instead (``bubblewrapped``); the caller decides what to do where there is neither.

The walls hold for the calling thread and what it starts: enter them before other threads are
started.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import shutil
import ssl
import stat
import struct
import sys
import sysconfig
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from checkback.security.sandbox import landlock, launcher, seccomp
from checkback.security.sandbox.landlock import EXECUTE, READ, SHARE, USE, WRITE, Right, Rules

AUTO, BUBBLEWRAP, NONE = "auto", "bubblewrap", "none"

MISSING = "sandbox_missing"
"""The code of the warning in a result that was made without the walls."""

_FIRST_USER = 1_879_048_192
"""Users and groups from here on belong to nobody: those below are handed out by systemd and
containers.
"""

#: Programs, libraries and what they read. No folder in which an administrator keeps keys or other
#: secrets.
_PROGRAMS = (
    "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/libexec",
    "/usr/share", "/usr/local/bin", "/usr/local/lib", "/usr/local/lib64", "/usr/local/share",
    "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
)  # fmt: skip
_FILES = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload",
    "/etc/alternatives", "/etc/fonts", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem", "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/tls/openssl.cnf",
    "/etc/pki/ca-trust", "/etc/ca-certificates", "/etc/crypto-policies", "/var/lib/ca-certificates",
    "/etc/localtime", "/etc/timezone", "/etc/locale.alias", "/etc/locale.conf",
    "/etc/default/locale", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts",
    "/etc/host.conf", "/etc/resolv.conf", "/etc/gai.conf", "/etc/mime.types", "/etc/magic",
    "/etc/papersize", "/etc/os-release", "/etc/debian_version", "/etc/libreoffice", "/etc/chromium",
    "/etc/chromium.d", "/var/spool/libreoffice", "/var/lib/libreoffice", "/var/cache/fontconfig",
    "/sys/devices/system/cpu",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_CAPABILITY_VERSION = 0x20080522
_READ_ALL = 2  # CAP_DAC_READ_SEARCH
_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT = 4, 8, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR = 2, 4
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Walls:
    """Which walls this machine can put around a process."""

    #: The version of Landlock; 0 for none.
    landlock: int
    #: Whether system calls can be refused.
    seccomp: bool
    #: Whether the process can become a separate user.
    other_user: bool
    #: The path of bubblewrap, where that has to do instead of Landlock.
    bubblewrap: str | None

    @property
    def are_enough(self) -> bool:
        """Whether a stranger's files may be read behind them."""
        return self.seccomp and bool(self.landlock or self.bubblewrap)

    def describe(self) -> str:
        """What there is, as text for people."""
        files = self._describe_files()
        calls = "system calls filtered" if self.seccomp else "no filter of system calls"
        user = "a separate user for each job" if self.other_user else "the server's own user"
        return f"{files}, {calls}, {user}"

    def _describe_files(self) -> str:
        if self.landlock:
            return f"Landlock (version {self.landlock})"
        if self.bubblewrap:
            return f"no Landlock; programs run in bubblewrap ({self.bubblewrap})"
        return "no Landlock and no bubblewrap"

    def to_json(self) -> dict[str, object]:
        """What there is, for programs."""
        return {
            "landlock": self.landlock,
            "seccomp": self.seccomp,
            "other_user": self.other_user,
            "bubblewrap": self.bubblewrap is not None,
            "enough": self.are_enough,
            "walls": self.describe(),
        }


@dataclass(frozen=True, slots=True)
class Reach:
    """What a process needs beyond the system's own programs and files, and beyond Python."""

    #: Folders that are its own: it reads and writes them.
    write: tuple[Path, ...] = ()
    read: tuple[Path, ...] = ()
    execute: tuple[Path, ...] = ()
    #: A browser needs shared memory, the kernel's ``/proc``, and to run its launcher from its
    #: folder.
    browser: bool = False
    #: TCP ports that may be connected to; None for all.
    ports: tuple[int, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Entered:
    """The walls that this process has entered."""

    walls: Walls
    #: Whether its own folder, or its Python, lies where other users may not enter. It kept a right
    #: of root's then, and so must programs that it starts there.
    folder_is_closed: bool = False
    python_is_closed: bool = False

    def needs_rights(self, *, run_python: bool) -> bool:
        """Whether a program that is started here could not be run without that right."""
        return self.folder_is_closed or (run_python and self.python_is_closed)


_entered: Entered | None = None


def entered() -> Entered | None:
    """The walls that this process is behind; None where it is not behind any."""
    return _entered


@functools.cache
def standing(mode: str = AUTO) -> Walls:
    """The walls of this machine. ``mode`` is the setting ``CHECKBACK_SANDBOX``: with ``bubblewrap``
    Landlock is not used, with ``none`` neither is.
    """
    version = landlock.version() if mode == AUTO else 0
    program = shutil.which("bwrap") if mode != NONE and not version else None
    return Walls(version, seccomp.is_available(), user_for_child(os.getpid()) is not None, program)


def prepare() -> None:
    """Find out once what every process needs to know that enters walls: for the process that forks
    them.
    """
    _system_rules()
    standing()


def enter(reach: Reach, walls: Walls, *, unix_sockets: bool = False) -> None:
    """Put what there is of ``walls`` around this process, for good.

    Where it is root it becomes the user ``user_for_child``, to whom its folders must have been
    given. It keeps one right of root's, to read what others may not, where its folder or its Python
    is in a folder that others may not enter; Landlock limits that right, too. Raises OSError for a
    wall that should be there and cannot be put up.
    """
    global _entered
    parent = os.getppid()
    rules = landlock.make_ruleset(_rules(reach)) if walls.landlock else None
    closed = (False, False)
    _be_ended_first()
    if os.geteuid() == 0:
        closed = not _others_may_enter(reach.write), not _others_may_enter(_python_folders())
        _become_other_user(reads_all=any(closed))
    if rules is not None:
        landlock.restrict(rules)
        os.close(rules)
    if walls.seccomp:
        _filter_calls(mounts=walls.bubblewrap is not None, unix_sockets=unix_sockets)
    # A change of user takes this setting away.
    if not launcher.die_with_parent(parent):
        os._exit(1)
    _entered = Entered(walls, *closed)


def _be_ended_first() -> None:
    """What a stranger's bytes may make large: the kernel ends it before our other
    processes.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")


def _filter_calls(*, mounts: bool, unix_sockets: bool) -> None:
    if not seccomp.refuse_dangerous(mounts=mounts, unix_sockets=unix_sockets):
        raise OSError(ctypes.get_errno(), "the filter of system calls could not be set")


def cut_network() -> bool:
    """Take every connection from this process, for good; before it reads what came. False where
    that cannot be done.
    """
    inside = _entered is not None and _entered.walls.bubblewrap is not None
    return seccomp.cut_network(mounts=inside)


def narrow(reach: Reach) -> int | None:
    """Further walls for a program that this process is about to start, for ``enter_narrow``; None
    where there is no Landlock.
    """
    if _entered is None or not _entered.walls.landlock:
        return None
    return landlock.make_ruleset(_rules(reach))


@contextmanager
def rights_for_programs(*, run_python: bool = False) -> Generator[None]:
    """Programs that are started inside this block keep the right to read what is closed to other
    users, where this process has it and they could not be run without it: in its folder, or with
    its Python.
    """
    keep = _entered is not None and _entered.needs_rights(run_python=run_python)
    if keep:
        _LIBC.prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, _READ_ALL, 0, 0)
    try:
        yield
    finally:
        if keep:
            _LIBC.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)


@contextmanager
def bubblewrapped(
    command: Iterable[str], folder: Path, programs: Iterable[Path] = ()
) -> Generator[tuple[list[str], int]]:
    """The command line that runs a program by bubblewrap, with the system's files, those of
    ``programs`` and ``folder`` alone; and a descriptor that must be passed on to it.
    """
    filter_file = os.memfd_create("filter")
    try:
        os.write(filter_file, seccomp.offline_filter())
        os.lseek(filter_file, 0, os.SEEK_SET)
        with rights_for_programs():
            yield _bubblewrap_line(command, folder, programs, filter_file), filter_file
    finally:
        os.close(filter_file)


def _bubblewrap_line(
    command: Iterable[str], folder: Path, programs: Iterable[Path], filter_file: int
) -> list[str]:
    program = _entered.walls.bubblewrap if _entered is not None else None
    line = [program or "bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    line += [
        "--die-with-parent",
        "--new-session",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",  # noqa: S108
    ]
    for path in (*_PROGRAMS, *_FILES):
        if os.path.islink(path):
            line += ["--symlink", os.readlink(path), path]
        else:
            line += ["--ro-bind-try", path, path]
    for path in programs:
        line += ["--ro-bind", str(path), str(path)]
    line += ["--bind", str(folder), str(folder), "--seccomp", str(filter_file), "--"]
    return [*line, *command]


def user_for_child(pid: int) -> tuple[int, int] | None:
    """The user and group that a job's process becomes in its sandbox; None if it keeps its user.

    Each has its own number, so that one cannot touch the others. Where a container has no
    such numbers it is nobody.
    """
    if os.geteuid() != 0:
        return None
    number = _FIRST_USER + pid
    candidates = ((number, number), launcher.nobody())
    return next((candidate for candidate in candidates if _are_mapped(*candidate)), None)


def _are_mapped(user: int, group: int) -> bool:
    return _is_mapped("uid", user) and _is_mapped("gid", group)


def others_may_enter(path: Path) -> bool:
    """Whether a user without rights of any kind may enter this folder, or run this file."""
    try:
        return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))
    except OSError:
        return False


def _others_may_enter(paths: Iterable[Path]) -> bool:
    for path in paths:
        whole = path.resolve()
        # The folder itself is the new user's own.
        if whole.exists() and not others_may_enter(whole.parent):
            return False
    return True


def _rules(reach: Reach) -> Rules:
    paths = [*_system_rules(), *((path, EXECUTE) for path in reach.execute)]
    paths += [(path, READ) for path in reach.read]
    paths += [(path, WRITE | Right.EXECUTE if reach.browser else WRITE) for path in reach.write]
    if reach.browser:
        paths += [(Path("/dev/shm"), SHARE), (Path("/proc"), USE)]  # noqa: S108
    return Rules(tuple(paths), reach.ports)


@functools.cache
def _system_rules() -> tuple[tuple[Path, Right], ...]:
    """What every process behind walls may read and run."""
    paths: list[tuple[Path, Right]] = [(Path(path), EXECUTE) for path in _PROGRAMS]
    paths += [(Path(path), READ) for path in _FILES]
    paths += [(Path(path), USE) for path in _DEVICES]
    paths += [(path, EXECUTE) for path in _python_folders()]
    paths += [(path, READ) for path in _certificates()]
    return tuple(path for path in paths if path[0].exists())


@functools.cache
def _python_folders() -> tuple[Path, ...]:
    """Where Python, its libraries and this package lie. Not all of ``sys.path``: that may name a
    home.
    """
    folders = {Path(sys.executable).resolve().parent, Path(__file__).resolve().parents[2]}
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        if prefix not in ("/usr", "/usr/local", "/"):
            folders.add(Path(prefix))
    folders |= {
        Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    folders |= {
        Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")
    }
    return tuple(sorted(folders))


def _certificates() -> tuple[Path, ...]:
    paths = ssl.get_default_verify_paths()
    given = (
        paths.cafile,
        paths.capath,
        os.environ.get("SSL_CERT_FILE"),
        os.environ.get("SSL_CERT_DIR"),
    )
    return tuple(Path(path).resolve() for path in given if path)


def _is_mapped(what: str, number: int) -> bool:
    """Whether this user or group number exists in the namespace that we are in."""
    try:
        with open(f"/proc/self/{what}_map") as file:
            ranges = [[int(part) for part in line.split()] for line in file]
    except OSError:
        return True
    return any(first <= number < first + count for first, _, count in ranges)


def _become_other_user(*, reads_all: bool) -> None:
    """Give up every right of root but, where that is wanted, the one to read."""
    other = user_for_child(os.getpid())
    _LIBC.prctl(_PR_SET_KEEPCAPS, int(reads_all), 0, 0, 0)
    if other is not None:
        user, group = other
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    _keep_rights(1 << _READ_ALL if reads_all else 0)
    _LIBC.prctl(_PR_SET_KEEPCAPS, 0, 0, 0, 0)
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _keep_rights(rights: int) -> None:
    """Of all that root may do keep these rights only; programs have them inside
    ``rights_for_programs``.
    """
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    data = struct.pack("IIIIII", rights, rights, rights, 0, 0, 0)
    if _LIBC.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "the rights of root could not be given up")
