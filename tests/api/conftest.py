"""The doors as a server has them: behind their gate, on a real service, spoken
to without a socket.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from starlette.applications import Starlette
from starlette.types import ASGIApp

from checkback.api.http.jobs import Readiness, build_routes
from checkback.api.middleware.authentication import AuthenticationMiddleware
from checkback.app.connect import make_engine, make_service
from checkback.security.auth.authenticator import Authenticator, GuessLimit
from checkback.security.host_check import HostList
from checkback.service import Service
from checkback.settings import Settings
from token_fixtures import Tokens

BASE = "http://127.0.0.1:8787"


@pytest.fixture
def problems() -> list[str]:
    """What /health is told to be wrong."""
    return []


@pytest.fixture
def application(service: Service, authenticator: Authenticator, problems: list[str]) -> ASGIApp:
    """The native API behind its gate."""

    async def readiness() -> Readiness:
        return Readiness(tuple(problems), 2, {"store": 1, "worker": 0, "worker_loop": 3})

    guesses = GuessLimit(limit=10)
    routes = build_routes(
        service,
        authenticator=authenticator,
        readiness=readiness,
        guesses=guesses,
        version="1.2.3",
        heartbeat_seconds=0.05,
    )
    app = Starlette(routes=routes)
    return AuthenticationMiddleware(
        app, authenticator=authenticator, allowed=HostList.of(8787), guesses=guesses
    )


def client_for(
    application: ASGIApp, token: str | None, transport: httpx2.AsyncBaseTransport | None = None
) -> httpx2.AsyncClient:
    """An HTTP client that speaks to an application in this process."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = transport or httpx2.ASGITransport(application)
    return httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers, timeout=60)


@pytest.fixture
async def http(application: ASGIApp, tokens: Tokens) -> AsyncIterator[httpx2.AsyncClient]:
    """Ada's client."""
    async with client_for(application, tokens.ada) as client:
        yield client


Open = Callable[[str | None], AbstractAsyncContextManager[httpx2.AsyncClient]]


@pytest.fixture
def open_http(application: ASGIApp) -> Open:
    """Clients with other tokens, or none; their answers stream, and hanging up is seen by the
    server.
    """

    @asynccontextmanager
    async def run(token: str | None) -> AsyncGenerator[httpx2.AsyncClient]:
        async with client_for(application, token, StreamingASGITransport(application)) as client:
            yield client

    return run


Post = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def post(http: httpx2.AsyncClient) -> Post:
    """Submit a job as Ada and give its record."""

    async def run(kind: str, /, **args: Any) -> dict[str, Any]:
        response = await http.post("/api/jobs", json={"kind": kind, "args": args})
        assert response.status_code == 202, response.text
        return response.json()

    return run


@pytest.fixture
async def stranded(settings: Settings) -> AsyncIterator[Service]:
    """The use cases on a store that is not there."""
    settings.home.mkdir(parents=True, exist_ok=True)
    nowhere = replace(settings, redis_url=f"unix://{settings.home}/nothing.sock")
    wire, feed, queues = make_engine(nowhere, "checkback-test")
    yield make_service(nowhere, queues)
    await feed.close()
    await wire.close()
