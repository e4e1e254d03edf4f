"""Which user of this machine a connection comes from, as the kernel knows it. Linux only; elsewhere
nobody is known.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = 1
_ANY_STATE, _ANY_COOKIE = 0xFFFFFFFF, 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_QUESTION = struct.Struct("=BBBxI")  # struct inet_diag_req_v2, without its socket
_SOCKET = struct.Struct("!HH16s16s")  # struct inet_diag_sockid, without interface and cookie
_REST = struct.Struct("=III")
_UID = _HEADER.size + 4 + 48 + 12
"""Where the user's number is in an answer (struct inet_diag_msg)."""

End = tuple[str, int]


def user_of(client: End | None, server: End | None) -> int | None:
    """The user whose program holds the client's end of a TCP connection; None for one from another
    machine, and where the system does not tell. Takes some microseconds, however many connections
    there are.
    """
    if client is None or server is None or not hasattr(socket, "AF_NETLINK"):
        return None
    with suppress(ValueError, OSError):
        return _user_in(_ask_kernel(_question(client, server)))
    return None


def _question(client: End, server: End) -> bytes:
    """The message that asks for one connection. Raises ValueError for what is not an address."""
    source, target = _plain(client[0]), _plain(server[0])
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    question = (
        _QUESTION.pack(family, socket.IPPROTO_TCP, 0, _ANY_STATE)
        + _SOCKET.pack(client[1], server[1], source.packed, target.packed)
        + _REST.pack(0, _ANY_COOKIE, _ANY_COOKIE)
    )
    head = _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0)
    return head + question


def _ask_kernel(message: bytes) -> bytes:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.sendto(message, (0, 0))
        return kernel.recv(4096)


def _user_in(answer: bytes) -> int | None:
    """The user that an answer names; None where it is an error."""
    if len(answer) < _UID + 4 or _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    return int(struct.unpack_from("=I", answer, _UID)[0])


def _plain(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host)
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
