"""What runs in the virtual machine of ``chaos.power``: a server that is asked for every job it once
acknowledged, and is then given more of them until the power goes. What is found goes to the
console."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from chaos.crowd_line import Line, Refused
from chaos.parts import ROOT, Server

#: The mounted disk whose power goes, and the disk with the ids acknowledged before.
DISK = Path("/mnt")
ACKNOWLEDGED = Path("/dev/vdb")
LOG = Path("/tmp/log.txt")  # in the machine's own memory
SUBMITTERS = 2


def acknowledged() -> list[str]:
    """The ids on the second disk, whose rest is zeros."""
    return ACKNOWLEDGED.read_bytes().rstrip(b"\0").decode().split()


async def submit(server: Server) -> None:
    """Submit without an end, and tell each id as soon as it is acknowledged."""
    line = Line(server.url, server.token)
    while True:
        answer = await line.post(
            "/api/jobs", {"kind": "chaos.work", "args": {"number": 1, "seconds": 0}}
        )
        tell("ack", answer["id"])


async def check(server: Server) -> None:
    """Ask for every id that was acknowledged."""
    line = Line(server.url, server.token)
    for job_id in acknowledged():
        try:
            await line.get(f"/api/jobs/{job_id}")
        except Refused:
            tell("lost", job_id)
        else:
            tell("kept", job_id)


def tell(word: str, about: str = "") -> None:
    """A line for the program outside."""
    print(f"\n@{word} {about}", flush=True)


async def main() -> None:
    """Check, then submit until the power goes."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CHECKBACK_HOME": str(DISK / "home"),
        "CHECKBACK_KINDS": "chaos.kinds",
        "CHECKBACK_PORT": "0",
        "CHECKBACK_APPENDFSYNC": sys.argv[1],
    }
    server = Server(environment, LOG, with_worker=False)
    await server.start()
    await check(server)
    tell("checked")
    await asyncio.gather(*(submit(server) for _ in range(SUBMITTERS)))


if __name__ == "__main__":
    asyncio.run(main())
