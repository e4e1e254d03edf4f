"""HTTP/1.1 heads as the egress proxy reads and writes them: strict towards jobs, patient with
servers.

A request that two programs could read differently is refused, never repaired: that is what request
smuggling lives on. Responses of servers in the wild are taken as browsers take them, but nothing in
them can speak for the proxy. Pure functions, no input or output.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

from checkback.core.errors import InvalidInput
from checkback.security.addresses import Address, parse_host

MAX_HEADERS = 200
CHUNKED = -1
"""The length of a body that says itself where it ends."""

REPORT_HOST = "egress.invalid"
BLOCKED_HEADER = "X-Checkback-Blocked"
FAILED_HEADER = "X-Checkback-Failed"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token in the sense of RFC 9110
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([!-~]+) HTTP/1\.([01])")
_STATUS_LINE = re.compile(r"HTTP/1\.[01][ \t]+([1-9][0-9][0-9])(?:[ \t]+(.*))?")
_HEADER = re.compile(rf"({_TOKEN}):[ \t]*(.*?)[ \t]*")
_LENIENT_HEADER = re.compile(rf"({_TOKEN})[ \t]*:[ \t]*(.*?)[ \t]*")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ABSOLUTE = re.compile(r"http://([^/?#\\]*)(/[^#]*|\?[^#]*|)", re.I)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@/?#\\]+)(?::([0-9]{0,5}))?")

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "upgrade"}  # codespell:ignore te
)
_NEVER_NAMED = frozenset(
    {"host", "content-length", "transfer-encoding", "close", "keep-alive", "upgrade"}
)

_OWN_PREFIXES = ("proxy-", "x-checkback-")

Headers = tuple[tuple[str, str], ...]


class BadHttpMessage(Exception):
    """A head that is refused: the status to answer with, and a few words that name no input."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request wants to go, and the path it asks for there. The host is normalized."""

    host: Address | str
    port: int
    path: str = "/"

    @property
    def host_text(self) -> str:
        return f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)


@dataclass(frozen=True, slots=True)
class Request:
    """A job's request to the proxy."""

    method: str
    target: str
    minor: int
    headers: Headers

    def values(self, name: str) -> list[str]:
        return _values(self.headers, name)

    @property
    def is_tunnel(self) -> bool:
        return self.method == "CONNECT"

    @property
    def upgrade(self) -> str | None:
        """The protocol the client wants to change to; only WebSocket is passed on."""
        wanted = [value.lower() for value in self.values("upgrade")]
        return (
            "websocket" if wanted == ["websocket"] and "upgrade" in _named(self.headers) else None
        )


@dataclass(frozen=True, slots=True)
class Response:
    """A server's answer. ``length`` is that of its body: None until the connection ends, CHUNKED as
    it is.
    """

    status: int
    reason: str
    headers: Headers
    length: int | None

    @property
    def is_switch(self) -> bool:
        """Whether another protocol follows."""
        return self.status == 101

    @property
    def is_interim(self) -> bool:
        """Whether the answer itself is still to come."""
        return self.status < 200 and not self.is_switch


def parse_request(head: bytes) -> Request:
    """Read a request head with its final empty line. Raises BadHttpMessage."""
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    if len(lines) > MAX_HEADERS + 1:
        raise BadHttpMessage(431, "Too many header fields.")
    match = _strict_match(_REQUEST_LINE, lines[0], "The request line is not valid.")
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        field = _strict_match(_HEADER, line, "A header field is not valid.")
        headers.append((field[1], field[2]))
    return Request(match[1], match[2], int(match[3]), tuple(headers))


def _strict_match(pattern: re.Pattern[str], line: str, message: str) -> re.Match[str]:
    """The whole line as the pattern reads it. Raises BadHttpMessage, also for control
    characters.
    """
    match = pattern.fullmatch(line)
    if match is None or _CONTROL.search(line):
        raise BadHttpMessage(400, message)
    return match


def destination(request: Request) -> Destination:
    """Where the request wants to go. Raises BadHttpMessage for anything but host:port and http://
    addresses.
    """
    if request.is_tunnel:
        return _tunnel_destination(request.target)
    match = _ABSOLUTE.fullmatch(request.target)
    if match is None or len(request.values("host")) > 1:
        raise BadHttpMessage(
            400, "This is a proxy: it takes absolute http:// addresses and CONNECT only."
        )
    host, port = _split_authority(match[1])
    path = "/" + match[2].removeprefix("/")
    return Destination(host, port or 80, path)


def _tunnel_destination(target: str) -> Destination:
    host, port = _split_authority(target)
    if port is None:
        raise BadHttpMessage(400, "CONNECT needs a port.")
    return Destination(host, port)


def _split_authority(authority: str) -> tuple[Address | str, int | None]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise BadHttpMessage(400, "The address has no valid host.")
    port = _port(match[2]) if match[2] else None
    try:
        return parse_host(match[1]), port
    except InvalidInput:
        raise BadHttpMessage(400, "The address has no valid host.") from None


