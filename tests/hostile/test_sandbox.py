"""What a sandboxed job can reach, and what happens where the sandbox is missing."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from checkback.app import worker as work
from checkback.core.job import Job
from checkback.engine.processes.job_folders import JobFolders
from checkback.kinds import registry
from checkback.security.auth.callers import LOCAL
from checkback.security.sandbox import policy
from checkback.service import Service
from checkback.settings import Settings
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore
from document_jobs import COMPLETED, ending, run, run_within
from made_files import pdf_of, text_at
from running import open_connection, running_worker

pytestmark = pytest.mark.timeout(120)

needs_landlock = pytest.mark.skipif(
    not policy.standing().landlock, reason="needs a kernel with Landlock"
)
PDF = pdf_of(text_at((72, 72, "words")))
NOT_WALLED = {"page.analyze_batch"}
"""Built-in kinds that read nothing of a stranger's; those that run at PDF.co read what its server
says.
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, document_concurrency=2, kinds=("sample_kinds", "walled_kinds"))


async def probe(service: Service, **args: Any) -> dict[str, str]:
    """What a job in the sandbox could do of this."""
    given: dict[str, Any] = {"reads": [], "writes": [], "connects": [], "signals": [], **args}
    submitted = await service.submit(LOCAL, "walled.probe", given)
    job = await service.wait(LOCAL, submitted.job.id, 100)
    assert ending(job) == COMPLETED, job.failure
    return cast("dict[str, str]", job.result)


def codes(job: Job) -> list[str]:
    """The codes of the warnings in a job's result."""
    result = cast("dict[str, Any]", job.result)
    return [warning["code"] for warning in result.get("warnings", ())]


def test_every_kind_that_reads_a_strangers_bytes_is_sandboxed() -> None:
    kinds = [
        kind
        for kind in registry.all_kinds()
        if kind.is_built_in and not kind.name.startswith("pdfco.")
    ]
    assert {kind.name for kind in kinds if not kind.sandbox} == NOT_WALLED


