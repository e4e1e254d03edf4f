"""``python -m chaos.soak --minutes 60``: mixed work for a long time, and what it leaves behind:
nothing.

Page analyses, documents, callbacks, small jobs that succeed, fail, crash, run late, are cancelled,
retried, watched and left, at a pace that uses about a third of a core. Jobs are kept for three
minutes only, so that they expire during the run. Ends with 0 where nothing has grown and nothing
was lost, with 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import os
import sys
import tempfile
import time
from pathlib import Path

from chaos.crowd_line import Line
from chaos.parts import ROOT, Server
from chaos.soak_measure import (
    MEGABYTE,
    STORE,
    Meter,
    growth,
    judge_end,
    judge_growth,
    judge_restarts,
)
from chaos.soak_site import Site, served
from chaos.soak_users import Users
from checkback.engine.processes import tree
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.embedded import store_address
from checkback.settings import Settings

KEEP_SECONDS = 180.0
SWEEP_SECONDS = 60.0
SAMPLE_SECONDS = 60.0
WARM_JOBS = 2000
LEAST_MINUTES = 10
SHOWN_PROBLEMS = 20
THREADS = 64


def main() -> int:
    """Run by the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m chaos.soak", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=60, help="how long the server is used (60)"
    )
    parser.add_argument(
        "--warm-minutes", type=float, default=10, help="when growth begins to count (10)"
    )
    parser.add_argument("--no-pages", action="store_true", help="leave out what needs a browser")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the data folder and the log there"
    )
    options = parser.parse_args()
    if options.minutes <= options.warm_minutes + LEAST_MINUTES:
        parser.error(
            f"--minutes must be more than {LEAST_MINUTES} above --warm-minutes: growth shows late"
        )
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with served(folder / "site") as site:
            return asyncio.run(_run(folder, site, options))


async def _run(folder: Path, site: Site, options: argparse.Namespace) -> int:
    asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(THREADS))
    home = folder / "home"
    server = Server(_environment(home, site), folder / "log.txt", with_worker=True)
    wire = RedisConnection(store_address(home), name="soak")
    try:
        await server.start()
        await server.ready()
        users = Users(server.url, server.token, site, KEEP_SECONDS, pages=not options.no_pages)
        meter = Meter(server.pid, home, wire, tuple(Settings().concurrency))
        return await _soak(server, meter, users, site, options)
    finally:
        await wire.close()
        if server.started:
            await asyncio.to_thread(tree.kill_tree, server.pid)
            await server.wait()


async def _soak(
    server: Server, meter: Meter, users: Users, site: Site, options: argparse.Namespace
) -> int:
    await users.warm_up(WARM_JOBS)
    first = await meter.sample()
    print(first.line(), flush=True)
    ends = time.monotonic() + 60 * options.minutes
    using = asyncio.create_task(users.use(ends))
    while time.monotonic() < ends:
        await asyncio.wait({using}, timeout=min(SAMPLE_SECONDS, max(0.1, ends - time.monotonic())))
        print((await meter.sample()).line(), flush=True)
    until = meter.samples[-1].seconds
    await using
    await users.settle()
    await asyncio.sleep(SWEEP_SECONDS)  # what is not readable any more must be removed within this
    last = await meter.sample()
    print(last.line(), flush=True)
    warm_seconds = 60 * options.warm_minutes
    problems = [
        *users.problems,
        *judge_growth(meter.samples, warm_seconds, until),
        *judge_end(first, last),
    ]
    problems += judge_restarts((await Line(server.url, server.token).get("/health"))["restarts"])
    problems += [
        f"nobody was notified of {job_id}" for job_id in users.to_be_told - site.told.keys()
    ]
    _tell(meter, users, site, warm_seconds, until)
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"PROBLEM: {problem}")
    print(f"FAILED: {len(problems)} problems" if problems else "nothing grew, nothing was lost")
    return bool(problems)


def _tell(meter: Meter, users: Users, site: Site, warm_seconds: float, until: float) -> None:
    for name, count in sorted(users.done.items()):
        print(f"  {name:40} {count:>8}")
    print(f"  {'callbacks that came':40} {sum(site.told.values()):>8}")
    for what, early, late in growth(meter.samples, warm_seconds, until):
        unit = MEGABYTE if what.startswith("memory") or what == STORE else 1
        change = f"{100 * (late / early - 1):+.1f} %" if early else ""
        print(f"  {what:40} {early / unit:>8.1f} {late / unit:>8.1f} {change:>9}")


def _environment(home: Path, site: Site) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("CHECKBACK_")}
    keep_hours = str(KEEP_SECONDS / 3600)
    return own | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(
            os.pathsep
        ),
        "CHECKBACK_HOME": str(home),
        "CHECKBACK_KINDS": "chaos.soak_kinds",
        "CHECKBACK_PORT": "0",
        "CHECKBACK_ALLOW_HOSTS": site.address,
        "CHECKBACK_KEEP_COMPLETED_HOURS": keep_hours,
        "CHECKBACK_KEEP_FAILED_HOURS": keep_hours,
        "CHECKBACK_LOG_LEVEL": "warning",
    }


if __name__ == "__main__":
    sys.exit(main())
