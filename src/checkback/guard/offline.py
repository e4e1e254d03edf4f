"""Cuts a process, and all that it starts, off the network, for good and without any right of root.

A seccomp filter refuses every socket but those of the file system (AF_UNIX), whatever program is run later.
Documents are parsed behind it: sanitising them is never complete, a converter without a network needs none.
The filter also refuses io_uring, which could make sockets past it, and system calls of foreign instruction
sets. Linux on x86-64 and arm64; elsewhere ``cut_network`` says False and the caller decides.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000  # SECCOMP_RET_ERRNO

_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_AF_UNIX = 1
_X32_BIT = 0x40000000
_IO_URING_SETUP = 425

#: Audit architecture and the number of socket(2), by machine.
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def cut_network() -> bool:
    """From now on this process and its children can open no network connection. False where it cannot be
    done.

    Connections that are open stay open. Call it on the main thread, before others are started.
    """
    known = _MACHINES.get(platform.machine())
    if known is None:
        return False
    code = _filter(*known)
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


def _filter(architecture: int, socket_call: int) -> bytes:
    """The filter's instructions: the way down is the rule, jumps count the lines they skip."""
    refused = _REFUSE | errno.EACCES
    lines = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, refused),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 5, 0, _X32_BIT),
        (_EQUAL, 4, 0, _IO_URING_SETUP),
        (_EQUAL, 0, 2, socket_call),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, refused),
    )
    return b"".join(struct.pack("HBBI", *line) for line in lines)
