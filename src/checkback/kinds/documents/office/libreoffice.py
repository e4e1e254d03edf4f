"""Converts office files to PDF by LibreOffice, in a separate profile, without running anything from
the document.

LibreOffice reports success when it failed, and accepts any data as text. So the type of the file is
determined before, and the result is checked after. Runs never share a profile: that would break
them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from checkback.kinds.documents import failures
from checkback.kinds.documents.files import external_programs
from checkback.kinds.documents.files.archive_limits import refuse_office_bomb
from checkback.kinds.documents.files.sniff import FileType
from checkback.kinds.documents.office.external_links import WARNING as LINKS_REMOVED
from checkback.kinds.documents.office.external_links import clean_office

Warn = Callable[[str, str], None]
"""Receives a code and a sentence of checkback."""

SECONDS = 120.0
WITHOUT = "Without it, only text, CSV, spreadsheets, images and PDFs can be converted."

WRITER = frozenset({FileType.DOCX, FileType.DOC, FileType.RTF, FileType.ODT})
CALC = frozenset({FileType.XLSX, FileType.XLSB, FileType.XLS, FileType.ODS})
IMPRESS = frozenset({FileType.PPTX, FileType.PPT, FileType.ODP})
OFFICE = WRITER | CALC | IMPRESS

# No macros, no scripts, no links: a document can refer to files of this machine, and the converted
# document would show them.
_SETTINGS = (
    ("Common/Security/Scripting", "MacroSecurityLevel", "3"),
    ("Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("Common/Security/Scripting", "DisablePythonRuntime", "true"),
    ("Common/Security/Scripting", "DisableActiveContent", "true"),
    ("Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Writer/Content/Update", "Link", "0"),
    ("Calc/Content/Update", "Link", "1"),
)
_PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry"
 xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
{items}
</oor:items>
"""
_ITEM = (
    '<item oor:path="/org.openoffice.Office.{path}">'
    '<prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop></item>'
)


def needed(file_type: FileType) -> external_programs.Program:
    """The part of LibreOffice that opens files of this type."""
    if file_type in CALC:
        return external_programs.CALC
    return external_programs.IMPRESS if file_type in IMPRESS else external_programs.WRITER


def office_to_pdf(
    path: Path,
    file_type: FileType,
    folder: Path,
    *,
    one_page_sheets: bool = False,
    warn: Warn | None = None,
    clean: bool = True,
) -> Path:
    """Convert an office file and return the PDF's path, in a new folder below ``folder``.

    ``one_page_sheets`` makes one page for each worksheet, as large as the worksheet. ``warn`` is
    called with what a reader of the result should know. Without ``clean`` the document keeps its
    external references. Raises the failures ``too_large``, ``program_missing`` and
    ``program_failed``; the last one also for an encrypted file.
    """
    part = needed(file_type)
    program = part.find()
    if program is None:
        raise failures.program_missing(part.name, part.install, WITHOUT)
    refuse_office_bomb(path)
    run_folder = Path(mkdtemp(prefix="office-", dir=folder))
    source = run_folder / f"document.{file_type.value}"
    if clean:
        _copy_cleaned(path, source, file_type, warn)
    else:
        shutil.copyfile(path, source)
    output_format = _output_format(file_type, one_page_sheets=one_page_sheets)
    finished = _run(_command(program, source, output_format), run_folder)
    if finished.code is None:
        raise failures.too_large("The document", f"{SECONDS:.0f} seconds of LibreOffice time")
    pdf = run_folder / "document.pdf"
    if not pdf.is_file() or pdf.stat().st_size == 0:
        raise failures.program_failed("LibreOffice")
    source.unlink()
    return pdf


def _command(program: str, source: Path, output_format: str) -> list[str]:
    return [
        _without_splash(program),
        f"-env:UserInstallation={_write_profile(source.parent).as_uri()}",
        "--headless",
        "--norestore",
        "--nologo",
        "--nodefault",
        "--convert-to",
        output_format,
        "--outdir",
        str(source.parent),
        str(source),
    ]


def _output_format(file_type: FileType, *, one_page_sheets: bool) -> str:
    """The output format, as LibreOffice's option ``--convert-to`` names it."""
    if file_type not in CALC:
        return "pdf"
    name = "SinglePageSheets" if one_page_sheets else "ExportBookmarks"
    return f"pdf:calc_pdf_Export:{json.dumps({name: {'type': 'boolean', 'value': 'true'}})}"


def _copy_cleaned(path: Path, target: Path, file_type: FileType, warn: Warn | None) -> None:
    removed = clean_office(path, target, file_type)
    if removed and warn is not None:
        warn(
            LINKS_REMOVED,
            f"{removed} links to files or addresses outside of the document were removed before "
            "opening it.",
        )


_RESTART_CODES = (79, 81)
"""LibreOffice's exit codes when it has made its profile, or lost a part, and must be started again.
"""


def _run(command: list[str], folder: Path) -> external_programs.Finished:
    finished = external_programs.Finished(None, "")
    deadline = time.monotonic() + SECONDS
    for _ in range(3):
        seconds_left = max(1.0, deadline - time.monotonic())
        finished = external_programs.run(
            command,
            folder,
            seconds=seconds_left,
            more={"OSL_SOCKET_PATH": "."},
            hide_writable=True,
        )
        if finished.code not in _RESTART_CODES:
            break
    return finished


def _without_splash(program: str) -> str:
    """The program itself, and not its launcher, which shows a splash screen, restarts the program
    and needs a socket in /tmp. If another packaging has no such program, the path is unchanged.
    """
    office = Path(program).resolve().parent / "soffice.bin"
    return str(office) if office.is_file() else program


def _write_profile(folder: Path) -> Path:
    profile = folder / "profile"
    (profile / "user").mkdir(parents=True)
    items = "\n".join(
        _ITEM.format(path=path, name=name, value=value) for path, name, value in _SETTINGS
    )
    (profile / "user" / "registrymodifications.xcu").write_text(_PROFILE.format(items=items))
    return profile
