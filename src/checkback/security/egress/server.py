"""The egress proxy: the one way out to the network for everything that a job loads.

It listens on a random port of 127.0.0.1 and serves nobody without a job's key. The host of each
connection is looked up here, every address it answers is checked, and a checked address is dialled,
never the name. So there is no list of cases to keep: redirects, frames, workers, WebSockets and
prefetches all pass this one place. Standard library only. ``egress_process`` runs it; tests run it
with a resolver and a dialler of their own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

from checkback.security.addresses import Address, AddressPolicy, is_local_name
from checkback.security.egress import http1 as http
from checkback.security.egress.accounts import Account, EgressLimits, Failed
from checkback.security.egress.relay import IdleTimer, Meter, Streams, relay_request, tunnel

Resolve = Callable[[str], Awaitable[list[Address]]]
Connect = Callable[[Address, int], Awaitable[Streams]]

MAX_HEAD_BYTES = 64 * 1024
#: Connections that carry no job's traffic: nobody has shown a key yet, or the answer was no. The
#: oldest has to go for a new one, so that a program on this machine that opens many cannot lock the
#: jobs out.
MAX_STRANGERS = 256
MAX_DIALLED = 6
LINGER_BYTES = 256 * 1024
LINGER_SECONDS = 2.0


class _Refused(Exception):
    """Ends a request with an answer of the proxy's own."""

    def __init__(self, reply: bytes) -> None:
        super().__init__("refused")
        self.reply = reply


