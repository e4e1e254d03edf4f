"""A job's life in the engine, on a real store with a real worker and real child processes."""

from __future__ import annotations

from typing import Any

from checkback.core.states import State
from checkback.guard.access import LOCAL
from checkback.service import Service


async def test_a_job_runs_in_a_child_and_its_result_is_read(service: Service, worker: Any, submit: Any) -> None:
    job = await service.wait(LOCAL, await submit("test.add", a=1, b=2), 10)
    assert (job.state, job.result, job.progress) == (State.COMPLETED, 3, 100)
    assert job.attempts.started == 1


async def test_what_a_job_says_is_in_its_record_and_log(service: Service, worker: Any, submit: Any) -> None:
    job = await service.wait(LOCAL, await submit("test.say", words="hello"), 10)
    assert job.phase == "speaking"
    assert sorted(await service.log(LOCAL, job.id)) == ["log: hello", "printed: hello"]
    (artifact,) = job.artifacts
    found, path = await service.artifact(LOCAL, job.id, "words.txt")
    assert path.read_text() == "hello"
    assert (found, found.size_bytes, found.media_type) == (artifact, 5, "text/plain")
