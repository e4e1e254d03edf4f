"""One hostile page, more than fifty ways to a secret server on this machine, none of which may arrive.

Each route uses a host name of its own, so that the proxy's report tells which ones were really tried. The
same page is loaded once more with those hosts allowed: a route that does not arrive then would prove
nothing.
"""

import asyncio
import json
import random
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import async_playwright

from checkback.kinds.browser.page_load import Budgets, open_visit
from checkback.kinds.browser.session import BrowserSession, browser_session, find_browser
from checkback.kinds.context import Egress, Environment
from checkback.security.egress.client import EgressGrant, EgressLimits, EgressProxy
from waiting import wait_until

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

PROGRAM = Path(__file__).parents[1] / "support" / "egress_program.py"
PUBLIC = "8.8.8.8"
PORT = 8080

# What the page's HTML tries by itself. {0} is the route's own address.
MARKUP = {
    "img": '<img src="{0}">',
    "srcset": '<img srcset="{0} 1x">',
    "picture": '<picture><source srcset="{0}"><img></picture>',
    "stylesheet": '<link rel=stylesheet href="{0}">',
    "icon": '<link rel=icon href="{0}">',
    "prefetch": '<link rel=prefetch href="{0}">',
    "preload": '<link rel=preload as=image href="{0}">',
    "modulepreload": '<link rel=modulepreload href="{0}">',
    "preconnect": '<link rel=preconnect href="{0}">',
    "cssimport": "<style>@import url({0});</style>",
    "background": "<div style='background:url({0})'>x</div>",
    "listimage": "<ul style='list-style-image:url({0})'><li>x</ul>",
    "font": "<style>@font-face{{font-family:f;src:url({0})}}</style><p style='font-family:f'>text",
    "mask": "<div style='width:9px;height:9px;mask-image:url({0})'></div>",
    "iframe": '<iframe src="{0}"></iframe>',
    "srcdoc": "<iframe srcdoc=\"<img src='{0}'>\"></iframe>",
    "dataframe": "<iframe src=\"data:text/html,<img src='{0}'>\"></iframe>",
    "framelocation": "<iframe srcdoc=\"<script>location='{0}'</script>\"></iframe>",
    "framerefresh": "<iframe srcdoc=\"<meta http-equiv=refresh content='0;url={0}'>\"></iframe>",
    "object": '<object data="{0}"></object>',
    "embed": '<embed src="{0}">',
    "video": '<video src="{0}" preload=auto></video>',
    "poster": '<video poster="{0}"></video>',
    "audio": '<audio src="{0}" preload=auto></audio>',
    "script": '<script src="{0}"></script>',
    "module": '<script type=module src="{0}"></script>',
    "inputimage": '<input type=image src="{0}">',
    "svgimage": '<svg><image href="{0}" width=9 height=9 /></svg>',
    "bodybackground": '<table background="{0}"><tr><td>x</table>',
    "redirect-img": '<img src="/redirect?{0}">',
    "redirect-iframe": '<iframe src="/redirect?{0}"></iframe>',
    "redirect-css": '<link rel=stylesheet href="/redirect?{0}">',
}

# What its scripts try.
SCRIPT = {
    "fetch": 'fetch("{0}").catch(no)',
    "fetchpost": 'fetch("{0}",{{method:"POST",mode:"no-cors",body:"x"}}).catch(no)',
    "fetchkeepalive": 'fetch("{0}",{{keepalive:true,mode:"no-cors"}}).catch(no)',
    "redirect-fetch": 'fetch("/redirect?{0}").catch(no)',
    "xhr": 'let x=new XMLHttpRequest();x.open("GET","{0}");x.send()',
    "eventsource": 'new EventSource("{0}")',
    "beacon": 'navigator.sendBeacon("{0}","x")',
    "websocket": 'new WebSocket("{0}".replace("http","ws"))',
    "import": 'import("{0}").catch(no)',
    "worker": "new Worker(URL.createObjectURL(new Blob(['fetch(\"{0}\").catch(()=>0)'])))",
    "importscripts": "new Worker(URL.createObjectURL(new Blob(['importScripts(\"{0}\")'])))",
    "workersocket": "new Worker(URL.createObjectURL(new Blob(["
    '`new WebSocket("{0}".replace("http","ws"))`])))',
    "sharedworker": "new SharedWorker(URL.createObjectURL(new Blob(['fetch(\"{0}\").catch(()=>0)'])))",
    "image": 'new Image().src="{0}"',
    "audioobject": 'new Audio("{0}").play().catch(no)',
    "ping": 'const a=document.createElement("a");a.ping="{0}";a.href="#x";document.body.append(a);a.click()',
    "form": 'const f=document.createElement("form");f.action="{0}";f.method="post";f.target="formframe";'
    "document.body.append(f);f.submit()",
    "blobframe": "const b=document.createElement('iframe');"
    "b.src=URL.createObjectURL(new Blob([`<img src='{0}'>`],{{type:'text/html'}}));document.body.append(b)",
    "popup": 'window.open("{0}")',
}

