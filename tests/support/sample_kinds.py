"""Kinds that the tests run: each does one thing that a real kind might do, well or badly."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncGenerator
from pathlib import Path

from pydantic import BaseModel, SecretStr

from checkback.core.errors import CheckbackError, JobFailed
from checkback.kinds.context import Environment, JobContext
from checkback.kinds.registry import MemoryLimit, job


@job("test.add", title="Add two numbers")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@job("test.say", phases=("thinking", "speaking"))
def say(words: str, ctx: JobContext) -> dict[str, str]:
    """Walk through two phases, log, print, and leave a file."""
    ctx.phase("thinking")
    ctx.progress(40, "half way")
    ctx.log(f"log: {words}")
    print(f"printed: {words}")
    ctx.phase("speaking")
    ctx.progress(90)
    ctx.artifact("words.txt", words)
    return {"said": words}


def wait_for_file(path: str) -> None:
    """Return when the file is there: how a test lets a job go on."""
    while not Path(path).exists():
        time.sleep(0.01)


@job("test.gate", deadline_seconds=120)
async def gate(path: str, ctx: JobContext, started: str | None = None) -> str:
    """Run until a file appears."""
    ctx.phase("waiting")
    if started:
        with Path(started).open("a") as file:
            file.write(f"{ctx.attempt}\n")
    while not Path(path).exists():
        await asyncio.sleep(0.01)
    return f"attempt {ctx.attempt}"


@job("test.stages", phases=("first", "second"), deadline_seconds=120)
def stages(go_on: str, end: str, ctx: JobContext) -> dict[str, str]:
    """Walk through two phases, each until a file appears."""
    ctx.phase("first")
    ctx.progress(20, "half of the first")
    wait_for_file(go_on)
    ctx.phase("second")
    ctx.progress(70, "half of the second")
    wait_for_file(end)
    return {"walked": "both"}


@job("test.gate_with_pid", deadline_seconds=120)
async def gate_with_pid(path: str, pid: str, ctx: JobContext) -> str:
    """As test.gate, and tell the process."""
    Path(pid).write_text(str(os.getpid()))
    return await gate(path, ctx)


@job("test.gate_of_worker", deadline_seconds=120)
def gate_of_worker(path: str, started: str) -> None:
    """As test.gate, and tell which worker process started this."""
    fork_server = os.getppid()
    with Path(started).open("a") as file:
        file.write(
            Path(f"/proc/{fork_server}/stat").read_text().rpartition(")")[2].split()[1] + "\n"
        )
    wait_for_file(path)


@job("test.gate_much", deadline_seconds=120)
def gate_much(path: str, characters: int, ctx: JobContext) -> str:
    """Wait for a file, then log and return much."""
    ctx.phase("waiting")
    wait_for_file(path)
    ctx.log("y" * 1000)
    return "x" * characters


@job("test.leave_file", deadline_seconds=120)
def leave_file(go: str, done: str, ctx: JobContext) -> str:
    """Wait for a file, leave one that names the attempt, and say so before the end."""
    ctx.phase("waiting")
    wait_for_file(go)
    ctx.artifact("attempt.txt", str(ctx.attempt))
    Path(done).touch()
    return f"attempt {ctx.attempt}"


@job("test.two_files")
def two_files(ctx: JobContext) -> str:
    """Leave two files."""
    ctx.artifact("one.txt", "the first")
    ctx.artifact("two.txt", "the second")
    return "left"


@job("test.leave_file_once")
def leave_file_once(fail_later: bool, ctx: JobContext) -> str:
    """Leave a file in the first attempt; later ones leave none, and fail where they are told to."""
    if ctx.attempt == 1:
        ctx.artifact("attempt.txt", "1")
    elif fail_later:
        raise JobFailed("later", "A later attempt failed.", retryable=False)
    return f"attempt {ctx.attempt}"


@job("test.leave_file_unrepeatable", safe_to_repeat=False)
def leave_file_unrepeatable(ctx: JobContext) -> None:
    """Leave a file, and be done only once."""
    ctx.artifact("attempt.txt", "1")


@job("test.write_much", deadline_seconds=120)
def write_much(path: str, size_bytes: int, ctx: JobContext) -> str:
    """Wait for a file, then leave a large one."""
    wait_for_file(path)
    ctx.artifact("large.bin", bytes(size_bytes))
    return "written"


@job("test.resume", attempts=3, backoff_seconds=0.05)
def resume(ctx: JobContext) -> dict[str, object]:
    """Save which attempt this is and fail, until two have done so."""
    seen = list(ctx.saved or [])
    if len(seen) < 2:
        ctx.save([*seen, ctx.attempt])
        raise JobFailed("not_yet", "Not done yet.")
    return {"seen": seen}


@job("test.save_much")
def save_much(ctx: JobContext) -> str:
    """Try to save more than may be saved."""
    try:
        ctx.save("x" * 20_000)
    except ValueError:
        return "refused"
    return "saved"


@job("test.once", deadline_seconds=120, safe_to_repeat=False)
async def once(path: str) -> str:
    """As test.gate, but not to be repeated after its worker was lost."""
    while not Path(path).exists():
        await asyncio.sleep(0.01)
    return "done"


@job("test.stubborn", deadline_seconds=120)
def stubborn(pids: str) -> None:
    """Ignore every cancel, with a process of its own below, in a session of its own, that ignores
    them too.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    below = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    Path(pids).write_text(f"{os.getpid()} {below.pid}")
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(600)


