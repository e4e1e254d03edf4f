"""What a submit may ask for besides its arguments: key, deadline, delay, attempts."""

from __future__ import annotations

import math

from checkback.core.errors import InvalidInput

MAX_KEY_CHARACTERS = 200
MAX_ATTEMPTS = 20
MAX_DEADLINE_SECONDS = 24 * 3600.0
MAX_DELAY_SECONDS = 30 * 24 * 3600.0


def check_options(
    key: str | None, deadline_seconds: float | None, delay_seconds: float, attempts: int | None
) -> None:
    """Raise InvalidInput for an option that no job may have."""
    _require(
        key is None or 0 < len(key) <= MAX_KEY_CHARACTERS,
        f"key is a text of 1 to {MAX_KEY_CHARACTERS} characters.",
    )
    _require(
        deadline_seconds is None or 0 < deadline_seconds <= MAX_DEADLINE_SECONDS,
        f"deadline_seconds is a number from 0 to {MAX_DEADLINE_SECONDS:.0f}.",
    )
    _require(
        0 <= delay_seconds <= MAX_DELAY_SECONDS,
        f"delay_seconds is a number from 0 to {MAX_DELAY_SECONDS:.0f}.",
    )
    _require(
        attempts is None or 1 <= attempts <= MAX_ATTEMPTS,
        f"attempts is a number from 1 to {MAX_ATTEMPTS}.",
    )


def _require(is_valid: bool, message: str) -> None:
    if not is_valid:
        raise InvalidInput(message)


def check_deadline(deadline_seconds: float | None, *, of_kind: float, most: float) -> None:
    """Raise InvalidInput for a deadline longer than an owner may ask for; the kind's own is always
    allowed.

    A job that runs holds a slot that others wait for. ``most`` is 0 where there is no limit.
    """
    longest = max(most or math.inf, of_kind)
    if deadline_seconds is not None and deadline_seconds > longest:
        raise InvalidInput(
            f"`deadline_seconds` is {deadline_seconds:.0f}; the most for this kind of job is "
            f"{longest:.0f}.",
            hint=(
                f"Submit it with `deadline_seconds` of {longest:.0f} or less; the operator can "
                "raise CHECKBACK_MAX_DEADLINE_SECONDS."
            ),
        )
