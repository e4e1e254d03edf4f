"""Which network addresses a job may reach."""
from __future__ import annotations
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Private ``host:port`` addresses that are allowed; everything else must be public."""

    allow_hosts: frozenset[str] = frozenset()
