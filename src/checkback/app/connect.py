"""What a process needs to be a client of a data folder's jobs: the shell, the stdio MCP server, a
script.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from checkback import settings as settings_table
from checkback.app.daemon import (
    did_not_start,
    find_version,
    server_pid,
    server_runs,
    start_in_background,
    stop,
)
from checkback.core import queue_codec
from checkback.core.errors import EngineUnavailable, SettingsDiffer
from checkback.engine.jobs.codec import Retention
from checkback.engine.jobs.store import JobStore
from checkback.engine.redis.connection import RedisAddress, RedisConnection, ReplyError
from checkback.engine.redis.embedded import store_address
from checkback.engine.redis.event_feed import EventFeed
from checkback.engine.redis.keys import Keys
from checkback.kinds.pages import queue_codec as page_queue
from checkback.security.addresses import AddressPolicy
from checkback.security.encryption import SecretCipher, derive, load_secret
from checkback.security.rate_limits import OwnerLimits, Quotas, StoreLimits
from checkback.security.signed_urls import LinkSigner
from checkback.service import Service
from checkback.settings import Settings
from checkback.storage.artifacts import ArtifactStore
from checkback.storage.uploads import UploadStore

CLIENT_NAME = "checkback-client"
"""The name of a client's connections: serve counts them before it stops because it is idle."""

PUBLISH_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What the running server has published about itself."""

    version: str
    pid: int
    url: str
    settings: Mapping[str, Any]
    #: Whether a client started it, so that another client may replace it.
    background: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """A service and what belongs to it, valid within ``connect``."""

    service: Service
    queues: JobStore
    wire: RedisConnection
    feed: EventFeed
    settings: Settings
    server: ServerRecord | None


def address(settings: Settings) -> RedisAddress:
    """The address of the engine of these settings."""
    if settings.redis_url is not None:
        return RedisAddress.parse(settings.redis_url)
    return store_address(settings.home)


def retention(settings: Settings) -> Retention:
    return Retention(
        timedelta(hours=settings.keep_completed_hours), timedelta(hours=settings.keep_failed_hours)
    )


def make_service(settings: Settings, queues: JobStore) -> Service:
    """The use cases over an engine."""
    secret = load_secret(settings.home, settings.secret_key)
    return Service(
        queues,
        ArtifactStore(settings.artifacts_folder),
        sealer=SecretCipher(secret),
        addresses=AddressPolicy.of(settings.allow_hosts, settings.deny_networks),
        key_secret=derive(secret, "idempotent ids"),
        uploads=UploadStore(settings.uploads_folder),
        links=LinkSigner(derive(secret, "links")),
        quotas=Quotas(
            OwnerLimits(
                requests=settings.owner_requests,
                submits=settings.owner_submits,
                checks=settings.job_checks,
                uploads=settings.owner_uploads,
                upload_bytes=int(settings.owner_upload_gb * 1e9),
                upload_files=settings.owner_upload_files,
                streams=settings.owner_streams,
                deadline_seconds=settings.max_deadline_seconds,
            )
        ),
        disk_budget_bytes=settings.disk_budget_bytes,
        pdfco_key_owners=settings.pdfco_key_owners,
    )


def make_engine(settings: Settings, name: str) -> tuple[RedisConnection, EventFeed, JobStore]:
    """Connections that open when they are first used, and the queues on them."""
    # For commands that read a state without importing the kinds.
    queue_codec.register(page_queue.QUEUE_CODEC)
    where, keys, names = address(settings), Keys(settings.prefix), tuple(settings.concurrency)
    wire = RedisConnection(where, name=name)
    feed = EventFeed(where, keys, names, name=name)
    limits = StoreLimits(settings.owner_jobs, settings.queue_jobs, settings.owner_store_bytes)
    queues = JobStore(
        wire, feed, keys, names, retention(settings), disk=settings.home, limits=limits
    )
    return wire, feed, queues


@asynccontextmanager
async def connect(
    settings: Settings, *, chosen: Mapping[str, Any] | None = None, start: bool = True
) -> AsyncGenerator[Connection]:
    """Connect to the folder's server, starting one in the background when none runs.

    ``chosen`` are options given on this command line. Raises SettingsDiffer when this process asks
    for server settings that the running server does not have, EngineUnavailable when there is no
    server and none can be started.
    """
    record = await _find_fitting_server(settings, chosen or {}, start=start)
    adopted = _adopt(settings, record)
    wire, feed, queues = make_engine(adopted, CLIENT_NAME)
    try:
        yield Connection(make_service(adopted, queues), queues, wire, feed, adopted, record)
    finally:
        await feed.close()
        await wire.close()


async def read_record(wire: RedisConnection, keys: Keys) -> ServerRecord | None:
    """What the server published; None if nothing was published."""
    text = await wire.call("GET", keys.server())
    if text is None:
        return None
    values = json.loads(text)
    return ServerRecord(
        values["version"],
        values["pid"],
        values["url"],
        values["settings"],
        values.get("background", False),
    )


async def find_url(settings: Settings) -> str | None:
    """The URL of the server of these settings; None if none is running, or it does not answer."""
    if settings.own_valkey and not server_runs(settings.home):
        return None
    record = await _read_patiently(settings)
    if settings.own_valkey and not _is_current(record, settings):
        return None
    return record.url if record else None


async def publish(
    wire: RedisConnection, settings: Settings, url: str, *, background: bool = False
) -> None:
    """Publish that this process serves, with its settings and URL."""
    values = {
        "version": find_version(),
        "pid": os.getpid(),
        "url": url,
        "settings": settings.published(),
        "background": background,
    }
    await wire.call("SET", Keys(settings.prefix).server(), json.dumps(values))


async def _find_fitting_server(
    settings: Settings, chosen: Mapping[str, Any], *, start: bool
) -> ServerRecord | None:
    """The folder's server; one that is idle is replaced if it has other settings. Raises
    SettingsDiffer.
    """
    record = await _find_server(settings, start=start)
    differing = _differences(settings, chosen, record)
    replace = record is not None and _may_replace(settings, record, differing)
    if replace and start and await _is_idle(settings):
        await asyncio.to_thread(stop, settings.home)
        record = await _find_server(settings, start=True)
        differing = _differences(settings, chosen, record)
    _refuse_differing(differing)
    if record is not None and settings.own_valkey:
        _check_version(record)
    return record


def _refuse_differing(names: Sequence[str]) -> None:
    if names:
        variables = ", ".join(settings_table.PREFIX + name.upper() for name in names)
        raise SettingsDiffer(f"The running server uses a different value for {variables}.")


def _check_version(record: ServerRecord) -> None:
    version = find_version()
    if record.version != version:
        raise SettingsDiffer(
            f"The running server is checkback {record.version}; this is {version}."
        )


async def _find_server(settings: Settings, *, start: bool) -> ServerRecord | None:
    if not settings.own_valkey:
        return await _read_once(settings)
    was_started = await _start_if_missing(settings, start=start)
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            return await _wait_for_record(settings, may_start=start and not was_started)
    except TimeoutError:
        log = settings.home / "serve.log"
        raise EngineUnavailable(
            "The server of this data folder did not become ready.", hint=f"See {log}."
        ) from None


async def _start_if_missing(settings: Settings, *, start: bool) -> bool:
    """Start a server in the background unless one is running. Returns whether it was started."""
    if server_runs(settings.home):
        return False
    if not start:
        raise EngineUnavailable(
            "No server is running for this data folder.",
            hint="Start one with `checkback serve`.",
        )
    await asyncio.to_thread(start_in_background, settings)
    return True


async def _wait_for_record(settings: Settings, *, may_start: bool) -> ServerRecord | None:
    """What the running server says about itself. A server that ends before is started again, once
    and only if we may.

    Another process publishes it: there is no event to wait for before we are connected. A store
    that was just started still has the record of the previous server.
    """
    while not _is_current(record := await _read_patiently(settings), settings):
        if not server_runs(settings.home):
            if not may_start:
                raise did_not_start(settings.home)
            # The running server was just stopping.
            may_start = False
            await asyncio.to_thread(start_in_background, settings)
        await asyncio.sleep(0.02)
    return record


def _is_current(record: ServerRecord | None, settings: Settings) -> bool:
    """Whether the folder's current server published this."""
    return record is not None and record.pid == server_pid(settings.home)


