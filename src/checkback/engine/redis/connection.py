"""One multiplexed connection to Valkey or Redis: many calls in flight on one socket, answered in
order.

Why not redis-py here: a status read is what this project does most, and one shared socket served
ten times the reads of a redis-py pool on the same machine (``docs/performance.md``); and
``checkback check`` has 300 ms in all, of which importing redis-py would take more. Parsing and
packing are hiredis's. BullMQ's own worker keeps using redis-py (``clients.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from checkback.core.errors import EngineUnavailable, InvalidInput

CALL_SECONDS = 1.5
"""How long any call may take, connecting included, before it fails as EngineUnavailable: a door is
to have answered within 2 s, on a busy machine too.
"""

LATE_TURNS = 4
"""Turns of the event loop within which what is in the socket has been read and handed to its
callers.
"""

Part = str | bytes | int | float


class UnfitStore(EngineUnavailable):
    """The store answers, but not so that jobs could be trusted to it. Waiting does not help:
    somebody has to change it, or the setting that names it.
    """


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where the engine listens: a unix socket, or host and port."""

    unix_path: str | None = None
    host: str = "127.0.0.1"
    port: int = 6379
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    tls: bool = False
    #: A file of certificates to trust, or None for the system's.
    tls_ca_file: str | None = None
    #: A data folder's own store. One that an older version started knows no users, and asks for no
    #: password.
    is_embedded: bool = False

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """From ``redis://``, ``rediss://``, ``valkey://``, ``valkeys://`` or ``unix://PATH``."""
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        if parts.scheme in ("unix", "redis+unix", "valkey+unix"):
            return cls(unix_path=unquote(parts.path), username=user, password=password)
        if parts.scheme not in ("redis", "rediss", "valkey", "valkeys") or not parts.hostname:
            raise InvalidInput(
                "CHECKBACK_REDIS_URL is not a redis://, rediss:// or unix:// address.",
                hint="Write it as redis://user:password@host:6379/0.",
            )
        database = parts.path.strip("/")
        if database and not database.isdigit():
            raise InvalidInput("The path of CHECKBACK_REDIS_URL is not a database number.")
        return cls(
            host=parts.hostname,
            port=parts.port or 6379,
            username=user,
            password=password,
            database=int(database or 0),
            tls=parts.scheme in ("rediss", "valkeys"),
            tls_ca_file=(query.get("ssl_ca_certs") or [None])[0],
        )


class ReplyError(Exception):
    """The server refused a command; the text begins with its error word, as in ``NOSCRIPT ...``."""


class Script:
    """A Lua script, sent by its hash and loaded when the server does not know it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def read(cls, path: Path) -> Script:
        return cls(path.read_text(encoding="utf-8"))

    @classmethod
    def named(cls, name: str) -> Script:
        """One of our own scripts, by its file's name without ``.lua``."""
        return cls.read(Path(__file__).parent / "lua" / f"{name}.lua")


