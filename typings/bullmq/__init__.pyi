"""What of BullMQ for Python this project uses; the package has no types of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bullmq.redis_connection import RedisConnection

class Backend:
    connection: RedisConnection
    blocking_connection: RedisConnection | None
    async def close(self, force: bool = ...) -> None: ...

class Job:
    id: str
    name: str
    data: Any
    opts: dict[str, Any]
    token: str | None
    timestamp: int
    attemptsMade: int
    attemptsStarted: int
    stalledCounter: int
    returnvalue: Any
    @staticmethod
    async def fromId(queue: Queue, jobId: str) -> Job | None: ...
    async def getState(self) -> str: ...

class Queue:
    def __init__(self, name: str, opts: dict[str, Any] = ...) -> None: ...
    async def add(self, name: str, data: Any, opts: dict[str, Any] = ...) -> Job: ...
    async def close(self) -> None: ...

class Worker:
    backend: Backend
    closing: bool
    closed: bool
    processing: set[asyncio.Future[Any]]
    waiting: asyncio.Future[Any] | None
    opts: dict[str, Any]
    clientName: str
    _client_name_set: bool
    def __init__(
        self, name: str, processor: Callable[[Job, str], Awaitable[Any]], opts: dict[str, Any] = ...
    ) -> None: ...
    def on(self, event: str, listener: Callable[..., Any]) -> None: ...
    async def run(self) -> None: ...
    async def processJob(self, job: Job, token: str) -> None: ...
    async def getNextJob(self, token: str) -> Job | None: ...
    async def nextJobFromJobData(
        self,
        job_data: dict[str, Any] | None = ...,
        job_id: str | None = ...,
        limit_until: int = ...,
        delay_until: int = ...,
        token: str | None = ...,
    ) -> Job | None: ...

class UnrecoverableError(Exception): ...
