"""What a job may have on the disk while it runs, and its owner: past it that job ends, and nobody
else.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.core.states import State
from checkback.engine.processes.disk_limit import measure
from checkback.engine.processes.job_folders import local_sources
from checkback.kinds import registry
from checkback.security.auth.callers import LOCAL, Caller
from checkback.settings import Settings
from running import open_connection, running_worker

registry.load(("lying_kinds",))
ADA, BOB = Caller("ada"), Caller("bob")
MB = 1_000_000


def narrowed(settings: Settings, **limits: float) -> Settings:
    return replace(settings, kinds=("sample_kinds", "lying_kinds"), **limits)


@pytest.mark.parametrize("how", ["one file", "handed in", "removed", "memory file", "shut folder"])
async def test_a_job_that_writes_without_end_ends_as_too_large(
    settings: Settings, how: str
) -> None:
    narrow = narrowed(settings, job_disk_gb=0.05)
    async with open_connection(narrow) as connection, running_worker(narrow):
        job = (await connection.service.submit(LOCAL, "lie.fill", {"how": how})).job
        job = await connection.service.wait(LOCAL, job.id, 40)
        assert job.failure is not None
        assert (job.state, job.failure.code) == (State.FAILED, "too_large")
        assert sum(artifact.size_bytes for artifact in job.artifacts) <= 50 * MB
        assert "50 MB" in job.failure.message


async def test_a_job_that_makes_files_without_end_ends_as_too_large(settings: Settings) -> None:
    many = narrowed(settings)
    async with open_connection(many) as connection, running_worker(many, job_files=5000):
        job = (await connection.service.submit(LOCAL, "lie.fill", {"how": "many small files"})).job
        job = await connection.service.wait(LOCAL, job.id, 40)
        assert job.failure is not None
        assert (job.failure.code, "5000 files" in job.failure.message) == ("too_large", True)


@pytest.mark.parametrize("how", ["handed in", "handed in behind the back"])
async def test_an_owner_over_its_share_is_ended_and_nobody_else(
    settings: Settings, how: str
) -> None:
    narrow = narrowed(settings, owner_artifact_gb=0.05)
    async with open_connection(narrow) as connection, running_worker(narrow):
        service = connection.service
        job = (await service.submit(ADA, "lie.fill", {"how": how})).job
        job = await service.wait(ADA, job.id, 40)
        assert job.failure is not None
        assert (job.state, job.failure.code, job.artifacts) == (State.FAILED, "quota_exceeded", ())
        other = (await service.submit(BOB, "test.say", {"words": "hello"})).job
        assert (await service.wait(BOB, other.id, 20)).state is State.COMPLETED
        again = (await service.submit(ADA, "test.say", {"words": "hello"})).job  # nothing was kept
        assert (await service.wait(ADA, again.id, 20)).state is State.COMPLETED


async def test_results_that_were_kept_count_at_once(settings: Settings) -> None:
    narrow = narrowed(settings, owner_artifact_gb=15_000 / 1e9)
    async with open_connection(narrow) as connection, running_worker(narrow):
        ends: list[Any] = []
        for _ in range(2):
            job = (await connection.service.submit(ADA, "test.say", {"words": "x" * 10_000})).job
            job = await connection.service.wait(ADA, job.id, 20)
            ends.append(job.failure.code if job.failure else job.state.value)
        assert ends == ["completed", "quota_exceeded"]


async def test_a_small_file_that_is_split_into_much_ends_early(
    settings: Settings, tmp_path: Path
) -> None:
    narrow = narrowed(settings, owner_artifact_gb=0.002)
    async with open_connection(narrow) as connection, running_worker(narrow):
        pages = ",".join(str(number) for number in range(1, 301))
        args = {"url": upload(connection, ADA, many_pages(tmp_path)), "pages": pages}
        job = (await connection.service.submit(ADA, "pdf.split", args)).job
        job = await connection.service.wait(ADA, job.id, 60)
        assert job.failure is not None
        assert (job.failure.code, job.artifacts) == ("quota_exceeded", ())


async def test_a_source_that_is_named_a_hundred_times_is_one_file(
    settings: Settings, tmp_path: Path
) -> None:
    narrow = narrowed(settings, job_disk_gb=0.02)
    async with open_connection(narrow) as connection, running_worker(narrow):
        source = upload(connection, ADA, large_pdf(tmp_path, 3 * MB))
        args = {"urls": [source] * 100}
        assert local_sources(registry.get("pdf.merge"), args) == [source]
        job = (await connection.service.submit(ADA, "pdf.merge", args)).job
        job = await connection.service.wait(ADA, job.id, 60)
        assert (job.state, job.failure) == (State.COMPLETED, None)
        assert job.result["page_count"] == 100


def upload(connection: Connection, caller: Caller, content: bytes) -> str:
    with connection.service.uploads.begin(caller, "a.pdf") as writer:
        writer.write(content)
        return f"upload:{writer.finish().id}"


def large_pdf(folder: Path, size: int) -> bytes:
    """One page of a size that is seen on the disk; what is made of it is packed."""
    import pikepdf

    target = folder / "large.pdf"
    with pikepdf.Pdf.new() as made:
        made.add_blank_page()
        made.Root.Noise = pikepdf.Stream(made, bytes(range(256)) * (size // 256))
        made.pages[0].Noise = made.Root.Noise
        made.save(target, compress_streams=False)
    return target.read_bytes()


def many_pages(folder: Path) -> bytes:
    """300 pages that share one large stream: each alone is as large as all."""
    import pikepdf

    target = folder / "many.pdf"
    with pikepdf.Pdf.new() as made:
        shared = made.make_indirect(pikepdf.Stream(made, random.Random(7).randbytes(100_000)))
        for _ in range(300):
            made.add_blank_page()
            made.pages[-1].Shared = shared
        made.save(target, compress_streams=False)
    return target.read_bytes()


def test_no_folder_is_too_deep_to_be_measured(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(bytes(10_000))
    (tmp_path / ".out").mkdir()
    (tmp_path / ".out" / "file").write_bytes(bytes(5_000))
    taken = measure(tmp_path)
    assert (taken.total, taken.outgoing, taken.is_too_deep) == (15_000, 5_000, False)
    deep = tmp_path / "/".join("d" * 70)
    deep.mkdir(parents=True)
    assert measure(tmp_path).is_too_deep