@needs_landlock
@pytest.mark.usefixtures("worker")
async def test_a_job_sees_nothing_of_the_server_and_of_other_users(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    secret.chmod(0o600)
    mine = os.getpid()
    reads = [
        secret, tmp_path, settings.home, settings.home / "secret", settings.home / "tmp",
        settings.artifacts_folder, "/etc/shadow", "/etc/ssh", "/root", "/home", "/tmp", "/var/log",
        "/var/lib", "/proc/1/environ", "/proc/self/environ", f"/proc/{mine}/environ", f"/proc/{mine}/cmdline",
        f"/proc/{mine}/cwd", f"/proc/{mine}/root/etc/shadow", f"/proc/{mine}/fd", "/sys/kernel", "/dev/mem",
        "/dev/kmsg",
    ]  # fmt: skip
    writes = [secret, tmp_path / "new", "/tmp/walled-probe", "/var/tmp/walled-probe", "/dev/shm/walled-probe",
              "/proc/self/oom_score_adj", "/usr/walled-probe", settings.home / "x"]  # fmt: skip
    there = [str(path) for path in reads if Path(path).exists()]
    found = await probe(
        service, reads=there, writes=[str(path) for path in writes], signals=[mine, os.getppid(), 1]
    )
    own = {name: found.pop(name) for name in ("own", "program", "user")}
    rights = found.pop("rights", "")
    assert len(found) == 2 * len(there) + len(writes) + 3
    assert {name: how for name, how in found.items() if how == "done"} == {}
    assert (own["own"], own["program"]) == ("done", "done")
    assert rights == ""  # its own state is in /proc, too
    assert (own["user"] != "0") or os.geteuid() != 0
    assert secret.read_text() == "canary"


@needs_landlock
@pytest.mark.usefixtures("worker")
async def test_a_job_reaches_no_socket(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "listens"
    with (
        socket.create_server(("127.0.0.1", 0)) as port,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        named.bind(str(path))
        path.chmod(0o777)
        abstract.bind(f"\0walled-{os.getpid()}")
        for listening in (named, abstract):
            listening.listen()
        store = str(settings.redis_url).removeprefix("unix://")
        places = [
            f"port {port.getsockname()[1]}",
            str(path),
            f"abstract walled-{os.getpid()}",
            store,
        ]
        found = await probe(service, connects=places)
    tried = {name: how for name, how in found.items() if name.startswith("connect")}
    assert tried == {f"connect {place}": "PermissionError" for place in places}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.usefixtures("worker")
async def test_each_job_of_roots_server_is_a_user_of_its_own(service: Service) -> None:
    users = [(await probe(service))["user"] for _ in range(2)]
    assert len({*users, "0"}) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's jobs have another user")
def test_a_data_folder_that_is_closed_has_its_jobs_in_one_that_every_user_may_enter(
    settings: Settings, tmp_path: Path
) -> None:
    """With the umask of a server, which would close whatever it makes."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = os.umask(0o077)
    try:
        folder = work.children_folder(replace(settings, home=closed / "home"), tmp_path / "jobs")
        folders = JobFolders(folder, ArtifactStore(tmp_path / "a"), UploadStore(tmp_path / "u"))
        home = folders.for_child(registry.get("page.analyze"), "a-job", 1)
    finally:
        os.umask(before)
    # A browser has no right to enter what is closed, and shares its pictures by files in there.
    assert policy.others_may_enter(home.path)
    assert folder.parent == tmp_path / "jobs"
    assert policy.others_may_enter(folder)
    assert folder.stat().st_mode & 0o777 == 0o711


# --- Where the sandbox is missing -----------------------------------------------------------------


@pytest.fixture
async def bare(settings: Settings) -> AsyncIterator[tuple[Service, Settings]]:
    """A service whose worker is started by the test, with other settings."""
    async with open_connection(settings) as opened:
        yield opened.service, settings


async def text_of(service: Service) -> Job:
    return await run(service, "pdf.to_text", PDF, "a.pdf")


async def test_where_it_is_missing_such_jobs_are_refused_and_others_run(
    bare: tuple[Service, Settings],
) -> None:
    service, settings = bare
    async with running_worker(replace(settings, sandbox="none")):
        job = await text_of(service)
        assert ending(job) == "sandbox_unavailable"
        assert job.failure is not None
        assert "CHECKBACK_ACCEPT_MISSING_SANDBOX" in (job.failure.hint or "")
        other = await service.submit(LOCAL, "test.add", {"a": 1, "b": 2})
        assert ending(await service.wait(LOCAL, other.job.id, 60)) == COMPLETED


async def test_where_that_is_accepted_each_result_says_so(bare: tuple[Service, Settings]) -> None:
    service, settings = bare
    async with running_worker(replace(settings, sandbox="none", accept_missing_sandbox=True)):
        job = await text_of(service)
        assert ending(job) == COMPLETED
        assert codes(job) == ["sandbox_missing"]
        assert any(
            line.startswith("sandbox_missing: ") for line in await service.log(LOCAL, job.id)
        )


@needs_landlock
@pytest.mark.usefixtures("worker")
async def test_behind_all_walls_a_result_says_nothing_of_them(service: Service) -> None:
    job = await text_of(service)
    assert ending(job) == COMPLETED
    assert codes(job) == []


@pytest.mark.skipif(
    policy.standing(policy.BUBBLEWRAP).bubblewrap is None, reason="needs bubblewrap"
)
async def test_with_bubblewrap_alone_programs_are_sandboxed_and_the_result_says_so(
    bare: tuple[Service, Settings],
) -> None:
    service, settings = bare
    async with running_worker(replace(settings, sandbox="bubblewrap")):
        content = rb"{\rtf1 words\par}"
        job = await run_within(60, service, "document.to_pdf", content, "a.rtf")
        assert ending(job) == COMPLETED
        assert codes(job) == ["sandbox_partial"]


@pytest.mark.parametrize(
    ("walls", "enough"),
    [
        (policy.Walls(7, True, True, None), True),
        (policy.Walls(1, True, False, None), True),
        (policy.Walls(0, True, True, "/usr/bin/bwrap"), True),
        (policy.Walls(0, True, True, None), False),
        (policy.Walls(7, False, True, None), False),
    ],
)
def test_files_and_system_calls_must_both_be_walled(walls: policy.Walls, enough: bool) -> None:
    assert walls.are_enough == enough
    assert walls.to_json()["enough"] == enough
