"""More hostile documents: each ends its own job in a way that has words, and the worker goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import more_bombs as bombs
import more_pdf_bombs as pdfs
from checkback.service import Service
from checkback.settings import Settings
from document_jobs import COMPLETED, ending, run, still_works

pytestmark = [pytest.mark.usefixtures("worker"), pytest.mark.timeout(120), pytest.mark.slow]

KIND_OF = {bomb.make: bomb for bomb in bombs.MORE_BOMBS}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, document_concurrency=1)


async def endings(service: Service, *makers: Callable[[], bytes]) -> dict[str, str]:
    """How the job on each ends, one after the other, on a worker that still works afterwards."""
    found: dict[str, str] = {}
    for make in makers:
        bomb = KIND_OF[make]
        found[make.__name__] = ending(await run(service, bomb.kind, make(), bomb.name))
    await still_works(service)
    return found


async def test_pictures_are_refused_by_their_size_before_they_are_unpacked(
    service: Service,
) -> None:
    too_large = (
        bombs.png_of_gigapixels,
        bombs.gif_of_a_huge_screen,
        bombs.jpeg_of_a_huge_size,
        bombs.webp_of_the_largest_size,
        bombs.bmp_of_a_lying_size,
    )
    expected = {make.__name__: "too_large" for make in too_large}
    assert await endings(service, *too_large) == expected


async def test_pictures_that_are_not_what_they_say_are_invalid(service: Service) -> None:
    invalid = (
        bombs.png_of_a_huge_text,
        bombs.png_of_a_huge_profile,
        bombs.tiff_of_many_strips,
        bombs.bmp_of_runs,
    )
    expected = {make.__name__: "invalid_document" for make in invalid}
    assert await endings(service, *invalid) == expected


async def test_sheets_and_archives_are_refused_before_they_grow(service: Service) -> None:
    expected = {
        bombs.csv_of_many_columns: "too_large",
        bombs.xlsx_of_laughs: "invalid_document",
        bombs.ods_of_repeated_cells: "invalid_document",
        bombs.zip_of_many_entries: "too_large",
        bombs.zip_in_zips: "unsupported",
        bombs.zip_of_overlapping_entries: "invalid_document",
    }
    found = await endings(service, *expected)
    assert found == {make.__name__: code for make, code in expected.items()}


async def test_a_workbook_that_asks_its_reader_for_all_memory_ends_its_own_job_only(
    service: Service,
) -> None:
    # Its reader ends its process where memory is refused to it.
    found = await endings(service, bombs.xlsx_of_far_corners, bombs.xls_that_was_cut)
    assert set(found.values()) <= {"crashed", "out_of_memory", "too_large"}


async def test_mails_with_headers_of_megabytes_are_too_large(service: Service) -> None:
    found = await endings(service, bombs.mail_of_a_long_header, bombs.mail_of_many_addresses)
    assert found == {"mail_of_a_long_header": "too_large", "mail_of_many_addresses": "too_large"}


async def test_mails_in_mails_without_end_are_invalid(service: Service) -> None:
    found = await endings(service, bombs.mail_of_messages, bombs.mail_of_deep_parts)
    assert found == {
        "mail_of_messages": "invalid_document",
        "mail_of_deep_parts": "invalid_document",
    }


async def test_pdfs_whose_fonts_and_functions_ask_for_too_much_are_left_alone(
    service: Service,
) -> None:
    harmless = (
        pdfs.predictor_of_a_huge_row,
        pdfs.font_that_draws_itself,
        pdfs.functions_in_a_circle,
        pdfs.sampled_function_of_many_inputs,
        pdfs.fifty_filters,
    )
    assert await endings(service, *harmless) == {make.__name__: COMPLETED for make in harmless}


async def test_pdfs_whose_tables_of_objects_go_in_a_circle_are_invalid(service: Service) -> None:
    broken = (pdfs.object_streams_in_a_circle, pdfs.cross_references_of_wide_fields)
    expected = {make.__name__: "invalid_document" for make in broken}
    assert await endings(service, *broken) == expected
