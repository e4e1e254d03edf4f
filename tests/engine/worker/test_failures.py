"""How jobs fail, are cancelled, and run again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path
from typing import Any

import pytest

from checkback.core.errors import Conflict
from checkback.core.job import Job
from checkback.core.states import State
from checkback.engine.processes import tree
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from running import running_worker
from waiting import finished, wait_until


async def until(service: Service, job_id: str, state: State, phase: str | None = None) -> Job:
    """The job once it is in that state and phase."""
    async with asyncio.timeout(20):
        async for job in service.watch(LOCAL, job_id):
            if job.state is state and (phase is None or job.phase == phase):
                return job
    raise AssertionError("the job ended otherwise")


async def gone(*pids: int) -> None:
    """Return when none of these processes lives."""
    await wait_until(
        "the processes have ended", lambda: not any(tree.is_alive(pid) for pid in pids), 5
    )


def fork_server() -> int:
    """The process that forks the children of this test's worker."""
    (found,) = [
        pid
        for pid in tree.children(os.getpid())
        if re.search(rb"processes\.fork_server.*own", Path(f"/proc/{pid}/cmdline").read_bytes())
    ]
    return found


async def test_what_would_crash_every_time_is_tried_once(
    service: Service, worker: Any, submit: Any
) -> None:
    job = await service.wait(LOCAL, await submit("test.segfault_for_sure"), 20)
    assert job.failure is not None
    assert (job.failure.code, job.failure.retryable, job.attempts.started) == ("crashed", False, 1)


async def test_a_kind_fails_in_its_own_words(service: Service, worker: Any, submit: Any) -> None:
    job = await service.wait(LOCAL, await submit("test.fail"), 10)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert (job.failure.code, job.failure.message, job.failure.hint) == (
        "broken",
        "It broke.",
        "Fix it.",
    )
    assert job.result is None


async def test_an_unexpected_error_is_masked(
    service: Service, worker: Any, submit: Any, connection: Any
) -> None:
    job = await service.wait(
        LOCAL, await submit("test.raise", text="SELECT * FROM /etc/secret"), 10
    )
    assert job.failure is not None
    assert job.failure.code == "internal_error"
    stored = str(
        await connection.wire.call("HGETALL", f"{connection.settings.prefix}:jobs:{job.id}")
    )
    assert "/etc/secret" not in job.failure.message + str(await service.log(LOCAL, job.id))
    assert "Traceback" not in stored
    assert "sample_kinds" not in stored


@pytest.mark.parametrize(
    ("kind", "args", "code"),
    [
        ("test.exit", {"status": 3}, "crashed"),
        ("test.sys_exit", {}, "crashed"),
        ("test.segfault", {}, "crashed"),
        ("test.read_nothing", {}, "crashed"),
        ("test.cancel_itself", {}, "internal_error"),
        ("test.endless", {}, "timeout"),
        ("test.stop_itself", {}, "timeout"),
        ("test.eat", {}, "out_of_memory"),
        ("test.eat_resident", {}, "out_of_memory"),
        ("test.not_json", {}, "invalid_result"),
    ],
)
async def test_a_child_that_breaks_fails_its_job_and_nothing_else(
    service: Service,
    worker: Any,
    submit: Any,
    tmp_path: Path,
    kind: str,
    args: dict[str, Any],
    code: str,
) -> None:
    go = tmp_path / "go"
    bystander = await submit("test.gate", path=str(go))
    await until(service, bystander, State.ACTIVE, "waiting")
    idle = tree.descendants(os.getpid())
    job_id = await submit(kind, **args)
    below: set[int] = set()
    async for _ in service.watch(LOCAL, job_id):
        below |= set(tree.descendants(os.getpid())) - set(idle)
    job = await service.get(LOCAL, job_id)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.code == code
    if kind in ("test.segfault", "test.read_nothing"):
        assert "SIGSEGV" in job.failure.message
    if code == "timeout":
        assert job.started_at is not None
        assert job.finished_at is not None
        assert 0.5 <= (job.finished_at - job.started_at).total_seconds() < 3
    await gone(*below)
    assert fork_server() in idle
    go.touch()
    assert (await service.wait(LOCAL, bystander, 10)).state is State.COMPLETED
    assert (await service.wait(LOCAL, await submit("test.add", a=1, b=1), 10)).result == 2


