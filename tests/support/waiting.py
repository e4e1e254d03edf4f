"""Wait for what happens in another process or thread, and sends no event here."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from checkback.core.job import Job
from checkback.security.auth.callers import LOCAL
from checkback.service import Service

T = TypeVar("T")


async def wait_until(
    description: str,
    condition: Callable[[], Awaitable[T]] | Callable[[], T],
    seconds: float = 10,
    *,
    every_seconds: float = 0.01,
) -> T:
    """The value of the condition, once it is true. Raises TimeoutError after that many seconds; it
    says by ``description`` what was waited for.

    What is a job's state, progress or end has an event: use ``Service.wait`` or ``watch`` for these.
    """
    try:
        async with asyncio.timeout(seconds):
            while not (value := await _value(condition)):
                await asyncio.sleep(every_seconds)
            return value
    except TimeoutError:
        raise TimeoutError(f"not within {seconds} s: {description}") from None


async def _value(condition: Callable[[], Awaitable[T]] | Callable[[], T]) -> T:
    value = condition()
    if inspect.isawaitable(value):
        return await value
    return cast("T", value)


async def finished(service: Service, job_id: str, seconds: float = 10) -> Job:
    """The local owner's job once its record says when it finished.

    A cancelled job is in its final state at once, but finishes when its process has stopped.
    """

    async def finished_job() -> Job | None:
        job = await service.get(LOCAL, job_id)
        return job if job.finished_at is not None else None

    job = await wait_until("the job has finished", finished_job, seconds)
    assert job is not None
    return job
