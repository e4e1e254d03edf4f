"""Kinds whose processes were taken over: they say to their worker, or hand in, what no job does."""

# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

from checkback.kinds.context import Environment, JobContext
from checkback.kinds.registry import job


def _conversation(ctx: JobContext) -> Any:
    return ctx._reporter._conversation


@job("lie.say", deadline_seconds=30)
def say(text: str, ctx: JobContext, times: int = 1) -> str:
    """Send raw text to the worker, then go on as if nothing was."""
    channel = _conversation(ctx)._channel
    with contextlib.suppress(OSError):
        for _ in range(times):
            channel.sendall(text.encode("utf-8", "surrogatepass"))
    time.sleep(20)
    return "went on"


@job("lie.flood", deadline_seconds=3)
def flood(text: str, ctx: JobContext) -> None:
    """Send the same text until the end."""
    channel = _conversation(ctx)._channel
    with contextlib.suppress(OSError):
        while True:
            channel.sendall(text.encode() * 100)


@job("lie.hand_in")
def hand_in(how: str, bait: str, ctx: JobContext) -> str:
    """Hand a file in, and then put something else in its place."""
    artifact = ctx.artifact("report.txt", "the report")
    file = ctx.folder / ".out" / artifact.id
    written = ctx._reporter._artifacts.written
    if how == "link":
        file.unlink()
        file.symlink_to(bait)
    elif how == "hard link":
        file.unlink()
        os.link(bait, file)
    elif how == "folder link":
        file.parent.rename(ctx.folder / "elsewhere")
        file.parent.symlink_to(Path(bait).parent)
        written[0] = replace(artifact, id=Path(bait).name)
    elif how == "pipe":
        file.unlink()
        os.mkfifo(file)
    elif how == "folder":
        file.unlink()
        file.mkdir()
    elif how == "other content":
        file.write_text("THE report")
    elif how == "other size":
        file.write_text("the report, and more")
    elif how == "gone":
        file.unlink()
    elif how == "path as id":
        written[0] = replace(artifact, id="../" + "a" * 13)
    elif how == "path as name":
        written[0] = replace(artifact, name="../../x")
    elif how == "other attempt":
        written[0] = replace(artifact, attempt=7)
    elif how == "twice":
        written.append(replace(artifact, name="again.txt"))
    elif how == "header as type":
        written[0] = replace(artifact, media_type="text/plain\r\nSet-Cookie: a=b")
    return how


@contextlib.asynccontextmanager
async def _nothing(environment: Environment) -> AsyncGenerator[Environment]:
    yield environment


@job("lie.later", warm=_nothing)
async def later(ctx: JobContext) -> str:
    """Keep a file open that was handed in, and change it after the job has ended."""
    artifact = ctx.artifact("report.txt", "the report")
    file = (ctx.folder / ".out" / artifact.id).open("r+b", buffering=0)
    asyncio.get_running_loop().call_later(1.0, file.write, b"THE")
    return str(ctx.resource.temporary_folder)


@job("lie.deep")
def deep(levels: int, ctx: JobContext) -> int:
    """Make a folder in a folder in a folder, and leave it there."""
    for level in range(levels):
        os.mkdir("d")
        os.chdir("d")
        if level % 100 == 0:
            Path("file").write_bytes(b"x")
    return levels


@job("lie.part")
def part(kind: str, args: dict[str, Any], ctx: JobContext, longer: int = 0) -> Any:
    """Ask for a part without the checks of an honest process; what the worker answers."""
    if longer:
        args["words"] = "x" * longer
    return _conversation(ctx).ask({"say": "start", "kind": kind, "key": "one", "args": args})


@job("lie.look")
def look(ids: list[str], ctx: JobContext) -> Any:
    """Ask how these jobs stand."""
    return _conversation(ctx).ask({"say": "look", "ids": ids})


@job("lie.surroundings", deadline_seconds=60)
def surroundings(ctx: JobContext, go: str | None = None) -> dict[str, Any]:
    """Tell which descriptors and variables the process has."""
    ctx.phase("waiting")
    while go and not Path(go).exists():
        time.sleep(0.01)
    listing = os.open("/proc/self/fd", os.O_RDONLY)
    descriptors = sorted(int(name) for name in os.listdir(listing) if int(name) != listing)
    targets = {str(one): _target(one) for one in descriptors}
    at_start = Path("/proc/self/environ").read_bytes().decode().split("\0")
    return {
        "descriptors": targets,
        "variables": sorted({*os.environ, *(one.split("=")[0] for one in at_start)}),
    }


def _target(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{descriptor}").split(":")[0]
    return "gone"


@job("lie.fill", deadline_seconds=60)
def fill(how: str, ctx: JobContext) -> None:
    """Write without end: into one file, many, files without names, folders that others may not
    enter.
    """
    number = 0
    hidden = ctx.folder / "hidden"
    hidden.mkdir()
    held: list[Any] = []
    while True:
        number += 1
        if how == "many small files":
            (ctx.folder / f"{number}").touch()
            continue
        if how == "handed in":
            ctx.artifact(f"{number}.bin", bytes(1 << 20))
        elif how == "handed in behind the back":
            (ctx.folder / ".out").mkdir(exist_ok=True)
            (ctx.folder / ".out" / f"{number}").write_bytes(bytes(1 << 20))
        elif how == "removed":
            file = (ctx.folder / "file").open("wb", buffering=0)
            os.unlink(file.name)
            file.write(bytes(1 << 20))
            held.append(file)
        elif how == "memory file":
            held.append(os.memfd_create("x"))
            os.write(held[-1], bytes(1 << 20))
        elif how == "shut folder":
            hidden.chmod(0o700)
            (hidden / f"{number}").write_bytes(bytes(1 << 20))
            hidden.chmod(0)
        else:
            with (ctx.folder / "file").open("ab") as grown:
                grown.write(bytes(1 << 20))
        time.sleep(0.005)
