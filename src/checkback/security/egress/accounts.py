"""What the egress proxy knows of each job: its key, its limits, and what it did and was refused.

Both sides of the control pipe use these records; they travel as JSON. Standard library only.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from checkback.security.addresses import Address


class Failed(StrEnum):
    """Why a connection that was allowed did not come about."""

    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    BAD_ANSWER = "bad_answer"


class Spent(StrEnum):
    """Which of its limits a job has reached. These stand among the blocked requests as reasons."""

    BYTES = "too_many_bytes"
    CONNECTIONS = "too_many_connections"


@dataclass(frozen=True, slots=True)
class EgressLimits:
    """What one job may use of the network, and how long the proxy waits for anybody."""

    #: Both directions together, as they pass the proxy.
    bytes: int = 200_000_000
    #: Open at one time. A browser opens up to 32 to one proxy, and WebSockets in addition.
    open_connections: int = 96
    #: In all.
    connections: int = 5_000
    #: Names being looked up at one time, so that one page cannot keep every resolver thread busy.
    lookups: int = 8
    #: How long a name's addresses are kept for the job that asked: pages ask for one host many
    #: times.
    pin_seconds: float = 30.0
    head_seconds: float = 10.0
    resolve_seconds: float = 10.0
    connect_seconds: float = 10.0
    idle_seconds: float = 60.0
    #: Refused, and failed, destinations that are remembered for each job. All of them are counted.
    remembered: int = 100


@dataclass(frozen=True, slots=True)
class Incident:
    """A destination that was refused or could not be reached, and how often."""

    host: str
    port: int
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class EgressReport:
    """What a job did with the network.

    Host names come from pages and documents: they are untrusted text, at most 253 characters long.
    """

    connections: int = 0
    bytes: int = 0
    blocked: tuple[Incident, ...] = ()
    failed: tuple[Incident, ...] = ()
    #: All refused attempts, the ones that are no longer remembered by name as well.
    blocked_count: int = 0
    #: The proxy that knew has died: nothing is known of what happened before.
    lost: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EgressReport:
        """A report as ``to_json`` gave it away."""
        rest: dict[str, Any] = {**data}
        for name in ("blocked", "failed"):
            rest[name] = tuple(Incident(**incident) for incident in data[name])
        return cls(**rest)


@dataclass(slots=True, eq=False)
class Account:
    """One job's account in the proxy process, from its grant to its end."""

    username: str
    password: str
    limits: EgressLimits
    connections: int = 0
    bytes: int = 0
    blocked_count: int = 0
    #: How to end each open connection.
    open: set[Callable[[], object]] = field(default_factory=set[Callable[[], object]])
    #: Names looked up for this job: when, and what they answered or will answer.
    pins: dict[str, tuple[float, asyncio.Future[list[Address]]]] = field(
        default_factory=dict[str, tuple[float, "asyncio.Future[list[Address]]"]]
    )
    lookups: asyncio.Semaphore = field(init=False)
    _blocked: dict[tuple[str, int, str], int] = field(
        default_factory=dict[tuple[str, int, str], int]
    )
    _failed: dict[tuple[str, int, str], int] = field(
        default_factory=dict[tuple[str, int, str], int]
    )

    def __post_init__(self) -> None:
        self.lookups = asyncio.Semaphore(self.limits.lookups)

    def knows(self, password: str) -> bool:
        """Whether this is the account's password, in a time that does not tell how much of it is
        right.
        """
        return hmac.compare_digest(self.password.encode(), password.encode())

    def spent(self) -> Spent | None:
        """Which limit stands against one more connection, or None."""
        if self.bytes >= self.limits.bytes:
            return Spent.BYTES
        if (
            self.connections >= self.limits.connections
            or len(self.open) >= self.limits.open_connections
        ):
            return Spent.CONNECTIONS
        return None

    def count(self, amount: int) -> bool:
        """Add bytes that passed. False when they are too many: all connections of the job are cut
        then.
        """
        self.bytes += amount
        if self.bytes < self.limits.bytes:
            return True
        self.cut()
        return False

    def cut(self) -> None:
        """End every open connection of the job."""
        for end in list(self.open):
            end()

    def remember_blocked(self, host: str, port: int, reason: str) -> None:
        self.blocked_count += 1
        self._remember(self._blocked, (host, port, reason))

    def remember_failed(self, host: str, port: int, reason: str) -> None:
        self._remember(self._failed, (host, port, reason))

    def _remember(
        self, kept: dict[tuple[str, int, str], int], incident: tuple[str, int, str]
    ) -> None:
        if incident in kept or len(kept) < self.limits.remembered:
            kept[incident] = kept.get(incident, 0) + 1

    def report(self) -> EgressReport:
        return EgressReport(
            connections=self.connections,
            bytes=self.bytes,
            blocked=_incidents(self._blocked),
            failed=_incidents(self._failed),
            blocked_count=self.blocked_count,
        )


def _incidents(counts: dict[tuple[str, int, str], int]) -> tuple[Incident, ...]:
    return tuple(Incident(*incident, count) for incident, count in counts.items())
