"""The network and dangerous system calls are taken from a process and from whatever it starts;
tried in a process that may lose them.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap

import pytest

from checkback.security.sandbox import seccomp

NETWORK = textwrap.dedent(
    """
    import errno, os, socket, subprocess, sys, threading
    from checkback.security.sandbox.seccomp import cut_network

    asked, told = threading.Event(), []
    def late():
        asked.wait()
        try: socket.socket(socket.AF_INET)
        except PermissionError: told.append("refused")
    thread = threading.Thread(target=late)
    thread.start()
    assert cut_network()
    asked.set()
    thread.join()
    assert told == ["refused"], "a thread that was there before has a network"
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, 1 | socket.SOCK_NONBLOCK):
            try:
                socket.socket(family, kind)
            except OSError as error:
                assert error.errno == errno.EACCES, (family, kind, error)
            else:
                raise SystemExit(f"{family} {kind} was let through")
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try: socket.socket(socket.AF_UNIX, kind)
        except PermissionError: pass
        else: raise SystemExit(f"unix {kind} was let through")
    try: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    except PermissionError: pass
    else: raise SystemExit("a pair of datagram sockets was let through")
    one, other = socket.socketpair()
    one.send(b"x")
    assert other.recv(1) == b"x"
    named = socket.socket(socket.AF_UNIX)
    try: named.connect(sys.argv[2])
    except PermissionError: pass
    else: raise SystemExit("a unix socket was reached")
    child = "import socket\\ntry: socket.create_connection(('127.0.0.1', int(__import__('sys').argv[1])))\\n"
    child += "except PermissionError: print('refused')"
    print(subprocess.run([sys.executable, "-c", child, sys.argv[1]], capture_output=True, text=True).stdout)
    """
)

CALLS = textwrap.dedent(
    """
    import ctypes, json, os, platform, sys
    from checkback.security.sandbox import seccomp

    if sys.argv[1] != "none":
        assert seccomp.cut_network() if sys.argv[1] == "offline" else seccomp.refuse_dangerous()
    library = ctypes.CDLL(None, use_errno=True)
    place = 0 if platform.machine() == "x86_64" else 1
    errors = {}
    for name, numbers in (seccomp.REFUSED | seccomp.MOUNTS).items():
        done = os.fork()
        if done == 0:
            # Arguments that no call takes: without the filter each fails, and changes nothing.
            result = library.syscall(numbers[place], -1, -1, -1, -1, -1, -1)
            os._exit(ctypes.get_errno() if result == -1 else 0)
        errors[name] = os.waitstatus_to_exitcode(os.waitpid(done, 0)[1])
    print(json.dumps(errors))
    """
)

pytestmark = pytest.mark.skipif(
    not seccomp.is_available(), reason="no filter is known for this machine"
)


def test_no_socket_can_be_connected_and_no_child_has_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("s") / "listens"
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as named:
        named.bind(str(path))
        named.listen()
        done = subprocess.run(
            [sys.executable, "-c", NETWORK, str(listener.getsockname()[1]), str(path)],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert (done.returncode, done.stdout.strip()) == (0, "refused"), done.stderr


@pytest.fixture(scope="module", params=["offline", "online"])
def errors(request: pytest.FixtureRequest) -> dict[str, int]:
    """The error of each system call, by name, behind one of the two filters."""
    done = subprocess.run(
        [sys.executable, "-c", CALLS, request.param], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", sorted(seccomp.REFUSED | seccomp.MOUNTS))
def test_a_system_call_is_refused(errors: dict[str, int], name: str) -> None:
    assert errors[name] == 13  # EACCES


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_ends_and_jumps_to_lines_that_are_there(machine: str) -> None:
    for reached in ([], [socket.AF_INET, socket.AF_INET6]):
        code = seccomp.filter_code(machine, reached, mounts=False)
        lines = [code[at : at + 8] for at in range(0, len(code), 8)]
        assert lines[-1] == b"\x06\0\0\0\0\0\xff\x7f"  # let it through
        for number, line in enumerate(lines):
            if line[0] & 7 == 5:  # a jump
                assert number + 1 + max(line[2], line[3]) < len(lines)


def test_the_gap_to_32_bit_calls_is_closed() -> None:
    call = (
        "import ctypes; from checkback.security.sandbox.seccomp import cut_network as cut; cut(); "
    )
    call += "library = ctypes.CDLL(None, use_errno=True); library.syscall(0x40000000 | 39); "
    call += "print(ctypes.get_errno())"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "13", done.stderr