async def _read_patiently(settings: Settings) -> ServerRecord | None:
    try:
        return await _read_once(settings)
    except (EngineUnavailable, ReplyError):  # it is not ready yet, or is still loading its data
        return None


async def _read_once(settings: Settings) -> ServerRecord | None:
    wire = RedisConnection(address(settings), name=CLIENT_NAME)
    try:
        return await read_record(wire, Keys(settings.prefix))
    finally:
        await wire.close()


def _differences(
    settings: Settings, chosen: Mapping[str, Any], record: ServerRecord | None
) -> list[str]:
    """Server settings that this process asks for and the server does not have."""
    if record is None:
        return []
    mine = settings.published()
    asked = settings_table.explicit(os.environ, chosen) & mine.keys()
    return sorted(name for name in asked if record.settings.get(name) != mine[name])


async def _is_idle(settings: Settings) -> bool:
    wire, feed, queues = make_engine(settings, CLIENT_NAME)
    try:
        counts = await queues.counts()
    finally:
        await feed.close()
        await wire.close()
    return not any(
        queue[state] for queue in counts.values() for state in ("waiting", "active", "delayed")
    )


def _may_replace(settings: Settings, record: ServerRecord, differing: list[str]) -> bool:
    """Whether to replace this server by one with our version and settings; never one that a person
    started.
    """
    return (
        bool(differing or record.version != find_version())
        and record.background
        and settings.own_valkey
    )


def _adopt(settings: Settings, record: ServerRecord | None) -> Settings:
    """These settings with the server's own values in the place of defaults: retention, queues,
    allowed hosts.
    """
    if record is None:
        return settings
    names = settings.published().keys() & record.settings.keys() - {"tokens"}
    adopted = {name: _with_tuples(record.settings[name]) for name in names}
    return settings_table.with_values(settings, adopted)


def _with_tuples(value: Any) -> Any:
    """A setting's value as it is here: in the record, which is JSON, tuples are lists."""
    return tuple(cast("list[str]", value)) if isinstance(value, list) else value