# The whole tab goes there.
MOVES = {f"{host}.route.test" for host in ("redirect-top", "location", "refresh")}

# A headless browser has no tab to show an icon in; a preconnect ends at the proxy, which has not
# been asked yet.
SILENT = {"icon.route.test", "preconnect.route.test"}


@dataclass
class Secret:
    """A server that jobs must not reach, on an address of 127/8 of its own and
    the usual web port.
    """

    address: str
    udp_port: int = 0
    hosts: list[str] = field(default_factory=list[str])
    connections: int = 0
    datagrams: int = 0

    def spellings(self) -> dict[str, str]:
        a, b, c, d = (int(part) for part in self.address.split("."))
        number = a << 24 | b << 16 | c << 8 | d
        return {
            "plain": self.address,
            "decimal": str(number),
            "hexadecimal": f"0x{number:x}",
            "octal": f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
            "short": f"{a}.{number & 0xFFFFFF}",
            "mapped": f"[::ffff:{self.address}]",
        }


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._secret.datagrams += 1


@pytest.fixture
async def secret() -> AsyncIterator[Secret]:
    made = Secret(f"127.{random.randint(2, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        with suppress(asyncio.IncompleteReadError, OSError):
            for line in (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n"):
                if line.lower().startswith("host:"):
                    made.hosts.append(line.partition(":")[2].strip().removesuffix(f":{PORT}"))
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nAccess-Control-Allow-Origin: *\r\n"
            )
            writer.write(b"Content-Length: 6\r\n\r\nSECRET")
            await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    datagrams, _ = await loop.create_datagram_endpoint(
        lambda: _Datagrams(made), local_addr=(made.address, 0)
    )
    made.udp_port = datagrams.get_extra_info("sockname")[1]
    async with await asyncio.start_server(serve, made.address, PORT):
        yield made
    datagrams.close()


@dataclass
class Evil:
    """The hostile site: public by its name, on this machine in truth."""

    port: int
    secret: Secret

    def names(self) -> list[str]:
        return [
            f"{route}.route.test"
            for route in (*MARKUP, *SCRIPT, "redirect-top", "location", "refresh")
        ]

    def expected(self) -> set[str]:
        return set(self.names()) - SILENT

    def page(self) -> str:
        urls = {name.partition(".")[0]: f"http://{name}:{PORT}/" for name in self.names()}
        markup = "\n".join(text.format(urls[route]) for route, text in MARKUP.items())
        scripts = "\n".join(
            f"try{{{{{text.format(urls[route])}}}}}catch(e){{}}" for route, text in SCRIPT.items()
        )
        scripts = scripts.replace("try{{", "try{").replace("}}catch", "}catch")
        literals = "".join(
            f'<img src="http://{host}:{PORT}/">' for host in self.secret.spellings().values()
        )
        others = [
            f"http://{host}/"
            for host in ("169.254.169.254", "[::1]", "0.0.0.0", "localhost", "a.localhost")
        ]
        literals += "".join(f'<img src="{url}">' for url in others)
        stun = f"{self.secret.address}:{self.secret.udp_port}"
        return f"""<!doctype html><title>evil</title><body><iframe name=formframe></iframe>
            {markup}{literals}<img src="http://rebind.test/one"><iframe src="file:///etc/hostname"></iframe>
            <script>const no=()=>0;
            {scripts}
            navigator.serviceWorker?.register("/sw.js").catch(no);
            const ice=[{{urls:["stun:{stun}","turn:{stun}?transport=udp",
                               "turn:{self.secret.address}:{PORT}?transport=tcp"],
                        username:"u",credential:"c"}}];
            try{{const p=new RTCPeerConnection({{iceServers:ice}});p.createDataChannel("x");
                p.createOffer().then(o=>p.setLocalDescription(o))}}catch(e){{}}
            fetch("http://rebind.test/two",{{mode:"no-cors"}}).catch(no)
              .then(()=>fetch("http://rebind.test/three",{{mode:"no-cors"}})).catch(no)
              .then(()=>{{document.title="tried"}});
            </script>"""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            kind, _, target = path.partition("?")
            body, status, extra = "", "200 OK", ""
            if kind == "/redirect":
                status, extra = "302 Found", f"Location: {target}\r\n"
            elif kind == "/location":
                body = f"<title>t</title><script>location='{target}'</script>"
            elif kind == "/refresh":
                body = f"<title>t</title><meta http-equiv=refresh content='0;url={target}'>"
            elif kind == "/":
                body = self.page()
            data = body.encode()
            writer.write(f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\n{extra}".encode())
            writer.write(f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
            await writer.drain()
        writer.close()


@pytest.fixture
async def evil(secret: Secret) -> AsyncIterator[Evil]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Evil(port, secret)
    async with await asyncio.start_server(made.serve, "127.0.0.1", port):
        yield made


@asynccontextmanager
async def proxy_for(evil: Evil, allow_hosts: tuple[str, ...] = ()) -> AsyncGenerator[EgressProxy]:
    names = {name: [[evil.secret.address]] for name in evil.names()}
    names["evil.test"] = [[PUBLIC]]
    names["rebind.test"] = [[PUBLIC], [evil.secret.address]]
    world = json.dumps({"names": names, "dial": {PUBLIC: evil.port}})
    proxy = await EgressProxy.start(
        allow_hosts=allow_hosts,
        limits=EgressLimits(pin_seconds=0, remembered=500),
        command=(sys.executable, "-P", str(PROGRAM), world),
    )
    try:
        yield proxy
    finally:
        await proxy.close()


async def attack(
    session: BrowserSession, egress: Egress, evil: Evil, seen: Callable[[], Awaitable[set[str]]]
) -> None:
    """Load the page, wait for its routes to be tried, then let it move the
    whole tab to the secret.
    """

    async def loaded() -> bool:
        return await seen() >= evil.expected() - MOVES

    async def moved() -> bool:
        return await seen() >= MOVES

    async with session.context(egress, with_key=False) as context:
        page = (await open_visit(context, Budgets(), key=egress)).page
        await page.goto("http://evil.test/", wait_until="domcontentloaded")
        await page.wait_for_function("document.title == 'tried'", timeout=20_000)
        await wait_until("everything was tried that leads nowhere else", loaded)
        for route, host in (
            ("redirect", "redirect-top"),
            ("location", "location"),
            ("refresh", "refresh"),
        ):
            target = f"{host}.route.test:{PORT}"
            async with page.expect_request(
                lambda request, to=target: to in urlsplit(request.url).netloc
            ):
                with suppress(PlaywrightError):
                    await page.goto(f"http://evil.test/{route}?http://{target}/")
        await wait_until("everything was tried that leads elsewhere", moved)


async def egress_of(proxy: EgressProxy) -> tuple[EgressGrant, Egress]:
    grant = await proxy.grant("job")
    return grant, Egress(grant.proxy_url, grant.username, grant.password)


async def test_no_route_of_a_hostile_page_arrives(secret: Secret, evil: Evil) -> None:
    async with browser_session(Environment()) as session, proxy_for(evil) as proxy:
        grant, egress = await egress_of(proxy)

        async def blocked() -> set[str]:
            return {incident.host for incident in (await proxy.report(grant)).blocked}

        await attack(session, egress, evil, blocked)
        seen = await blocked()
        assert evil.expected() - seen == set()
        assert {
            "169.254.169.254",
            "0.0.0.0",
            "[::1]",
            "localhost",
            "a.localhost",
            "rebind.test",
        } <= seen
        assert {secret.address, f"[{IPv6Address(f'::ffff:{secret.address}')}]"} <= seen
        assert len(seen) >= 50
    assert (secret.connections, secret.hosts, secret.datagrams) == (0, [], 0)


async def test_the_routes_are_real(secret: Secret, evil: Evil) -> None:
    allowed = tuple(f"{host}:{PORT}" for host in (*evil.names(), secret.address))
    async with browser_session(Environment()) as session, proxy_for(evil, allowed) as proxy:

        async def arrived() -> set[str]:
            return set(secret.hosts)

        await attack(session, (await egress_of(proxy))[1], evil, arrived)
        assert evil.expected() - set(secret.hosts) == set()
        assert secret.address in secret.hosts


async def test_the_datagram_is_real(secret: Secret) -> None:
    """A browser without our switches sends the page's STUN request to the secret server."""
    program = str(find_browser().path)
    stun = f"stun:{secret.address}:{secret.udp_port}"

    async def arrived() -> bool:
        return secret.datagrams > 0

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.evaluate(
            """async stun => { const p = new RTCPeerConnection({iceServers: [{urls: [stun]}]});
            p.createDataChannel("x"); await p.setLocalDescription(await p.createOffer()); kept = p
            }""",
            stun,
        )
        await wait_until("the datagram has arrived", arrived)
        await browser.close()
    assert await arrived()
