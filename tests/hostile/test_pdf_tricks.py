"""PDFs that lead in circles, unpack to gigabytes, or ask for something: how
each job ends, exactly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import pdf_tricks as tricks
from checkback.service import Service
from checkback.settings import Settings
from document_jobs import COMPLETED, ending, output_text, run, still_works

pytestmark = [pytest.mark.usefixtures("worker"), pytest.mark.timeout(120), pytest.mark.slow]

READ = ("pdf.to_text", "pdf.to_image", "pdf.make_unsearchable", "pdf.info", "pdf.form_fields")
TAKEN_APART = ("pdf.merge", "pdf.split", "pdf.extract_attachments")
ALL = (*READ, *TAKEN_APART)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, document_concurrency=2)


async def endings(
    service: Service, content: bytes, kinds: tuple[str, ...], **args: object
) -> dict[str, str]:
    """How a job of each kind ends on the same file."""
    jobs = await asyncio.gather(
        *(run(service, kind, content, "trick.pdf", **args) for kind in kinds)
    )
    return {kind: ending(job) for kind, job in zip(kinds, jobs, strict=True)}


@pytest.mark.parametrize(
    "trick",
    [
        tricks.cross_references_in_a_circle,
        tricks.outline_in_a_circle,
        tricks.attachments_in_a_circle,
        tricks.fields_in_a_circle,
        tricks.xmp_of_laughs,
        tricks.jbig2_of_four_gigapixels,
    ],
    ids=lambda trick: trick.__name__,
)
async def test_what_goes_in_a_circle_or_grows_when_read_is_left_alone(
    service: Service, trick: Callable[[], bytes]
) -> None:
    assert await endings(service, trick(), ALL) == dict.fromkeys(ALL, COMPLETED)


async def test_a_tree_of_pages_that_hangs_on_itself_is_no_document(service: Service) -> None:
    found = await endings(service, tricks.pages_in_a_circle(), ALL)
    # What only reads text takes the one page that is there.
    assert found == dict.fromkeys(ALL, "invalid_document") | {"pdf.to_text": COMPLETED}


async def test_a_gigabyte_by_lzw_ends_its_own_job_only(service: Service) -> None:
    # PDFium unpacks all of a page's content at once, and ends its process where memory is refused
    # to it.
    kinds = ("pdf.to_text", "pdf.info")
    found = await endings(service, tricks.lzw_of_a_gigabyte(), kinds)
    assert found == {"pdf.to_text": "crashed", "pdf.info": COMPLETED}
    await still_works(service)


async def test_scripts_and_programs_that_a_document_names_are_not_run(
    service: Service, tmp_path: Path
) -> None:
    made = tmp_path / "launched"
    content = tricks.does_something(str(made))
    assert await endings(service, content, ALL) == dict.fromkeys(ALL, COMPLETED)
    assert not made.exists()


async def test_an_encrypted_document_asks_for_its_password(service: Service) -> None:
    content = tricks.locked("sesame")
    assert await endings(service, content, ALL) == dict.fromkeys(ALL, "password_needed")
    wrong = await endings(service, content, ("pdf.to_text", "pdf.info"), password="open")
    assert set(wrong.values()) == {"password_needed"}
    right = await run(service, "pdf.to_text", content, "trick.pdf", password="sesame")
    assert ending(right) == COMPLETED


# --- Attached files -------------------------------------------------------------------------------


async def test_attached_files_get_plain_names(service: Service) -> None:
    names = [
        "../../etc/passwd",
        "/etc/cron.d/x",
        "a\0b\r\nc.txt",
        "x" * 4000,
        "..",
        "a\\b\\c.exe",
        "a\u202efdp.exe",
    ]
    job = await run(service, "pdf.extract_attachments", tricks.with_attachments(names), "trick.pdf")
    assert ending(job) == COMPLETED
    found = [artifact.name for artifact in job.artifacts]
    assert len(found) == len(names)
    for name in found:
        assert name not in (".", "..")
        assert len(name) <= 200
        assert not set(name) & set("/\\\0\r\n\u202e"), name


async def test_more_attached_files_than_allowed_are_too_many(service: Service) -> None:
    job = await run(
        service, "pdf.extract_attachments", tricks.with_attachments(["x"] * 501), "trick.pdf"
    )
    assert ending(job) == "too_large"


async def test_an_attached_file_of_a_gigabyte_is_told_as_want_of_memory(service: Service) -> None:
    kinds = ("pdf.extract_attachments", "pdf.info")
    found = await endings(service, tricks.attachment_of_a_gigabyte(), kinds)
    assert found == {"pdf.extract_attachments": "out_of_memory", "pdf.info": COMPLETED}
    await still_works(service)


async def test_a_merged_document_is_a_whole_one(service: Service) -> None:
    for trick in (
        tricks.outline_in_a_circle,
        tricks.cross_references_in_a_circle,
        tricks.xmp_of_laughs,
    ):
        job = await run(service, "pdf.merge", trick(), "trick.pdf")
        assert tricks.WORDS in await output_text(service, job)
