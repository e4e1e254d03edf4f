"""Runs every document bomb of the tests as a job on one server, and records what each took.

    python benchmarks/bombs.py [--deadline 30] [--most 3600] [--only WORD]

One after the other. For each: how its job ended, after how many seconds, the most memory that its
processes had (proportional, looked at every 20 ms) and the most that its folder took on the disk.
Exits with 1 where a job passed a limit, ended as ``internal_error``, or left the server not ready.
"""

# pyright: basic

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from bench_parts import title

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import archive_bombs
import document_bombs
import more_bombs
import pdf_tricks
from checkback.client import Client
from checkback.engine.processes.tree import descendants
from checkback.kinds import registry
from checkback.settings import Settings
from more_bombs import Bomb

LOOK_SECONDS = 0.02
DISK_EVERY = 10
"""How many looks at the memory there are to one at the disk."""
MEMORY_SLACK = 1.1
DEADLINE_SLACK = 45.0
MANY = ("pdf.merge", "image.to_pdf")
EARLIER_KINDS = {
    "nested_arrays": "pdf.merge",
    "many_pages": "pdf.to_text",
    "millions_of_texts": "pdf.to_text",
    "lzw_of_a_gigabyte": "pdf.to_text",
    "attachments_in_a_circle": "pdf.extract_attachments",
    "attachment_of_a_gigabyte": "pdf.extract_attachments",
    "fields_in_a_circle": "pdf.form_fields",
    "outline_in_a_circle": "pdf.merge",
    "zip_of_gigabytes": "pdf.merge",
    "zip_that_climbs": "pdf.merge",
    "docx_of_a_gigabyte": "document.to_pdf",
    "docx_of_laughs": "document.to_pdf",
    "xlsx_of_a_gigabyte": "excel.to_csv",
}


def every_bomb() -> list[Bomb]:
    """The newest first."""
    found: list[Bomb] = []
    modules: tuple[Any, ...] = (document_bombs, pdf_tricks, archive_bombs)
    for module in modules:
        for name, made in vars(module).items():
            is_maker = callable(made) and getattr(made, "__module__", "") == module.__name__
            if is_maker and not name.startswith("_") and made.__code__.co_argcount == 0:
                ending = (
                    name.partition("_")[0] if name.startswith(("zip", "docx", "xlsx")) else "pdf"
                )
                maker = cast("Callable[[], bytes]", made)
                found.append(Bomb(maker, f"a.{ending}", EARLIER_KINDS.get(name, "pdf.to_image")))
    return [*more_bombs.MORE_BOMBS, *found]


@dataclass
class Server:
    """A running ``checkback serve``."""

    home: Path
    url: str
    token: str
    pid: int

    def is_ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=10) as answer:
            return answer.status == 200
        return False


