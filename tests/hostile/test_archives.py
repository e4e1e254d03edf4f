"""Archives, office files, drawings and pages that unpack to gigabytes, or name files and addresses.

No file of the machine is read for them, and nobody is asked for anything.
"""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pypdfium2.raw
import pytest
from PIL import Image

import archive_bombs as bombs
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.settings import Settings
from document_jobs import COMPLETED, ending, output_text, run, still_works
from made_files import pdf_of, text_at

pytestmark = [pytest.mark.usefixtures("worker"), pytest.mark.timeout(120), pytest.mark.slow]

WORDS_OF_THE_FILE = "canary-2041-in-a-file"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, document_concurrency=2)


class Canary(http.server.BaseHTTPRequestHandler):
    """Notes every request, whatever it asks."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    """An address that nobody may ask for, and who asked."""
    seen: list[str] = []
    handler = type("Handler", (Canary,), {"seen": seen})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/canary.png", seen
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def secret_file(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "secret.txt"
    path.write_text(WORDS_OF_THE_FILE)
    yield path


@pytest.mark.parametrize(
    ("bomb", "name", "kind", "code"),
    [
        (bombs.zip_of_gigabytes, "parts.zip", "pdf.merge", "too_large"),
        (bombs.zip_that_climbs, "parts.zip", "pdf.merge", "invalid_document"),
        (bombs.docx_of_a_gigabyte, "letter.docx", "document.to_pdf", "too_large"),
        (bombs.xlsx_of_a_gigabyte, "book.xlsx", "excel.to_csv", "too_large"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_hostile_zip_is_refused(
    service: Service, bomb: Callable[[], bytes], name: str, kind: str, code: str, tmp_path: Path
) -> None:
    assert ending(await run(service, kind, bomb(), name)) == code
    # Not rglob: the worker may be removing a folder just now.
    assert "outside.pdf" not in {name for _, _, names in os.walk(tmp_path) for name in names}
    assert not Path("/etc/cron.d/x.pdf").exists()
    await still_works(service)


async def test_a_link_in_a_zip_is_no_file(service: Service, secret_file: Path) -> None:
    job = await run(service, "pdf.merge", bombs.zip_of_a_link(str(secret_file)), "parts.zip")
    assert ending(job) == "invalid_document"


async def test_a_file_of_two_types_is_what_its_beginning_says(service: Service) -> None:
    first, other = (
        pdf_of(text_at((72, 72, f"words of the {which}"))) for which in ("first", "other")
    )
    entries = {"[Content_Types].xml": b"", "word/document.xml": b"<x/>", "a.pdf": other}
    both = bombs.pdf_and_zip(first, entries)
    for kind, name in (("pdf.merge", "parts.zip"), ("document.to_pdf", "letter.docx")):
        job = await run(service, kind, both, name)
        assert ending(job) == COMPLETED
        text = await output_text(service, job)
        assert "words of the first" in text
        assert "words of the other" not in text
    assert ending(await run(service, "excel.to_csv", both, "book.xlsx")) == "invalid_document"


# --- No file is read and nothing is asked for -----------------------------------------------------


async def test_xml_reads_no_file_and_does_not_grow(service: Service, secret_file: Path) -> None:
    for content in (bombs.docx_reading_a_file(str(secret_file)), bombs.docx_of_laughs()):
        # LibreOffice takes no document with a type declared in it.
        assert (
            ending(await run(service, "document.to_pdf", content, "letter.docx"))
            == "program_failed"
        )


async def test_office_files_ask_for_nothing(
    service: Service, canary: tuple[str, list[str]], secret_file: Path
) -> None:
    url, seen = canary
    for address in (url, secret_file.as_uri()):
        for content, name in (
            (bombs.odt_linking_to(address), "a.odt"),
            (bombs.rtf_with_picture(address), "a.rtf"),
            (bombs.flat_text(address), "a.fodt"),
        ):
            job = await run(service, "document.to_pdf", content, name)
            assert ending(job) == COMPLETED
            text = await output_text(service, job)
            assert "words" in text
            assert WORDS_OF_THE_FILE not in text
    assert seen == []


async def test_a_picture_of_the_machine_gets_into_no_office_file(
    service: Service, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (300, 200), "red").save(secret)
    job = await run(service, "document.to_pdf", bombs.odt_linking_to(secret.as_uri()), "a.odt")
    assert ending(job) == COMPLETED
    _, path = await service.artifact(LOCAL, job.id, job.artifacts[0].id)
    with pypdfium2.PdfDocument(path) as pdf:
        drawn = [one.type for page in pdf for one in page.get_objects(max_depth=9)]
    assert pypdfium2.raw.FPDF_PAGEOBJ_TEXT in drawn
    assert pypdfium2.raw.FPDF_PAGEOBJ_IMAGE not in drawn


@pytest.mark.chromium
async def test_a_drawing_reads_no_file_and_asks_for_nothing(
    service: Service, canary: tuple[str, list[str]], secret_file: Path
) -> None:
    url, seen = canary
    for address in (url, secret_file.as_uri()):
        job = await run(service, "document.to_pdf", bombs.svg_reading(address), "a.svg")
        assert ending(job) == COMPLETED
        text = await output_text(service, job)
        assert "before" in text
        assert WORDS_OF_THE_FILE not in text
    assert seen == []


@pytest.mark.chromium
async def test_an_e_mail_asks_for_nothing(service: Service, canary: tuple[str, list[str]]) -> None:
    url, seen = canary
    html = f"<p>words</p><img src='{url}'><link rel=stylesheet href='{url}'><script>fetch('{url}')</script>"
    mail = (
        f"From: a@b.c\nTo: d@e.f\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/html\n\n{html}"
    )
    job = await run(service, "email.to_pdf", mail.encode(), "a.eml")
    assert ending(job) == COMPLETED
    assert "words" in await output_text(service, job)
    assert seen == []


@pytest.mark.chromium
async def test_html_reaches_no_private_address_and_no_file(
    service: Service, canary: tuple[str, list[str]], secret_file: Path
) -> None:
    url, seen = canary
    frames = "".join(
        f"<iframe src='{source}'></iframe>" for source in (f"file://{secret_file}", url)
    )
    html = f"<p>words</p><img src='{url}'>{frames}"
    submitted = await service.submit(LOCAL, "html.to_pdf", {"html": html}, deadline_seconds=60)
    job = await service.wait(LOCAL, submitted.job.id, 100)
    assert ending(job) == COMPLETED
    text = await output_text(service, job)
    assert "words" in text
    assert WORDS_OF_THE_FILE not in text
    assert seen == []
