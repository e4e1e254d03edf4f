"""Which network addresses a job may reach.

Default deny: an address is reachable when it is public unicast, or when the server was started with
its ``host:port`` in the list of allowed hosts. The egress proxy asks this for every connection,
with the addresses that it is about to dial; ``check_url`` also asks it in the API, so that a
caller learns of a plain error at once. Only the proxy is a boundary: a name can answer anything by
the time it is dialled.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import unquote_to_bytes, urlsplit

from checkback.core.error_text import quoted
from checkback.core.errors import AddressBlocked, InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DEFAULT_PORTS = frozenset({80, 443, 8080, 8443})
"""The ports that web sites are served on; others are reached through the list of allowed hosts
only.
"""

MAX_URL_LENGTH = 8192

_SCHEME_PORTS = {"http": 80, "https": 443}


class BlockReason(StrEnum):
    """Why an address is refused. The values are public: they stand in reports
    and response headers.
    """

    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link_local"
    METADATA = "metadata"
    SHARED = "shared"
    UNSPECIFIED = "unspecified"
    MULTICAST = "multicast"
    BENCHMARK = "benchmark"
    DOCUMENTATION = "documentation"
    TRANSLATION = "translation"
    RESERVED = "reserved"
    OWN = "own"
    DENIED = "denied"
    PORT = "port"


_WORDS = {
    BlockReason.LOOPBACK: "an address of this machine itself",
    BlockReason.PRIVATE: "an address of a private network",
    BlockReason.LINK_LOCAL: "an address of the local link",
    BlockReason.METADATA: "a cloud provider's metadata service",
    BlockReason.SHARED: "an address of a provider's inner network",
    BlockReason.UNSPECIFIED: "no address that can be reached",
    BlockReason.MULTICAST: "a multicast address",
    BlockReason.BENCHMARK: "an address for network tests",
    BlockReason.DOCUMENTATION: "an address for examples",
    BlockReason.TRANSLATION: "an IPv6 address that hides another address",
    BlockReason.RESERVED: "a reserved address",
    BlockReason.OWN: "an address of this machine itself",
    BlockReason.DENIED: "an address that the settings of this server deny",
    BlockReason.PORT: "a port that web sites do not use",
}

# Single addresses first. 168.63.129.16 is public by its number, yet inside Azure it is the host's
# own agent.
_METADATA = frozenset(
    {
        IPv4Address("169.254.169.254"),
        IPv4Address("169.254.170.2"),
        IPv4Address("169.254.170.23"),
        IPv4Address("100.100.100.200"),
        IPv4Address("192.0.0.192"),
        IPv4Address("168.63.129.16"),
        IPv6Address("fd00:ec2::254"),
        IPv6Address("fd00:ec2::23"),
        IPv6Address("fd20:ce::254"),
    }
)

# IANA's registries of special-purpose addresses, plus what is deprecated but still routed
# somewhere.
_SPECIAL_4: tuple[tuple[IPv4Network, BlockReason], ...] = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", BlockReason.UNSPECIFIED),
        ("10.0.0.0/8", BlockReason.PRIVATE),
        ("100.64.0.0/10", BlockReason.SHARED),
        ("127.0.0.0/8", BlockReason.LOOPBACK),
        ("169.254.0.0/16", BlockReason.LINK_LOCAL),
        ("172.16.0.0/12", BlockReason.PRIVATE),
        ("192.0.0.0/24", BlockReason.RESERVED),
        ("192.0.2.0/24", BlockReason.DOCUMENTATION),
        ("192.88.99.0/24", BlockReason.TRANSLATION),
        ("192.168.0.0/16", BlockReason.PRIVATE),
        ("198.18.0.0/15", BlockReason.BENCHMARK),
        ("198.51.100.0/24", BlockReason.DOCUMENTATION),
        ("203.0.113.0/24", BlockReason.DOCUMENTATION),
        ("224.0.0.0/4", BlockReason.MULTICAST),
        ("240.0.0.0/4", BlockReason.RESERVED),
    )
)
_SPECIAL_6: tuple[tuple[IPv6Network, BlockReason], ...] = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::1/128", BlockReason.LOOPBACK),
        ("::/128", BlockReason.UNSPECIFIED),
        ("fe80::/10", BlockReason.LINK_LOCAL),
        ("fec0::/10", BlockReason.PRIVATE),  # site-local, deprecated; ipaddress calls it global
        ("fc00::/7", BlockReason.PRIVATE),
        ("ff00::/8", BlockReason.MULTICAST),
        (
            "64:ff9b:1::/48",
            BlockReason.TRANSLATION,
        ),  # where the IPv4 address lies is the operator's choice
        ("::ffff:0:0:0/96", BlockReason.TRANSLATION),
        ("::/96", BlockReason.TRANSLATION),  # IPv4-compatible
        ("2001::/32", BlockReason.TRANSLATION),  # Teredo
        ("2001:2::/48", BlockReason.BENCHMARK),
        ("2001:db8::/32", BlockReason.DOCUMENTATION),
        ("2001::/23", BlockReason.RESERVED),
        ("2002::/16", BlockReason.TRANSLATION),  # 6to4
        ("3fff::/20", BlockReason.DOCUMENTATION),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})

# What an allowed *name* may answer. Its DNS operator must not be able to point it at a metadata
# service.
_NAME_MAY_BE: frozenset[BlockReason | None] = frozenset(
    {None, BlockReason.LOOPBACK, BlockReason.PRIVATE, BlockReason.SHARED, BlockReason.OWN}
)

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data"}
)
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_NUMBER_FORMS = (
    (re.compile(r"0[xX]([0-9a-fA-F]*)"), 16),
    (re.compile(r"0([0-7]*)"), 8),
    (re.compile(r"([1-9][0-9]{0,9})"), 10),
)
"""The digits of a number and their base. Decimal numbers of more than ten digits are no address."""
_URL_START = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//(?!/))?")
_PORT_AT_END = re.compile(r":[0-9]*\Z")
_ALLOWED_HOST = re.compile(r"(\[.*|[^:]+):(\*|0*[1-9][0-9]{0,4})", re.DOTALL)
"""An entry of the list of allowed hosts: an IPv6 address has brackets, a port may be ``*``."""


def classify(address: Address) -> BlockReason | None:
    """None for a public unicast address, else why it is not one. An embedded IPv4 address counts,
    too.
    """
    plain = _embedded(address)
    if plain in _METADATA:
        return BlockReason.METADATA
    if isinstance(plain, IPv4Address):
        return _listed_reason(plain, _SPECIAL_4) or _second_opinion(plain)
    return _listed_reason(plain, _SPECIAL_6) or _classify_unlisted_6(plain)


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return _last_32_bits(address)
    return address.ipv4_mapped or address


def _last_32_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)


def _listed_reason(
    address: Address, networks: Iterable[tuple[Network, BlockReason]]
) -> BlockReason | None:
    """The reason of the first of these networks that the address is in."""
    return next((reason for network, reason in networks if address in network), None)


def _classify_unlisted_6(address: IPv6Address) -> BlockReason | None:
    """As ``classify``, for an address that is in no network of special purpose."""
    if address not in _GLOBAL_UNICAST:
        return BlockReason.RESERVED
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return classify(_last_32_bits(address))
    return _second_opinion(address)


def _second_opinion(address: Address) -> BlockReason | None:
    """What the standard library's own table says: it grows with new Python releases."""
    return None if address.is_global else BlockReason.RESERVED


