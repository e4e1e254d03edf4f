"""Which user of this machine a connection comes from, as the kernel knows it. Linux only; elsewhere
nobody is known.
"""

from __future__ import annotations

import socket
import struct
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
    try:
        source, target = (_plain(host) for host, _ in (client, server))
    except ValueError:
        return None
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    question = (
        _QUESTION.pack(family, socket.IPPROTO_TCP, 0, _ANY_STATE)
        + _SOCKET.pack(client[1], server[1], source.packed, target.packed)
        + _REST.pack(0, _ANY_COOKIE, _ANY_COOKIE)
    )
    head = _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.sendto(head + question, (0, 0))
            answer = kernel.recv(4096)
    except OSError:
        return None
    if len(answer) < _UID + 4 or _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    return int(struct.unpack_from("=I", answer, _UID)[0])


def _plain(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host)
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
