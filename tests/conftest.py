"""The real parts that tests run on: one embedded Valkey for the whole run, a key prefix and a data
folder for each test.

``service`` is the use cases on a real store; ``worker`` makes a real worker, with real child
processes, run in the test's own loop; ``server`` starts the installed command ``checkback serve``
as a process.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
SUPPORT = TESTS / "support"
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
)
sys.path[:0] = [str(TESTS), str(SUPPORT)]
for name in [
    name for name in os.environ if name.startswith("CHECKBACK_") and name != "CHECKBACK_BROWSER"
]:
    del os.environ[name]  # a developer's own settings must not reach the tests

import fast_tests
from checkback.app.connect import Connection
from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.kinds import registry
from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.settings import Settings
from outside import demo_site as demo_site
from outside import fastmcp_tasks_python as fastmcp_tasks_python
from outside import node as node
from outside import npm as npm
from outside import openai_agents_python as openai_agents_python
from outside import pdfco_mcp_python as pdfco_mcp_python
from running import ServerProcess, StartServer, Submit, open_connection, running_worker
from serving import victim as victim
from tiers import tier_of
from worker_processes import WorkerProcesses, as_admin

SAMPLE_KINDS = ("sample_kinds",)


def pytest_addoption(parser: pytest.Parser) -> None:
    fast_tests.add_options(parser)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark each test with its tier."""
    fixtures = item.fixturenames if isinstance(item, pytest.Function) else ()
    item.add_marker(tier_of(fixtures))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest tests come first, one after the other, whatever the order of the rest: with two
    processes the others fill the time beside them, and none is waited for at the end.
    """
    items.sort(key=lambda item: item.path.name != "test_chaos.py")
    fast_tests.select(config, items)


def pytest_configure(config: pytest.Config) -> None:
    """As root, give the run a folder that no other run closes to other users, as pytest does with
    its own.
    """
    if config.getoption("record_slow"):
        config.pluginmanager.register(fast_tests.SlowTests())
    if os.geteuid() == 0 and not hasattr(config, "workerinput") and config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="checkback-tests-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


@pytest.fixture(autouse=True)
def _let_pass(tmp_path: Path) -> None:
    """As root each job's process is another user, which must get to the data folders of tests."""
    if os.geteuid() != 0:
        return
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()) or folder == folder.parent:
            return
        folder.chmod(0o711)


@pytest.fixture(scope="session", autouse=True)
def _kinds() -> None:
    registry.load(SAMPLE_KINDS)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """One embedded Valkey for the run."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("store"), appendfsync="no")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(valkey: EmbeddedValkey, tmp_path: Path) -> Settings:
    """Settings of a store that no other test sees."""
    return Settings(
        home=tmp_path / "home",
        redis_url=valkey.url,
        prefix=f"t{secrets.token_hex(6)}",
        kinds=SAMPLE_KINDS,
        port=0,
        grace_seconds=5.0,
        page_concurrency=2,
        production=True,
    )


@pytest.fixture
async def connection(settings: Settings) -> AsyncIterator[Connection]:
    """The test's own connection to its store."""
    async with open_connection(settings) as opened:
        yield opened
        keys = await as_admin(settings, "KEYS", f"{settings.prefix}:*")
        if keys:
            await opened.wire.call("DEL", *keys)


@pytest.fixture
def service(connection: Connection) -> Service:
    """The use cases on a real store. Nothing runs jobs unless the test asks for ``worker`` too."""
    return connection.service


@pytest.fixture
async def worker(settings: Settings, connection: Connection) -> AsyncIterator[Any]:
    """A real worker in this test's loop, serving the sample kinds and the built-in ones."""
    async with running_worker(settings) as process:
        yield process


@pytest.fixture
def workers() -> Iterator[WorkerProcesses]:
    """Worker processes that end with the test."""
    processes = WorkerProcesses()
    yield processes
    processes.end()


@pytest.fixture
def submit(service: Service) -> Submit:
    """Submit a job as LOCAL and give its id."""

    async def run(kind: str, /, **args: Any) -> str:
        return (await service.submit(LOCAL, kind, args)).job.id

    return run


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start ``checkback serve`` processes that end with the test. Keyword arguments are settings;
    ``before`` is Python that is run in the process first.
    """
    started: list[ServerProcess] = []

    def start(home: Path | None = None, before: str = "", **variables: str) -> ServerProcess:
        folder = home or tmp_path / "server"
        environment = os.environ | {
            "CHECKBACK_HOME": str(folder),
            "CHECKBACK_KINDS": "sample_kinds",
            "CHECKBACK_PORT": "0",
            "CHECKBACK_GRACE_SECONDS": "5",
            **{f"CHECKBACK_{name.upper()}": value for name, value in variables.items()},
        }
        run = f"{before}\nimport sys; from checkback.cli import main; sys.exit(main(['serve', '--json']))"
        command = ["-c", run] if before else ["-m", "checkback", "serve", "--json"]
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "checkback serve ended at once"
        announced = json.loads(line)
        server = ServerProcess(process, announced["url"], folder, announced["token"])
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
        if server.process.stdout is not None:
            server.process.stdout.close()
