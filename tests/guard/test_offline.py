"""The network is taken from a process and from whatever it starts; tried in a process that may lose it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent(
    """
    import errno, os, socket, subprocess, sys
    from checkback.guard.offline import cut_network

    assert cut_network()
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
        try:
            socket.socket(family, socket.SOCK_RAW if family == socket.AF_PACKET else socket.SOCK_STREAM)
        except OSError as error:
            assert error.errno == errno.EACCES, error
        else:
            raise SystemExit(f"{family} was let through")
    one, other = socket.socketpair()
    one.send(b"x")
    assert other.recv(1) == b"x"
    child = "import socket\\ntry: socket.create_connection(('127.0.0.1', int(__import__('sys').argv[1])))\\n"
    child += "except PermissionError: print('refused')"
    print(subprocess.run([sys.executable, "-c", child, sys.argv[1]], capture_output=True, text=True).stdout)
    """
)


def test_no_socket_but_those_of_the_file_system_and_no_child_has_one() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(listener.getsockname()[1])],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert (done.returncode, done.stdout.strip()) == (0, "refused"), done.stderr