@job("test.fail")
def fail(code: str = "broken", message: str = "It broke.", retryable: bool = True) -> None:
    """Fail in words of its own."""
    raise JobFailed(code, message, retryable=retryable, hint="Fix it.")


@job("test.raise")
def raise_error(text: str) -> None:
    """Fail as a program does that has a mistake."""
    raise RuntimeError(text)


@job("test.flaky", attempts=3, backoff_seconds=0.05)
def flaky(path: str, failures: int) -> int:
    """Fail some times, then succeed."""
    with Path(path).open("a") as file:
        file.write("x")
    ran = len(Path(path).read_text())
    if ran <= failures:
        raise JobFailed("flaky", "Not yet.")
    return ran


@job("test.exit")
def exit_process(status: int) -> None:
    """End the process from inside."""
    os._exit(status)


@job("test.sys_exit")
def sys_exit() -> None:
    """Ask Python to end."""
    sys.exit(3)


@job("test.cancel_itself")
async def cancel_itself() -> None:
    """Leak a cancellation, as careless asyncio code does."""
    raise asyncio.CancelledError


@job("test.segfault")
def segfault() -> None:
    """Die of a signal."""
    os.kill(os.getpid(), signal.SIGSEGV)


@job("test.read_nothing")
def read_nothing() -> None:
    """Read where no memory is, as a broken library does."""
    ctypes.string_at(0)


@job("test.segfault_for_sure", attempts=3, backoff_seconds=0.01, deterministic=True)
def segfault_for_sure() -> None:
    """Die of a signal, as it would every time."""
    os.kill(os.getpid(), signal.SIGSEGV)


@job("test.endless", deadline_seconds=0.5)
def endless() -> None:
    """Never end."""
    while True:
        pass


@job("test.stop_itself", deadline_seconds=0.5)
def stop_itself() -> None:
    """Stand still, deaf to everything but the kill."""
    os.kill(os.getpid(), signal.SIGSTOP)


@job("test.fork_many", deadline_seconds=3)
def fork_many(pids: str, count: int) -> None:
    """Start far too many processes, each in a session of its own."""
    for _ in range(count):
        if (pid := os.fork()) == 0:
            os.setsid()
            time.sleep(600)
            os._exit(0)
        with Path(pids).open("a") as file:
            file.write(f"{pid}\n")
    time.sleep(600)


