"""The commands about jobs. Each connects to the data folder's server, starting
one when none runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkback import settings as settings_table
from checkback.app.connect import Connection, connect
from checkback.app.worker import load_kinds
from checkback.cli.exit_codes import Exit, of_state
from checkback.cli.terminal import printable, printable_block
from checkback.core import trace_context
from checkback.core.error_text import quoted
from checkback.core.errors import InvalidInput
from checkback.core.job import JSON, Job
from checkback.core.states import State
from checkback.core.trace_context import TraceContext
from checkback.security.auth.callers import LOCAL

if TYPE_CHECKING:
    from checkback.kinds.registry import Kind
    from checkback.service import Page

FOR_EVER = 10 * 365 * 24 * 3600.0


def submit(options: Namespace) -> int:
    """Print the id, or with ``--wait`` the result."""
    given = [_parse_argument(text) for text in options.args]

    # Where a shell runs as a part of a trace, OpenTelemetry says so in these variables.
    trace_context.current.set(TraceContext.from_carrier(lambda name: os.environ.get(name.upper())))

    async def run(connection: Connection) -> int:
        load_kinds(connection.settings)
        args = _with_files(connection, options.kind, given)
        done = await connection.service.submit(
            LOCAL,
            options.kind,
            args,
            key=options.key,
            deadline_seconds=options.deadline,
            delay_seconds=options.delay,
            attempts=options.attempts,
        )
        if not options.wait:
            _print_json(_record(done.job)) if options.json else _print(done.job.id)
            return Exit.DONE
        sys.stderr.write(f"{done.job.id}\n")
        return await _follow(connection, done.job.id, options, quiet=options.json)

    return _run(options, run)


def check(options: Namespace) -> int:
    """Print state, phase and progress; the exit code also says the state."""

    async def run(connection: Connection) -> int:
        job = await connection.service.get(LOCAL, options.id)
        _print_job(job, options)
        return of_state(job.state)

    return _run(options, run)


def watch(options: Namespace) -> int:
    """Show the job's progress until it ends."""

    async def run(connection: Connection) -> int:
        if options.json or options.dialect:
            return await _print_changes(connection, options)
        return await _draw(connection, options.id)

    return _run(options, run)


async def _print_changes(connection: Connection, options: Namespace) -> int:
    """Print one line each time the job changes, until it ends."""
    job = None
    async with aclosing(connection.service.watch(LOCAL, options.id)) as changes:
        async for job in changes:
            _print_job(job, options, lines=True)
    return of_state(job.state) if job else Exit.UNKNOWN


def wait(options: Namespace) -> int:
    """Wait, with progress on a terminal, and print the result."""

    async def run(connection: Connection) -> int:
        return await _follow(
            connection, options.id, options, timeout=options.timeout, quiet=options.json
        )

    return _run(options, run)


def cancel(options: Namespace) -> int:
    """Cancel the job."""

    async def run(connection: Connection) -> int:
        job = await connection.service.cancel(LOCAL, options.id)
        _print_job(job, options)
        return Exit.DONE if job.state is State.CANCELLED else of_state(job.state)

    return _run(options, run)


def delete(options: Namespace) -> int:
    """Delete the job with its result, log and files."""

    async def run(connection: Connection) -> int:
        await connection.service.delete(LOCAL, options.id)
        if options.json:
            _print_json({"id": options.id, "deleted": True})
        else:
            _print(f"deleted {options.id}")
        return Exit.DONE

    return _run(options, run)


def retry(options: Namespace) -> int:
    """Run it again."""

    async def run(connection: Connection) -> int:
        _print_job(await connection.service.retry(LOCAL, options.id), options)
        return Exit.DONE

    return _run(options, run)


def result(options: Namespace) -> int:
    """Print the result as JSON."""

    async def run(connection: Connection) -> int:
        job = await connection.service.get(LOCAL, options.id)
        if job.state is not State.COMPLETED:
            _print_job(job, options, to_error=True)
            return of_state(job.state)
        _print_json(await connection.service.result(LOCAL, options.id))
        return Exit.DONE

    return _run(options, run)


