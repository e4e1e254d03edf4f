"""What workers say of themselves every few seconds, and which of them still live."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

ALIVE_SECONDS = 20.0
"""A worker that has not said for so long that it lives, does not."""


def alive(now: float, beats: Iterable[str]) -> list[dict[str, Any]]:
    """What each worker said last that lives, by the store's clock."""
    return [beat for beat in map(json.loads, beats) if beat["beat_at"] > now - ALIVE_SECONDS]
