"""The way out of a job: a server that answers a byte now and then is not waited for without end."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from checkback.kinds import proxy_client
from checkback.kinds.context import Egress
from checkback.security.egress.client import EgressProxy

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture(
    params=[b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", HEAD], ids=["status", "header", "body"]
)
def dripping(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that sends the beginning of an answer at once, then
    a byte now and then.
    """
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            line, _ = server.accept()
            with line:
                line.recv(65536)
                line.sendall(request.param)
                while not select.select([line], [], [], 0.1)[0]:
                    line.sendall(b"x")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.close()
    thread.join(10)


async def test_a_server_that_drips_its_answer_is_left_when_the_total_time_is_over(
    dripping: int,
) -> None:
    proxy = await EgressProxy.start(allow_hosts=(f"127.0.0.1:{dripping}",))
    grant = await proxy.grant("a-job")
    egress = Egress(grant.proxy_url, grant.username, grant.password)

    def read() -> bytes:
        url = f"http://127.0.0.1:{dripping}/"
        with proxy_client.get(url, egress, seconds=30, total_seconds=1, headers={}) as response:
            return response.read()

    began = time.monotonic()
    with pytest.raises(proxy_client.FetchFailed):
        await asyncio.to_thread(read)
    assert time.monotonic() - began < 10
    await proxy.revoke(grant)
    await proxy.close()
