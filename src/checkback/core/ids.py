"""Job ids: created here, before the engine sees the job, so that a lost reply can be retried
safely.

Ids are never a permission, but they cannot be guessed either.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
import uuid

from checkback.core.errors import InvalidInput
from checkback.core.job import JSON


def new_job_id() -> str:
    """A UUIDv7 (RFC 9562 section 5.7): 60 bits of time, so that ids sort by age, and 62 random
    bits.

    The 12 bits after the milliseconds are their fraction (section 6.2, method 3): jobs of one
    millisecond keep their order in a list.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    value = (
        (milliseconds & ((1 << 48) - 1)) << 80
        | (rest << 12) // 1_000_000 << 64
        | secrets.randbits(62)
    )
    return str(uuid.UUID(int=_stamped(value, version=7)))


def keyed_job_id(secret: bytes, owner: str, key: str) -> str:
    """The UUIDv8 that belongs to an owner's idempotency key: the same secret, owner and key give
    the same id.

    Without the secret nobody can compute the id of an owner and a key that they know.
    """
    digest = hmac.new(secret, f"{owner}\0{key}".encode(), hashlib.sha256).digest()
    return str(uuid.UUID(int=_stamped(int.from_bytes(digest[:16], "big"), version=8)))


def parse_job_id(text: str) -> str:
    """The canonical form of a job id. Raises InvalidInput for anything but a hyphenated UUID.

    BullMQ takes any string as an id and silently loses jobs whose id is the name of one of BullMQ's
    keys (``meta``, ``wait``), so nothing else may come near it.
    """
    if len(text) == 36:
        try:
            return str(uuid.UUID(text))
        except ValueError:
            pass
    raise InvalidInput("A job id must be a UUID of 36 characters.")


def _stamped(value: int, *, version: int) -> int:
    value = value & ~(0xF << 76) | version << 76
    return value & ~(0x3 << 62) | 0x2 << 62


def hash_of(value: JSON) -> str:
    """The same for equal values of JSON, whatever the order of their members."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
