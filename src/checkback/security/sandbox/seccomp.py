"""Takes system calls from a process, and from all that it starts, for good: first those that no job
needs, then the network.

Two seccomp filters. ``refuse_dangerous`` leaves connections to a TCP server and takes what bugs of
the kernel are reached by, and what reaches into other processes. ``cut_network`` takes every way to
reach another process by a socket, too: documents are parsed behind it. A unix socket can still be
made and listened on, which LibreOffice does, but nobody can connect to one; LibreOffice then takes
it that no other LibreOffice is running, which is so. Pairs of connected sockets stay, for programs
that talk to their own children.

Both hold for every thread of the process. Linux on x86-64 and arm64; elsewhere they say False and
the caller decides.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct

PR_SET_NO_NEW_PRIVS = 38
_LIBC = ctypes.CDLL(None, use_errno=True)
"""Loaded here: between a fork and a program's start nothing may be loaded."""
_SET_MODE_FILTER = 1
_ALL_THREADS = 1

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_HAS_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EACCES  # SECCOMP_RET_ERRNO

_NUMBER, _ARCHITECTURE, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32  # offsets in struct seccomp_data
_X32_BIT = 0x40000000
#: What a socket's type may be joined with: SOCK_NONBLOCK and SOCK_CLOEXEC.
_TYPE_BITS = 0xF

#: Audit architecture, and the place of its numbers in the table.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

#: System calls that no kind of job needs, and their numbers on x86-64 and arm64.
REFUSED: dict[str, tuple[int, int]] = {
    # into other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # parts of the kernel that are large, young or often broken
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # files without their paths
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # the machine itself
    "setns": (308, 268),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
}
#: What bubblewrap needs to build its walls with; refused where it is not used.
MOUNTS: dict[str, tuple[int, int]] = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
}
#: access, faccessat and faccessat2, and which argument says what is asked for. arm64 has no access.
_PROBES = (((21, -1), _SECOND), ((269, 48), _THIRD), ((439, 439), _THIRD))
_SECCOMP, _SOCKET, _CONNECT, _SOCKETPAIR = (317, 277), (41, 198), (42, 203), (53, 199)

_Line = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def is_available() -> bool:
    """Whether filters are known for this machine."""
    return platform.system() == "Linux" and platform.machine() in _MACHINES


def refuse_dangerous(*, mounts: bool = False, unix_sockets: bool = False) -> bool:
    """From now on this process and its children can connect to TCP servers, and to nothing else by
    a socket; they have none of the system calls in ``REFUSED``.

    ``mounts`` leaves those of ``MOUNTS``, ``unix_sockets`` leaves sockets of the file system. False
    where it cannot be done.
    """
    inet = [socket.AF_INET, socket.AF_INET6]
    return _install([*inet, socket.AF_UNIX] if unix_sockets else inet, mounts=mounts)


def cut_network(*, mounts: bool = False) -> bool:
    """From now on this process and its children can connect to nothing at all, and have none of the
    system calls in ``REFUSED``. False where it cannot be done. Connections that are open stay open.
    """
    return _install([], mounts=mounts)


def hide_writable() -> bool:
    """From now on no file or folder seems writable to a program that asks before it writes; one
    that just writes is not held up. False where it cannot be done.

    LibreOffice asks that of /tmp, and makes its socket there. Where /tmp seems closed it makes it
    where the variable OSL_SOCKET_PATH says.
    """
    if not is_available():
        return False
    place = _MACHINES[platform.machine()][1]
    lines: list[_Line] = [(_LOAD, 0, 0, _NUMBER)]
    for numbers, mode in _PROBES:
        if numbers[place] < 0:
            continue
        body: list[_Line] = [
            (_LOAD, 0, 0, mode),
            (_HAS_BIT, 0, 1, os.W_OK),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ]
        lines += [(_EQUAL, 0, len(body), numbers[place]), *body]
    lines.append((_RETURN, 0, 0, _ALLOW))
    return _apply(_packed(lines))


def offline_filter() -> bytes:
    """The filter of ``cut_network`` as bubblewrap takes it, for the program that it starts."""
    return filter_code(platform.machine(), [], mounts=False)


def _install(reached: list[socket.AddressFamily], *, mounts: bool) -> bool:
    if not is_available():
        return False
    return _apply(filter_code(platform.machine(), reached, mounts=mounts))


def _apply(code: bytes) -> bool:
    program = _Program(len(code) // 8, code)
    if _LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    number = _SECCOMP[_MACHINES[platform.machine()][1]]
    done = _LIBC.syscall(
        number, _SET_MODE_FILTER, ctypes.c_ulong(_ALL_THREADS), ctypes.byref(program)
    )
    return int(done) == 0


def filter_code(machine: str, reached: list[socket.AddressFamily], *, mounts: bool) -> bytes:
    """The filter's instructions for a machine: the way down is the rule, jumps count the lines they
    skip.

    ``reached`` are the families whose sockets may connect; without any, unix sockets may be made.
    """
    architecture, place = _MACHINES[machine]
    refused = REFUSED if mounts else REFUSED | MOUNTS
    lines: list[_Line] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for numbers in refused.values():
        lines += [(_EQUAL, 0, 1, numbers[place]), (_RETURN, 0, 0, _REFUSE)]
    if not reached:
        lines += [(_EQUAL, 0, 1, _CONNECT[place]), (_RETURN, 0, 0, _REFUSE)]
    single = _of_families(reached or [socket.AF_UNIX], [socket.SOCK_STREAM])
    pairs = _of_families([socket.AF_UNIX], _PAIRS)
    for number, body in ((_SOCKET, single), (_SOCKETPAIR, pairs)):
        lines += [(_EQUAL, 0, len(body), number[place]), *body]
    lines.append((_RETURN, 0, 0, _ALLOW))
    return _packed(lines)


def _packed(lines: list[_Line]) -> bytes:
    return b"".join(struct.pack("HBBI", *line) for line in lines)


#: No pairs of datagram sockets: one of those can send to any other socket that has a name.
_PAIRS = [socket.SOCK_STREAM, socket.SOCK_SEQPACKET]


def _of_families(
    families: list[socket.AddressFamily], types: list[socket.SocketKind]
) -> list[_Line]:
    """Lines that let sockets of these families and types through and refuse all others."""
    refuse: _Line = (_RETURN, 0, 0, _REFUSE)
    lines: list[_Line] = [(_LOAD, 0, 0, _FIRST)]
    for left, family in zip(range(len(families) - 1, -1, -1), families, strict=True):
        # Past the families that are left, and the refusal.
        lines.append((_EQUAL, left + 1, 0, int(family)))
    lines += [refuse, (_LOAD, 0, 0, _SECOND), (_AND, 0, 0, _TYPE_BITS)]
    for left, kind in zip(range(len(types) - 1, -1, -1), types, strict=True):
        lines.append((_EQUAL, left + 1, 0, int(kind)))
    lines += [refuse, (_RETURN, 0, 0, _ALLOW)]
    return lines
