"""Tells those who asked for it of a job's end, by POST: at least once, and never for ever.

What is to be told lies in the store: a field of the job with the address, and a sorted set of the jobs that
are still to be told of, by when to look next. Every worker looks, at each end it hears of and every few
seconds; a short claim keeps two from telling at once. A worker that dies between the end and the telling
loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from checkback.core.errors import EngineUnavailable
from checkback.core.job import JSON, Job
from checkback.engine.events import Feed
from checkback.engine.keys import Keys
from checkback.engine.queues import Queues
from checkback.engine.record import Retention
from checkback.engine.wire import ReplyError, Wire
from checkback.guard.egress import EgressProxy
from checkback.kinds import proxied
from checkback.kinds.context import Egress
from checkback.kinds.proxied import FetchFailed, HostBlocked

logger = logging.getLogger(__name__)

Render = Callable[[Job, Mapping[str, Any]], JSON]

LOOK_SECONDS = 2.0
UNHEARD_SECONDS = 15.0
BATCH = 50
POST_SECONDS = 10.0
CLAIM_MS = 60_000
MOST_RETRY_AFTER = 600.0
WORTH_ANOTHER_TRY = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """How callbacks look, how they are signed, and how often they are tried."""

    #: Makes the body from the job and the context that its submit gave.
    render: Render
    key: bytes
    #: Opens the sealed address: it may hold a key of its receiver's.
    open: Callable[[JSON], JSON]
    #: Waits before the second try and the further ones; then it is given up.
    backoff_seconds: tuple[float, ...] = (2.0, 10.0, 60.0, 300.0)


class Callbacks:
    """One worker's messenger."""

    def __init__(
        self,
        wire: Wire,
        keys: Keys,
        queues: tuple[str, ...],
        retention: Retention,
        egress: EgressProxy,
        settings: CallbackSettings,
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._names = queues
        self._retention = retention
        self._egress = egress
        self._settings = settings
        self._wake = asyncio.Event()
        self._ended: set[str] = set()

    async def run(self, feed: Feed) -> None:
        """Tell for ever; an outage only delays it."""
        queues = Queues(self._wire, feed, self._keys, self._names, self._retention)
        listening = False
        while True:
            try:
                if not listening:
                    await feed.listen(self._hear)
                    listening = True
                await self._tell_due(queues)
            except (EngineUnavailable, ReplyError) as error:
                logger.info("Callbacks wait for the job store: %s", error)
            except Exception:
                logger.exception("A round of callbacks failed")
            # Not asyncio.wait_for, which in Python 3.11 forgets a cancel that comes just as the wait is over.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    def _hear(self, queue: str, event: str, job_id: str) -> None:
        """A job has ended, here or at another worker: look at it at once."""
        if event in ("completed", "failed", "cb:cancel"):
            self._ended.add(f"{queue} {job_id}")
            self._wake.set()

    async def _tell_due(self, queues: Queues) -> None:
        ended, self._ended = sorted(self._ended), set()
        members: list[str] = await self._wire.call(
            "ZRANGEBYSCORE", self._keys.callbacks(), "-inf", time.time(), "LIMIT", 0, BATCH
        )
        if ended:
            scores = await self._wire.call("ZMSCORE", self._keys.callbacks(), *ended)
            members += [member for member, score in zip(ended, scores, strict=True) if score is not None]
        await asyncio.gather(*(self._look(queues, member) for member in dict.fromkeys(members)))

    async def _look(self, queues: Queues, member: str) -> None:
        """Tell of one job if it has ended; forget it when it is gone."""
        queue, _, job_id = member.partition(" ")
        job = await queues.read(job_id)
        if job is None:
            await self._wire.call("ZREM", self._keys.callbacks(), member)
            return
        if not job.state.is_final:
            # Its end rings; this is for an end that nobody heard. It must not keep others from their turn.
            later = time.time() + UNHEARD_SECONDS
            await self._wire.call("ZADD", self._keys.callbacks(), "XX", later, member)
            return
        claimed = await self._wire.call("SET", self._keys.claim(job_id), "1", "NX", "PX", CLAIM_MS)
        if claimed is None:
            return
        try:
            # Another worker may have told of it between our look and our claim.
            if await self._wire.call("ZSCORE", self._keys.callbacks(), member) is not None:
                await self._tell(job, self._keys.job(queue, job_id), member)
        finally:
            await self._wire.call("DEL", self._keys.claim(job_id))

    async def _tell(self, job: Job, key: str, member: str) -> None:
        text, tries = await self._wire.call("HMGET", key, "cb:callback", "cb:tries")
        if text is None:
            await self._wire.call("ZREM", self._keys.callbacks(), member)
            return
        callback = json.loads(text)
        body = json.dumps(self._settings.render(job, callback["context"])).encode()
        status, after = await self._post(job, self._settings.open(callback["url"]), body)
        tried = int(tries or 0) + 1
        left = self._settings.backoff_seconds[tried - 1 : tried]
        again = status is None or status in WORTH_ANOTHER_TRY or status >= 500
        if again and left:
            wait = max(left[0], min(after or 0.0, MOST_RETRY_AFTER))
            await self._wire.transaction(
                [
                    ["HSET", key, "cb:tries", tried],
                    ["ZADD", self._keys.callbacks(), time.time() + wait, member],
                ]
            )
            return
        told = status is not None and status < 300
        words = f"answered {status}" if status is not None else "did not answer"
        line = f"callback: {'delivered' if told else 'given up'}, its server {words}, try {tried}"
        if not told:
            logger.warning("job %s: %s", job.id, line)
        await self._wire.transaction(
            [["ZREM", self._keys.callbacks(), member], ["RPUSH", f"{key}:logs", line]]
        )

    async def _post(self, job: Job, url: str, body: bytes) -> tuple[int | None, float | None]:
        """Status and Retry-After of one try; no status where nobody answered."""
        grant = await self._egress.grant(job.id)
        egress = Egress(grant.proxy_url, grant.username, grant.password)
        moment = int(time.time())
        signed = hmac.new(self._settings.key, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        # Not with X-: what begins with X-Checkback- is the proxy's own, and does not leave it.
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "checkback",
            "Checkback-Job": job.id,
            "Checkback-Delivery": uuid.uuid4().hex,
            "Checkback-Signature": f"t={moment},v1={signed}",
        }
        try:
            return await asyncio.to_thread(_send, url, egress, headers, body)
        finally:
            await self._egress.revoke(grant)


def _send(
    url: str, egress: Egress, headers: Mapping[str, str], body: bytes
) -> tuple[int | None, float | None]:
    try:
        with proxied.request(
            "POST", url, egress, seconds=POST_SECONDS, headers=headers, body=body
        ) as response:
            after = response.getheader("Retry-After")
            return response.status, float(after) if after and after.isdigit() else None
    except HostBlocked:
        return 403, None  # the address may not be reached: no further try can change that
    except FetchFailed:
        return None, None
