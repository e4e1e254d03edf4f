"""A page that may have service workers and asks for a secret server by one. A job names what was
refused.

Only a page of this machine, or one under https, may have service workers: the page is on an allowed
address.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, ProxySettings

from checkback.core.states import State
from checkback.kinds.browser.session import browser_session
from checkback.kinds.context import Egress, Environment
from checkback.security.auth.callers import LOCAL
from checkback.security.egress.client import EgressProxy
from checkback.service import Service
from checkback.settings import Settings

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

PROGRAM = Path(__file__).parents[1] / "support" / "egress_program.py"
SECRET, SECRET_PORT = "127.77.12.9", 8080
HOST = "sw.route.test"
URL = f"http://{HOST}:{SECRET_PORT}/"

# Where registering is closed by another function in its place, a page may look for the old one: in
# what its own is inherited from, and in a frame's world that is a moment old.
PAGE = """<!doctype html><html lang=en><title>waits</title><h1>Hello there</h1>
<img src="http://169.254.169.254/latest"><img src="http://10.1.2.3:8080/a.png">
<script>
const frame = document.createElement('iframe');
document.body.append(frame);
const ways = [navigator.serviceWorker.register, ServiceWorkerContainer.prototype.register,
              frame.contentWindow.ServiceWorkerContainer.prototype.register];
Promise.allSettled(ways.map((way) => way.call(navigator.serviceWorker, '/sw.js')))
  .then(() => { document.title = 'tried' });
</script>"""
WORKER = f"""oninstall = (event) => event.waitUntil(
  fetch('{URL}', {{mode: 'no-cors'}}).catch(() => 0).then(() => skipWaiting()));
onactivate = (event) => event.waitUntil(clients.claim());"""


@dataclass
class Site:
    """The page's server: where it is, and the paths it was asked for."""

    host: str
    asked: list[str] = field(default_factory=list[str])


@dataclass
class Seen:
    """What the secret server was asked."""

    asked: list[str] = field(default_factory=list[str])
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
async def secret() -> AsyncIterator[Seen]:
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            seen.asked.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
            seen.arrived.set()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nSECRET")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, SECRET, SECRET_PORT):
        yield seen


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def site(port: int) -> AsyncIterator[Site]:
    made = Site(f"127.0.0.1:{port}")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            made.asked.append(path)
            body, kind = (WORKER, "text/javascript") if path == "/sw.js" else (PAGE, "text/html")
            writer.write(
                f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n".encode()
            )
            writer.write(f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield made


@asynccontextmanager
async def proxy_that_allows(*hosts: str) -> AsyncGenerator[EgressProxy]:
    world = json.dumps({"names": {HOST: [[SECRET]]}, "dial": {}})
    proxy = await EgressProxy.start(
        allow_hosts=hosts, command=(sys.executable, "-P", str(PROGRAM), world)
    )
    try:
        yield proxy
    finally:
        await proxy.close()


async def opened(context: BrowserContext, site: Site) -> Page:
    """The page, when it has tried all its ways to a service worker."""
    page = await context.new_page()
    await page.goto(f"http://{site.host}/")
    await page.wait_for_function("document.title != 'waits'", timeout=20_000)
    return page


async def test_a_service_worker_reaches_no_secret_server(secret: Seen, site: Site) -> None:
    async with browser_session(Environment()) as session, proxy_that_allows(site.host) as proxy:
        grant = await proxy.grant("job")
        egress = Egress(grant.proxy_url, grant.username, grant.password)
        async with session.context(egress) as context:
            page = await opened(context, site)
            found = await page.evaluate(
                "navigator.serviceWorker.getRegistrations().then((all) => all.length)"
            )
        refused = {incident.host for incident in (await proxy.report(grant)).blocked}
    assert found == 0
    assert site.asked == ["/"]
    assert refused == {"169.254.169.254", "10.1.2.3"}
    assert secret.asked == []


async def test_the_service_worker_is_real(secret: Seen, site: Site) -> None:
    everything = proxy_that_allows(site.host, f"{HOST}:{SECRET_PORT}")
    async with browser_session(Environment()) as session, everything as proxy:
        grant = await proxy.grant("job")
        egress = Egress(grant.proxy_url, grant.username, grant.password)
        async with session.context(egress) as ours:
            assert ours.browser is not None
            proxied = ProxySettings(
                server=grant.proxy_url, username=grant.username, password=grant.password
            )
            context = await ours.browser.new_context(proxy=proxied, service_workers="allow")
            await opened(context, site)
            async with asyncio.timeout(20):
                await secret.arrived.wait()
            await context.close()
    assert "/sw.js" in site.asked
    assert f"Host: {HOST}:{SECRET_PORT}" in secret.asked[0]


@pytest.fixture
def settings(settings: Settings, port: int) -> Settings:
    return replace(settings, allow_hosts=(f"127.0.0.1:{port}",))


@pytest.mark.usefixtures("worker", "secret")
async def test_a_job_names_the_addresses_that_its_page_was_refused(
    service: Service, site: Site
) -> None:
    args = {"url": f"http://{site.host}/", "respect_robots_txt": False}
    job_id = (await service.submit(LOCAL, "page.analyze", args)).job.id
    assert (await service.wait(LOCAL, job_id, 60)).state is State.COMPLETED
    log = await service.log(LOCAL, job_id)
    for host in ("169.254.169.254:80", "10.1.2.3:8080"):
        assert any(line.startswith(f"blocked: {host} (") for line in log), log
