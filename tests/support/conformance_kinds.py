"""The kinds that MCP's conformance suite calls by these names; what each must do stands in its
scenarios.
"""

from __future__ import annotations

import asyncio

from checkback.core.errors import JobFailed
from checkback.kinds.registry import job


@job("slow_compute", deadline_seconds=120)
async def slow_compute(seconds: float, label: str = "") -> str:
    """Take some seconds."""
    await asyncio.sleep(seconds)
    return f"{label} done"


@job("failing_job")
def failing_job() -> str:
    """Fail, as a tool's work may."""
    raise JobFailed("always_fails", "This job always fails.", retryable=False)
