"""``checkback serve``: everything of one data folder in one place.

It owns the embedded Valkey, the HTTP APIs, and the worker, which is a separate process. It restarts
what exits, and what it started ends with it, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace

import uvicorn
import uvloop
from starlette.types import ASGIApp

from checkback.api.middleware.timeouts import BodyTimeouts, TimeoutProtocol
from checkback.app.connect import CLIENT_NAME, Connection, make_engine, make_service, publish
from checkback.app.daemon import (
    LOG_BYTES,
    LOG_NAME,
    TOKENS_NAME,
    find_version,
    prepare_home,
    remember_kinds,
    take_server_lock,
)
from checkback.app.log_trimmer import keep_small
from checkback.app.web import Activity, make_application
from checkback.app.worker import load_kinds
from checkback.core.errors import CheckbackError, EngineUnavailable, InvalidInput
from checkback.engine.processes import tree
from checkback.engine.redis.bullmq_client import check_server
from checkback.engine.redis.connection import RedisConnection, ReplyError
from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.engine.redis.keys import Keys
from checkback.settings import Settings, to_environment
from checkback.telemetry import recording
from checkback.telemetry.loop_lag import LoopLag

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.25
LOOKS_A_RECORD = 8
"""How many checks pass between two looks at this server's record in the store: every 2 s."""
RESTART_SECONDS = 0.5
FULL_DISK_SECONDS = 2.0
WORKER_STOP_EXTRA_SECONDS = 15.0
SHUTDOWN_SECONDS = 3
IDLE_CHECK_SECONDS = 5.0
SWITCH_SECONDS = 0.001
"""After how long a computing thread lets the event loop continue, which answers all callers."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
DEFAULT_PORT = Settings().port

Announce = Callable[[str], None]


@dataclass(slots=True)
class Server:
    """One running server. ``run`` returns after a stop signal, or when it has been idle for long
    enough.
    """

    settings: Settings
    announce: Announce
    background: bool = False
    no_token: bool = False
    with_worker: bool = True
    _valkey: EmbeddedValkey | None = None
    _worker: asyncio.subprocess.Process | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set by a second signal.
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _activity: Activity = field(default_factory=Activity)
    _lag: LoopLag = field(default_factory=LoopLag)
    #: How often each was restarted.
    _restarts: Counter[str] = field(default_factory=Counter[str])

    def start_store(self) -> None:
        """Start the embedded Valkey, if this server owns one. On the main thread, before any event
        loop.
        """
        if self.settings.own_valkey:
            self._valkey = EmbeddedValkey(
                self.settings.home,
                appendfsync=self.settings.appendfsync,
                memory_mb=self.settings.store_memory_mb,
            )
            self._valkey.start()

    async def run(self) -> None:
        """Serve until a stop signal arrives."""
        loop = asyncio.get_running_loop()
        for what in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(what, self.shut_down)
        wire, feed, queues = make_engine(self.settings, "checkback-serve")
        try:
            await self._clear_record(wire)
            await check_server(wire)
            service = make_service(self.settings, queues)
            connection = Connection(service, queues, wire, feed, self.settings, None)
            listener = listen(self.settings)
            url = _url(self.settings.host, listener.getsockname()[1])
            application = make_application(
                connection,
                port=listener.getsockname()[1],
                activity=self._activity,
                restarts=self._restarts,
                no_token=self.no_token,
                lag=self._lag,
            )
            if self.with_worker:
                await self._start_worker()
            await self._publish(wire, url)
            await feed.start()
            tasks = [
                asyncio.create_task(self._serve_http(application, listener), name="http"),
                asyncio.create_task(self._watch(wire, url), name="watch"),
                asyncio.create_task(self._lag.run(), name="lag"),
            ]
            if self.background:
                tasks.append(asyncio.create_task(self._watch_idle(wire, connection), name="idle"))
                log = self.settings.home / LOG_NAME
                tasks.append(asyncio.create_task(keep_small(log, LOG_BYTES), name="log"))
            self.announce(url)
            stopping = asyncio.create_task(self._stopping.wait())
            done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
            await self._shut_down(tasks)
        finally:
            await feed.close()
            await wire.close()

    def shut_down(self) -> None:
        """Stop serving and let the worker finish its jobs within the grace time. Called twice: at
        once.
        """
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def _publish(self, wire: RedisConnection, url: str) -> None:
        await publish(wire, self.settings, url, background=self.background)

    def stop_store(self) -> None:
        """End the embedded Valkey cleanly."""
        if self._valkey is not None:
            self._valkey.stop()

    async def _serve_http(self, application: ASGIApp, listener: socket.socket) -> None:
        config = uvicorn.Config(
            BodyTimeouts(application),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            http=TimeoutProtocol,
            h11_max_incomplete_event_size=32 * 1024,
        )
        server = _Uvicorn(config)
        closing = asyncio.create_task(self._stopping.wait())
        closing.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            await server.serve(sockets=[listener])
        finally:
            closing.cancel()

    async def _start_worker(self) -> None:
        self._worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "checkback", "worker", "--parent", str(os.getpid()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=2,  # only the announcement goes to our standard output
            env={**os.environ, **to_environment(self.settings)},
            start_new_session=True,
        )  # fmt: skip

    async def _watch(self, wire: RedisConnection, url: str) -> None:
        """Restart what has exited: the embedded Valkey at once, the worker after a moment."""
        looked = 0
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._stopping.is_set():
                return
            if not await self._restart_store(wire, url):
                looked += 1
                if looked % LOOKS_A_RECORD == 0:
                    await self._publish_again(wire, url)
            await self._restart_exited_worker()

    async def _restart_exited_worker(self) -> None:
        if self._worker is not None and self._worker.returncode is not None:
            await self._restart_worker(self._worker.returncode)

    async def _restart_store(self, wire: RedisConnection, url: str) -> bool:
        """Start the embedded Valkey again if it has exited. Returns whether it had."""
        code = None if self._valkey is None else self._valkey.poll()
        if self._valkey is None or code is None:
            return False
        logger.error("The embedded Valkey exited with code %s. Restarting it.", code)
        await self._start_store_again(self._valkey, wire, url)
        return True

    async def _restart_worker(self, code: int) -> None:
        logger.error("The worker exited with code %s. Restarting it.", code)
        self._end_orphans()
        self._restarts["worker"] += 1
        await asyncio.sleep(RESTART_SECONDS)
        if not self._stopping.is_set():
            await self._start_worker()

    async def _publish_again(self, wire: RedisConnection, url: str) -> None:
        """Publish the record again if the store was emptied: clients look for it."""
        with contextlib.suppress(EngineUnavailable, ReplyError):
            if not await wire.call("EXISTS", Keys(self.settings.prefix).server()):
                await self._publish(wire, url)

    async def _start_store_again(
        self, valkey: EmbeddedValkey, wire: RedisConnection, url: str
    ) -> None:
        """Start it on this thread, to which its lifetime is bound. The APIs answer 503 while it
        loads.
        """
        self._restarts["store"] += 1
        had_room = valkey.has_room()
        if not had_room:
            logger.error("The disk of the embedded Valkey is full. Retrying until there is room.")
            await asyncio.sleep(FULL_DISK_SECONDS)
        valkey.launch()
        try:
            await asyncio.to_thread(valkey.wait_until_ready)
            await self._publish(wire, url)
        except EngineUnavailable:
            code = valkey.poll()
            if code is not None and code >= 0 and had_room and valkey.has_room():
                raise  # it exited by itself, and would again
            logger.warning("The embedded Valkey exited again with code %s.", code)

    def _end_orphans(self) -> None:
        """Kill the processes of a lost worker, which are our children now."""
        ours = {self._valkey.pid if self._valkey else None}
        for pid in tree.children(os.getpid()):
            if pid not in ours and (self._worker is None or pid != self._worker.pid):
                tree.kill_tree(pid)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    async def _watch_idle(self, wire: RedisConnection, connection: Connection) -> None:
        """Return after the time without clients and jobs that the setting names."""
        minutes = self.settings.idle_minutes
        while True:
            await asyncio.sleep(min(IDLE_CHECK_SECONDS, minutes * 60 / 4))
            with contextlib.suppress(EngineUnavailable):
                if await self._is_busy(wire, connection):
                    self._activity.touch()
                if self._activity.idle_seconds() > minutes * 60:
                    logger.info(
                        "No clients and no jobs for %s minutes: stopping this background server.",
                        minutes,
                    )
                    return

    async def _is_busy(self, wire: RedisConnection, connection: Connection) -> bool:
        """Whether there are clients, or jobs that have not ended."""
        clients: str = await wire.call("CLIENT", "LIST")
        counts = await connection.queues.counts()
        if f"name={CLIENT_NAME}" in clients:
            return True
        return any(map(_has_open_jobs, counts.values()))

    async def _shut_down(self, tasks: list[asyncio.Task[None]]) -> None:
        """The APIs close first, then the worker finishes its jobs or returns them to the queue."""
        self._stopping.set()
        hurrying = self._begin_to_stop_worker()
        await asyncio.wait({tasks[0]}, timeout=SHUTDOWN_SECONDS + 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._worker is not None:
            await self._wait_for_worker(self._worker)
            self._end_orphans()
        if hurrying is not None:
            hurrying.cancel()

    def _begin_to_stop_worker(self) -> asyncio.Task[None] | None:
        """Ask the worker to end. Returns what passes a second Ctrl-C on to it."""
        if self._worker is None:
            return None
        hurrying = asyncio.create_task(self._hurry_worker(self._worker))
        if self._worker.returncode is None:
            self._worker.terminate()
        return hurrying

    async def _wait_for_worker(self, worker: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(self.settings.grace_seconds + WORKER_STOP_EXTRA_SECONDS):
                await worker.wait()
        except TimeoutError:
            logger.error("The worker did not stop in time. Killing it.")
            await asyncio.to_thread(tree.kill_tree, worker.pid)
            await worker.wait()

    async def _hurry_worker(self, worker: asyncio.subprocess.Process) -> None:
        """Pass a second signal on until the worker has ended: a signal that comes with the first is
        not counted twice.
        """
        await self._hurry.wait()
        while worker.returncode is None:
            worker.terminate()
            await asyncio.sleep(WATCH_SECONDS)

    async def _clear_record(self, wire: RedisConnection) -> None:
        """A record in the file is from an earlier server. Only the owner of a store may remove
        it.
        """
        if self.settings.own_valkey:
            await wire.call("DEL", Keys(self.settings.prefix).server())


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handling: the server decides what a signal means."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def serve(
    settings: Settings,
    announce: Announce,
    *,
    background: bool = False,
    no_token: bool = False,
    worker: bool = True,
) -> None:
    """Serve this data folder until SIGTERM or SIGINT. Raises CheckbackError if it cannot start."""
    settings = _with_tokens(settings)
    _check(settings, no_token=no_token)
    load_kinds(settings)
    prepare_home(settings.home)
    try:
        lock = take_server_lock(settings.home)
    except CheckbackError:
        if background:
            return  # another one won, which is fine
        raise
    tree.adopt_orphans()
    tree.allow_many_files()
    sys.setswitchinterval(SWITCH_SECONDS)
    os.umask(0o077)
    remember_kinds(settings.home, settings.kinds)
    server = Server(settings, announce, background, no_token, worker)
    started = time.monotonic()
    server.start_store()
    logger.info("The store was ready after %.0f ms.", (time.monotonic() - started) * 1000)
    try:
        recording.start("serve", find_version())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.run())
    finally:
        recording.stop()
        server.stop_store()
        os.close(lock)


def _with_tokens(settings: Settings) -> Settings:
    """The settings with the folder's own list of tokens, if no other is configured."""
    listed = settings.home / TOKENS_NAME
    return (
        replace(settings, tokens=listed)
        if settings.tokens is None and listed.exists()
        else settings
    )


def _has_open_jobs(queue: Mapping[str, int]) -> bool:
    return bool(queue["waiting"] or queue["active"] or queue["delayed"])


def _check(settings: Settings, *, no_token: bool) -> None:
    if settings.host in LOOPBACK:
        return
    if no_token:
        raise InvalidInput(
            "--no-token may be used with loopback addresses only.",
            hint="Leave --no-token out, or listen on 127.0.0.1.",
        )
    if settings.tokens is None or not settings.tokens.exists():
        raise InvalidInput(
            f"Listening on {settings.host} requires tokens.",
            hint="Create one with `checkback token add OWNER`.",
        )


def listen(settings: Settings) -> socket.socket:
    """The listening socket. If the default port is taken, a free one is used. Raises InvalidInput
    for an address or a chosen port that is not available.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        if settings.port != DEFAULT_PORT:
            listener.close()
            raise InvalidInput(
                f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}.",
                hint=(
                    "Choose another address with CHECKBACK_HOST and CHECKBACK_PORT; port 0 "
                    "selects a free one."
                ),
            ) from None
        listener.bind((settings.host, 0))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def _url(host: str, port: int) -> str:
    every = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - shown, not bound
    shown = every.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
