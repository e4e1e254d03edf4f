"""The one thing that lowers a score."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deduction:
    """Points that an axis loses, and why."""

    axis: str
    rule: str
    points: float
    count: int = 1
    evidence: tuple[str, ...] = ()