def _port(digits: str) -> int:
    port = int(digits)
    if not 0 < port < 65536:
        raise BadHttpMessage(400, "The address has no valid port.")
    return port


def credentials(request: Request) -> tuple[str, str] | None:
    """The user name and password for the proxy, or None if they are missing or malformed."""
    sent = request.values("proxy-authorization")
    if len(sent) != 1 or not sent[0].lower().startswith("basic "):
        return None
    try:
        decoded = base64.b64decode(sent[0][6:].strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, _, password = decoded.partition(":")
    return user, password


def body_length(request: Request) -> int:
    """The length of the request's body, or CHUNKED. Raises BadHttpMessage where two answers are
    possible.
    """
    lengths = request.values("content-length")
    codings = [coding.lower() for coding in request.values("transfer-encoding")]
    match codings, lengths:
        case [], []:
            return 0
        case [], [length] if _LENGTH.fullmatch(length):
            return int(length)
        case ["chunked"], [] if request.minor > 0:
            return CHUNKED
        case _:
            raise BadHttpMessage(400, "The body's length is not clear.")


def request_head(request: Request, to: Destination) -> bytes:
    """The head as the server gets it: origin form, the checked host, nothing
    meant for the proxy.
    """
    host = to.host_text if to.port == 80 else f"{to.host_text}:{to.port}"
    lines = [f"{request.method} {to.path} HTTP/1.1", f"Host: {host}"]
    lines += _passed_on(request.headers, {"host"})
    if request.upgrade:
        lines += ["Connection: Upgrade", f"Upgrade: {request.upgrade}"]
    else:
        lines.append("Connection: close")
    return _encode(lines)


def parse_response(head: bytes, method: str) -> Response:
    """Read a response head; lines that are no header fields are left out. Raises BadHttpMessage
    with 502.
    """
    lines = [line.rstrip("\r") for line in head.decode("latin-1").split("\n")]
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise BadHttpMessage(502, "The server did not answer in HTTP.")
    status = int(match[1])
    if status == 407:
        # Only this proxy may ask for its own key: the browser would answer a server's challenge
        # with it.
        raise BadHttpMessage(502, "The server asks for a proxy's key.")
    fields = _lenient_fields(lines[1 : MAX_HEADERS + 1])
    reason = _CONTROL.sub(" ", match[2] or "")
    return Response(status, reason, fields, _response_length(status, method, fields))


def _lenient_fields(lines: list[str]) -> Headers:
    """The lines that are header fields, without control characters."""
    fields: list[tuple[str, str]] = []
    for line in lines:
        match = _LENIENT_HEADER.fullmatch(line)
        if match is not None:
            fields.append((match[1], _CONTROL.sub(" ", match[2])))
    return tuple(fields)


def _response_length(status: int, method: str, headers: Headers) -> int | None:
    if method == "HEAD" or status < 200 or status in (204, 304):
        return 0
    if _values(headers, "transfer-encoding"):
        return CHUNKED
    return _content_length(headers)


def _content_length(headers: Headers) -> int | None:
    """The one length that all fields agree on; None without one. Raises BadHttpMessage with 502."""
    values = _values(headers, "content-length")
    if not values:
        return None
    length, *others = set(map(str.strip, ",".join(values).split(",")))
    if others or not _LENGTH.fullmatch(length):
        raise BadHttpMessage(502, "The length of the server's answer is not clear.")
    return int(length)


def response_head(response: Response) -> bytes:
    """The head as the client gets it: one answer for one connection, and no word in the proxy's
    name.
    """
    dropped = {"content-length"} if response.length == CHUNKED else set[str]()
    lines = [f"HTTP/1.1 {response.status} {response.reason}".rstrip()]
    lines += _passed_on(response.headers, dropped)
    if response.status == 101:
        lines += ["Connection: Upgrade", "Upgrade: websocket"]
    elif response.status >= 200:
        lines.append("Connection: close")
    return _encode(lines)


def _passed_on(headers: Headers, dropped: set[str]) -> list[str]:
    """The fields that are passed on, as lines: none that is for this hop, nor ``dropped``."""
    dropped = dropped | _HOP_BY_HOP | (_named(headers) - _NEVER_NAMED)
    traveling = [(name, value) for name, value in headers if name.lower() not in dropped]
    return [f"{name}: {value}" for name, value in traveling if not _is_own(name)]


def _is_own(name: str) -> bool:
    """Whether a field is said to the proxy, or in its name."""
    return name.lower().startswith(_OWN_PREFIXES)


def answer(
    status: int, reason: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole answer of the proxy's own."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += ["Cache-Control: no-store", "X-Content-Type-Options: nosniff"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return _encode(lines) + body


def _encode(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _values(headers: Headers, name: str) -> list[str]:
    return [value for field, value in headers if field.lower() == name]


def _named(headers: Headers) -> set[str]:
    named = ",".join(_values(headers, "connection")).lower().split(",")
    return {name.strip() for name in named if name.strip()}