def parse_host(text: str) -> Address | str:
    """An address for everything that a browser reads as one, else the name in lower case without a
    last dot.

    Browsers read ``127.1``, ``0``, ``0x7f.1``, ``0177.0.0.1`` and ``2130706433`` as IPv4 addresses
    (https://url.spec.whatwg.org/#concept-ipv4-parser), and so does getaddrinfo. Raises
    InvalidInput.
    """
    if text.startswith("[") and text.endswith("]"):
        return _parse_6(text[1:-1])
    if ":" in text:
        return _parse_6(text)
    return _parse_name_or_4(_to_ascii(text).removesuffix("."))


def _parse_name_or_4(host: str) -> IPv4Address | str:
    """An IPv4 address if the last label is a number, as browsers decide it; else the name."""
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return _parse_4(host)
    if not _NAME.fullmatch(host):
        raise InvalidInput("The URL has no valid host name.")
    return host


def _parse_6(text: str) -> IPv6Address:
    # A zone (fe80::1%eth0) has no place in a URL that leaves this machine.
    if "%" not in text:
        try:
            return IPv6Address(text)
        except ValueError:
            pass
    raise InvalidInput("The URL has no valid IPv6 address.")


def _parse_4(host: str) -> IPv4Address:
    *leading, last = map(_parse_number, host.split("."))
    # The last number fills all the bytes that the ones before it leave.
    left = 4 - len(leading)
    if left < 1 or last >= 256**left or max(leading, default=0) > 255:
        raise InvalidInput("The URL has no valid IPv4 address.")
    return IPv4Address(bytes(leading) + last.to_bytes(left, "big"))


