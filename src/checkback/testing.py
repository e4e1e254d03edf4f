"""Help for tests of your own kinds: run one in this process, or start a real server.

```python
from checkback.testing import run_kind, running_server

def test_finds_primes():
    run = run_kind("primes.find", {"below": 10})
    assert run.result == 4
    assert run.artifacts["primes.txt"] == b"2\\n3\\n5\\n7"
```
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checkback.client import Client
from checkback.core.clean_text import replaced
from checkback.core.errors import CheckbackError, EngineUnavailable
from checkback.core.job import JSON, Artifact
from checkback.kinds import registry
from checkback.kinds.context import Environment, JobContext, ResultWarning
from checkback.kinds.results import encode_result
from checkback.storage.artifacts import AttemptArtifacts

__all__ = ["ProgressReport", "RecordedRun", "run_kind", "running_server"]

STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """One report of a job: its phase, percentage and message at that moment."""

    phase: str | None
    percent: int
    message: str | None


@dataclass(slots=True)
class RecordedRun:
    """What a job returned and reported."""

    #: The result as the store would keep it: plain JSON values.
    result: JSON = None
    #: Every report, in order. A server combines those that come within a quarter of a second.
    reports: list[ProgressReport] = field(default_factory=list[ProgressReport])
    log: list[str] = field(default_factory=list[str])
    #: The files that the job kept, by name.
    artifacts: dict[str, bytes] = field(default_factory=dict[str, bytes])
    #: Every value that was saved for a later attempt, in order.
    saved: list[JSON] = field(default_factory=list[Any])
    warnings: list[ResultWarning] = field(default_factory=list[ResultWarning])

    @property
    def phases(self) -> list[str]:
        """The phases that the job entered, each once, in order."""
        return list(dict.fromkeys(report.phase for report in self.reports if report.phase))


class _Recorder:
    """Records what a job reports; files are checked as in a job's own process."""

    def __init__(self, run: RecordedRun, folder: Path, attempt: int) -> None:
        self._run = run
        self._folder = folder
        self._artifacts = AttemptArtifacts(folder, attempt)

    def progress(self, phase: str | None, percent: int, message: str | None) -> None:
        self._run.reports.append(ProgressReport(phase, percent, message))

    def log(self, line: str) -> None:
        self._run.log.append(line)

    def artifact(self, name: str, content: bytes | Path, media_type: str) -> Artifact:
        artifact = self._artifacts.write(name, content, media_type)
        self._run.artifacts[name] = (self._folder / artifact.id).read_bytes()
        return artifact

    def save(self, text: str) -> None:
        self._run.saved.append(json.loads(text))


def run_kind(
    kind: str | Callable[..., Any],
    args: Mapping[str, JSON] | None = None,
    *,
    saved: JSON = None,
    attempt: int = 1,
    deadline_seconds: float = 60.0,
    resource: Any = None,
    cancelled: bool = False,
) -> RecordedRun:
    """Run a kind, by its name or its function, in this process, without a server or a store.

    The arguments are checked as on submit, files and the result as in a job's own process. There is
    no network proxy, no sandbox, no deadline that kills, and ``ctx.start`` raises ConnectionError:
    for these, use ``running_server``. ``saved`` is what an earlier attempt saved, ``resource`` what
    the kind's ``warm`` factory would have made.

    Raises InvalidInput for invalid arguments, JobFailed and every other exception of the function.
    Call it outside of an event loop.
    """
    found = _kind(kind)
    model = found.check_args(dict(args or {}))
    run = RecordedRun()
    with tempfile.TemporaryDirectory(prefix="checkback-testing-") as name:
        folder = Path(name)
        work = folder / "work"
        work.mkdir()
        context = JobContext(
            job_id="00000000-0000-4000-8000-000000000000",
            kind=found.name,
            attempt=attempt,
            deadline_seconds=deadline_seconds,
            folder=work,
            reporter=_Recorder(run, folder / "files", attempt),
            environment=Environment(temporary_folder=work),
            resource=resource,
            saved=saved,
        )
        if cancelled:
            context.mark_cancelled()
        value = found.function(**found.parameters(model, context))
        if inspect.isawaitable(value):
            value = asyncio.run(_awaited(value))
        text, was_clean = encode_result(value, context.warnings)
        if not was_clean:
            run.log.append(replaced("result"))
    run.result = json.loads(text)
    run.warnings = context.warnings
    return run


async def _awaited(value: Any) -> Any:
    return await value


def _kind(kind: str | Callable[..., Any]) -> registry.Kind:
    if isinstance(kind, str):
        return registry.get(kind)
    for known in registry.all_kinds():
        if known.function is kind:
            return known
    raise CheckbackError(
        f"{kind!r} is not registered as a kind of job.", hint="Decorate the function with @job."
    )


@contextmanager
def running_server(*kinds: str, **settings: object) -> Generator[Client]:
    """A real server on a temporary data folder, for as long as the ``with``; yields its client.

    ``kinds`` are modules or .py files with kinds; ``settings`` are settings in lower case without
    their prefix, such as ``job_concurrency=2``. Use it in a fixture of the scope that you like:

    ```python
    @pytest.fixture(scope="session")
    def client():
        with running_server("my_kinds.py") as client:
            yield client
    ```

    Raises EngineUnavailable when the server does not start.
    """
    with tempfile.TemporaryDirectory(prefix="checkback-testing-") as home:
        variables = {"home": home, "port": 0, "kinds": ",".join(kinds), **settings}
        environment = os.environ | {
            f"CHECKBACK_{name.upper()}": str(value) for name, value in variables.items()
        }
        Path(home).chmod(0o700)
        process = subprocess.Popen(
            [sys.executable, "-m", "checkback", "serve", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield _client_of(process)
        finally:
            _stop(process)


def _client_of(process: subprocess.Popen[str]) -> Client:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise EngineUnavailable(
            "The server did not start.", hint="Read its messages in the test's captured output."
        )
    announced = json.loads(line)
    return Client(announced["url"], announced["token"])


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
