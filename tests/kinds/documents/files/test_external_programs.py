"""Every program that the code starts is installed by scripts/setup, documented and checked by the
doctor.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from checkback.cli.doctor import examine
from checkback.core.errors import JobFailed
from checkback.kinds.documents.files import external_programs
from checkback.kinds.documents.files.external_programs import CALC, IMPRESS, PROGRAMS, WRITER
from checkback.kinds.documents.files.sniff import FileType
from checkback.kinds.documents.office import libreoffice as office
from checkback.kinds.documents.sheets.to_pdf import sheet_to_pdf
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.settings import Settings
from document_jobs import COMPLETED, ending, output_text
from sample_documents import make_all

ROOT = Path(__file__).parents[4]
SOURCE = ROOT / "src" / "checkback"
OTHERS = {
    "bwrap": "only where the kernel has no Landlock; without it such jobs are refused",
    "apt-get": "only to choose the text of a hint",
    "uvx": "for `checkback pdfco-mcp` alone, which says what is missing",
    "valkey-server": "only where the wheel with the store has none for this machine",
    "redis-server": "as valkey-server",
}
"""Programs whose absence changes no job's result."""


def slides() -> bytes:
    """A presentation of one slide with words on it."""
    kind = "application/vnd.oasis.opendocument.presentation"
    name = "urn:oasis:names:tc:opendocument:xmlns"
    content = f"""<?xml version="1.0"?><office:document-content office:version="1.2"
 xmlns:office="{name}:office:1.0" xmlns:draw="{name}:drawing:1.0" xmlns:text="{name}:text:1.0"
 xmlns:svg="{name}:svg-compatible:1.0"><office:body><office:presentation><draw:page draw:name="one">
 <draw:frame svg:width="10cm" svg:height="2cm" svg:x="1cm" svg:y="1cm"><draw:text-box>
 <text:p>words on a slide</text:p></draw:text-box></draw:frame></draw:page></office:presentation>
 </office:body></office:document-content>"""
    manifest = f"""<?xml version="1.0"?><manifest:manifest manifest:version="1.2"
 xmlns:manifest="{name}:manifest:1.0">
 <manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>
 <manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>
 </manifest:manifest>"""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", manifest)
    return made.getvalue()


@pytest.fixture
def writer_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A LibreOffice with Writer and nothing else, first on the path."""
    registry = tmp_path / "office" / "share" / "registry"
    registry.mkdir(parents=True)
    for part in ("main", "writer"):
        (registry / f"{part}.xcd").touch()
    program = tmp_path / "office" / "program" / "soffice"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def test_the_code_starts_no_program_that_is_not_in_the_table() -> None:
    named: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        text = file.read_text()
        named |= set(re.findall(r'which\("([^"]+)"\)', text))
        named |= {word for words in re.findall(r"for name in \(([^)]*)\):\s*found = shutil.which", text)
                  for word in re.findall(r'"([^"]+)"', words)}  # fmt: skip
        assert "find_program(" not in text, file
    assert named == OTHERS.keys()
    assert {command for program in PROGRAMS for command in program.commands} == {
        "soffice",
        "libreoffice",
        "tesseract",
    }


def test_every_program_is_documented_with_its_package() -> None:
    text = (ROOT / "docs" / "documents.md").read_text()
    (command,) = re.findall(r"^apt-get install (.+)$", text, re.MULTILINE)
    packages = {program.package for program in PROGRAMS} | {"chromium-headless-shell"}
    assert set(command.split()) == packages
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    needs = " ".join(row[4] for row in rows if len(row) == 6)
    assert [program.name for program in PROGRAMS if program.name not in needs] == []
    assert "Chromium" in needs


def test_setup_installs_every_program_that_is_missing(tmp_path: Path) -> None:
    assert "scripts/find_programs.py" in (ROOT / "scripts" / "setup").read_text()
    assert "chromium-headless-shell" in (ROOT / "scripts" / "find_browser.py").read_text()
    python = ROOT / ".venv" / "bin" / "python"
    listed = subprocess.run(
        [python, ROOT / "scripts" / "find_programs.py"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == [program.package for program in PROGRAMS]


async def test_the_doctor_names_every_program_and_how_to_install_it(
    settings: Settings, writer_only: Path
) -> None:
    found = [finding for finding in await examine(settings) if finding.part == "program"]
    assert len(found) == len(PROGRAMS)
    for program, finding in zip(PROGRAMS, found, strict=True):
        assert program.name in finding.message
        if program is WRITER:
            assert (finding.ok, finding.message) == (True, f"{program.name}: {writer_only}")
        if program in (CALC, IMPRESS):
            assert (finding.ok, finding.optional) == (False, True)
            assert f"apt-get install {program.package}" in finding.hint


@pytest.mark.parametrize("file_type", sorted(office.IMPRESS))
@pytest.mark.usefixtures("writer_only")
def test_a_presentation_without_impress_is_a_missing_program(
    file_type: FileType, tmp_path: Path
) -> None:
    with pytest.raises(JobFailed) as caught:
        office.office_to_pdf(tmp_path / "slides", file_type, tmp_path)
    assert caught.value.code == "program_missing"
    assert "LibreOffice Impress" in caught.value.message
    assert "apt-get install libreoffice-impress-nogui" in (caught.value.hint or "")


@pytest.mark.usefixtures("writer_only")
def test_a_spreadsheet_without_calc_is_a_plain_table_and_the_log_says_so(tmp_path: Path) -> None:
    logged: list[str] = []
    book = make_all(tmp_path)["book.xlsx"]
    made = sheet_to_pdf(book, tmp_path, max_pages=10, log=logged.append)
    assert made.stat().st_size > 0
    assert logged == [
        "LibreOffice Calc is not installed: the PDF shows values only, without formats and charts."
    ]


@pytest.mark.skipif(IMPRESS.find() is None, reason="needs LibreOffice Impress")
@pytest.mark.usefixtures("worker")
async def test_a_presentation_becomes_a_pdf(service: Service) -> None:
    with service.uploads.begin(LOCAL, "slides.odp") as writer:
        writer.write(slides())
        source = f"upload:{writer.finish().id}"
    submitted = await service.submit(LOCAL, "document.to_pdf", {"url": source})
    job = await service.wait(LOCAL, submitted.job.id, 100)
    assert ending(job) == COMPLETED
    assert "words on a slide" in await output_text(service, job)


def test_a_program_of_an_unknown_packaging_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "soffice"
    wrapper.write_text("#!/bin/sh\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [program.find() for program in external_programs.PROGRAMS] == [str(wrapper)] * 3 + [None]
