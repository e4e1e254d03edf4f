"""The HTTP client against a real server on a loopback port."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvicorn
from starlette.applications import Starlette

from checkback.api.http.jobs import Readiness, build_routes
from checkback.api.middleware.authentication import AuthenticationMiddleware
from checkback.client import AsyncClient, Client, to_error
from checkback.core.errors import (
    CheckbackError,
    Conflict,
    EngineUnavailable,
    InvalidInput,
    KeyReused,
    NotFound,
    NotReady,
    Unauthorized,
    UnknownKind,
)
from checkback.core.job import Failure
from checkback.core.states import State
from checkback.security.auth.authenticator import Authenticator
from checkback.security.host_check import HostList
from checkback.service import Service
from made_files import pdf_of, text_at, write

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
T = TypeVar("T")


@pytest.fixture
async def url(service: Service, authenticator: Authenticator) -> AsyncIterator[str]:
    """A served API, on its own port."""

    async def readiness() -> Readiness:
        return Readiness()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        app = Starlette(
            routes=build_routes(service, authenticator=authenticator, readiness=readiness)
        )
        gate = AuthenticationMiddleware(app, authenticator=authenticator, allowed=HostList.of(port))
        server = uvicorn.Server(uvicorn.Config(gate, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        await serving


@pytest.fixture
def client(url: str, tokens: Any) -> Client:
    return Client(url, tokens.ada)


@pytest.fixture
def aclient(url: str, tokens: Any) -> AsyncClient:
    return AsyncClient(url, tokens.ada)


async def in_thread(function: Callable[..., T], *args: Any, **options: Any) -> T:
    """Call the blocking client while the server runs in this loop."""
    return await asyncio.to_thread(function, *args, **options)


@pytest.mark.usefixtures("worker")
async def test_a_file_is_handed_in_and_worked_on(
    client: Client, aclient: AsyncClient, tmp_path: Path
) -> None:
    path = write(tmp_path, pdf_of(text_at((72, 100, "Words in a file"))))
    for source in (
        await in_thread(client.upload, path),
        await aclient.upload(path, name="other.pdf"),
    ):
        job = await aclient.submit("pdf.to_text", {"url": source})
        job = await aclient.wait(job.id)
        assert "Words in a file" in job.result["body"]
    assert [artifact.name for artifact in job.artifacts] == ["other.txt"]
    with pytest.raises(FileNotFoundError):
        await in_thread(client.upload, tmp_path / "nothing.pdf")


@pytest.mark.usefixtures("worker")
async def test_submit_wait_and_read(client: Client) -> None:
    job = await in_thread(client.submit, "test.say", {"words": "hello"})
    assert (job.kind, job.owner, job.state.is_final) == ("test.say", "ada", False)
    ended = await in_thread(client.wait, job.id)
    assert (ended.id, ended.state, ended.progress) == (job.id, State.COMPLETED, 100)
    assert ended.result == {"said": "hello"}
    assert ended.created_at.tzinfo is not None
    assert await in_thread(client.result, job.id) == {"said": "hello"}
    assert "log: hello" in await in_thread(client.log, job.id)
    (artifact,) = ended.artifacts
    assert await in_thread(client.artifact, job.id, artifact.name) == b"hello"
    with pytest.raises(NotFound):
        await in_thread(client.artifact, job.id, "words")
    with pytest.raises(CheckbackError, match="This path does not exist"):
        await in_thread(client.artifact, job.id, "../words.txt")


@pytest.mark.usefixtures("worker")
async def test_a_failure_arrives_whole(client: Client) -> None:
    job = await in_thread(client.submit, "test.fail", {"message": "It broke."})
    ended = await in_thread(client.wait, job.id)
    assert ended.failure == Failure("broken", "It broke.", True, "Fix it.")
    with pytest.raises(Conflict):
        await in_thread(client.result, job.id)
    assert (await in_thread(client.retry, job.id)).state is not State.FAILED
    assert (await in_thread(client.wait, job.id)).attempts.started == 2


async def test_a_deleted_job_is_gone(client: Client, aclient: AsyncClient) -> None:
    first = await in_thread(client.submit, "test.add", {"a": 1, "b": 2})
    second = await in_thread(client.submit, "test.add", {"a": 1, "b": 2})
    await in_thread(client.delete, first.id)
    await aclient.delete(second.id)
    for job in (first, second):
        with pytest.raises(NotFound):
            await in_thread(client.get, job.id)
        with pytest.raises(NotFound):
            await in_thread(client.delete, job.id)


@pytest.mark.usefixtures("worker")
async def test_events_until_the_end(client: Client, aclient: AsyncClient, gate_file: Path) -> None:
    job = await aclient.submit("test.gate", {"path": str(gate_file)})
    states: list[State] = []
    async for seen in aclient.events(job.id):
        states.append(seen.state)
        if seen.state is State.ACTIVE:
            gate_file.touch()
    assert states[-1] is State.COMPLETED
    assert State.ACTIVE in states
    over = await in_thread(lambda: [seen.state for seen in client.events(job.id)])
    assert over == [State.COMPLETED]


async def test_running_out_of_time_is_no_error(client: Client, aclient: AsyncClient) -> None:
    job = await aclient.submit("test.add", {"a": 1, "b": 2})
    assert (await in_thread(client.wait, job.id, 0.05)).state is State.WAITING
    assert (await in_thread(client.wait, job.id, 0)).state is State.WAITING


async def test_cancel_list_and_keys(aclient: AsyncClient) -> None:
    first = await aclient.submit("test.add", {"a": 1, "b": 2}, key="k", attempts=2)
    again = await aclient.submit("test.add", {"a": 1, "b": 2}, key="k", attempts=2)
    assert first.id == again.id
    with pytest.raises(KeyReused):
        await aclient.submit("test.add", {"a": 2, "b": 2}, key="k")
    later = await aclient.submit("test.add", {"a": 1, "b": 2}, delay_seconds=60)
    assert later.state is State.DELAYED
    page = await aclient.list(limit=1)
    rest = await aclient.list(cursor=page.cursor)
    assert [job.id for job in page.jobs + rest.jobs] == [later.id, first.id]
    assert (await aclient.cancel(first.id)).state is State.CANCELLED
    assert [job.id for job in (await aclient.list(state=State.CANCELLED)).jobs] == [first.id]


async def test_errors_are_the_servers_own(client: Client, url: str) -> None:
    with pytest.raises(NotFound) as caught:
        await in_thread(client.get, UNKNOWN)
    assert caught.value.hint
    with pytest.raises(UnknownKind):
        await in_thread(client.submit, "nothing")
    with pytest.raises(InvalidInput, match="`b` is required"):
        await in_thread(client.submit, "test.add", {"a": 1})
    with pytest.raises(InvalidInput):
        await in_thread(client.get, "../kinds")
    with pytest.raises(NotFound):
        await in_thread(lambda: list(client.events(UNKNOWN)))
    with pytest.raises(Unauthorized):
        await in_thread(Client(url, "cb_wrong").get, UNKNOWN)
    with pytest.raises(Unauthorized):
        await in_thread(Client(url).list)
    job = await in_thread(client.submit, "test.add", {"a": 1, "b": 2})
    with pytest.raises(NotReady):
        await in_thread(client.result, job.id)


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EngineUnavailable) as caught:
        Client(f"http://127.0.0.1:{port}").get(UNKNOWN)
    assert "checkback serve" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["", "localhost:8787", "ftp://localhost", "http://", "file:///etc/passwd"]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InvalidInput):
        Client(url)


@pytest.mark.parametrize("body", [None, "x", {}, {"error": "x"}, {"error": {"code": "x"}}, []])
def test_an_answer_that_is_not_ours(body: object) -> None:
    error = to_error(body, 502)
    assert type(error) is CheckbackError
    assert "502" in error.message


def test_importing_the_client_is_cheap() -> None:
    slow = ("pydantic", "httpx2", "bullmq", "redis", "fastmcp")
    code = f"import sys, checkback.client; print([name for name in {slow} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
