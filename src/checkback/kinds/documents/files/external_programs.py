"""Finds the programs that document jobs start, runs them, and ends them with all that they started.

A program gets a clean environment, an empty working folder and a time limit. It runs in the sandbox
of the job that starts it (``security.sandbox``), without a network, and in a second, narrower
sandbox that leaves it one folder of the job.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from checkback.security.sandbox import landlock, policy, seccomp

MAX_OUTPUT_BYTES = 64 * 1024
_SYSTEM_FOLDERS = ("/", "/usr", "/usr/local", "/nix", "/gnu")
SEARCHED = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended."""

    #: Negative for a signal; None if its time was up.
    code: int | None
    #: The beginning of what it printed, errors included; for logs and parsing, never for messages.
    printed: str


@dataclass(frozen=True, slots=True)
class Program:
    """A program, or a part of one, that some document jobs need. Without it they fail as
    ``program_missing``.
    """

    name: str
    #: The Debian package.
    package: str
    commands: tuple[str, ...]
    #: What the program converts, as text.
    used_for: str
    #: The part of LibreOffice: the name of its file in ``share/registry``.
    part: str | None = None

    @property
    def install(self) -> str:
        return f"apt-get install {self.package}"

    def find(self) -> str | None:
        """Its path, or None if it is not installed."""
        path = next(filter(None, map(shutil.which, self.commands)), None)
        if path is None or (self.part and not _has_part(path, self.part)):
            return None
        return path

    def folder(self) -> Path | None:
        """The folder with the program and its parts, unless it is one of the system's folders."""
        path = self.find()
        if path is None:
            return None
        folder = Path(path).resolve().parent.parent
        return None if str(folder) in _SYSTEM_FOLDERS else folder


_OFFICE = ("soffice", "libreoffice")
WRITER = Program(
    "LibreOffice Writer", "libreoffice-writer-nogui", _OFFICE, "doc, docx, rtf, odt", "writer"
)
CALC = Program(
    "LibreOffice Calc", "libreoffice-calc-nogui", _OFFICE, "xls, xlsx, xlsb, ods", "calc"
)
IMPRESS = Program(
    "LibreOffice Impress", "libreoffice-impress-nogui", _OFFICE, "ppt, pptx, odp", "impress"
)
TESSERACT = Program("Tesseract", "tesseract-ocr", ("tesseract",), "scanned pages")
PROGRAMS = (WRITER, CALC, IMPRESS, TESSERACT)
"""Every program that document jobs start, except the browser. `checkback doctor`, scripts/setup and
docs/documents.md name the same programs.
"""


@functools.cache
def folders() -> tuple[Path, ...]:
    """The folders of all programs, except the system's folders."""
    return tuple(filter(None, (program.folder() for program in PROGRAMS)))


def _has_part(program: str, part: str) -> bool:
    """Whether this LibreOffice has a part: each is a separate package, and soffice starts without
    them.
    """
    registry = Path(program).resolve().parent.parent / "share" / "registry"
    # In another packaging the program may be a wrapper: nothing is known then, and it is tried.
    return not (registry / "main.xcd").is_file() or (registry / f"{part}.xcd").is_file()


def clean_environment(folder: Path) -> dict[str, str]:
    """The whole environment of a program: where programs are, and its own folder."""
    path = os.environ.get("PATH", SEARCHED)
    return {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "TMPDIR": str(folder)}


def run(
    command: Sequence[str],
    folder: Path,
    *,
    seconds: float,
    more: Mapping[str, str] | None = None,
    hide_writable: bool = False,
) -> Finished:
    """Run a program in a new folder below ``folder`` until it ends or its time is up.

    The program can write only to ``folder``, and of the job's files it can read only that folder.
    At the end the rest of its process group is killed. ``more`` are further environment variables;
    ``hide_writable`` is as in ``security.sandbox.seccomp``.
    """
    own = Path(mkdtemp(prefix="run-", dir=folder))
    log = own / ".printed"
    try:
        with log.open("wb") as output, _sandboxed(command, folder, hide_writable) as start:
            process = subprocess.Popen(
                start.command,
                cwd=own,
                env={**clean_environment(own), **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=start.descriptors,
                # Safe although there are threads: it only calls the kernel.
                preexec_fn=start.before,
            )
            code = _wait(process, seconds)
        with log.open("rb") as file:
            return Finished(code, file.read(MAX_OUTPUT_BYTES).decode(errors="replace"))
    finally:
        shutil.rmtree(own, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Start:
    """How a program is started in its own sandbox."""

    command: Sequence[str]
    descriptors: tuple[int, ...] = ()
    before: Callable[[], None] | None = None


def _sandboxed(
    command: Sequence[str], folder: Path, hide_writable: bool
) -> AbstractContextManager[_Start]:
    """How to start a program with its own sandbox, if this process is in one."""
    entered = policy.entered()
    if entered is None:
        return nullcontext(_Start(command))
    if entered.walls.bubblewrap is not None:
        return _bubblewrapped(command, folder)
    return _landlocked(command, folder, hide_writable)


@contextmanager
def _bubblewrapped(command: Sequence[str], folder: Path) -> Generator[_Start]:
    with policy.bubblewrapped(command, folder, folders()) as (line, descriptor):
        yield _Start(line, (descriptor,))


@contextmanager
def _landlocked(command: Sequence[str], folder: Path, hide_writable: bool) -> Generator[_Start]:
    rules = policy.narrow(policy.Reach(write=(folder,), execute=folders()))
    try:
        with policy.rights_for_programs():
            yield _Start(command, before=partial(_restrict, rules, hide_writable))
    finally:
        if rules is not None:
            os.close(rules)


def _restrict(rules: int | None, hide_writable: bool) -> None:
    """Put this process in the program's sandbox; runs between fork and exec."""
    if rules is not None:
        landlock.restrict(rules)
    if hide_writable:
        seccomp.hide_writable()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # The process group keeps the program's number until all of its members have ended.
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
