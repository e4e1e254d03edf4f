"""Reports a job's end by POST to the address that asked for it: at least once, and not for ever.

What is to be reported is in the store: a field of the job with the address, and a sorted set of the
jobs that are still to be reported, by when to look next. Every worker looks, at each end it hears
of and every few seconds; a short claim keeps two from reporting at once. A worker that dies between
the end and the telling loses nothing. Each owner's callbacks are sent apart, two at a time at most,
each within a total time: a receiver that is slow delays nobody else's.
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
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from checkback.core.errors import EngineUnavailable
from checkback.core.job import JSON, Job
from checkback.engine.jobs.codec import Retention
from checkback.engine.jobs.store import JobStore
from checkback.engine.redis.connection import RedisConnection, ReplyError, Script
from checkback.engine.redis.event_feed import EventFeed
from checkback.engine.redis.keys import Keys
from checkback.kinds import proxy_client
from checkback.kinds.context import Egress
from checkback.kinds.proxy_client import FetchFailed, HostBlocked
from checkback.security.egress.client import EgressProxy

logger = logging.getLogger(__name__)

Render = Callable[[Job, Mapping[str, Any]], JSON]

LOOK_SECONDS = 2.0
UNHEARD_SECONDS = 15.0
BATCH = 50
MAX_BATCHES = 20
AT_ONCE_OF_OWNER = 2
AT_ONCE = 32
CLAIM_MS = 60_000
CLAIMED, NO_PLACE = 1, -1
CLAIM_WEBHOOK = Script.named("claim_webhook")
MAX_RETRY_AFTER = 600.0
WORTH_ANOTHER_TRY = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How callbacks look, how they are signed, and how often they are tried."""

    #: Makes the body from the job and the context that its submit gave.
    render: Render
    key: bytes
    #: Opens the sealed address: it may hold a key of its receiver's.
    open: Callable[[JSON], JSON]
    #: Waits before the second try and the further ones; then it is given up.
    backoff_seconds: tuple[float, ...] = (2.0, 10.0, 60.0, 300.0)
    #: For one delivery in all, however slowly its receiver answers.
    post_seconds: float = 10.0