def _parse_number(text: str) -> int:
    """A number as C writes it: after 0x hexadecimal, after 0 octal, else decimal."""
    for form, base in _NUMBER_FORMS:
        match = form.fullmatch(text)
        if match is not None:
            return int(f"0{match[1]}", base)
    raise InvalidInput("The URL has no valid IPv4 address.")


def _to_ascii(text: str) -> str:
    """The host as a browser would send it: percent signs decoded, wide digits and dots folded,
    punycode.
    """
    try:
        decoded = unquote_to_bytes(text).decode()
        folded = unicodedata.normalize("NFKC", decoded).replace("\u3002", ".").lower()
        return folded if folded.isascii() else folded.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidInput("The URL has no valid host name.") from None


def is_local_name(name: str) -> bool:
    """Whether a name means this machine, whatever DNS says (RFC 6761 section 6.3)."""
    return name in _LOCAL_NAMES or name.endswith(".localhost")


def _classify_name(name: str) -> BlockReason | None:
    """Why a name is refused whatever it resolves to, or None."""
    if is_local_name(name):
        return BlockReason.LOOPBACK
    return BlockReason.METADATA if name in _METADATA_NAMES else None


def sentence(host: str, reason: BlockReason) -> str:
    """One plain sentence that says why ``host`` is refused."""
    return f"{host[:100]} is {_WORDS[reason]}, which jobs may not reach."


def _is_nobodys(_: Address) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Private ``host:port`` addresses that are allowed; everything else must be public, and not be
    denied.

    An entry counts for the host as the URL writes it: ``127.0.0.1:8000`` does not allow
    ``localhost:8000``, nor a name that somebody points at 127.0.0.1. A port of ``*`` allows every
    port of that host. An allowed name may answer with loopback and private addresses; metadata and
    link-local ones must be listed themselves. Make one with ``AddressPolicy.of``, which checks and
    normalizes the entries.
    """

    allow_hosts: frozenset[str] = frozenset()
    ports: frozenset[int] = DEFAULT_PORTS
    #: Networks that no job may reach, though their addresses are public.
    deny_networks: tuple[Network, ...] = ()
    #: Whether an address is one of this machine's. The proxy is given it; elsewhere nothing is
    #: dialled.
    is_own: Callable[[Address], bool] = _is_nobodys

    @classmethod
    def of(cls, entries: Iterable[str], deny_networks: Iterable[str] = ()) -> AddressPolicy:
        """A policy of these entries. Raises InvalidInput that names the first bad one."""
        return cls(
            frozenset(_normal_entry(entry) for entry in entries if entry.strip()),
            deny_networks=tuple(_network(entry) for entry in deny_networks if entry.strip()),
        )

    def _classify(self, address: Address) -> BlockReason | None:
        if (reason := classify(address)) is not None:
            return reason
        plain = _embedded(address)
        if any(plain in network or address in network for network in self.deny_networks):
            return BlockReason.DENIED
        return BlockReason.OWN if self.is_own(plain) else None

    def allows(self, host: Address | str, port: int) -> bool:
        """Whether this host and port are on the list of allowed hosts."""
        written = _written(host)
        return f"{written}:{port}" in self.allow_hosts or f"{written}:*" in self.allow_hosts

    def refuse_host(self, host: Address | str, port: int) -> BlockReason | None:
        """Why a host is refused before any name is resolved, or None. A name may still resolve
        badly.
        """
        if self.allows(host, port):
            return None
        reason = _classify_name(host) if isinstance(host, str) else self._classify(host)
        if reason is None and port not in self.ports:
            return BlockReason.PORT
        return reason

    def refuse(
        self, host: Address | str, port: int, addresses: Iterable[Address]
    ) -> BlockReason | None:
        """Why a connection to ``host``, which resolved to ``addresses``, is refused, or None.

        One bad address among good ones refuses the whole name: which one is dialled is not the
        name's choice.
        """
        if (reason := self.refuse_host(host, port)) is not None:
            return reason
        tolerated = self._tolerated(host, port)
        reasons = map(self._classify, addresses)
        return next((reason for reason in reasons if reason not in tolerated), None)

    def _tolerated(self, host: Address | str, port: int) -> frozenset[BlockReason | None]:
        """What may be said of the addresses of a host that is not refused itself; None is
        public.
        """
        if not self.allows(host, port):
            return frozenset({None})
        return _NAME_MAY_BE if isinstance(host, str) else frozenset({None, *BlockReason})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a checked URL leads: the scheme in lower case, the host normalized,
    the port filled in.
    """

    scheme: str
    host: Address | str
    port: int


