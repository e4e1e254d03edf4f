"""Landlock: the kernel holds a thread, and all that it starts, to a list of files and ports, for
good.

Rules can only be added: a restricted process can restrict itself further and never get anything
back. That holds for programs that are run later, too. Landlock also keeps a restricted process from
tracing any process outside its own sandbox, and with that from reading their ``/proc/N/cwd``,
``root``, ``fd``, ``environ`` and ``mem``, whichever user runs it. Linux 5.13 or newer; what an
older version of it cannot do is left out.
"""

from __future__ import annotations

import ctypes
import functools
import os
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on x86-64 and arm64
_GET_VERSION = 1
_RULE_PATH, _RULE_PORT = 1, 2
_PR_SET_NO_NEW_PRIVS = 38
_LIBC = ctypes.CDLL(None, use_errno=True)
"""Loaded here: between a fork and a program's start nothing may be loaded."""


class Right(IntFlag):
    """What may be done to a file, as Landlock's interface names it."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Right.READ_FILE | Right.READ_DIR
EXECUTE = READ | Right.EXECUTE
#: Everything that an owner does to the files of a folder but to run them, or to make devices.
WRITE = (
    READ | Right.WRITE_FILE | Right.REMOVE_DIR | Right.REMOVE_FILE | Right.MAKE_DIR | Right.MAKE_REG
    | Right.MAKE_SOCK | Right.MAKE_FIFO | Right.MAKE_SYM | Right.REFER | Right.TRUNCATE
)  # fmt: skip
#: To write what is there and to make nothing: devices, and the kernel's own files.
USE = READ | Right.WRITE_FILE | Right.TRUNCATE
#: To make and remove files without seeing those of others: shared memory.
SHARE = Right.READ_FILE | Right.WRITE_FILE | Right.MAKE_REG | Right.REMOVE_FILE | Right.TRUNCATE

#: What each version of the interface brought.
_SINCE = {Right.REFER: 2, Right.TRUNCATE: 3, Right.IOCTL_DEV: 5}
_FILE_RIGHTS = (
    Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE | Right.IOCTL_DEV
)  # what a rule for a single file may hold
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2


@dataclass(frozen=True, slots=True)
class Rules:
    """What stays allowed. Paths that are not there are left out."""

    paths: tuple[tuple[Path, Right], ...] = ()
    #: TCP ports that may be connected to, at any address; None for all of them.
    ports: tuple[int, ...] | None = ()


@functools.cache
def version() -> int:
    """Landlock's version in this kernel; 0 where it has none, or it is switched off."""
    return max(
        0,
        int(
            _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_GET_VERSION))
        ),
    )


def make_ruleset(rules: Rules) -> int:
    """The rules as a descriptor for ``restrict``; its maker closes it.

    It can be made with more rights than are left when it is used: a folder that the process may not
    enter later is opened here. Raises OSError where there is no Landlock.
    """
    known = version()
    handled = functools.reduce(lambda found, right: found | right, _rights_of(known))
    ports = rules.ports if known >= _NETWORK_SINCE else None
    descriptor = _create_ruleset(known, handled, limits_ports=ports is not None)
    try:
        for path, rights in rules.paths:
            _allow_path(descriptor, path, rights & handled)
        for port in ports or ():
            _allow_port(descriptor, port)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _create_ruleset(known: int, handled: Right, *, limits_ports: bool) -> int:
    """A descriptor for rules that allow nothing yet. ``known`` is the version of the interface,
    which has had a field more since it knows of ports, and another since it knows of scopes.
    """
    network = _BIND_TCP | _CONNECT_TCP if limits_ports else 0
    scopes = _ABSTRACT_SOCKETS | _SIGNALS if known >= _SCOPES_SINCE else 0
    attributes = struct.pack("QQQ", handled, network, scopes)
    fields = 1 + (known >= _NETWORK_SINCE) + (known >= _SCOPES_SINCE)
    size = 8 * fields
    return _call(_CREATE_RULESET, attributes[:size], ctypes.c_size_t(size), ctypes.c_uint32(0))


def restrict(descriptor: int) -> None:
    """Hold the calling thread to the rules, and every thread and program that it starts from now
    on.

    Other threads of the process stay as they were. Gives up for good what a program could gain by
    being run, as Landlock demands. Raises OSError.
    """
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
    _call(_RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint32(0))


def _rights_of(known: int) -> Iterable[Right]:
    return [right for right in Right if _SINCE.get(right, 1) <= known]


def _allow_path(ruleset: int, path: Path, rights: Right) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, opened)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(opened)


def _allow_port(ruleset: int, port: int) -> None:
    rule = struct.pack("QQ", _CONNECT_TCP, port)
    _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PORT), rule, ctypes.c_uint32(0))


def _call(number: int, *arguments: object) -> int:
    result = int(_LIBC.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock refused: {os.strerror(code)}")
    return result
