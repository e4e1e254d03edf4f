"""Hostile documents end in a clear failure within their deadline; the worker and its other jobs go on."""

from __future__ import annotations

import asyncio
import http.server
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import document_bombs as bombs
from checkback.core.job import Job
from checkback.core.states import State
from checkback.guard.access import LOCAL
from checkback.service import Service
from checkback.settings import Settings

REFUSED = {
    "invalid_document",
    "too_large",
    "unsupported",
    "crashed",
    "out_of_memory",
    "timeout",
    "program_failed",
}
DEADLINE_SECONDS = 10.0

pytestmark = [pytest.mark.usefixtures("worker"), pytest.mark.timeout(120)]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, document_concurrency=2)


async def run(service: Service, kind: str, content: bytes, name: str, **args: object) -> Job:
    """Hand a file in, run a job on it, and give the job at its end."""
    with service.begin_upload(LOCAL, name) as writer:
        writer.write(content)
        source = f"upload:{writer.finish().id}"
    named = {"urls": [source]} if kind in ("pdf.merge", "image.to_pdf") else {"url": source}
    submitted = await service.submit(LOCAL, kind, {**named, **args}, deadline_seconds=DEADLINE_SECONDS)
    return await service.wait(LOCAL, submitted.job.id, 100)


async def still_works(service: Service) -> None:
    """An ordinary document goes through."""
    job = await run(service, "document.to_pdf", b"plain words\n", "a.txt")
    assert job.state is State.COMPLETED, job.failure


def ended_well(job: Job) -> None:
    """Completed, or failed with one of our own codes, in words of ours."""
    assert job.state in (State.COMPLETED, State.FAILED)
    if job.failure is not None:
        assert job.failure.code in REFUSED, job.failure
        assert job.failure.message


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb",
    [
        bombs.draws_itself,
        bombs.doubles_thirty_times,
        bombs.deflated_twice,
        bombs.huge_page,
        bombs.nested_arrays,
        bombs.huge_image,
    ],
    ids=lambda bomb: bomb.__name__,
)
async def test_a_bomb_ends_its_own_job_only(service: Service, bomb: Callable[[], bytes]) -> None:
    content = bomb()
    # One after the other would take the deadline of each.
    kinds = ("pdf.to_text", "pdf.to_image", "pdf.make_unsearchable", "pdf.merge")
    for job in await asyncio.gather(*(run(service, kind, content, "bomb.pdf") for kind in kinds)):
        ended_well(job)
    await still_works(service)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", [bombs.million_texts, bombs.many_pages], ids=lambda bomb: bomb.__name__)
async def test_a_flood_ends_its_own_job_only(service: Service, bomb: Callable[[], bytes]) -> None:
    for kind in ("pdf.to_text", "pdf.find_tables"):
        ended_well(await run(service, kind, bomb(), "flood.pdf"))
    await still_works(service)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb", [bombs.zip_of_gigabytes, bombs.zip_that_climbs], ids=lambda bomb: bomb.__name__
)
async def test_a_hostile_zip_is_refused(service: Service, bomb: Callable[[], bytes], tmp_path: Path) -> None:
    job = await run(service, "pdf.merge", bomb(), "parts.zip")
    assert job.state is State.FAILED
    ended_well(job)
    # Not rglob: the worker may be removing a folder just now.
    assert "outside.pdf" not in {name for _, _, names in os.walk(tmp_path) for name in names}
    assert not Path("/etc/cron.d/x.pdf").exists()


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"", "empty.pdf", "pdf.to_text"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "picture.pdf", "pdf.to_text"),
        (b"just words", "words.pdf", "pdf.info"),
        (b"%PDF-1.7\ntruncated", "cut.pdf", "pdf.split"),
        (b"MZ\x90\0" * 100, "program.docx", "document.to_pdf"),
        (b"%PDF-1.7\n", "book.xlsx", "excel.to_csv"),
        (b"PK\x03\x04junk", "junk.docx", "document.to_pdf"),
        (b"GIF89a", "cut.gif", "image.to_pdf"),
    ],
)
async def test_a_file_that_is_not_what_its_name_says_is_refused(
    service: Service, content: bytes, name: str, kind: str
) -> None:
    args = {"pages": "*"} if kind == "pdf.split" else {}
    job = await run(service, kind, content, name, **args)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.code in ("invalid_document", "unsupported"), job.failure


# --- No file is read and nothing is asked for -------------------------------------------------------------


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
    path.write_text("canary-2041-in-a-file")
    yield path


async def output_text(service: Service, job: Job) -> str:
    import pypdfium2

    texts: list[str] = []
    for artifact in job.artifacts:
        _, path = await service.artifact(LOCAL, job.id, artifact.id)
        with pypdfium2.PdfDocument(path) as pdf:
            texts += [page.get_textpage().get_text_range() for page in pdf]
    return "\n".join(texts)


@pytest.mark.slow
async def test_xml_reads_no_file_and_does_not_grow(service: Service, secret_file: Path) -> None:
    for content in (bombs.docx_reading_a_file(str(secret_file)), bombs.docx_of_laughs()):
        job = await run(service, "document.to_pdf", content, "letter.docx")
        ended_well(job)
        assert "canary-2041" not in await output_text(service, job)


@pytest.mark.slow
async def test_office_files_ask_for_nothing(service: Service, canary: tuple[str, list[str]]) -> None:
    url, seen = canary
    for content, name in ((bombs.flat_text(url), "a.fodt"), (bombs.rtf_with_picture(url), "a.rtf")):
        ended_well(await run(service, "document.to_pdf", content, name))
    assert seen == []


@pytest.mark.slow
@pytest.mark.chromium
async def test_an_e_mail_asks_for_nothing(service: Service, canary: tuple[str, list[str]]) -> None:
    url, seen = canary
    html = f"<p>words</p><img src='{url}'><link rel=stylesheet href='{url}'><script>fetch('{url}')</script>"
    mail = f"From: a@b.c\nTo: d@e.f\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/html\n\n{html}"
    job = await run(service, "email.to_pdf", mail.encode(), "a.eml")
    assert job.state is State.COMPLETED, job.failure
    assert "words" in await output_text(service, job)
    assert seen == []


@pytest.mark.slow
@pytest.mark.chromium
async def test_html_reaches_no_private_address_and_no_file(
    service: Service, canary: tuple[str, list[str]], secret_file: Path
) -> None:
    url, seen = canary
    frames = "".join(f"<iframe src='{source}'></iframe>" for source in (f"file://{secret_file}", url))
    html = f"<p>words</p><img src='{url}'>{frames}"
    submitted = await service.submit(LOCAL, "html.to_pdf", {"html": html}, deadline_seconds=60)
    job = await service.wait(LOCAL, submitted.job.id, 100)
    assert job.state is State.COMPLETED, job.failure
    text = await output_text(service, job)
    assert "words" in text
    assert "canary-2041" not in text
    assert seen == []
