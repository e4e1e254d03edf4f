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
