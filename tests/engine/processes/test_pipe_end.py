"""A pipe that a loop reads is closed once: no other thread loses a file that it has opened."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, sys, threading, uvloop
from checkback.engine.processes.pipe_end import PipeEnd

lost, done = [], threading.Event()

def open_files():
    while not done.is_set():
        try:
            descriptor = os.open(os.devnull, os.O_RDONLY)
            for _ in range(5):
                os.fstat(descriptor)
            os.close(descriptor)
        except OSError as error:
            lost.append(error)

async def read_pipes():
    loop = asyncio.get_running_loop()
    for number in range(3000):
        ours, other = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), PipeEnd(ours, loop)
        )
        os.write(other, b"x")
        assert await reader.readexactly(1) == b"x"
        os.close(other)
        transport.close()
        await asyncio.sleep(0)

before = len(os.listdir("/proc/self/fd"))
threads = [threading.Thread(target=open_files) for _ in range(3)]
for thread in threads:
    thread.start()
try:
    factory = uvloop.new_event_loop if sys.argv[1] == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(read_pipes())
finally:
    done.set()
    for thread in threads:
        thread.join()
print(len(lost), len(os.listdir("/proc/self/fd")) - before < 10)
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_no_thread_loses_a_file_to_a_pipe_that_is_closed(loop: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, loop], capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0 True"), done.stderr[-2000:]