async def test_a_job_that_forks_without_end_is_ended_with_all_of_them(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    pids_file = tmp_path / "pids"
    job = await service.wait(
        LOCAL, await submit("test.fork_many", pids=str(pids_file), count=500), 40
    )
    assert job.failure is not None
    assert (job.failure.code, job.failure.retryable) == ("too_many_processes", False)
    pids = [int(pid) for pid in pids_file.read_text().split()]
    assert 256 < len(pids) <= 500
    await gone(*pids)
    assert (await service.wait(LOCAL, await submit("test.add", a=1, b=1), 10)).result == 2


async def test_a_flood_on_standard_output_is_cut_and_holds_nobody_up(
    service: Service, worker: Any, submit: Any
) -> None:
    flood = await submit("test.print_much", lines=500_000)
    other = await service.wait(LOCAL, await submit("test.add", a=1, b=1), 10)
    assert other.state is State.COMPLETED
    job = await service.wait(LOCAL, flood, 30)
    assert (job.state, job.result) == (State.COMPLETED, 500_000)
    lines = await service.log(LOCAL, flood)
    assert len(lines) <= 1000
    assert any("were dropped" in line for line in lines)


async def test_attempts_are_made_with_a_pause_between(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    job = await service.wait(
        LOCAL, await submit("test.flaky", path=str(tmp_path / "runs"), failures=2), 20
    )
    assert (job.state, job.result) == (State.COMPLETED, 3)
    assert (job.attempts.made, job.attempts.started, job.attempts.max) == (3, 3, 3)


async def test_the_last_attempt_decides(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    job = await service.wait(
        LOCAL, await submit("test.flaky", path=str(tmp_path / "runs"), failures=9), 20
    )
    assert (job.state, job.attempts.made) == (State.FAILED, 3)


async def test_a_failure_that_cannot_be_mended_is_not_tried_again(
    service: Service, worker: Any
) -> None:
    done = await service.submit(LOCAL, "test.fail", {"retryable": False}, attempts=5)
    job = await service.wait(LOCAL, done.job.id, 10)
    assert (job.state, job.attempts.made) == (State.FAILED, 1)


async def test_a_deadline_of_the_job_goes_before_its_kinds(
    service: Service, worker: Any, tmp_path: Path
) -> None:
    done = await service.submit(
        LOCAL, "test.gate", {"path": str(tmp_path / "never")}, deadline_seconds=0.3
    )
    job = await service.wait(LOCAL, done.job.id, 10)
    assert job.failure is not None
    assert job.failure.code == "timeout"


async def test_a_waiting_job_that_was_cancelled_never_starts(
    service: Service, settings: Any, submit: Any, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    job_id = await submit("test.gate", path="/", started=str(started))
    cancelled = await service.cancel(LOCAL, job_id)
    assert cancelled.state is State.CANCELLED
    async with running_worker(settings):
        assert (
            await service.wait(LOCAL, await submit("test.add", a=1, b=1), 10)
        ).state is State.COMPLETED
        assert (await service.get(LOCAL, job_id)).state is State.CANCELLED
    assert not started.exists()


@pytest.mark.parametrize("delay_seconds", [1, 3600])
async def test_a_delayed_job_that_was_cancelled_ends_at_once_and_never_starts(
    service: Service, worker: Any, tmp_path: Path, delay_seconds: float
) -> None:
    started = tmp_path / "started"
    args = {"path": "/", "started": str(started)}
    done = await service.submit(LOCAL, "test.gate", args, delay_seconds=delay_seconds)
    later = await service.submit(LOCAL, "test.add", {"a": 1, "b": 1}, delay_seconds=1)
    assert (await service.cancel(LOCAL, done.job.id)).state is State.CANCELLED
    await finished(service, done.job.id, 5)
    assert (await service.wait(LOCAL, later.job.id, 20)).result == 2
    job = await service.get(LOCAL, done.job.id)
    assert (job.state, started.exists()) == (State.CANCELLED, False)


async def test_a_running_job_that_was_cancelled_is_dead_with_everything_below_it(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    pids_file = tmp_path / "pids"
    job_id = await submit("test.stubborn", pids=str(pids_file))
    await wait_until(
        "the job has named two processes",
        lambda: pids_file.exists() and len(pids_file.read_text().split()) >= 2,
    )
    pids = [int(pid) for pid in pids_file.read_text().split()]
    job = await service.cancel(LOCAL, job_id)
    assert job.state is State.CANCELLED
    await gone(*pids)
    again = await service.cancel(LOCAL, job_id)
    assert (again.state, again.failure) == (State.CANCELLED, job.failure)


async def test_an_ended_job_is_not_changed_by_a_cancel(
    service: Service, worker: Any, submit: Any
) -> None:
    completed = await service.wait(LOCAL, await submit("test.add", a=1, b=1), 10)
    failed = await service.wait(LOCAL, await submit("test.fail", retryable=False), 10)
    cancelled_id = (
        await service.submit(LOCAL, "test.add", {"a": 1, "b": 1}, delay_seconds=3600)
    ).job.id
    await service.cancel(LOCAL, cancelled_id)
    cancelled = await finished(service, cancelled_id, 5)
    for job, state in (
        (completed, State.COMPLETED),
        (failed, State.FAILED),
        (cancelled, State.CANCELLED),
    ):
        assert job.state is state
        assert await service.cancel(LOCAL, job.id) == job
        assert await service.get(LOCAL, job.id) == job


async def test_a_job_that_is_cancelled_as_it_ends_has_one_end(
    service: Service, worker: Any, submit: Any
) -> None:
    async def race(number: int) -> tuple[Job, Job]:
        job_id = await submit("test.add", a=number, b=0)
        async for job in service.watch(LOCAL, job_id):
            if number % 3 == 0 or job.state is not State.WAITING:
                break
        told = await service.cancel(LOCAL, job_id)
        return told, await service.wait(LOCAL, job_id, 20)

    pairs = await asyncio.gather(*(race(number) for number in range(60)))
    for number, (told, ended) in enumerate(pairs):
        assert told.state is ended.state
        assert ended.result == (number if ended.state is State.COMPLETED else None)
        job = await finished(service, ended.id, 20)
        assert (job.state, job.result) == (ended.state, ended.result)


async def test_a_cancelled_job_runs_again_when_retried(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job_id = await submit("test.gate", path=str(go))
    await until(service, job_id, State.ACTIVE, "waiting")
    await service.cancel(LOCAL, job_id)
    await finished(service, job_id)
    go.touch()
    retried = await service.retry(LOCAL, job_id)
    assert retried.id == job_id
    assert retried.state is not State.CANCELLED
    assert (await service.wait(LOCAL, job_id, 10)).state is State.COMPLETED


async def test_jobs_that_are_cancelled_while_they_wait_and_retried_at_once_complete(
    service: Service, worker: Any
) -> None:
    async def change_mind(number: int) -> Job:
        done = await service.submit(LOCAL, "test.add", {"a": number, "b": 0}, delay_seconds=3600)
        await service.cancel(LOCAL, done.job.id)

        async def retried() -> Job | None:
            with contextlib.suppress(Conflict):  # it is being stopped
                return await service.retry(LOCAL, done.job.id)
            return None

        await wait_until("the job can be retried", retried, 20)
        return await service.wait(LOCAL, done.job.id, 20)

    jobs = await asyncio.gather(*(change_mind(number) for number in range(60)))
    assert [(job.state, job.result) for job in jobs] == [
        (State.COMPLETED, number) for number in range(60)
    ]


async def test_word_of_a_cancel_that_comes_late_does_not_end_the_attempt_after_a_retry(
    service: Service, connection: Any, worker: Any, submit: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job_id = await submit("test.gate", path=str(go))
    await until(service, job_id, State.ACTIVE, "waiting")
    # On a busy machine the worker hears of a waiting job's cancel when the job was retried and
    # runs.
    events = connection.queues.keys.queue("jobs", "events")
    await connection.wire.call("XADD", events, "*", "event", "cb:cancel", "jobId", job_id)
    other = await submit("test.gate", path=str(tmp_path / "never"))
    await until(service, other, State.ACTIVE, "waiting")
    await service.cancel(LOCAL, other)
    await finished(service, other)
    go.touch()
    job = await service.wait(LOCAL, job_id, 10)
    assert (job.state, job.failure) == (State.COMPLETED, None)


async def test_a_failed_job_runs_again_under_its_id(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    job_id = await submit("test.flaky", path=str(runs), failures=3)
    assert (await service.wait(LOCAL, job_id, 20)).state is State.FAILED
    await service.retry(LOCAL, job_id)
    job = await service.wait(LOCAL, job_id, 10)
    assert (job.state, job.result, job.failure) == (State.COMPLETED, 4, None)


async def test_only_failed_and_cancelled_jobs_can_be_retried(
    service: Service, worker: Any, submit: Any, tmp_path: Path
) -> None:
    completed = await submit("test.add", a=1, b=1)
    await service.wait(LOCAL, completed, 10)
    with pytest.raises(Conflict, match="completed"):
        await service.retry(LOCAL, completed)
    running = await submit("test.gate", path=str(tmp_path / "never"))
    await until(service, running, State.ACTIVE, "waiting")
    with pytest.raises(Conflict, match="active"):
        await service.retry(LOCAL, running)


async def test_no_process_of_a_finished_job_is_left(
    service: Service, worker: Any, submit: Any, settings: Any
) -> None:
    for _ in range(3):
        await service.wait(LOCAL, await submit("test.say", words="x"), 10)
    await wait_until(
        "the folders of jobs are gone", lambda: not list(settings.temporary_folder.iterdir()), 5
    )
