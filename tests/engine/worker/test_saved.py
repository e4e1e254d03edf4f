"""What a job saves is there for its next attempt, however the one before ended."""

from __future__ import annotations

import pytest

from checkback.core.states import State
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from running import Submit


@pytest.mark.usefixtures("worker")
async def test_a_later_attempt_sees_what_an_earlier_one_saved(service: Service) -> None:
    job_id = (await service.submit(LOCAL, "test.resume", {}, attempts=3)).job.id
    job = await service.wait(LOCAL, job_id, 50)
    assert (job.state, job.result) == (State.COMPLETED, {"seen": [1, 2]})


@pytest.mark.usefixtures("worker")
async def test_a_retry_by_hand_sees_it_too(service: Service) -> None:
    job_id = (await service.submit(LOCAL, "test.resume", {}, attempts=1)).job.id
    assert (await service.wait(LOCAL, job_id, 50)).state is State.FAILED
    await service.retry(LOCAL, job_id)
    assert (await service.wait(LOCAL, job_id, 50)).state is State.FAILED
    await service.retry(LOCAL, job_id)
    job = await service.wait(LOCAL, job_id, 50)
    assert (job.state, job.result) == (State.COMPLETED, {"seen": [1, 2]})


@pytest.mark.usefixtures("worker")
async def test_what_is_saved_is_small(service: Service, submit: Submit) -> None:
    job_id = await submit("test.save_much")
    job = await service.wait(LOCAL, job_id, 50)
    assert job.result == "refused"
