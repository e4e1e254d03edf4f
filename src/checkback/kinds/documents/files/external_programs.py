"""Programs that document jobs start: found on the machine, run alone, and ended with all they
started.

A program gets a clean environment, an empty folder to stand in, and a time limit. It is behind the
walls of the job that starts it (``guard.sandbox``), without a network, and behind walls of its own,
which leave it one folder of the job's.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from checkback.security.sandbox import landlock, policy, seccomp

MAX_OUTPUT_BYTES = 64 * 1024
SEARCHED = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended."""

    #: Negative for a signal; None when its time was up.
    code: int | None
    #: The beginning of what it printed, errors included; for logs and parsing, never for messages.
    printed: str


@dataclass(frozen=True, slots=True)
class Program:
    """A program, or a part of one, that some document jobs need. Without it these end as
    program_missing.
    """

    name: str
    #: Debian's package.
    package: str
    commands: tuple[str, ...]
    #: What is converted with it, in words.
    used_for: str
    #: The part of LibreOffice, as its file in ``share/registry`` is called.
    part: str | None = None

    @property
    def install(self) -> str:
        return f"apt-get install {self.package}"

    def find(self) -> str | None:
        """Its path, or None where it is not installed."""
        path = next((found for name in self.commands if (found := shutil.which(name))), None)
        return None if path is None or (self.part and not _has_part(path, self.part)) else path

    def folder(self) -> Path | None:
        """The folder that holds the program and its parts, where that is not among the system's."""
        path = self.find()
        if path is None:
            return None
        found = Path(path).resolve().parent.parent
        return None if str(found) in ("/", "/usr", "/usr/local", "/nix", "/gnu") else found


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
"""Every program that document jobs start, but for the browser. `checkback doctor`, scripts/setup
and docs/documents.md name the same.
"""


@functools.cache
def folders() -> tuple[Path, ...]:
    """The folders of all programs that do not lie among the system's."""
    return tuple(folder for program in PROGRAMS if (folder := program.folder()) is not None)


def _has_part(program: str, part: str) -> bool:
    """Whether this LibreOffice has a part: each is a package of its own, and soffice starts without
    them.
    """
    registry = Path(program).resolve().parent.parent / "share" / "registry"
    # Where the program is a wrapper of another packaging, nothing is known, and it is tried.
    return not (registry / "main.xcd").is_file() or (registry / f"{part}.xcd").is_file()


def clean_environment(folder: Path) -> dict[str, str]:
    """All that a program may know of ours: where programs lie, and its own folder."""
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

    ``folder`` is all that it can write, and all that it can read of the job's. Whatever of its
    process group is left at the end is killed. ``more`` are further environment variables;
    ``hide_writable`` as in ``guard.offline``.
    """
    own = Path(mkdtemp(prefix="run-", dir=folder))
    log = own / ".printed"
    try:
        with log.open("wb") as output, _walled(command, folder, hide_writable) as walled:
            process = subprocess.Popen(
                walled.command,
                cwd=own,
                env={**clean_environment(own), **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=walled.descriptors,
                # Safe in spite of the threads: it calls the kernel and nothing else.
                preexec_fn=walled.before,
            )
            code = _wait(process, seconds)
        with log.open("rb") as file:
            return Finished(code, file.read(MAX_OUTPUT_BYTES).decode(errors="replace"))
    finally:
        shutil.rmtree(own, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Walled:
    """How a program is started behind walls of its own."""

    command: Sequence[str]
    descriptors: tuple[int, ...] = ()
    before: Callable[[], None] | None = None


@contextmanager
def _walled(command: Sequence[str], folder: Path, hide_writable: bool) -> Generator[_Walled]:
    """The walls of a program, where this process is behind some: its system, its folder, no
    ``/proc``.
    """
    entered = policy.entered()
    if entered is None:
        yield _Walled(command)
        return
    if entered.walls.bubblewrap is not None:
        with policy.bubblewrapped(command, folder, folders()) as (line, descriptor):
            yield _Walled(line, (descriptor,))
        return
    rules = policy.narrow(policy.Reach(write=(folder,), execute=folders()))

    def enter() -> None:
        if rules is not None:
            landlock.restrict(rules)
        if hide_writable:
            seccomp.hide_writable()

    with policy.rights_for_programs():
        yield _Walled(command, before=enter)
    if rules is not None:
        os.close(rules)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # The group has the program's own number until all of its members are gone.
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
