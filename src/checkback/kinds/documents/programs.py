"""Programs that document jobs start: found on the machine, run alone, and ended with all they started.

A program gets a clean environment, an empty folder to stand in, and a time limit. It has no network: the job
gave that up for itself and for everything it starts (``guard.offline``).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

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
    """A program, or a part of one, that some document jobs need. Without it these end as program_missing."""

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


_OFFICE = ("soffice", "libreoffice")
WRITER = Program("LibreOffice Writer", "libreoffice-writer-nogui", _OFFICE, "doc, docx, rtf, odt", "writer")
CALC = Program("LibreOffice Calc", "libreoffice-calc-nogui", _OFFICE, "xls, xlsx, xlsb, ods", "calc")
IMPRESS = Program("LibreOffice Impress", "libreoffice-impress-nogui", _OFFICE, "ppt, pptx, odp", "impress")
TESSERACT = Program("Tesseract", "tesseract-ocr", ("tesseract",), "scanned pages")
PROGRAMS = (WRITER, CALC, IMPRESS, TESSERACT)
"""Every program that document jobs start, but for the browser. `checkback doctor`, scripts/setup and
docs/documents.md name the same."""


def _has_part(program: str, part: str) -> bool:
    """Whether this LibreOffice has a part: each is a package of its own, and soffice starts without them."""
    registry = Path(program).resolve().parent.parent / "share" / "registry"
    # Where the program is a wrapper of another packaging, nothing is known, and it is tried.
    return not (registry / "main.xcd").is_file() or (registry / f"{part}.xcd").is_file()


def clean_environment(folder: Path) -> dict[str, str]:
    """All that a program may know of ours: where programs lie, and its own folder."""
    path = os.environ.get("PATH", SEARCHED)
    return {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "TMPDIR": str(folder)}


def run(
    command: Sequence[str], folder: Path, *, seconds: float, more: Mapping[str, str] | None = None
) -> Finished:
    """Run a program in a new folder below ``folder`` until it ends or its time is up.

    Whatever of its process group is left then is killed. ``more`` are further environment variables.
    """
    own = Path(mkdtemp(prefix="run-", dir=folder))
    log = own / ".printed"
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=own,
                env={**clean_environment(own), **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            code = _wait(process, seconds)
        with log.open("rb") as file:
            return Finished(code, file.read(MAX_OUTPUT_BYTES).decode(errors="replace"))
    finally:
        shutil.rmtree(own, ignore_errors=True)


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