class Webhooks:
    """One worker's messenger."""

    def __init__(
        self,
        wire: RedisConnection,
        keys: Keys,
        queues: tuple[str, ...],
        retention: Retention,
        egress: EgressProxy,
        settings: WebhookSettings,
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._names = queues
        self._retention = retention
        self._egress = egress
        self._settings = settings
        self._wake = asyncio.Event()
        self._ended: set[str] = set()
        #: The jobs whose callbacks are due, by owner, and the tasks that send them.
        self._waiting: defaultdict[str, deque[tuple[str, Job]]] = defaultdict(deque)
        self._known: set[str] = set()
        self._busy: Counter[str] = Counter()
        self._tellers: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="callback")

    async def run(self, feed: EventFeed) -> None:
        """Tell for ever; an outage only delays it."""
        queues = JobStore(self._wire, feed, self._keys, self._names, self._retention)
        try:
            await self._run(queues, feed)
        finally:
            for teller in self._tellers:
                teller.cancel()
            await asyncio.gather(*self._tellers, return_exceptions=True)
            self._threads.shutdown(wait=False)

    async def _run(self, queues: JobStore, feed: EventFeed) -> None:
        listening = False
        while True:
            try:
                if not listening:
                    await feed.listen(self._hear)
                    listening = True
                await self._look_at_due(queues)
            except (EngineUnavailable, ReplyError) as error:
                logger.info("Webhooks wait for the job store: %s", error)
            except Exception:
                logger.exception("A round of callbacks failed")
            # Not asyncio.wait_for, which in Python 3.11 forgets a cancel that comes just as the
            # wait is over.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    def _hear(self, queue: str, event: str, job_id: str) -> None:
        """A job has ended, here or at another worker: look at it at once."""
        if event in ("completed", "failed", "cb:cancel"):
            self._ended.add(f"{queue} {job_id}")
            self._wake.set()

    async def _look_at_due(self, queues: JobStore) -> None:
        ended, self._ended = sorted(self._ended), set()
        if ended:
            scores = await self._wire.call("ZMSCORE", self._keys.callbacks(), *ended)
            there = [
                member for member, score in zip(ended, scores, strict=True) if score is not None
            ]
            await asyncio.gather(*(self._look(queues, member) for member in there))
        for _ in range(MAX_BATCHES):
            due: list[str] = await self._wire.call(
                "ZRANGEBYSCORE", self._keys.callbacks(), "-inf", time.time(), "LIMIT", 0, BATCH
            )
            await asyncio.gather(*(self._look(queues, member) for member in due))
            if len(due) < BATCH:
                return

    async def _look(self, queues: JobStore, member: str) -> None:
        """Send one job's callback if it has ended; forget it when it is gone.

        Whatever becomes of it, it is not looked at again for a while: others are to have their
        turn.
        """
        job = await queues.read(member.partition(" ")[2])
        if job is None:
            await self._wire.call("ZREM", self._keys.callbacks(), member)
            return
        # An end rings; the shorter time is for an end that nobody heard.
        await self._look_later(member, CLAIM_MS / 1000 if job.state.is_final else UNHEARD_SECONDS)
        if not job.state.is_final or member in self._known:
            return
        self._known.add(member)
        self._waiting[job.owner].append((member, job))
        if self._busy[job.owner] < AT_ONCE_OF_OWNER:
            self._busy[job.owner] += 1
            teller = asyncio.create_task(self._tell_all_of(job.owner), name="callbacks-of-an-owner")
            self._tellers.add(teller)
            teller.add_done_callback(self._tellers.discard)

    async def _look_later(self, member: str, seconds: float) -> None:
        await self._wire.call("ZADD", self._keys.callbacks(), "XX", time.time() + seconds, member)

    async def _tell_all_of(self, owner: str) -> None:
        """Tell of one owner's jobs, one after the other: a slow receiver delays nobody else's."""
        waiting = self._waiting[owner]
        try:
            while waiting:
                member, job = waiting.popleft()
                try:
                    await self._tell_claimed(job, member)
                except (EngineUnavailable, ReplyError) as error:
                    logger.info("A callback waits for the job store: %s", error)
                except Exception:
                    logger.exception("A callback failed")
                finally:
                    self._known.discard(member)
        finally:
            self._busy[owner] -= 1
            if not self._busy[owner]:
                del self._busy[owner], self._waiting[owner]

    async def _tell_claimed(self, job: Job, member: str) -> None:
        claim, telling = self._keys.claim(job.id), self._keys.telling(job.owner)
        claimed = await self._wire.script(
            CLAIM_WEBHOOK, [claim, telling], [job.id, CLAIM_MS, AT_ONCE_OF_OWNER]
        )
        if claimed == NO_PLACE:
            # Other workers are sending as many of this owner's as may be sent at once.
            await self._look_later(member, LOOK_SECONDS)
        if claimed != CLAIMED:
            return
        try:
            # Another worker may have reported it between our look and our claim.
            if await self._wire.call("ZSCORE", self._keys.callbacks(), member) is not None:
                await self._tell(job, self._keys.job(job.queue, job.id), member)
        finally:
            await self._wire.transaction([["DEL", claim], ["ZREM", telling, job.id]])

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
            wait = max(left[0], min(after or 0.0, MAX_RETRY_AFTER))
            await self._wire.transaction(
                [
                    ["HSET", key, "cb:tries", tried],
                    ["ZADD", self._keys.callbacks(), time.time() + wait, member],
                ]
            )
            return
        is_delivered = status is not None and status < 300
        outcome = "delivered" if is_delivered else "given up"
        answer = f"answered {status}" if status is not None else "did not answer"
        line = f"callback: {outcome}, its server {answer}, try {tried}"
        if not is_delivered:
            logger.warning("job %s: %s", job.id, line)
        await self._wire.transaction(
            [["ZREM", self._keys.callbacks(), member], ["RPUSH", f"{key}:logs", line]]
        )

    async def _post(self, job: Job, url: str, body: bytes) -> tuple[int | None, float | None]:
        """Status and Retry-After of one try; no status where nobody answered."""
        grant = await self._egress.grant(job.id)
        egress = Egress(grant.proxy_url, grant.username, grant.password)
        moment = int(time.time())
        signed = hmac.new(
            self._settings.key, f"{moment}.".encode() + body, hashlib.sha256
        ).hexdigest()
        # Not with X-: what begins with X-Checkback- is the proxy's own, and does not leave it.
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "checkback",
            "Checkback-Job": job.id,
            "Checkback-Delivery": uuid.uuid4().hex,
            "Checkback-Signature": f"t={moment},v1={signed}",
        }
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._threads, _send, url, egress, headers, body, self._settings.post_seconds
            )
        finally:
            await self._egress.revoke(grant)


def _send(
    url: str, egress: Egress, headers: Mapping[str, str], body: bytes, seconds: float
) -> tuple[int | None, float | None]:
    try:
        with proxy_client.request(
            "POST",
            url,
            egress,
            seconds=seconds,
            total_seconds=seconds,
            headers=headers,
            body=body,
        ) as response:
            after = response.getheader("Retry-After")
            return response.status, float(after) if after and after.isdigit() else None
    except HostBlocked:
        return 403, None  # the address may not be reached: no further try can change that
    except FetchFailed:
        return None, None