def check_url(url: str, policy: AddressPolicy) -> Target:
    """Refuse a URL that a job could never reach, without asking DNS.

    Raises AddressBlocked for other schemes than http and https, for credentials, for hosts and
    ports that the policy refuses; InvalidInput for what is not a URL. Stricter than browsers, which
    repair backslashes, missing slashes and control characters: what two programs read differently
    is refused.
    """
    _check_characters(url)
    match = _URL_START.match(url)
    if match is None:
        raise InvalidInput(f"A URL must begin with http:// or https://{_with_scheme(url)}")
    scheme = match[1].lower()
    if scheme not in _SCHEME_PORTS:
        raise AddressBlocked(
            f"URLs that begin with {scheme[:32]}: are not allowed; use http or https."
        )
    has_slashes = match[2] is not None
    if not has_slashes:
        raise InvalidInput(f"The URL needs a host after {scheme}://.")
    host, port = _host_and_port(url, scheme)
    target = Target(scheme, host, port)
    _check_target(target, policy)
    return target


def _check_characters(url: str) -> None:
    if not 0 < len(url) <= MAX_URL_LENGTH:
        raise InvalidInput(f"A URL has 1 to {MAX_URL_LENGTH} characters.")
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        raise InvalidInput("The URL has spaces, backslashes or control characters in it.")


def _with_scheme(url: str) -> str:
    """The end of an error about a URL without a scheme: what was probably meant, if it is plainly a
    host with a path.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[A-Za-z0-9._/-]*)?", url[:81]):
        return "."
    return f"; got {quoted(url)}. Did you mean https://{url}?"


def _host_and_port(url: str, scheme: str) -> tuple[Address | str, int]:
    """The normalized host of a URL, and its port or the scheme's own."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInput("The URL has no valid host or port.") from None
    if "@" in parts.netloc:
        raise AddressBlocked(
            "URLs with a user name or password are not allowed.",
            hint="Leave out the part before @.",
        )
    written = _PORT_AT_END.sub("", parts.netloc)
    if not written:
        raise InvalidInput(f"The URL needs a host after {scheme}://.")
    if port == 0:
        raise InvalidInput("Port 0 cannot be reached.")
    return parse_host(written), port or _SCHEME_PORTS[scheme]


def _check_target(target: Target, policy: AddressPolicy) -> None:
    """Raise AddressBlocked for a host or port that the policy refuses before DNS is asked."""
    reason = policy.refuse_host(target.host, target.port)
    if reason is BlockReason.PORT:
        ports = ", ".join(map(str, sorted(policy.ports)))
        raise AddressBlocked(
            f"Port {target.port} is not one that web sites use: {ports} are allowed."
        )
    if reason is not None:
        raise AddressBlocked(sentence(_written(target.host), reason))


def _written(host: Address | str) -> str:
    return f"[{host}]" if isinstance(host, IPv6Address) else str(host)


def _network(entry: str) -> Network:
    try:
        return ip_network(entry.strip(), strict=False)
    except ValueError:
        raise InvalidInput(
            f"{entry.strip()[:100]!r} in CHECKBACK_DENY_NETWORKS is not a network.",
            hint="Write an address or a network, for example 203.0.113.0/24 or 2001:db8::/32.",
        ) from None


def _normal_entry(entry: str) -> str:
    """An allowed host as ``AddressPolicy.allows`` looks for it. Raises InvalidInput."""
    entry = entry.strip()
    match = _ALLOWED_HOST.fullmatch(entry)
    if match is None or not _is_allowed_port(match[2]):
        raise InvalidInput(
            f"{entry[:100]!r} is not an allowed host: write host:port, for example 127.0.0.1:8000, "
            "[::1]:8000 or localhost:*."
        )
    port = match[2].lstrip("0")
    try:
        return f"{_written(parse_host(match[1]))}:{port}"
    except InvalidInput:
        raise InvalidInput(
            f"{entry[:100]!r} is not an allowed host: its host name is not valid."
        ) from None


def _is_allowed_port(port: str) -> bool:
    return port == "*" or int(port) < 65536
