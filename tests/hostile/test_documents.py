"""Hostile documents end in a clear failure within their deadline; the worker and its other jobs go
on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

import document_bombs as bombs
from checkback.service import Service
from checkback.settings import Settings
from document_jobs import COMPLETED, ending, run, still_works
from made_files import pdf_of, text_at

pytestmark = [pytest.mark.usefixtures("worker"), pytest.mark.timeout(120)]

KINDS = ("pdf.to_text", "pdf.to_image", "pdf.make_unsearchable", "pdf.merge")
#: PDFium ends its process where memory is refused to it: the job cannot say more than that it
#: crashed.
CRASHED = {"crashed"}
#: The same, or its deadline, whichever comes first on this machine.
ENDLESS = {"crashed", "timeout"}
DONE = {COMPLETED}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, document_concurrency=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bomb", "shown", "merged"),
    [
        (bombs.draws_itself, ENDLESS, DONE),
        (bombs.doubles_thirty_times, ENDLESS, DONE),
        # Merging unpacks and packs the gigabyte again, which takes about its deadline.
        (bombs.deflated_twice, CRASHED, {COMPLETED, "timeout"}),
        (bombs.huge_page, DONE, DONE),
        (bombs.nested_arrays, DONE, DONE),
        (bombs.huge_image, DONE, DONE),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_bomb_ends_its_own_job_only(
    service: Service, bomb: Callable[[], bytes], shown: set[str], merged: set[str]
) -> None:
    content = bomb()
    # One after the other would take the deadline of each.
    jobs = await asyncio.gather(*(run(service, kind, content, "bomb.pdf") for kind in KINDS))
    for kind, job in zip(KINDS, jobs, strict=True):
        assert ending(job) in (merged if kind == "pdf.merge" else shown), kind
    await still_works(service)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flood", "read", "tables"),
    [
        (bombs.millions_of_texts, {COMPLETED, "timeout"}, {"timeout"}),
        (bombs.many_pages, {"too_large"}, {"too_large"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_flood_ends_its_own_job_only(
    service: Service, flood: Callable[[], bytes], read: set[str], tables: set[str]
) -> None:
    for kind, allowed in (("pdf.to_text", read), ("pdf.find_tables", tables)):
        assert ending(await run(service, kind, flood(), "flood.pdf")) in allowed
    await still_works(service)


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
    assert ending(await run(service, kind, content, name)) == "invalid_document"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("search", "ends"),
    [
        ("(x|xx)+y", {"pattern_too_slow"}),
        ("(?:" * 90 + "x{1,100}" + "){1,100}" * 90, {"out_of_memory", "timeout"}),
        ("(" * 900 + ")" * 900, {"invalid_option", COMPLETED}),
    ],
    ids=["endless", "nested", "deep"],
)
async def test_an_expression_ends_its_own_job_only(
    service: Service, search: str, ends: set[str]
) -> None:
    page = text_at(*((50.0, 100.0 + line, "x" * 80) for line in range(0, 500, 20)))
    job = await run(service, "pdf.find_text", pdf_of(page), "a.pdf", search=search, regex=True)
    assert ending(job) in ends
    await still_works(service)
