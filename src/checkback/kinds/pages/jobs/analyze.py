"""Registers ``page.analyze``, and the kinds that build on it.

Doors import this module to list their tools, so it must stay light: the browser and the style sheet
parser are imported when a job runs, and a server without the extra ``pages`` still lists the kind.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from checkback.core.errors import JobFailed
from checkback.kinds.context import Environment, JobContext
from checkback.kinds.pages.jobs import analyze_batch as analyze_batch
from checkback.kinds.pages.jobs import compare as compare
from checkback.kinds.pages.jobs import crop as crop
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs
from checkback.kinds.pages.queue_codec import QUEUE, QUEUE_CODEC
from checkback.kinds.registry import job
from checkback.security.addresses import AddressPolicy

PHASES = ("ingest", "layout", "motion", "quality", "responsive")


def admit(args: PageAnalyzeArgs, policy: AddressPolicy) -> None:
    """Refuse an address at the door that no job could reach anyway."""
    from checkback.security.addresses import check_url

    check_url(args.url, policy)


@asynccontextmanager
async def warm_browser(environment: Environment) -> AsyncGenerator[Any]:
    """A browser that serves one job after the other, or None where none can be started.

    None rather than an error: each job then tries for itself and fails with the reason in its own
    record, and a browser that is installed later is found without a restart.
    """
    try:
        from checkback.kinds.browser.session import browser_session

        manager = browser_session(environment)
        session = await manager.__aenter__()
    except (ImportError, JobFailed):
        yield None
        return
    try:
        yield session
    finally:
        await manager.__aexit__(None, None, None)


@job(
    "page.analyze",
    title="Analyze a web page",
    read_only=True,
    queue=QUEUE,
    queue_codec=QUEUE_CODEC,
    deadline_seconds=600,
    warm=warm_browser,
    network=True,
    sandbox=True,
    memory_bytes=1_500_000_000,
    admit=admit,
    phases=PHASES,
)
async def analyze(args: PageAnalyzeArgs, ctx: JobContext) -> dict[str, Any]:
    """Open a web page in a real browser and report on layout, design, motion, accessibility and
    performance.

    Returns scores and counts; the full report (sections, colors, fonts, findings) is the file
    report.json, which job.result reads in parts. Nothing on the site is changed.
    """
    try:
        from checkback.kinds.browser.session import browser_session
        from checkback.kinds.pages.pipeline import analyze_page
    except ImportError as error:
        raise JobFailed(
            "BROWSER_UNAVAILABLE",
            "Page analysis is not installed on this server.",
            retryable=False,
            hint="Install it with `pip install 'checkback[pages]'` and restart the server.",
        ) from error
    if ctx.resource is not None:
        try:
            return await analyze_page(args, ctx, ctx.resource)
        finally:
            ctx.resource.make_ready()
    async with browser_session(ctx.environment) as session:
        return await analyze_page(args, ctx, session)
