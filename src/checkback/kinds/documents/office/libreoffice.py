"""Office files to PDF by LibreOffice, in a profile of its own, with nothing of the document obeyed.

LibreOffice says that it succeeded when it did not, and takes any junk for a text: so the file's
type is known before, and the result is looked for after. No two runs share a profile, which would
break them.
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
"""Hears a code and a sentence of ours."""

SECONDS = 120.0
WITHOUT = "Without it text, CSV, spreadsheets, pictures and PDFs can be converted."

WRITER = frozenset({FileType.DOCX, FileType.DOC, FileType.RTF, FileType.ODT})
CALC = frozenset({FileType.XLSX, FileType.XLSB, FileType.XLS, FileType.ODS})
IMPRESS = frozenset({FileType.PPTX, FileType.PPT, FileType.ODP})
OFFICE = WRITER | CALC | IMPRESS

# No macros, no scripts, no links followed: a document can name files of this machine, and a
# converted document would show them.
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

    ``one_page_sheets`` makes one page of each worksheet, as large as that takes. ``warn`` is told
    what a reader of the result should know. Without ``clean`` the document keeps what leads out of
    it. Raises the failures too_large, program_missing and program_failed; an encrypted file ends as
    the latter.
    """
    part = needed(file_type)
    program = part.find()
    if program is None:
        raise failures.program_missing(part.name, part.install, WITHOUT)
    refuse_office_bomb(path)
    place = Path(mkdtemp(prefix="office-", dir=folder))
    given = place / f"document.{file_type.value}"
    if clean:
        _clean(path, given, file_type, warn)
    else:
        shutil.copyfile(path, given)
    command = [
        _without_splash(program),
        f"-env:UserInstallation={_write_profile(place).as_uri()}",
        "--headless",
        "--norestore",
        "--nologo",
        "--nodefault",
        "--convert-to",
        _target(file_type, one_page_sheets=one_page_sheets),
        "--outdir",
        str(place),
        str(given),
    ]
    finished = _run(command, place)
    made = place / "document.pdf"
    if finished.code is None:
        raise failures.too_large("The document", f"{SECONDS:.0f} seconds of LibreOffice's time")
    if not made.is_file() or made.stat().st_size == 0:
        raise failures.program_failed("LibreOffice")
    given.unlink()
    return made


def _target(file_type: FileType, *, one_page_sheets: bool) -> str:
    """The format that LibreOffice makes."""
    if file_type not in CALC:
        return "pdf"
    name = "SinglePageSheets" if one_page_sheets else "ExportBookmarks"
    return f"pdf:calc_pdf_Export:{json.dumps({name: {'type': 'boolean', 'value': 'true'}})}"


def _clean(path: Path, given: Path, file_type: FileType, warn: Warn | None) -> None:
    removed = clean_office(path, given, file_type)
    if removed and warn is not None:
        warn(
            LINKS_REMOVED,
            f"{removed} links to files or addresses outside of the document were removed before opening it.",
        )


_START_AGAIN = (79, 81)
"""LibreOffice's exit codes when it has made its profile, or lost a part, and wants to be started
anew.
"""


def _run(command: list[str], place: Path) -> external_programs.Finished:
    finished = external_programs.Finished(None, "")
    end = time.monotonic() + SECONDS
    for _ in range(3):
        left = max(1.0, end - time.monotonic())
        finished = external_programs.run(
            command, place, seconds=left, more={"OSL_SOCKET_PATH": "."}, hide_writable=True
        )
        if finished.code not in _START_AGAIN:
            break
    return finished


def _without_splash(program: str) -> str:
    """The program itself: what stands before it shows a picture, starts it again when it asks for
    that, and insists on a socket in /tmp. Where another packaging has no such program it is as it
    was found.
    """
    office = Path(program).resolve().parent / "soffice.bin"
    return str(office) if office.is_file() else program


def _write_profile(place: Path) -> Path:
    profile = place / "profile"
    (profile / "user").mkdir(parents=True)
    items = "\n".join(
        _ITEM.format(path=path, name=name, value=value) for path, name, value in _SETTINGS
    )
    (profile / "user" / "registrymodifications.xcu").write_text(_PROFILE.format(items=items))
    return profile