class RedisConnection:
    """A connection that opens itself on the first call and again after a loss. Safe for one event
    loop.

    A call that was sent when the connection broke is not sent again: its caller gets
    EngineUnavailable and knows whether repeating is safe. ``name`` is what CLIENT LIST shows.
    """

    def __init__(
        self, address: RedisAddress, *, name: str, call_seconds: float | None = CALL_SECONDS
    ) -> None:
        self._address = address
        self._name = name
        self._call_seconds = call_seconds
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        #: What was sent and is not answered yet, with the time of sending, oldest first.
        self._pending: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._watch: asyncio.Handle | None = None
        self._outgoing: list[bytes] = []
        self._connecting = asyncio.Lock()
        self._closed = False
        #: How many commands were sent, and how many connections opened, since the start.
        self.commands = 0
        self.connections = 0
        #: Hashes of the scripts that the server knows for certain, since this connection was
        #: opened.
        self._loaded: set[str] = set()

    async def call(self, *parts: Part) -> Any:
        """One command and its reply. Raises ReplyError for a refusal, EngineUnavailable after 1.5
        s.
        """
        if self._writer is not None:
            return await self._send(parts)
        try:
            async with asyncio.timeout(self._call_seconds):
                await self._connect()
                return await self._send(parts)
        except TimeoutError:
            raise EngineUnavailable("The job store did not answer in time.") from None

    async def script(self, script: Script, keys: Sequence[str], args: Sequence[Part] = ()) -> Any:
        """Run a script, loading it first where the server does not know it
        (after a restart, say).
        """
        try:
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            return await self.call("EVAL", script.text, len(keys), *keys, *args)

    async def transaction(
        self, commands: Sequence[Sequence[Part]], scripts: Sequence[Script] = ()
    ) -> list[Any]:
        """The commands as one MULTI, in one round trip. Raises ReplyError where one of them is
        refused.

        ``scripts`` are those that the commands run by hash. They are loaded before, once for each
        connection: a hash that is not known would be refused inside of the MULTI, after its
        neighbours had already been carried out.
        """
        if self._writer is not None:
            return await self._send_transaction(commands, scripts)
        try:
            async with asyncio.timeout(self._call_seconds):
                await self._connect()
                return await self._send_transaction(commands, scripts)
        except TimeoutError:
            raise EngineUnavailable("The job store did not answer in time.") from None

    async def _send_transaction(
        self, commands: Sequence[Sequence[Part]], scripts: Sequence[Script]
    ) -> list[Any]:
        missing = [script for script in scripts if script.sha not in self._loaded]
        loads = [self._send(("SCRIPT", "LOAD", script.text)) for script in missing]
        sent = [
            self._send(("MULTI",)),
            *(self._send(one) for one in commands),
            self._send(("EXEC",)),
        ]
        replies = await asyncio.gather(*loads, *sent, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        self._loaded.update(script.sha for script in missing)
        results: list[Any] = replies[-1]  # type: ignore[assignment]
        for result in results:
            if isinstance(result, hiredis.ReplyError):
                raise ReplyError(str(result))
        return results

    def forget_scripts(self) -> None:
        """Load every script again before it is next used: somebody made the server forget them."""
        self._loaded.clear()

    async def close(self) -> None:
        """Close the connection; calls under way fail with EngineUnavailable."""
        self._closed = True
        writer = self._writer
        self._drop(EngineUnavailable("The connection was closed."))
        if writer is not None:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CALL_SECONDS):
                    await writer.wait_closed()

    async def _connect(self) -> None:
        async with self._connecting:
            if self._writer is not None:
                return
            if self._closed:
                raise EngineUnavailable("The connection was closed.")
            try:
                reader, writer = await self._open()
            except (OSError, ssl.SSLError) as error:
                raise EngineUnavailable(
                    f"The job store cannot be reached ({type(error).__name__}).",
                    hint=self._advice(),
                ) from error
            self._writer = writer
            self.connections += 1
            self._reading = asyncio.create_task(self._read(reader), name=f"wire-{self._name}")
            await self._greet()

    def _advice(self) -> str | None:
        if self._address.unix_path is not None:
            return None
        return "Check that the server in CHECKBACK_REDIS_URL runs and can be reached from here."

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = self._address
        if where.unix_path is not None:
            return await asyncio.open_unix_connection(where.unix_path)
        context = ssl.create_default_context(cafile=where.tls_ca_file) if where.tls else None
        return await asyncio.open_connection(where.host, where.port, ssl=context)

    async def _greet(self) -> None:
        where = self._address
        words: list[Sequence[Part]] = []
        if where.password is not None:
            words.append(("AUTH", *((where.username,) if where.username else ()), where.password))
        if where.database:
            words.append(("SELECT", where.database))
        words.append(("CLIENT", "SETNAME", self._name))
        # All sent before anything is awaited: a call made in between must not come first.
        replies = await asyncio.gather(*[self._send(one) for one in words], return_exceptions=True)
        for reply in replies:
            if (
                isinstance(reply, ReplyError)
                and where.is_embedded
                and str(reply).startswith("WRONGPASS")
            ):
                continue
            if isinstance(reply, ReplyError):
                problem = _refusal(reply)
                self._drop(problem)
                raise problem
            if isinstance(reply, BaseException):
                raise reply

    def _send(self, parts: Sequence[Part]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._writer is None:
            future.set_exception(EngineUnavailable())
            return future
        # Before anything waits for its answer: what cannot be encoded raises here, and is never
        # sent.
        packed = cast("bytes", hiredis.pack_command(tuple(parts)))  # type: ignore[arg-type]
        now = loop.time()
        self.commands += 1
        self._pending.append((future, now))
        if self._watch is None and self._call_seconds is not None:
            self._watch = loop.call_at(now + self._call_seconds, self._look_once_more, LATE_TURNS)
        if not self._outgoing:
            # Everything that is asked for in this turn of the loop leaves in one write.
            loop.call_soon(self._flush)
        self._outgoing.append(packed)
        return future

    def _look_once_more(self, turns: int) -> None:
        """Read what has come before giving anything up: it was this loop that was late, perhaps."""
        loop = asyncio.get_running_loop()
        if turns:
            self._watch = loop.call_soon(self._look_once_more, turns - 1)
        elif self._call_seconds is not None:
            self._give_up_late(self._call_seconds)

    def _give_up_late(self, seconds: float) -> None:
        """Fail the calls that wait too long. One timer for all: one for each costs as much as the
        call.
        """
        loop = asyncio.get_running_loop()
        self._watch = None
        for future, sent_at in self._pending:
            if sent_at + seconds > loop.time():
                self._watch = loop.call_at(sent_at + seconds, self._look_once_more, LATE_TURNS)
                return
            if not future.done():
                future.set_exception(EngineUnavailable("The job store did not answer in time."))

    def _flush(self) -> None:
        data, self._outgoing = b"".join(self._outgoing), []
        if self._writer is None:
            return
        try:
            self._writer.write(data)
        except (
            RuntimeError
        ):  # uvloop's: the other side has closed it, and the reader does not know yet
            self._drop(EngineUnavailable("The job store closed the connection."))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = hiredis.Reader(encoding="utf-8", errors="replace")
        problem: Exception = EngineUnavailable("The job store closed the connection.")
        try:
            while data := await reader.read(65536):
                parser.feed(data)
                while (
                    reply := parser.gets()
                ) is not False:  # RESP2 has no booleans: False is "not yet"
                    future, _ = self._pending.popleft()
                    if future.done():
                        continue
                    if isinstance(reply, hiredis.ReplyError):
                        future.set_exception(_error(str(reply)))
                    else:
                        future.set_result(reply)
        except (OSError, hiredis.ProtocolError) as error:
            problem = EngineUnavailable(
                f"The connection to the job store broke ({type(error).__name__})."
            )
        finally:
            self._drop(problem)

    def _drop(self, problem: Exception) -> None:
        writer, self._writer = self._writer, None
        self._loaded.clear()
        if writer is not None:
            with contextlib.suppress(RuntimeError):
                writer.close()
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
        self._reading = None
        self._outgoing = []
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        while self._pending:
            future, _ = self._pending.popleft()
            if not future.done():
                future.set_exception(problem)
                future.exception()  # its caller may be gone


def _error(text: str) -> Exception:
    """What a refusal means. A store that still loads its data is away, for everybody alike."""
    if text.startswith("LOADING "):
        return EngineUnavailable("The job store is still loading its data.")
    return ReplyError(text)


def _refusal(error: ReplyError) -> EngineUnavailable:
    word = str(error).split(" ", 1)[0]
    if word in ("WRONGPASS", "NOAUTH") or (word == "ERR" and "AUTH" in str(error).upper()):
        return UnfitStore(
            "The job store refuses the user name or password in CHECKBACK_REDIS_URL.",
            hint="Correct CHECKBACK_REDIS_URL: redis://user:password@host:port/0.",
        )
    return EngineUnavailable(
        f"The job store refused the connection ({word}).",
        hint="Check the log of the Redis or Valkey server that CHECKBACK_REDIS_URL names.",
    )
