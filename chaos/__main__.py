"""``python -m chaos``: run, break, check, print. Ends with 0 when every promise held, with 1
otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from chaos.broken import BREAKS
from chaos.checker import check
from chaos.clients import Clients, HttpDoor, SocketDoor
from chaos.history import Event, History, read_history
from chaos.kinds import LONG_DEADLINE
from chaos.nemesis import Nemesis
from chaos.parts import Parts
from checkback.app.connect import make_engine, make_service
from checkback.kinds import registry
from checkback.settings import Settings

DRAIN_SECONDS = LONG_DEADLINE + 60
"""After the last fault every job must end by itself within this."""
SHOWN_PROBLEMS = 10


def main() -> int:
    """Run by the options of the command line."""
    options = _options()
    registry.load(("chaos.kinds",))
    if options.judge:
        return _judge(read_history(options.judge))
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        refused = asyncio.run(_run(folder, options))
        took = time.monotonic() - began
        broken = f", broken: {options.broken}" if options.broken else ""
        print(
            f"chaos: {options.seconds:.0f} s of faults, seed {options.seed}{broken}; {took:.0f} s "
            "in all"
        )
        print(f"  {'checks refused during faults':40} {refused:>8}")
        return _judge(read_history(folder / "history.jsonl"))


def _judge(events: list[Event]) -> int:
    """Print what was done and what came of it; returns 1 where a promise was broken."""
    done = Counter(event["what"] for event in events if event["event"] == "fault")
    for what, count in sorted(done.items()):
        print(f"  {what:40} {count:>8}")
    verdict = check(events)
    for name, figure in verdict.figures.items():
        print(f"  {name:40} {figure:>8}")
    for problem in verdict.problems[:SHOWN_PROBLEMS]:
        print(f"BROKEN: {problem}")
    if len(verdict.problems) > SHOWN_PROBLEMS:
        print(f"... and {len(verdict.problems) - SHOWN_PROBLEMS} more")
    print("FAILED" if verdict.problems else "every promise held")
    return bool(verdict.problems)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=90, help="how long things are broken (90)")
    parser.add_argument("--seed", type=int, default=7, help="decides what is broken when (7)")
    parser.add_argument("--producers", type=int, default=4)
    parser.add_argument("--pollers", type=int, default=4)
    parser.add_argument(
        "--break",
        dest="broken",
        choices=sorted(BREAKS),
        help="run workers with this error built in",
    )
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="break only what these words name"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep history and logs there")
    parser.add_argument(
        "--judge", type=Path, metavar="HISTORY", help="only judge a history that was kept"
    )
    return parser.parse_args()


async def _run(folder: Path, options: argparse.Namespace) -> int:
    """Make the history of one run; returns how many checks were not answered with a state."""
    parts = Parts(folder, _free_port(), options.broken)
    history = History(parts.history)
    try:
        await parts.start()
        settings = Settings(home=parts.home, kinds=("chaos.kinds",))
        wire, feed, queues = make_engine(settings, "chaos")
        doors = [
            HttpDoor(parts.server.url, parts.server.token),
            SocketDoor(make_service(settings, queues)),
        ]
        clients = Clients(doors, history, options.seed)
        try:
            await _play(parts, history, clients, options)
        finally:
            await feed.close()
            await wire.close()
        return clients.refused
    finally:
        await parts.stop()


async def _play(
    parts: Parts, history: History, clients: Clients, options: argparse.Namespace
) -> None:
    until = time.monotonic() + options.seconds
    producers = [
        clients.produce(f"producer-{number}", until) for number in range(options.producers)
    ]
    polling = asyncio.gather(*(clients.poll() for _ in range(options.pollers)))
    nemesis = Nemesis(parts, history, options.seed, options.seconds, options.only)
    working = asyncio.gather(nemesis.run(), *producers)
    done, _ = await asyncio.wait({polling, working}, return_when=asyncio.FIRST_COMPLETED)
    for one in done:
        one.result()  # what broke this program breaks the run
    drained = time.monotonic() + DRAIN_SECONDS
    while clients.unfinished and time.monotonic() < drained and not polling.done():
        await asyncio.sleep(0.5)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    await clients.ask_all_again()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
