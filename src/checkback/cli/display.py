"""A job on a terminal: a progress bar, or plain lines if the output is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator

from checkback.cli.terminal import printable
from checkback.core.job import Job
from checkback.core.states import State


def sentence(job: Job) -> str:
    """One line about a job: state, phase, progress; the failure and what to do when it failed."""
    parts = [job.id, printable(job.kind), job.state.value]
    if job.state is State.ACTIVE:
        parts.append(f"{job.phase or 'running'} {job.progress} %")
        if job.message:
            parts.append(printable(job.message))
    return "\n".join(["  ".join(parts), *_failure_lines(job)])


def _failure_lines(job: Job) -> list[str]:
    if job.failure is None or job.state is not State.FAILED:
        return []
    lines = [f"{job.failure.code}: {printable(job.failure.message)}"]
    if job.failure.hint:
        lines.append(f"hint: {printable(job.failure.hint)}")
    return lines


async def draw(changes: AsyncGenerator[Job]) -> Job:
    """Show each change until the job ends, on standard error; returns the job as it ended."""
    if sys.stderr.isatty():
        return await _draw_bar(changes)
    return await _draw_lines(changes)


async def _draw_lines(changes: AsyncGenerator[Job]) -> Job:
    job: Job | None = None
    shown: tuple[object, ...] = ()
    async for job in changes:
        now = (job.state, job.phase, job.progress // 10)
        if now != shown:
            sys.stderr.write(sentence(job) + "\n")
            sys.stderr.flush()
            shown = now
    assert job is not None, "a watched job is reported at least once"
    return job


def _label(job: Job) -> str:
    if job.state is not State.ACTIVE:
        return job.state.value
    return printable(job.phase or "running")


async def _draw_bar(changes: AsyncGenerator[Job]) -> Job:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    job: Job | None = None
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<12}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=False) as progress:
        bar = progress.add_task("waiting", total=100, note="")
        phase: str | None = None
        async for job in changes:
            if job.phase != phase and phase is not None and not job.state.is_final:
                progress.console.print(f"  done: {printable(phase)}", markup=False, highlight=False)
            phase = job.phase or phase
            note = printable(job.message or "")
            progress.update(bar, completed=job.progress, description=_label(job), note=note)
    assert job is not None, "a watched job is reported at least once"
    if job.state is not State.COMPLETED:
        sys.stderr.write(sentence(job) + "\n")
    return job
