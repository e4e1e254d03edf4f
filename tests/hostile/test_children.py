"""Processes of jobs that were taken over: what they say, hand in and leave costs their own job
alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkback.core.job import Job
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.engine.processes.job_folders import JobFolders
from checkback.kinds import registry
from checkback.security.auth.callers import LOCAL, Caller
from checkback.service import Service
from checkback.settings import Settings
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore
from waiting import wait_until

pytestmark = pytest.mark.usefixtures("worker")
registry.load(("lying_kinds",))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, kinds=("sample_kinds", "lying_kinds"))


async def run(service: Service, kind: str, /, **args: Any) -> Job:
    job = (await service.submit(LOCAL, kind, args)).job
    return await service.wait(LOCAL, job.id, 40)


async def works(service: Service) -> bool:
    """Whether the worker still runs jobs."""
    return (await run(service, "test.add", a=1, b=1)).result == 2


def line(**fields: Any) -> str:
    return json.dumps(fields) + "\n"


PROGRESS: dict[str, Any] = {
    "say": "progress",
    "phase": None,
    "percent": 1,
    "message": None,
    "entered": [],
}
FAILED: dict[str, Any] = {
    "say": "failed",
    "code": "x",
    "message": "",
    "retryable": False,
    "hint": "",
    "detail": "",
    "artifacts": [],
}
FILE = {
    "id": "a" * 16,
    "name": "a.txt",
    "media_type": "text/plain",
    "size_bytes": 1,
    "sha256": "0" * 64,
    "attempt": 1,
}
LIES = {
    "not JSON": "hello\n",
    "not an object": "[]\n",
    "nothing": "\n",
    "deep": "[" * 100_000 + "\n",
    "no word": line(a=1),
    "a word that is a list": line(say=["log"]),
    "unknown word": line(say="shutdown"),
    "percent that is a text": line(**PROGRESS | {"percent": "1"}),
    "percent of a million": line(**PROGRESS | {"percent": 1_000_000}),
    "percent that is not a number": '{"say": "progress", "phase": null, "percent": NaN, "message": null, '
    '"entered": []}\n',
    "message that is a list": line(**PROGRESS | {"message": ["x"]}),
    "message without end": line(**PROGRESS | {"message": "x" * 100_000}),
    "phase that is a number": line(**PROGRESS | {"phase": 1}),
    "phases without end": line(**PROGRESS | {"entered": [["x", 1.0]] * 5000}),
    "phase at no time": line(**PROGRESS | {"entered": [["x", "now"]]}),
    "phase of one": line(**PROGRESS | {"entered": [["x"]]}),
    "one field more": line(**PROGRESS | {"more": 1}),
    "one field less": line(say="progress", percent=1),
    "half of a surrogate pair": '{"say": "log", "lines": ["\\ud800"]}\n',
    "log that is a text": line(say="log", lines="x"),
    "log of numbers": line(say="log", lines=[1]),
    "log without end": line(say="log", lines=["x"] * 20_000),
    "result that is no text": line(say="completed", result={}, artifacts=[]),
    "result that is no JSON": line(say="completed", result="{", artifacts=[]),
    "result that is not a number": line(say="completed", result="NaN", artifacts=[]),
    "result that is deep": line(say="completed", result="[" * 500 + "]" * 500, artifacts=[]),
    "result without end": line(say="completed", result=json.dumps("x" * 100_000), artifacts=[]),
    "files that are no list": line(say="completed", result="1", artifacts={}),
    "file without fields": line(say="completed", result="1", artifacts=[{}]),
    "file of a negative size": line(
        say="completed", result="1", artifacts=[FILE | {"size_bytes": -1}]
    ),
    "file with an attempt of true": line(
        say="completed", result="1", artifacts=[FILE | {"attempt": True}]
    ),
    "code that is a sentence": line(**FAILED | {"code": "you have won: call 555"}),
    "code that is a number": line(**FAILED | {"code": 7}),
    "retryable that is a text": line(**FAILED | {"retryable": "yes"}),
    "saved value that is no JSON": line(say="save", value="{"),
    "saved value without end": line(say="save", value=json.dumps("x" * 100_000)),
    "start without arguments": line(say="start", kind="test.add", key="k", args=None),
    "look at numbers": line(say="look", ids=[1]),
    "look at everything": line(say="look", ids=["x"] * 20_000),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_what_no_job_says_ends_its_own_job_only(service: Service, lie: str) -> None:
    job = await run(service, "lie.say", text=lie)
    assert (job.state, job.failure and job.failure.code) == (State.FAILED, "invalid_message")
    assert job.failure is not None
    assert "555" not in job.failure.message + job.failure.hint
    assert await works(service)


async def test_a_line_without_an_end_costs_its_job_and_no_memory_of_the_worker(
    service: Service,
) -> None:
    before = tree.resident_bytes([os.getpid()])
    job = await run(
        service, "lie.say", text="x" * 100_000, times=10_000
    )  # a gigabyte, were it read
    assert job.failure is not None
    assert job.failure.code == "invalid_message"
    assert tree.resident_bytes([os.getpid()]) - before < 100_000_000
    assert await works(service)


@pytest.mark.parametrize("said", [line(**PROGRESS), line(say="look", ids=["x"] * 900)])
async def test_a_process_that_talks_without_end_does_not_hold_the_worker_up(
    service: Service, said: str
) -> None:
    job_id = (await service.submit(LOCAL, "lie.flood", {"text": said})).job.id
    await until_active(service, job_id)
    for _ in range(5):
        async with asyncio.timeout(2):
            assert await works(service)
    job = await service.wait(LOCAL, job_id, 20)
    assert job.failure is not None
    assert job.failure.code == "timeout"


async def until_active(service: Service, job_id: str) -> None:
    async with asyncio.timeout(20):
        while (await service.get(LOCAL, job_id)).state is not State.ACTIVE:
            await asyncio.sleep(0.01)


WAYS = (
    "link",
    "hard link",
    "folder link",
    "pipe",
    "folder",
    "other content",
    "other size",
    "gone",
    "path as id",
    "path as name",
    "other attempt",
    "twice",
    "header as type",
)


@pytest.mark.parametrize("how", WAYS)
async def test_a_file_that_is_not_as_it_was_said_is_not_taken_over(
    service: Service, settings: Settings, tmp_path: Path, how: str
) -> None:
    bait = tmp_path / ("b" * 16)
    bait.write_text("THE SECRET")
    job = await run(service, "lie.hand_in", how=how, bait=str(bait))
    assert (job.state, job.artifacts) == (State.FAILED, ())
    assert job.failure is not None
    assert job.failure.code in ("invalid_result", "invalid_message")
    assert [path for path in settings.artifacts_folder.rglob("*") if not path.is_dir()] == []
    assert bait.read_text() == "THE SECRET"
    assert await works(service)


async def test_a_file_that_is_as_it_was_said_is_the_workers_own(
    service: Service, settings: Settings
) -> None:
    job = await run(service, "lie.hand_in", how="honest", bait="")
    (artifact,) = job.artifacts
    path = ArtifactStore(settings.artifacts_folder).path(job.id, artifact)
    found = path.stat()
    assert (path.read_text(), found.st_uid, found.st_nlink) == ("the report", os.geteuid(), 1)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert artifact.sha256 == hashlib.sha256(b"the report").hexdigest()


async def test_a_file_of_a_child_that_lives_on_cannot_be_changed_later(
    service: Service, settings: Settings
) -> None:
    job = await run(service, "lie.later")
    (artifact,) = job.artifacts
    home = Path(
        str(job.result)
    ).parent  # what a warm child makes for itself is in a folder of its own there
    assert home.parent == settings.temporary_folder
    assert re.fullmatch("child-[0-9a-f]{16}", home.name)
    await asyncio.sleep(1.5)  # the process writes after a second, and that is the point
    assert (
        ArtifactStore(settings.artifacts_folder).path(job.id, artifact).read_text() == "the report"
    )
    second = await run(service, "lie.later")
    assert second.result == job.result


async def test_no_folder_of_a_job_is_left_however_deep_it_is(
    service: Service, settings: Settings
) -> None:
    job = await run(service, "lie.deep", levels=3000)
    assert job.state in (State.COMPLETED, State.FAILED)
    await wait_until(
        "the folders of jobs are gone", lambda: not list(settings.temporary_folder.iterdir()), 20
    )


async def test_the_folder_of_a_worker_that_was_killed_is_removed_and_one_in_use_is_not(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job_id = (await service.submit(LOCAL, "test.gate", {"path": str(go)})).job.id
    await until_active(service, job_id)
    await wait_until("the job's folder exists", lambda: list(settings.temporary_folder.iterdir()))
    (used,) = settings.temporary_folder.iterdir()
    left = settings.temporary_folder / f"{job_id}-9"
    young, alien = (
        settings.temporary_folder / f"{job_id}-8",
        settings.temporary_folder / "somebody else's",
    )
    for folder in (left, young, alien):
        folder.mkdir()
        (folder / "file").write_bytes(b"x")
    for folder in (left, used, alien):
        os.utime(folder, (0, 0))
    folders = JobFolders(
        settings.temporary_folder,
        ArtifactStore(settings.artifacts_folder),
        UploadStore(settings.uploads_folder),
    )
    assert folders.remove_left_behind() == 1
    assert {path.name for path in settings.temporary_folder.iterdir()} == {
        used.name,
        young.name,
        alien.name,
    }
    go.touch()
    assert (await service.wait(LOCAL, job_id, 20)).state is State.COMPLETED


async def test_a_part_is_checked_by_the_worker_again(service: Service) -> None:
    wrong = await run(service, "lie.part", kind="test.add", args={"a": "x"})
    assert "`a`" in wrong.result["error"]
    files = await run(service, "lie.part", kind="file.fetch", args={"url": "upload:" + "0" * 32})
    assert "may not start" in files.result["error"]
    unknown = await run(service, "lie.part", kind="os.system", args={})
    assert "unknown kind" in unknown.result["error"].lower()
    large = await run(service, "lie.part", kind="test.say", args={"words": ""}, longer=300_000)
    assert "larger" in large.result["error"]
    right = await run(service, "lie.part", kind="test.add", args={"a": 1, "b": 2})
    assert (await service.wait(LOCAL, right.result["id"], 20)).result == 3


async def test_a_built_in_kind_starts_only_what_it_says(service: Service) -> None:
    built_in = [kind for kind in registry.all_kinds() if kind.is_built_in]
    starting = {kind.name: kind.starts for kind in built_in if kind.starts}
    assert starting == {"page.analyze_batch": ("page.analyze",)}
    assert not any(kind.may_start("test.add") for kind in built_in)


async def test_a_job_sees_its_own_parts_only(service: Service) -> None:
    other = await run(service, "test.add", a=1, b=1)
    somebody = (await service.submit(Caller("bob"), "test.add", {"a": 1, "b": 1})).job
    told = await run(service, "lie.look", ids=[other.id, somebody.id, "no id", ""])
    assert told.result == {"jobs": [None, None, None, None]}


async def test_a_process_has_its_channel_and_no_other_descriptor(service: Service) -> None:
    told = await run(service, "lie.surroundings")
    found: dict[str, str] = told.result["descriptors"]
    assert [found.pop(name) for name in "012"] == ["/dev/null", "pipe", "pipe"]
    assert sorted(found.values()) == ["gone", "socket"]  # gone: the one that listed them