@contextmanager
def serving() -> Generator[Server]:
    """A server that runs one document job at a time, for as long as the ``with``."""
    with tempfile.TemporaryDirectory(prefix="checkback-bombs-") as folder:
        # Jobs run as other users, where the server is root's.
        Path(folder).chmod(0o711)
        home = Path(folder) / "home"
        home.mkdir(mode=0o711)
        environment = os.environ | {
            "CHECKBACK_HOME": str(home),
            "CHECKBACK_PORT": "0",
            "CHECKBACK_DOCUMENT_CONCURRENCY": "1",
            "CHECKBACK_LOG_LEVEL": "error",
        }
        command = [sys.executable, "-m", "checkback", "serve", "--json"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Server(home, told["url"], told["token"], process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def proportional(pid: int) -> int:
    """The memory of one process, shared pages divided among their users."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def disk_of(folder: Path) -> int:
    """What is in a folder, in blocks that are taken."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


@dataclass
class Watch:
    """The peaks of the processes and folders that appear while it watches."""

    server: Server
    memory: int = 0
    disk: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Generator[None]:
        before = set(descendants(self.server.pid))
        thread = threading.Thread(target=self._look, args=(before,))
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _look(self, before: set[int]) -> None:
        looks = 0
        while not self._over.wait(LOOK_SECONDS):
            added = [pid for pid in descendants(self.server.pid) if pid not in before]
            self.memory = max(self.memory, sum(proportional(pid) for pid in added))
            if looks % DISK_EVERY == 0:
                self.disk = max(self.disk, disk_of(self.server.home / "tmp"))
            looks += 1


@dataclass(frozen=True)
class Found:
    """How one bomb ended."""

    bomb: Bomb
    size: int
    ending: str
    seconds: float
    memory: int
    disk: int
    problems: list[str]

    def show(self) -> None:
        cells = (
            f"{self.size / 1e6:.1f}",
            self.ending,
            f"{self.seconds:.1f}",
            f"{self.memory >> 20}",
            f"{self.disk >> 20}",
        )
        line = f"| `{self.bomb.make.__name__}` | {self.bomb.kind} | " + " | ".join(cells) + " |"
        print(line + "".join(f"  <-- {problem}" for problem in self.problems), flush=True)


def arguments_of(bomb: Bomb, content: bytes, client: Client, folder: Path) -> dict[str, Any]:
    """What its job gets; the file is uploaded."""
    if bomb.kind == "html.to_pdf":
        return {"html": content.decode()}
    path = folder / bomb.name
    path.write_bytes(content)
    source = client.upload(path)
    if bomb.kind in MANY:
        return {"urls": [source]}
    return {"url": source, "pages": "*"} if bomb.kind == "pdf.split" else {"url": source}


def run(bomb: Bomb, server: Server, folder: Path, deadline: float) -> Found:
    client = Client(server.url, server.token)
    content = bomb.make()
    args = arguments_of(bomb, content, client, folder)
    watch, begun = Watch(server), time.monotonic()
    with watch.watching():
        job = client.submit(bomb.kind, args, deadline_seconds=deadline, attempts=1)
        job = client.wait(job.id, deadline + DEADLINE_SLACK + 5)
    seconds = time.monotonic() - begun
    ending = job.failure.code if job.failure else str(job.state)
    if not job.state.is_final:
        client.cancel(job.id)
        client.wait(job.id, 60)
    limit = registry.get(bomb.kind).memory_bytes
    disk_limit = Settings(home=server.home).job_disk_gb * 1e9
    problems: list[str] = []
    checks: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("memory", lambda: limit is not None and watch.memory > limit * MEMORY_SLACK),
        ("disk", lambda: watch.disk > disk_limit),
        ("deadline", lambda: seconds > deadline + DEADLINE_SLACK),
        ("internal error", lambda: ending == "internal_error"),
        ("server not ready", lambda: not server.is_ready()),
    )
    for name, is_passed in checks:
        if is_passed():
            problems.append(name)
    return Found(bomb, len(content), ending, seconds, watch.memory, watch.disk, problems)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--deadline", type=float, default=30.0, help="of each job, in seconds")
    parser.add_argument(
        "--most", type=float, default=3600.0, help="begin no further one after these seconds"
    )
    parser.add_argument("--only", default="", help="only those with this word in their name")
    options = parser.parse_args()
    registry.load_built_in()
    bombs = [bomb for bomb in every_bomb() if options.only in bomb.make.__name__]
    title(f"{len(bombs)} bombs, deadline {options.deadline:g} s")
    print(
        "| document | kind | MB | ends as | s | memory MB | disk MB |\n|---|---|--:|---|--:|--:|--:|"
    )
    found: list[Found] = []
    begun = time.monotonic()
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        for bomb in bombs:
            if time.monotonic() - begun > options.most:
                break
            found.append(run(bomb, server, Path(folder), options.deadline))
            found[-1].show()
    bad = [one for one in found if one.problems]
    print(f"\n{len(found)} of {len(bombs)} ran, {len(bad)} with a problem")
    return 1 if bad or len(found) < len(bombs) else 0


if __name__ == "__main__":
    sys.exit(main())
