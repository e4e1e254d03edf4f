"""The folder of one running browser: its launcher, profile and temporary files, all gone at the
end.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from checkback.core.errors import JobFailed
from checkback.kinds.browser.executable import BROWSER_UNAVAILABLE, BrowserProgram, others_may_enter
from checkback.security.sandbox import launcher as confine

_PREFIX = "checkback-browser-"
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "FONTCONFIG_PATH",
    "FONTCONFIG_FILE",
)


class BrowserFolder:
    """The browser's own folder: its launcher, profile and temporary files. Removed at the end.

    A lock distinguishes a folder in use from one that a killed process left behind; the latter is
    removed at the next start.
    """

    def __init__(self, temporary_folder: Path) -> None:
        base = _base_folder(temporary_folder)
        _remove_abandoned(base)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self.path.chmod(0o711)
        self._lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def write_launcher(self, program: BrowserProgram) -> str:
        """A program for Playwright to start, which becomes the browser in a fresh profile."""
        home = self.path / "home"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(home, *confine.nobody())
        command = [sys.executable, "-IS", confine.__file__, str(self._pid_file), str(program.path)]
        launcher = self.path / "launch"
        profile = shlex.quote(f"--user-data-dir={home}/profile")
        launcher.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@" {profile}\n')
        launcher.chmod(0o700)
        return str(launcher)

    def environment(self) -> dict[str, str | float | bool]:
        """The environment variables of the browser: no secrets, and its own home folder."""
        passed: dict[str, str | float | bool] = {
            name: os.environ[name] for name in _PASSED_ON if name in os.environ
        }
        home = str(self.path / "home")
        return {**passed, "HOME": home, "TMPDIR": home, "XDG_RUNTIME_DIR": home}

    @contextmanager
    def for_driver(self, node: Path) -> Generator[None]:
        """Playwright's own process, when it is started inside this block, ends with ours and makes
        its temporary files here, where a later start finds them.

        It would else close its browsers first when ours has died, and wait 30 s for one that does
        not answer; killed, it leaves two folders for each browser behind. It takes no other word
        for either than these variables. ``node`` is the Node.js program that it runs in.
        """
        launcher = self.path / "driver"
        command = [
            sys.executable,
            "-IS",
            confine.__file__,
            confine.SAME_USER,
            str(self._driver_pid_file),
            str(node),
        ]
        launcher.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        launcher.chmod(0o700)
        ours = {"TMPDIR": str(self.path), "PLAYWRIGHT_NODEJS_PATH": str(launcher)}
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def read_pid(self) -> int:
        """The browser's PID, of the last one started."""
        return int(self._pid_file.read_text())

    def read_driver_pid(self) -> int:
        """The PID of Playwright's own process, of the last one started."""
        return int(self._driver_pid_file.read_text())

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    @property
    def _pid_file(self) -> Path:
        return self.path / "pid"

    @property
    def _driver_pid_file(self) -> Path:
        return self.path / "driver-pid"


def _base_folder(preferred: Path) -> Path:
    """A folder whose files can be executed and, where the browser runs as nobody, entered by
    anybody.
    """
    for folder in (preferred, Path(tempfile.gettempdir()), Path("/var/tmp")):  # noqa: S108 - mkdtemp below it
        if _is_usable(folder):
            return folder
    raise JobFailed(
        BROWSER_UNAVAILABLE,
        "There is no folder for the browser's files.",
        retryable=False,
        hint="Set TMPDIR to a folder that every user may enter and that is not mounted noexec.",
    )


def _is_usable(folder: Path) -> bool:
    if not folder.is_dir() or os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return False
    # A server that is root starts its browser as nobody.
    return os.geteuid() != 0 or others_may_enter(folder.resolve())


def _remove_abandoned(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
                continue
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
