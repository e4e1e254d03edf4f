"""What holds for every built-in kind: limits, and sources that it may work on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.core.errors import InvalidInput
from checkback.core.states import State
from checkback.kinds import registry
from checkback.kinds.registry import Kind
from checkback.security.auth.callers import Caller
from checkback.service import Service

registry.load()
ADA = Caller("ada")
BUILT_IN = [kind for kind in registry.all_kinds() if kind.is_built_in]
OF_PAGES = [kind for kind in BUILT_IN if kind.source_kinds]


def test_all_modules_of_built_in_kinds_are_looked_at() -> None:
    assert len(BUILT_IN) > 35
    assert {kind.name for kind in OF_PAGES} == {"page.crop", "page.compare"}


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.name)
def test_every_built_in_kind_has_limits(kind: Kind) -> None:
    assert kind.memory_bytes is not None
    assert 64 << 20 <= kind.memory_bytes <= 4 << 30
    assert 0 < kind.deadline_seconds <= 6 * 3600


@pytest.mark.parametrize("kind", OF_PAGES, ids=lambda kind: kind.name)
def test_every_source_of_a_kind_that_works_on_reports_is_one(kind: Kind) -> None:
    assert kind.source_kinds == dict.fromkeys(kind.sources, "page.analyze")


async def fetched(connection: Connection, name: str, content: bytes) -> tuple[str, str]:
    """A file of a caller's as an upload, and as the result of a job under a name of the caller's
    choice.
    """
    with connection.service.uploads.begin(ADA, name) as writer:
        writer.write(content)
        upload = f"upload:{writer.finish().id}"
    job = (await connection.service.submit(ADA, "file.fetch", {"url": upload, "name": name})).job
    job = await connection.service.wait(ADA, job.id, 30)
    assert (job.state, job.artifacts[0].name) == (State.COMPLETED, name)
    return upload, job.id


@pytest.mark.usefixtures("worker")
async def test_files_of_the_callers_own_are_no_reports(connection: Connection) -> None:
    service = connection.service
    report = json.dumps({"schema": "checkback.page/1"}).encode()
    upload, job_id = await fetched(connection, "report.json", report)
    _, picture_id = await fetched(connection, "screenshot.jpg", b"\xff\xd8\xff")
    for given in (
        upload,
        job_id,
        f"artifact:{job_id}/report.json",
        f"artifact:{picture_id}/screenshot.jpg",
    ):
        await refused(service, "page.crop", job=given)
        await refused(service, "page.compare", job_a=given, job_b=given)
    await refused(service, "page.crop", job=job_id, picture=upload)
    await refused(service, "page.crop", job=f"artifact:{job_id}/report.json", picture=upload)
    await refused(service, "page.crop", job="https://example.com/report.json")


async def refused(service: Service, kind: str, /, **args: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        await service.submit(ADA, kind, args)
    assert (
        "page.analyze" in caught.value.message
        or "UUID" in caught.value.message
        or ("picture" in caught.value.message)
    )


def test_the_sources_of_a_kind_are_paths_of_its_arguments() -> None:
    for kind in BUILT_IN:
        for path in kind.sources:
            assert path.split(".")[0] in {
                info.alias or name for name, info in kind.args_model.model_fields.items()
            }
