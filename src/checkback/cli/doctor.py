"""``checkback doctor``: tests each part, and says how to fix the ones that do not work."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from checkback import settings as settings_table
from checkback.app import daemon
from checkback.app.connect import address
from checkback.cli.exit_codes import Exit
from checkback.cli.terminal import printable
from checkback.core.errors import CheckbackError, InvalidInput, JobFailed
from checkback.engine.redis.bullmq_client import check_server
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.embedded import EmbeddedValkey
from checkback.kinds.documents.files.external_programs import PROGRAMS
from checkback.security.sandbox import policy as sandbox
from checkback.settings import Settings

FREE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether one part works, and what to do if not."""

    part: str
    ok: bool
    message: str
    hint: str = ""
    #: Needed by some jobs only: everything else works without it.
    optional: bool = False

    @property
    def is_acceptable(self) -> bool:
        return self.ok or self.optional


def doctor(options: Namespace) -> int:
    """Exit code 0 when everything works, 1 otherwise."""
    results = asyncio.run(examine(settings_table.read()))
    if options.json:
        sys.stdout.write(json.dumps([asdict(result) for result in results]) + "\n")
    else:
        _print_results(results)
    is_well = all(result.is_acceptable for result in results)
    return Exit.DONE if is_well else Exit.FAILED


def _print_results(results: list[CheckResult]) -> None:
    for result in results:
        sys.stdout.write(f"{_mark(result)}  {result.part:<8}  {printable(result.message)}\n")
        if result.hint:
            sys.stdout.write(f"      hint: {printable(result.hint)}\n")


def _mark(result: CheckResult) -> str:
    if result.ok:
        return "ok  "
    return "none" if result.optional else "FAIL"


async def examine(settings: Settings) -> list[CheckResult]:
    """Test every part."""
    checks: dict[str, Callable[[Settings], Awaitable[str]]] = {
        "folder": _folder,
        "store": _store,
        "server": _server,
        "kinds": _kinds,
        "browser": _browser,
    }
    results = [await _test(part, check, settings) for part, check in checks.items()]
    return [*results, await asyncio.to_thread(_sandbox, settings), *_programs()]


async def _test(
    part: str, check: Callable[[Settings], Awaitable[str]], settings: Settings
) -> CheckResult:
    try:
        return CheckResult(part, ok=True, message=await check(settings))
    except (CheckbackError, JobFailed) as error:
        return CheckResult(part, ok=False, message=error.message, hint=error.hint or "")
    except OSError as error:
        message = f"{type(error).__name__}: {error.strerror or error}"
        return CheckResult(part, ok=False, message=message, hint=f"Check {settings.home}.")


async def _folder(settings: Settings) -> str:
    daemon.prepare_home(settings.home)
    with tempfile.NamedTemporaryFile(dir=settings.home) as file:
        file.write(b"x")
        file.flush()
    free = shutil.disk_usage(settings.home).free
    if free < FREE_BYTES:
        raise OSError(0, f"only {free >> 20} MB are free on the disk of {settings.home}")
    return f"{settings.home} is writable, {free >> 30} GB are free"


def _try_embedded() -> str:
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedValkey(Path(folder))
        started = time.monotonic()
        store.start()
        took = (time.monotonic() - started) * 1000
        store.stop()
    return f"the embedded Valkey starts in {took:.0f} ms"


async def _store(settings: Settings) -> str:
    """The configured store; if no server is running, an embedded one in a temporary folder for a
    moment.
    """
    if settings.own_valkey and not daemon.server_runs(settings.home):
        return _try_embedded()
    wire = RedisConnection(address(settings), name="checkback-doctor")
    try:
        info = await check_server(wire)
    finally:
        await wire.close()
    name = "Valkey" if "valkey_version" in info else "Redis"
    return f"{name} {info.get('valkey_version') or info.get('redis_version')} answers"


async def _server(settings: Settings) -> str:
    if not daemon.server_runs(settings.home):
        from checkback.app.serve import listen

        listen(settings).close()
        return "not running; the first command that needs a server starts it"
    return f"running (PID {daemon.server_pid(settings.home)})"


async def _kinds(settings: Settings) -> str:
    from checkback.app.worker import load_kinds
    from checkback.kinds import registry

    # What a server in the background would load.
    modules = settings.kinds or daemon.remembered_kinds(settings.home)
    load_kinds(replace(settings, kinds=modules))
    if refused := registry.refused():
        message = " ".join(str(one) for one in refused)
        raise InvalidInput(
            message, hint="Rename the kind in its @job, then try again. All other kinds work."
        )
    return ", ".join(kind.name for kind in registry.all_kinds())


_TRY = """
import sys
from pathlib import Path
from checkback.security import sandbox
sandbox.enter(sandbox.Reach(), sandbox.standing(sys.argv[1]))
try:
    Path(sys.argv[2]).read_bytes()
except PermissionError:
    sys.exit(7)
"""


def _sandbox(settings: Settings) -> CheckResult:
    """The sandbox of jobs that read untrusted files: a process inside tries to read a file
    outside.
    """
    walls = sandbox.standing(settings.sandbox)
    accepted = (
        " (accepted by CHECKBACK_ACCEPT_MISSING_SANDBOX)" if settings.accept_missing_sandbox else ""
    )
    missing = (
        "document and page jobs are refused" if not accepted else f"jobs run without it{accepted}"
    )
    hint = (
        "Use Linux 5.13 or newer with Landlock, or install bubblewrap as root: "
        "`apt-get install bubblewrap`."
    )
    if not walls.are_enough:
        message = f"{walls.describe()}: {missing}"
        return CheckResult("sandbox", ok=False, message=message, hint=hint, optional=bool(accepted))
    if walls.landlock and not _is_held_off(settings.sandbox):
        message = "a process in the sandbox could read a file outside of it"
        return CheckResult(
            "sandbox",
            ok=False,
            message=message,
            hint="Report this as a bug, and do not process untrusted files on this machine.",
        )
    return CheckResult("sandbox", ok=True, message=walls.describe())


def _is_held_off(mode: str) -> bool:
    with tempfile.NamedTemporaryFile() as bait:
        command = [sys.executable, "-c", _TRY, mode, bait.name]
        return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == 7


def _programs() -> list[CheckResult]:
    """The programs that document jobs start."""
    findings: list[CheckResult] = []
    for program in PROGRAMS:
        path = program.find()
        message = f"{program.name}: {path}"
        hint = ""
        if path is None:
            message = f"{program.name} is not installed; it is needed for {program.used_for}"
            hint = f"Install it as root with `{program.install}`."
        findings.append(
            CheckResult("program", ok=path is not None, message=message, hint=hint, optional=True)
        )
    return findings


async def _browser(settings: Settings) -> str:
    """Starts the browser and closes it."""
    try:
        from checkback.kinds.browser.session import browser_session
    except ImportError:
        raise JobFailed(
            "BROWSER_UNAVAILABLE",
            "The packages for page analysis are not installed.",
            hint="Install them with: pip install 'checkback[pages]'",
        ) from None
    from checkback.kinds.context import Environment

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(browser=settings.browser, temporary_folder=Path(folder))
        async with browser_session(environment) as session:
            took = (time.monotonic() - started) * 1000
            program = f"{session.program.path} {session.version}"
            sandbox = _SANDBOX[session.sandboxed]
            return f"{program} starts in {took:.0f} ms {sandbox}"


_SANDBOX = {True: "with its sandbox", False: "WITHOUT its sandbox"}
