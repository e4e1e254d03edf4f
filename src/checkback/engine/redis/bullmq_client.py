"""redis-py clients for BullMQ's worker, and the checks of a server before it is used.

The worker is patient: a finished job's result must be stored, however long the server is away.
Doors are not: they use ``wire.py`` and fail within 2 s. The figures behind both are in
``docs/engine.md``.
"""

from __future__ import annotations

import logging
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError

from checkback.engine.redis.connection import RedisAddress, RedisConnection, ReplyError, UnfitStore

logger = logging.getLogger(__name__)

PATIENT_RETRIES = 240
"""At 0.5 s each: two minutes, more than any lock lives."""

NETWORK_SOCKET_SECONDS = 30.0
"""Over a network a dead peer must be noticed; longer than any blocking read of BullMQ's (10 s)."""

MINIMUM_VERSION = (6, 2)


def worker_client(address: RedisAddress, name: str) -> Redis:
    """A client that waits out an outage.

    ``socket_timeout`` is never redis-py's default of 5 s: BullMQ's blocking wait is as long, and
    each time-out would leave an idle worker deaf for up to 15 s.
    """
    common: dict[str, Any] = {
        "decode_responses": True,
        # A job of another client that is not UTF-8 must not keep the worker from the others.
        "encoding_errors": "replace",
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.02), PATIENT_RETRIES),
        "retry_on_error": [ConnectionError, TimeoutError, BusyLoadingError],
        "socket_connect_timeout": 1,
        "client_name": name,
        "username": address.username,
        "password": address.password,
        "db": address.database,
    }
    if address.unix_path is not None:
        return Redis(unix_socket_path=address.unix_path, socket_timeout=None, **common)
    return Redis(
        host=address.host,
        port=address.port,
        ssl=address.tls,
        ssl_ca_certs=address.tls_ca_file,
        socket_timeout=NETWORK_SOCKET_SECONDS,
        socket_keepalive=True,
        **common,
    )


async def check_server(wire: RedisConnection) -> dict[str, str]:
    """What the server says of itself. Raises UnfitStore, naming the setting, for one that would
    lose jobs, EngineUnavailable for one that is away.
    """
    try:
        text: str = await wire.call("INFO")
    except ReplyError as error:
        raise UnfitStore(
            "The server that CHECKBACK_REDIS_URL names refuses INFO "
            f"({str(error).split(' ', 1)[0]}).",
            hint="Give that user the right to run INFO, or name another one in "
            "CHECKBACK_REDIS_URL.",
        ) from None
    info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    version = info.get("valkey_version") or info.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < MINIMUM_VERSION:
        raise UnfitStore(
            f"The server that CHECKBACK_REDIS_URL names is version {version}; 6.2 is the oldest "
            "that works.",
            hint="Use Redis 7 or Valkey 8 or newer.",
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise UnfitStore(
            "The server that CHECKBACK_REDIS_URL names drops keys when its memory is full "
            f"({policy}).",
            hint="Set `maxmemory-policy noeviction` there, or jobs could vanish.",
        )
    if info.get("aof_enabled") == "0":
        logger.warning(
            "The server that CHECKBACK_REDIS_URL names keeps no append-only file: a crash of it "
            "loses jobs. Set `appendonly yes` there."
        )
    return info
