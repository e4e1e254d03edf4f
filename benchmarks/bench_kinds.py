"""The kinds of job that the benchmarks run. They do nothing: what is measured is what is around
them.
"""

# pyright: basic

from __future__ import annotations

from checkback.kinds.registry import job

IDLE_QUEUES = tuple(f"idle{number}" for number in range(20))
"""Queues that wait at the same time, so that one minute of idleness gives twenty samples."""


@job("bench.empty")
def empty() -> None:
    """Do nothing."""


def _idle_kind(queue: str) -> None:
    @job(f"bench.{queue}", queue=queue)
    def idle() -> None:  # pyright: ignore[reportUnusedFunction]
        """Do nothing, in a separate queue."""


for _queue in IDLE_QUEUES:
    _idle_kind(_queue)
