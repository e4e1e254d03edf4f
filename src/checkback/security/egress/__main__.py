"""The process of the egress proxy: ``python -P -m checkback.security.egress``.

The worker speaks to it over stdin and stdout, one JSON object a line: first the configuration,
answered by the port; then grants, reports and revocations. It ends when stdin closes or its parent
dies. Hostile bytes stay off the event loop that renews job locks, and nothing here can see what the
worker knows. It starts fast because it imports only the standard library; keep it so.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from checkback.security.addresses import Address, AddressPolicy
from checkback.security.egress.accounts import EgressLimits
from checkback.security.egress.relay import MAX_ANSWER_HEAD_BYTES, Streams
from checkback.security.egress.server import Connect, EgressServer, Resolve
from checkback.security.sandbox import launcher

RESOLVER_THREADS = 32
MAX_CONTROL_LINE = 1024 * 1024

_threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")


async def resolve(name: str) -> list[Address]:
    """All addresses of a name, as the system's resolver orders them. Raises OSError."""

    def ask() -> list[Address]:
        entries = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(ip_address(entry[4][0]) for entry in entries))

    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, ask)
    except UnicodeError as error:
        raise OSError("no valid name") from error


async def connect(address: Address, port: int) -> Streams:
    """Open a connection to an address; there is no name here that could be looked up again."""
    return Streams(*await asyncio.open_connection(str(address), port, limit=MAX_ANSWER_HEAD_BYTES))


def is_own(address: Address) -> bool:
    """Whether this machine has the address itself. Nothing is sent: the system only chooses the
    address that it would call from, and for its own ones that is the same.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((str(address), 9))
        return ip_address(probe.getsockname()[0]) == address
    return False


def main(resolve: Resolve = resolve, connect: Connect = connect) -> None:
    """Run until stdin closes. Tests bring their own resolver and dialler, in a program of their
    own.
    """
    # Ctrl-C in a terminal reaches every process of the group; when to stop is the worker's
    # decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with suppress(BrokenPipeError, KeyboardInterrupt):
        asyncio.run(_run(resolve, connect))
    # Threads may still wait for a name server; nobody waits for them.
    os._exit(0)


async def _run(resolve: Resolve, connect: Connect) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_say_what_went_wrong)
    commands = asyncio.StreamReader(limit=MAX_CONTROL_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin.buffer)
    first = await commands.readline()
    if not first:
        return
    configuration = json.loads(first)
    if not launcher.die_with_parent(configuration["parent"]):
        return
    policy = AddressPolicy.of(configuration["allow_hosts"], configuration["deny_networks"])
    policy = replace(policy, is_own=is_own)
    server = EgressServer(policy, EgressLimits(**configuration["limits"]), resolve, connect)
    _say({"port": await server.listen()})
    while line := await commands.readline():
        _say(_dispatch(server, json.loads(line)))


def _dispatch(server: EgressServer, command: dict[str, Any]) -> dict[str, Any]:
    """Carry out one command of the worker's."""
    match command["do"]:
        case "grant":
            server.grant(command["username"], command["password"])
            return {"id": command["id"]}
        case "report":
            account = server.account(command["username"])
        case _:
            account = server.revoke(command["username"])
    return {"id": command["id"], "report": account.report().to_json() if account else None}


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _say_what_went_wrong(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # Names the fault, never its text: that could be a stranger's, and this goes into the worker's
    # log.
    error = context.get("exception")
    sys.stderr.write(f"egress proxy: {type(error).__name__ if error else 'unknown fault'}\n")


if __name__ == "__main__":
    main()
