"""The doors as a server has them: behind their gate, on a real service, spoken
to without a socket.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
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
from checkback.security.auth.callers import Scope
from checkback.security.auth.token_files import add_token
from checkback.security.host_check import HostList
from checkback.service import Service
from checkback.settings import Settings

BASE = "http://127.0.0.1:8787"
FOLDER_TOKEN = "cb_the-token-of-the-data-folder-of-this-test"


@dataclass
class Tokens:
    """One token for each role."""

    local: str
    ada: str
    bob: str
    reader: str
    admin: str
    file: Path


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    file = tmp_path / "tokens.toml"
    return Tokens(
        local=FOLDER_TOKEN,
        ada=add_token(file, "ada"),
        bob=add_token(file, "bob"),
        reader=add_token(file, "ada", [Scope.READ]),
        admin=add_token(file, "root", list(Scope)),
        file=file,
    )


@pytest.fixture
def authenticator(tokens: Tokens) -> Authenticator:
    return Authenticator(folder_token=tokens.local, token_file=tokens.file)


@pytest.fixture
def problems() -> list[str]:
    """What /health reports to be wrong."""
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


@pytest.fixture
def gate_file(tmp_path: Path) -> Iterator[Path]:
    """Where test.gate looks: touch it and the job goes on."""
    path = tmp_path / "gate"
    yield path
    path.touch()