def log(options: Namespace) -> int:
    """Print the log."""

    async def run(connection: Connection) -> int:
        lines = await connection.service.log(LOCAL, options.id)
        if options.json:
            _print_json(lines)
        else:
            for line in lines:
                _print(printable(line))
        return Exit.DONE

    return _run(options, run)


def artifact(options: Namespace) -> int:
    """Print one line for each file, or the file itself."""

    async def run(connection: Connection) -> int:
        if options.name is None:
            job = await connection.service.get(LOCAL, options.id)
            _print_artifacts(job, as_json=options.json)
        else:
            _, path = await connection.service.artifact(LOCAL, options.id, options.name)
            _write_out(path, options.output)
        return Exit.DONE

    return _run(options, run)


def _print_artifacts(job: Job, *, as_json: bool) -> None:
    if as_json:
        _print_json([asdict(artifact) for artifact in job.artifacts])
        return
    for artifact in job.artifacts:
        name = printable(artifact.name)
        _print(f"{name:<24}  {artifact.size_bytes:>10}  {artifact.media_type}")


def _write_out(path: Path, output: str | None) -> None:
    """Copy a file to another one, or to standard output."""
    if output:
        shutil.copyfile(path, output)
        return
    with path.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)


def list(options: Namespace) -> int:
    """Print one line for each job."""

    async def run(connection: Connection) -> int:
        page = await connection.service.list(
            LOCAL,
            state=State(options.state) if options.state else None,
            kind=options.kind,
            owner=options.owner,
            limit=options.limit,
            cursor=options.cursor,
        )
        if options.json:
            _print_json({"jobs": [_record(job) for job in page.jobs], "cursor": page.cursor})
            return Exit.DONE
        _print_rows(page)
        return Exit.DONE

    return _run(options, run)


def _print_rows(page: Page) -> None:
    for job in page.jobs:
        created_at, kind = f"{job.created_at:%F %T}", printable(job.kind)
        _print(f"{job.id}  {job.state:<9}  {job.progress:3d} %  {kind:<20}  {created_at}")
    if page.cursor:
        sys.stderr.write(f"more: checkback list --cursor {page.cursor}\n")
    if not page.jobs:
        sys.stderr.write("no jobs; submit one with `checkback submit KIND NAME=VALUE`\n")


def kinds(options: Namespace) -> int:
    """The kinds that the server knows, with their arguments."""

    async def run(connection: Connection) -> int:
        from checkback.kinds import registry

        load_kinds(connection.settings)
        if options.json:
            _print_json(
                [
                    {"kind": kind.name, "title": kind.title, "args": kind.args_schema()}
                    for kind in registry.all_kinds()
                ]
            )
            return Exit.DONE
        for kind in registry.all_kinds():
            _print(f"{kind.name:<20}  {kind.title}  ({_argument_names(kind)})")
        return Exit.DONE

    return _run(options, run)


def _argument_names(kind: Kind) -> str:
    """The first arguments of a kind; those that may be left out have a question mark."""
    names = [
        (field.alias or name) + ("" if field.is_required() else "?")
        for name, field in kind.args_model.model_fields.items()
    ]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _run(options: Namespace, work: Callable[[Connection], Awaitable[int]]) -> int:
    kinds_given = getattr(options, "kinds", None)
    chosen: dict[str, Any] = {"kinds": tuple(kinds_given)} if kinds_given else {}
    settings = settings_table.read(None, **chosen)
    if kinds_given:
        load_kinds(settings)  # a missing module is reported before a server is asked to use it

    async def run() -> int:
        async with connect(settings, chosen=chosen) as connection:
            return await work(connection)

    return asyncio.run(run())


