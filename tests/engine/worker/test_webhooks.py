"""Who asked for it is told of a job's end: once it has ended, signed, again after trouble, never
for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.server
import json
import queue
import select
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.app.webhooks import callback_settings
from checkback.core.errors import AddressBlocked
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.webhooks import Webhooks, WebhookSettings
from checkback.security.auth.callers import LOCAL, Caller, Scope
from checkback.security.egress.client import EgressProxy
from checkback.service import Service
from checkback.settings import Settings
from running import running_worker
from waiting import wait_until

SECRET = "a secret for signatures"


@dataclass
class Receiver:
    """A server that gets callbacks. Its answers are used up in order; the last one stays."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    got: queue.Queue[tuple[dict[str, str], bytes]] = field(default_factory=queue.Queue[Any])
    #: How many answers it drips just now, and how many those were at most.
    dripping: int = 0
    most_dripping: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def drip(self, line: socket.socket) -> None:
        """Answer a byte now and then, until the other side has had enough."""
        with self.lock:
            self.dripping += 1
            self.most_dripping = max(self.most_dripping, self.dripping)
        with contextlib.suppress(OSError):
            line.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not select.select([line], [], [], 0.2)[0]:
                line.sendall(b"x")
        with self.lock:
            self.dripping -= 1

    async def next(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Headers and body of the next callback; fails when none comes."""
        headers, body = await asyncio.to_thread(self.got.get, timeout=30)
        moment, signature = (
            part.split("=")[1] for part in headers["checkback-signature"].split(",")
        )
        signed = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(signed, signature)
        return headers, json.loads(body)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/drip":
                found.drip(self.connection)
                return
            # Before the answer: whoever has read it may look at once.
            found.got.put(({name.lower(): value for name, value in self.headers.items()}, body))
            answer = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            self.send_response(answer)
            if answer == 302:
                self.send_header("Location", found.url.replace("/hook", "/elsewhere"))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(settings: Settings, receiver: Receiver) -> Settings:
    host = receiver.url.removeprefix("http://").removesuffix("/hook")
    return replace(settings, allow_hosts=(host,), callback_secret=SECRET)


async def submit(service: Service, receiver: Receiver, kind: str = "test.add", **args: Any) -> str:
    callback = {"url": receiver.url, "context": {"base_url": "http://127.0.0.1:8787"}}
    given = args or ({"a": 1, "b": 2} if kind == "test.add" else {})
    return (await service.submit(LOCAL, kind, given, callback=callback)).job.id


def quick(settings: Settings, **changes: Any) -> WebhookSettings:
    """Callbacks that are tried again at once."""
    return replace(callback_settings(settings), backoff_seconds=(0.05, 0.05), **changes)


@pytest.fixture
async def worker(settings: Settings, connection: Connection) -> AsyncIterator[Any]:
    async with running_worker(settings, callbacks=quick(settings)) as process:
        yield process


async def left(connection: Connection) -> list[str]:
    return await connection.wire.call("ZRANGE", Keys(connection.settings.prefix).callbacks(), 0, -1)


async def told_in_the_log(service: Service, job_id: str) -> str:
    """The line that says how it went, which is written after the answer was read."""

    async def lines() -> list[str]:
        return [line for line in await service.log(LOCAL, job_id) if line.startswith("callback:")]

    return (await wait_until("the callback is in the log", lines, 20))[0]


@pytest.mark.usefixtures("worker")
async def test_a_completed_job_is_told_with_its_links(
    service: Service, receiver: Receiver, connection: Connection
) -> None:
    job_id = await submit(service, receiver, "test.say", words="hello")
    headers, body = await receiver.next()
    assert (headers["checkback-job"], headers["content-type"]) == (job_id, "application/json")
    assert "authorization" not in headers
    assert (body["status"], body["jobId"]) == ("success", job_id)
    assert body["url"].startswith(f"http://127.0.0.1:8787/files/{job_id}/words.txt?")
    assert "delivered" in await told_in_the_log(service, job_id)
    assert await left(connection) == []


@pytest.mark.usefixtures("worker")
async def test_a_failed_job_is_told(service: Service, receiver: Receiver) -> None:
    job_id = await submit(service, receiver, "test.fail")
    _, body = await receiver.next()
    assert (body["status"], body["jobId"]) == ("failed", job_id)


async def test_a_cancelled_job_is_told(
    service: Service, receiver: Receiver, settings: Settings
) -> None:
    job_id = await submit(service, receiver)
    await service.cancel(LOCAL, job_id)
    async with running_worker(settings, callbacks=quick(settings)):
        _, body = await receiver.next()
    assert (body["status"], body["jobId"]) == ("aborted", job_id)


async def test_telling_ends_when_it_is_told_to_even_as_something_happens(
    connection: Connection, settings: Settings
) -> None:
    """A worker that stops just as a job ends waited for ever: the end of a wait can swallow a
    cancel.
    """
    proxy = await EgressProxy.start()
    made = callback_settings(settings)
    assert made is not None
    queues = connection.queues
    for turns in range(6):
        telling: Any = Webhooks(
            connection.wire, queues.keys, queues.names, queues.retention, proxy, made
        )
        task = asyncio.create_task(telling.run(connection.feed))
        await wait_until(
            "the sender of callbacks waits", lambda sender=telling: sender._wake._waiters, 20
        )
        telling._hear("jobs", "completed", "a job")
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled(), turns
    await proxy.close()


@pytest.mark.usefixtures("worker")
async def test_trouble_at_the_receiver_is_tried_again(
    service: Service, receiver: Receiver, connection: Connection
) -> None:
    receiver.answers = [503, 429, 200]
    job_id = await submit(service, receiver)
    deliveries = [(await receiver.next())[0]["checkback-delivery"] for _ in range(3)]
    assert len(set(deliveries)) == 3
    assert "delivered, its server answered 200, try 3" in await told_in_the_log(service, job_id)
    assert await left(connection) == []


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("answer", "tries"), [(400, 1), (410, 1), (302, 1), (500, 3)])
async def test_it_is_given_up(
    service: Service, receiver: Receiver, connection: Connection, answer: int, tries: int
) -> None:
    receiver.answers = [answer]
    job_id = await submit(service, receiver)
    assert f"given up, its server answered {answer}, try {tries}" in await told_in_the_log(
        service, job_id
    )
    assert receiver.got.qsize() == tries
    assert await left(connection) == []


async def test_what_a_worker_did_not_live_to_tell_another_one_tells_once(
    service: Service, receiver: Receiver, settings: Settings
) -> None:
    async with running_worker(settings, callbacks=None):
        job_id = await submit(service, receiver)
        await service.wait(LOCAL, job_id, 30)
    assert receiver.got.empty()
    callbacks = quick(settings)
    async with (
        running_worker(settings, callbacks=callbacks),
        running_worker(settings, callbacks=callbacks),
    ):
        _, body = await receiver.next()
        assert body["jobId"] == job_id
        await told_in_the_log(service, job_id)
    assert receiver.got.empty()


ADA, BOB = (Caller(name, frozenset({Scope.READ, Scope.WRITE})) for name in ("ada", "bob"))


async def test_a_receiver_that_drips_its_answer_delays_nobody_elses_callback(
    service: Service, receiver: Receiver, settings: Settings
) -> None:
    async with running_worker(settings, callbacks=quick(settings, post_seconds=1.0)):
        context = {"base_url": "http://127.0.0.1:8787"}
        slow = {"url": receiver.url.replace("/hook", "/drip"), "context": context}
        drips = [
            await service.submit(ADA, "test.add", {"a": 1, "b": 2}, callback=slow) for _ in range(8)
        ]
        for one in drips:
            await service.wait(ADA, one.job.id, 30)
        prompt = {"url": receiver.url, "context": context}
        of_bob = await service.submit(BOB, "test.add", {"a": 1, "b": 2}, callback=prompt)
        async with asyncio.timeout(5):
            assert (await receiver.next())[0]["checkback-job"] == of_bob.job.id
        assert receiver.most_dripping == 2

        async def was_given_up() -> bool:
            return any("did not answer" in line for line in await service.log(ADA, drips[0].job.id))

        await wait_until("the slow receiver was given up", was_given_up, 40, every_seconds=0.1)


async def test_an_address_that_the_worker_may_not_reach_is_not_reached(
    service: Service, receiver: Receiver, settings: Settings
) -> None:
    job_id = await submit(service, receiver)
    closed = replace(settings, allow_hosts=())
    async with running_worker(closed, callbacks=quick(closed)):
        assert "given up, its server answered 403, try 1" in await told_in_the_log(service, job_id)
    assert receiver.got.empty()


async def test_a_private_address_is_refused_with_the_job(service: Service) -> None:
    for url in ("http://127.0.0.1/hook", "http://169.254.169.254/", "file:///etc/passwd"):
        with pytest.raises(AddressBlocked):
            await service.submit(
                LOCAL, "test.add", {"a": 1, "b": 2}, callback={"url": url, "context": {}}
            )
    assert (await service.list(LOCAL)).jobs == []


@pytest.mark.usefixtures("worker")
async def test_a_redirect_is_not_followed_and_nothing_of_ours_goes_along(
    service: Service, receiver: Receiver
) -> None:
    receiver.answers = [302, 200]
    job_id = await submit(service, receiver)
    headers, _ = await receiver.next()
    assert "its server answered 302, try 1" in await told_in_the_log(service, job_id)
    assert receiver.got.empty()
    assert not {"authorization", "cookie", "proxy-authorization", "x-api-key"} & headers.keys()


async def test_the_address_lies_sealed_in_the_store(
    service: Service, connection: Connection
) -> None:
    callback: dict[str, Any] = {"url": "https://example.com/hook?key=hunter2", "context": {}}
    job = (await service.submit(LOCAL, "test.add", {"a": 1, "b": 2}, callback=callback)).job
    key = Keys(connection.settings.prefix).job(job.queue, job.id)
    assert "hunter2" not in json.dumps(await connection.wire.call("HGETALL", key))