@job("test.print_much")
def print_much(lines: int) -> int:
    """Print far too fast."""
    # In one piece: line by line a quick reader keeps up, and has nothing to drop.
    sys.stdout.write("".join(f"{number} {'x' * 80}\n" for number in range(lines)))
    sys.stdout.flush()
    return lines


@job("test.eat", memory_bytes=600_000_000, memory_limit=MemoryLimit.ADDRESS_SPACE)
def eat() -> int:
    """Take more memory than the kind may, where the kernel holds the limit."""
    return len(bytearray(2_000_000_000))


@job("test.eat_resident", memory_bytes=150_000_000)
def eat_resident() -> int:
    """Take more memory than the kind may, where the worker watches."""
    kept = bytearray(os.urandom(1 << 20)) * 400
    time.sleep(60)
    return len(kept)


@job("test.large")
def large(size: int) -> str:
    """Return a large result."""
    return "x" * size


@job("test.not_json")
def not_json() -> object:
    """Return something that is not JSON."""
    return float("nan")


@job("test.talk")
def talk(lines: int, ctx: JobContext) -> int:
    """Log and report far too often."""
    for number in range(lines):
        ctx.log(f"line {number}")
        ctx.progress(number * 100 / lines)
    return lines


@job("test.progress_back")
def progress_back(ctx: JobContext, path: str) -> None:
    """Report progress that falls."""
    ctx.progress(60)
    ctx.progress(20)
    wait_for_file(path)


class LoginArgs(BaseModel):
    """Arguments with a secret."""

    user: str
    password: SecretStr


@job("test.login")
def login(args: LoginArgs) -> dict[str, object]:
    """Tell how long a secret is, not what it is."""
    return {"user": args.user, "length": len(args.password.get_secret_value())}


@job("test.pid")
def pid() -> int:
    """Tell the process that runs this."""
    return os.getpid()


@contextlib.asynccontextmanager
async def _kept(environment: Environment) -> AsyncGenerator[list[int]]:
    yield []


@job("test.warm", warm=_kept)
async def warm(ctx: JobContext, path: str | None = None) -> list[int]:
    """Use what the child keeps: which process, and which job of it this is."""
    ctx.resource.append(1)
    while path and not Path(path).exists():
        await asyncio.sleep(0.01)
    return [os.getpid(), len(ctx.resource)]