class EgressServer:
    """The proxy without its process. ``resolve`` gives a name's addresses, ``connect`` opens a
    connection.
    """

    def __init__(
        self, policy: AddressPolicy, limits: EgressLimits, resolve: Resolve, connect: Connect
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._resolve = resolve
        self._connect = connect
        self._accounts: dict[str, Account] = {}
        self._strangers: dict[asyncio.Task[None], None] = {}
        self._idle = IdleTimer(limits.idle_seconds)

    async def listen(self) -> int:
        """Start to serve in the running loop; returns the port."""
        server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=MAX_HEAD_BYTES, backlog=512
        )
        self._idle.start()
        return server.sockets[0].getsockname()[1]

    def grant(self, username: str, password: str) -> None:
        """Let a job in."""
        self._accounts[username] = Account(username, password, self._limits)

    def account(self, username: str) -> Account | None:
        return self._accounts.get(username)

    def revoke(self, username: str) -> Account | None:
        """Take a job's key away and cut what it has open."""
        account = self._accounts.pop(username, None)
        if account is not None:
            account.cut()
        return account

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Streams(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        if len(self._strangers) >= MAX_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cancel()
        self._strangers[task] = None
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                request, account = await self._admit(client)
            await self._serve_job(client, request, account, task)
        except _Refused as refused:
            await _say_goodbye(client, refused.reply)
        except (OSError, EOFError, asyncio.CancelledError):
            # Too slow, gone, idle or cut. The task is this connection's alone: cancelling it ends
            # just that.
            client.reset()
        finally:
            self._strangers.pop(task, None)
            client.abort()

    async def _admit(self, client: Streams) -> tuple[http.Request, Account]:
        request = await _read_request(client)
        username, password = http.credentials(request) or ("", "")
        account = self._accounts.get(username)
        if account is None or not account.knows(password):
            challenge = {"Proxy-Authenticate": 'Basic realm="checkback", charset="UTF-8"'}
            raise _Refused(http.answer(407, "Proxy Authentication Required", headers=challenge))
        return request, account

    async def _serve_job(
        self, client: Streams, request: http.Request, account: Account, task: asyncio.Task[None]
    ) -> None:
        try:
            to = http.destination(request)
            length = 0 if request.is_tunnel else http.body_length(request)
        except http.BadHttpMessage as bad:
            raise _Refused(http.answer(bad.status, bad.message)) from None
        if to.host == http.REPORT_HOST:
            raise _Refused(_report(request, to, account))
        if (spent := account.spent()) is not None:
            account.remember_blocked(to.host_text, to.port, spent)
            raise _Refused(_forbidden(spent))
        meter = Meter(account, end=task.cancel)
        account.connections += 1
        account.open.add(meter.end)
        self._strangers.pop(task, None)
        self._idle.watch(meter)
        try:
            await self._exchange(client, request, to, length, meter)
        finally:
            account.open.discard(meter.end)
            self._idle.forget(meter)
            self._strangers[task] = None

    async def _exchange(
        self,
        client: Streams,
        request: http.Request,
        to: http.Destination,
        length: int,
        meter: Meter,
    ) -> None:
        server = await self._dial(to, meter.account)
        try:
            if request.is_tunnel:
                client.writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
                await tunnel(client, server, meter)
            else:
                server.writer.write(http.request_head(request, to))
                await relay_request(client, server, request, length, meter)
        except http.BadHttpMessage as bad:
            raise _not_reached(to, meter.account, Failed.BAD_ANSWER, bad.message) from None
        finally:
            server.abort()
        await client.finish()

    async def _dial(self, to: http.Destination, account: Account) -> Streams:
        reason = self._policy.refuse_host(to.host, to.port)
        if reason is None:
            addresses = await self._look_up(to, account)
            reason = self._policy.refuse(to.host, to.port, addresses)
            if reason is None:
                return await self._reach(to, addresses, account)
        account.remember_blocked(to.host_text, to.port, reason)
        raise _Refused(_forbidden(reason))

    async def _look_up(self, to: http.Destination, account: Account) -> list[Address]:
        if not isinstance(to.host, str):
            return [to.host]
        # Shielded: other connections of the job may be waiting for the same answer.
        addresses = await asyncio.shield(self._pinned(to.host, account))
        if not addresses:
            account.pins.pop(to.host, None)
            raise _not_reached(to, account, Failed.DNS, "The host name could not be found.")
        return addresses

    async def _resolve_for(self, name: str, account: Account) -> list[Address]:
        if is_local_name(name):
            return [IPv4Address("127.0.0.1"), IPv6Address("::1")]
        with suppress(OSError):
            async with account.lookups, asyncio.timeout(self._limits.resolve_seconds):
                return await self._resolve(name)
        return []

    def _pinned(self, name: str, account: Account) -> asyncio.Future[list[Address]]:
        """The answer about a name, which stays the same for the job for a while."""
        asked_at, answer = account.pins.get(name, (0.0, None))
        if answer is None or time.monotonic() - asked_at >= self._limits.pin_seconds:
            answer = asyncio.ensure_future(self._resolve_for(name, account))
            account.pins[name] = (time.monotonic(), answer)
        return answer

    async def _reach(
        self, to: http.Destination, addresses: list[Address], account: Account
    ) -> Streams:
        failed = Failed.UNREACHABLE
        # Half of the time for the first, half of the rest for the second: one dead address does not
        # mean a dead host.
        share = self._limits.connect_seconds
        for address in addresses[:MAX_DIALLED]:
            share = share if address is addresses[:MAX_DIALLED][-1] else share / 2
            try:
                async with asyncio.timeout(share):
                    return await self._connect(address, to.port)
            except ConnectionRefusedError:
                failed = Failed.REFUSED
            except TimeoutError:
                failed = Failed.TIMEOUT
            except OSError:
                continue
        raise _not_reached(to, account, failed, "The host could not be reached.")


async def _read_request(client: Streams) -> http.Request:
    try:
        return http.parse_request(await client.reader.readuntil(b"\r\n\r\n"))
    except asyncio.LimitOverrunError:
        raise _Refused(http.answer(431, "Request Header Fields Too Large")) from None
    except http.BadHttpMessage as bad:
        raise _Refused(http.answer(bad.status, bad.message)) from None


async def _say_goodbye(client: Streams, reply: bytes) -> None:
    """Send the answer, and read on for a moment: closing with unread bytes would take the answer
    back.
    """
    with suppress(OSError, asyncio.CancelledError):
        async with asyncio.timeout(LINGER_SECONDS):
            client.writer.write(reply)
            await client.writer.drain()
            client.writer.write_eof()
            await _read_on(client.reader, LINGER_BYTES)


async def _read_on(reader: asyncio.StreamReader, most_bytes: int) -> None:
    left = most_bytes
    while left > 0 and (data := await reader.read(left)):
        left -= len(data)


def _forbidden(reason: str) -> bytes:
    return http.answer(403, "Forbidden", headers={http.BLOCKED_HEADER: reason})


def _not_reached(to: http.Destination, account: Account, failed: Failed, message: str) -> _Refused:
    account.remember_failed(to.host_text, to.port, failed)
    status = 504 if failed is Failed.TIMEOUT else 502
    return _Refused(http.answer(status, message, headers={http.FAILED_HEADER: failed}))


_SENT_BY_PAGES = ("origin", "referer", "cookie", "sec-fetch-site")


def _report(request: http.Request, to: http.Destination, account: Account) -> bytes:
    """The job's own report, for the job's own program: GET http://egress.invalid/report.

    A page carries the job's key as well, without knowing it, and what is blocked, and why, would
    tell it which names exist in the server's network. So what a page asks for is refused where it
    shows, and no answer can be read by one: no frame, no script, no cross-origin reading.
    """
    wanted = (request.method, to.port, to.path) == ("GET", 80, "/report")
    if not wanted or any(map(request.values, _SENT_BY_PAGES)):
        return http.answer(404, "Not Found")
    guards = {"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin"}
    body = json.dumps(account.report().to_json()).encode()
    return http.answer(200, "OK", body, headers={"Content-Type": "application/json", **guards})
