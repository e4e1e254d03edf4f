"""The worker's side of the fork server: ask for children, hear of their ends."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

from checkback.engine.processes import tree
from checkback.engine.processes.child import ChildSettings
from checkback.engine.processes.environment import for_built_in_kinds, for_own_kinds
from checkback.engine.processes.messages import MAX_LINE_BYTES
from checkback.engine.processes.pipe_end import PipeEnd
from checkback.kinds import registry
from checkback.kinds.registry import Kind

logger = logging.getLogger(__name__)

READY_SECONDS = 60.0
WARM_UP_SECONDS = 15.0
"""When a worker starts the second one, where no job has needed it before."""
MAX_DATAGRAM = 65536
OUTPUT_BUFFER_BYTES = 1 << 20


class KindsNotLoaded(Exception):
    """A module of kinds could not be imported; the text is one sentence."""


@dataclass(slots=True)
class ChildProcess:
    """A running child process and the three things that connect to it."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    output: asyncio.StreamReader
    #: Its exit code, or minus the number of the signal that ended it.
    exited: asyncio.Future[int]
    _output_transport: asyncio.ReadTransport

    def close(self) -> None:
        self.writer.close()
        self._output_transport.close()


class ForkServers:
    """The fork servers of a worker: one for the built-in kinds, one for its user's own, where there
    are any.

    What a user's modules hold in memory, and the environment that they need, is nothing for a
    process that reads strangers' documents.
    """

    def __init__(self, settings: ChildSettings) -> None:
        self._built_in = Forks(replace(settings, modules=(), built_in=True))
        self._own: Forks | None = None
        if settings.modules or any(not kind.is_built_in for kind in registry.all_kinds()):
            self._own = Forks(replace(settings, built_in=False))

    async def start(self) -> None:
        """Start the one that imports the user's modules; else that of the built-in kinds, which the
        first of their jobs starts otherwise. Raises KindsNotLoaded.
        """
        await (self._own or self._built_in).start()

    async def fork(self, kind: Kind) -> ChildProcess:
        """A fresh child for jobs of this kind, waiting for its first assignment."""
        if kind.is_built_in or self._own is None:
            return await self._built_in.fork()
        return await self._own.fork()

    async def warm_up(self) -> None:
        """Start what is not started yet, before somebody waits for it."""
        await asyncio.sleep(WARM_UP_SECONDS)
        with contextlib.suppress(KindsNotLoaded, OSError, TimeoutError):
            await self._built_in.start()

    async def close(self) -> None:
        """End the servers; children that still run end with them."""
        for forks in filter(None, (self._built_in, self._own)):
            await forks.close()


class Forks:
    """One fork server, started again if it should die."""

    def __init__(self, settings: ChildSettings) -> None:
        self._settings = settings
        environment = for_built_in_kinds if settings.built_in else for_own_kinds
        self._environment = environment(os.environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._forked: dict[int, asyncio.Future[tuple[int, asyncio.Future[int]]]] = {}
        self._exited: dict[int, asyncio.Future[int]] = {}
        self._token = 0
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the server and wait until its kinds are imported. Raises KindsNotLoaded."""
        async with self._starting:
            if self._control is not None:
                return
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            command = [
                sys.executable,
                "-m",
                "checkback.engine.processes.fork_server",
                str(theirs.fileno()),
                str(os.getpid()),
                "built-in"
                if self._settings.built_in
                else "own",  # for people who look at the processes
            ]
            # It takes a ms, and happens once in a worker's life.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                command,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=self._environment,
            )
            theirs.close()
            ours.setblocking(False)
            try:
                await self._get_ready(ours)
            except BaseException:
                ours.close()
                raise
            self._control = ours
            asyncio.get_running_loop().add_reader(ours, self._hear, ours)

    async def _get_ready(self, ours: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, self._settings.to_json())
        async with asyncio.timeout(READY_SECONDS):
            answer = await loop.sock_recv(ours, MAX_DATAGRAM)
        ready: dict[str, Any] = (
            json.loads(answer) if answer else {"ready": False, "problem": "It ended at once."}
        )
        if not ready["ready"]:
            raise KindsNotLoaded(ready["problem"])

    async def fork(self) -> ChildProcess:
        """A fresh child, waiting for its first assignment."""
        if self._control is None:
            await self.start()
        if self._control is None:
            raise ConnectionError("The fork server does not run.")
        channel, child_channel = socket.socketpair()
        output, child_output = os.pipe()
        self._token += 1
        token = self._token
        loop = asyncio.get_running_loop()
        forked: asyncio.Future[tuple[int, asyncio.Future[int]]] = loop.create_future()
        self._forked[token] = forked
        try:
            descriptors = array.array("i", [child_channel.fileno(), child_output])
            self._control.sendmsg(
                [json.dumps({"fork": token}).encode()],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)],
            )
            pid, exited = await forked
        except BaseException:
            channel.close()
            os.close(output)
            raise
        finally:
            self._forked.pop(token, None)
            child_channel.close()
            os.close(child_output)
        reader, writer = await asyncio.open_unix_connection(sock=channel, limit=MAX_LINE_BYTES)
        lines = asyncio.StreamReader(limit=OUTPUT_BUFFER_BYTES)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), PipeEnd(output, loop)
        )
        return ChildProcess(pid, reader, writer, lines, exited, transport)

    async def close(self) -> None:
        """End the server; children that still run end with it."""
        self._lose()
        if self._process is not None:
            process = self._process
            with contextlib.suppress(ProcessLookupError):
                await asyncio.to_thread(tree.kill_tree, process.pid)
            await asyncio.to_thread(process.wait)

    def _hear(self, control: socket.socket) -> None:
        try:
            data = control.recv(MAX_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            logger.error("The fork server ended; it is started again for the next job.")
            self._lose()
            return
        message: dict[str, Any] = json.loads(data)
        if "forked" in message:
            # Made here, not in fork(): the very next datagram may report the child's end.
            exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._exited[message["pid"]] = exited
            waiting = self._forked.get(message["forked"])
            if waiting is not None and not waiting.done():
                waiting.set_result((message["pid"], exited))
        else:
            ended = self._exited.pop(message["exited"], None)
            if ended is not None and not ended.done():
                ended.set_result(message["status"])

    def _lose(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control)
            control.close()
        for waiting in self._forked.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("The fork server ended."))
        for exited in self._exited.values():
            if not exited.done():
                exited.set_result(-9)
        self._exited.clear()