@job("test.poison", deadline_seconds=60)
def poison(pids: str) -> None:
    """Kill the worker that runs this."""
    with Path(pids).open("a") as file:
        file.write("killed\n")
    fork_server = os.getppid()
    worker = int(Path(f"/proc/{fork_server}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(worker, signal.SIGKILL)
    time.sleep(60)


@job("test.limited", concurrency=1)
async def limited(folder: str) -> int:
    """Count how many of this kind run at once."""
    mark = Path(folder) / str(os.getpid())
    mark.touch()
    await asyncio.sleep(0.05)
    running = len(list(Path(folder).iterdir()))
    mark.unlink()
    return running


@job("test.split", deadline_seconds=120)
def split(paths: list[str], ctx: JobContext, fail_on: str | None = None) -> list[dict[str, object]]:
    """Start a test.gate for each file and follow them; fail while ``fail_on`` is there."""
    ids = [ctx.start("test.gate", {"path": path}, key=path) for path in paths]
    if fail_on and Path(fail_on).exists():
        raise JobFailed("told_to", "It was told to.", retryable=False)
    while True:
        found = ctx.look(ids)
        if all(part.state.is_final for part in found):
            return [
                {"id": part.id, "state": part.state.value, "result": part.result} for part in found
            ]
        if ctx.cancelled:
            raise JobFailed("cancelled", "The job was cancelled.", retryable=False)
        time.sleep(0.02)


@job("test.start_anything")
def start_anything(kind: str, ctx: JobContext) -> str:
    """Try to start a job that cannot be started."""
    try:
        ctx.start(kind, {"url": "upload:x"}, key="one")
    except (CheckbackError, ConnectionError, ValueError) as error:
        return type(error).__name__
    return "started"


class SecretArgs(BaseModel):
    """A secret alone."""

    password: SecretStr


@job("test.tell_secret")
def tell_secret(args: SecretArgs, ctx: JobContext) -> None:
    """Say a secret in every way that a careless kind can."""
    secret = args.password.get_secret_value()
    ctx.log(f"log {secret}")
    print(f"print {secret}")
    ctx.progress(10, f"message {secret}")
    raise JobFailed("told", f"failed with {secret}", retryable=False, hint=f"hint {secret}")


@job("test.leak")
def leak(how: str, ctx: JobContext) -> None:
    """Say a key that no argument brought: what a page, a program or an exception may hold."""
    key = "sk-" + "CANARY7" + "x9Qz" + "99b1C2d3E4f5G6h7J8"
    if how == "log":
        ctx.log(f"calling with {key}")
    elif how == "print":
        print(f"calling with {key}")
    elif how == "program":
        subprocess.run([sys.executable, "-c", f"print('calling with {key}')"], check=True)
    elif how == "message":
        ctx.progress(50, f"calling with {key}")
    elif how == "fail":
        raise JobFailed("leak", f"refused {key}", retryable=False, hint=f"not with {key}")
    elif how == "traceback":
        try:
            raise ValueError(f"inner {key}")
        except ValueError:
            traceback.print_exc()
    else:
        raise RuntimeError(
            f"POST https://ada:{key}@example.com failed, Authorization: Bearer {key}"
        )


@job("test.inject")
def inject(words: str, ctx: JobContext, fail: bool = False) -> dict[str, str]:
    """Say words of a stranger wherever a job can say something."""
    ctx.log(words)
    ctx.progress(50, words)
    ctx.artifact("page.html", f"<html><title>{words}</title></html>", "text/html")
    if fail:
        raise JobFailed("refused", words, retryable=False)
    return {"title": words}


@job("test.surroundings", phases=("looking",))
def surroundings(ctx: JobContext) -> dict[str, object]:
    """Tell what a job's process finds of the tracing around it."""
    ctx.phase("looking")
    ctx.phase("words of a page")
    found = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    return {
        "traceparent": ctx.traceparent,
        "variables": found,
        "loaded": "opentelemetry" in sys.modules,
    }


@job("test.leave")
def leave(name: str, path: str, ctx: JobContext) -> str:
    """Leave a copy of a file."""
    ctx.artifact(name, Path(path).read_bytes())
    return "left"


HALF = "half \udce9 text"
"""What ``os.listdir`` gives for a file name in Latin-1."""


@job("test.half", phases=("looking",))
def half(where: str, ctx: JobContext) -> object:
    """Say half of a surrogate pair in one place: where a careless kind shows the name of a file."""
    said = {
        "phase": lambda: ctx.phase(HALF, "working"),
        "message": lambda: ctx.progress(50, HALF),
        "log": lambda: ctx.log(HALF),
        "print": lambda: print(HALF),
        "artifact": lambda: [
            ctx.artifact(f"name{code}.txt", HALF) for code in ("\udce9", "\udce8")
        ],
        "media type": lambda: ctx.artifact("one.txt", b"x", "text/plain\r\nx: \udce9"),
        "failure": lambda: fail("broken \udce9", HALF, retryable=False),
        "exception": lambda: raise_error(HALF),
        "exit": lambda: sys.exit(HALF),
        "save": lambda: ctx.save({HALF: HALF}),
    }
    if where in said:
        said[where]()
    results: dict[str, object] = {
        "result": {"rows": [HALF, "\0 and \ud83d\ude00", ("nested", {"deep": HALF})]},
        "keys": dict(zip(["a\udce9", "a\udce8", "a\ufffd"], [1, 2, 3], strict=True)),
        "text": HALF,
        "path": [Path(HALF)],
        "large": [HALF] * 10_000,
        "deep": _nested(101),
        "deepest": _nested(5000),
        "large number": 10**400,
    }
    return results.get(where, where)


def _nested(levels: int) -> object:
    value: object = "middle"
    for _ in range(levels):
        value = [value]
    return value