async def _follow(
    connection: Connection,
    job_id: str,
    options: Namespace,
    *,
    timeout: float | None = None,
    quiet: bool = False,
) -> int:
    """Wait for the end, with progress on a terminal, and print the result."""
    watching = _watch_quietly(connection, job_id) if quiet else _draw(connection, job_id)
    try:
        async with asyncio.timeout(timeout):
            await watching
    except TimeoutError:
        sys.stderr.write("still running\n")
    job = await connection.service.get(LOCAL, job_id)
    await _print_end(connection, job, as_json=options.json)
    return of_state(job.state)


async def _print_end(connection: Connection, job: Job, *, as_json: bool) -> None:
    """Print the whole job if JSON is wanted, else the result, if there is one."""
    if as_json:
        _print_json(_record(job))
    elif job.state is State.COMPLETED:
        _print_json(await connection.service.result(LOCAL, job.id))


async def _watch_quietly(connection: Connection, job_id: str) -> int:
    return of_state((await connection.service.wait(LOCAL, job_id, FOR_EVER)).state)


async def _draw(connection: Connection, job_id: str) -> int:
    from checkback.cli.display import draw

    async with aclosing(connection.service.watch(LOCAL, job_id)) as changes:
        job = await draw(changes)
    return of_state(job.state)


def _parse_argument(text: str) -> tuple[str, JSON]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidInput(
            f"The argument {quoted(text)} does not have the form NAME=VALUE.",
            hint="Write arguments like url=https://example.com.",
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _with_files(
    connection: Connection, kind: str, arguments: Sequence[tuple[str, JSON]]
) -> dict[str, JSON]:
    """The arguments, with each ``file=PATH`` uploaded: no path leaves this process."""
    from checkback.kinds import registry

    paths = [Path(str(value)) for name, value in arguments if name == "file"]
    if not paths or "file" in registry.get(kind).args_model.model_fields:
        return dict(arguments)
    args = {name: value for name, value in arguments if name != "file"}
    return {**args, **_file_argument(connection, registry.get(kind), paths)}


def _file_argument(connection: Connection, kind: Kind, paths: Sequence[Path]) -> dict[str, JSON]:
    """The argument of a kind that takes files, with what was uploaded."""
    if "urls" in kind.sources:
        return {"urls": [_upload(connection, path) for path in paths]}
    if "url" in kind.sources and len(paths) == 1:
        return {"url": _upload(connection, paths[0])}
    raise InvalidInput(
        f"{kind.name} takes {'one file' if 'url' in kind.sources else 'no file'}.",
        hint="Run `checkback kinds` to see the arguments of each kind.",
    )


def _upload(connection: Connection, path: Path) -> str:
    """Upload a file and return it as a source."""
    try:
        with path.open("rb") as file, connection.service.uploads.begin(LOCAL, path.name) as writer:
            while chunk := file.read(1 << 20):
                writer.write(chunk)
            return f"upload:{writer.finish().id}"
    except OSError as error:
        raise InvalidInput(
            f"The file {quoted(path)} cannot be read: {error.strerror}.",
            hint="Name an existing file that you can read.",
        ) from None


def _record(job: Job) -> Any:
    from checkback.dialects import native  # imports pydantic, which a plain check need not wait for

    return native.job(job, now=datetime.now(UTC))


def _print_job(
    job: Job, options: Namespace, *, lines: bool = False, to_error: bool = False
) -> None:
    dialect = getattr(options, "dialect", None)
    if dialect is not None or options.json:
        _print_json(_in_dialect(job, dialect), lines=lines)
        return
    from checkback.cli.display import sentence

    _print(sentence(job), to_error=to_error)


def _in_dialect(job: Job, dialect: str | None) -> JSON:
    if dialect != "reftrix":
        return _record(job)
    from checkback.dialects import reftrix

    return reftrix.status(job, job.id)


def _print_json(value: JSON, *, lines: bool = False) -> None:
    text = json.dumps(
        value, ensure_ascii=False, indent=None if lines or not sys.stdout.isatty() else 2
    )
    _print(printable_block(text))


def _print(text: str, *, to_error: bool = False) -> None:
    stream = sys.stderr if to_error else sys.stdout
    stream.write(text + "\n")
    stream.flush()
