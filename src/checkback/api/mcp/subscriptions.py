"""Change notifications: ``resources/subscribe`` of the protocol with a handshake,
``subscriptions/listen`` of 2026-07-28.

A client subscribes to the resources of a job (``job://ID`` and what is below it) and is notified
when one of them has changed; a resource that never changes can be subscribed to as well. Another
owner's job is treated like one that does not exist. ``subscriptions/listen`` also serves tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fastmcp import FastMCP
from fastmcp.server.dependencies import bind_request_context
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    event_to_notification,
)
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from checkback.api.mcp.resource_list import JobListing, Listed
from checkback.api.mcp.resources import job_uri, kind_named, resource_not_found
from checkback.api.mcp.tasks import Tasks
from checkback.api.mcp.tools.context import ToolContext
from checkback.api.mcp.tools.list_changed import Send, ToolListChanges
from checkback.core.errors import CheckbackError, EngineUnavailable, InvalidInput, NotFound
from checkback.core.job import Job
from checkback.core.states import State
from checkback.security.auth.callers import Caller
from checkback.security.rate_limits import has_quota

if TYPE_CHECKING:
    from checkback.service import Service

MAX_SUBSCRIPTIONS = 100
"""How many resources one session or one stream can subscribe to."""
MAX_STREAMS = 100
"""How many streams one owner can have open."""
RETRY_SECONDS = 1.0
LIST_PAUSE_SECONDS = 1.0
"""Changes of the resource list that follow each other faster are reported as one."""
STATE_KEY = "checkback/subscriptions"

RequestContext = ServerRequestContext[Any, Any]
Stream = Callable[[], Awaitable[None]]
"""Sends notifications until no more can come."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Followed:
    """A resource that is subscribed to. ``job`` is the job as it was then, or None if it never
    changes.
    """

    uri: str
    job: Job | None = None
    part: str = ""


class SessionSubscriptions:
    """The subscriptions of one session with a handshake."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def check_room(self, uri: str) -> None:
        """Raise MCPError if the session has too many subscriptions."""
        if uri not in self._tasks and len(self._tasks) >= MAX_SUBSCRIPTIONS:
            message = (
                f"A session can subscribe to {MAX_SUBSCRIPTIONS} resources; unsubscribe from one "
                "first."
            )
            raise MCPError(code=INVALID_PARAMS, message=message)

    def add(self, uri: str, stream: Stream, ended: Callable[[], None]) -> None:
        """Run ``stream`` until it ends, or the subscription or the session does; then call
        ``ended``.
        """
        if uri in self._tasks:
            ended()
            return
        self._tasks[uri] = asyncio.create_task(self._run(uri, stream), name="resource-subscription")
        self._tasks[uri].add_done_callback(lambda _: ended())

    async def _run(self, uri: str, stream: Stream) -> None:
        try:
            await stream()
        except Exception:
            log.exception("A subscription to a resource ended.")
        self._tasks.pop(uri, None)

    def remove(self, uri: str) -> None:
        """End a subscription, if there is one."""
        if (task := self._tasks.pop(uri, None)) is not None:
            task.cancel()

    def end(self) -> None:
        """End all of them."""
        for uri in tuple(self._tasks):
            self.remove(uri)


class Subscriptions:
    """The handlers."""

    def __init__(
        self,
        server: FastMCP[Any],
        tool_context: ToolContext,
        tasks: Tasks,
        listing: JobListing,
        tool_changes: ToolListChanges | None,
    ) -> None:
        self._server = server
        self._tool_context = tool_context
        self._tasks = tasks
        self._listing = listing
        self._tool_changes = tool_changes
        #: How many streams each owner has open.
        self._open: Counter[str] = Counter()

    @property
    def _service(self) -> Service:
        return self._tool_context.service

    def add_to(self, server: FastMCP[Any]) -> None:
        """Serve the three methods, which FastMCP does not implement."""
        low_level = server._mcp_server  # pyright: ignore[reportPrivateUsage]
        low_level.add_request_handler(
            "resources/subscribe", SubscribeRequestParams, self._subscribe
        )
        low_level.add_request_handler(
            "resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe
        )
        low_level.add_request_handler(
            "subscriptions/listen", SubscriptionsListenRequestParams, self._listen
        )

    async def _subscribe(self, ctx: RequestContext, params: SubscribeRequestParams) -> EmptyResult:
        with bind_request_context(ctx):
            connection = _connection(ctx)
            subscriptions = _subscriptions(connection)
            subscriptions.check_room(params.uri)
            caller = await self._caller()
            resource = await self._find(caller, params.uri)
            if resource is None:
                raise resource_not_found(params.uri)

            async def send(_: ServerEvent) -> None:
                await connection.send_resource_updated(params.uri)

            try:
                ended = await self._service.open_stream(caller)
            except CheckbackError as error:
                raise _refusal(error) from None
            try:
                # Others may have been added while this one was looked up.
                subscriptions.check_room(params.uri)
            except MCPError:
                ended()
                raise
            subscriptions.add(params.uri, partial(self._follow, caller, resource, send), ended)
            return EmptyResult()

    async def _unsubscribe(
        self, ctx: RequestContext, params: UnsubscribeRequestParams
    ) -> EmptyResult:
        _subscriptions(_connection(ctx)).remove(params.uri)
        return EmptyResult()

    async def _listen(
        self, ctx: RequestContext, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Send what was requested and is available, until no more can come or the client
        disconnects.
        """
        meta: Any = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        with bind_request_context(ctx):
            async with self._counted():
                honored, streams = await self._honored(ctx, params.notifications, meta)
                await ctx.session.send_notification(
                    SubscriptionsAcknowledgedNotification(
                        params=SubscriptionsAcknowledgedNotificationParams(
                            notifications=SubscriptionFilter.model_validate(honored), _meta=meta
                        )
                    ),
                    related_request_id=ctx.request_id,
                )
                async with asyncio.TaskGroup() as group:
                    for stream in streams:
                        group.create_task(_started(stream))
                return SubscriptionsListenResult(_meta=meta)

    @asynccontextmanager
    async def _counted(self) -> AsyncGenerator[None]:
        """Count one more open stream of this owner. Raises MCPError if there are too many."""
        try:
            caller = self._tool_context.caller()
            # Over stdio the caller has no quota, and there may be no server yet that could count
            # streams.
            ended = await self._service.open_stream(caller) if has_quota(caller) else _nothing
        except CheckbackError as error:
            raise _refusal(error) from None
        owner = caller.owner
        if self._open[owner] >= MAX_STREAMS:
            ended()
            message = f"You have {MAX_STREAMS} open subscriptions/listen streams; close one first."
            raise MCPError(code=INVALID_REQUEST, message=message)
        self._open[owner] += 1
        try:
            yield
        finally:
            ended()
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]

    async def _honored(
        self, ctx: RequestContext, wanted: SubscriptionFilter, meta: Any
    ) -> tuple[dict[str, Any], list[Stream]]:
        """Which of these subscriptions the client gets, and the streams that send them. The current
        state is read before the acknowledgement, so that no later change is missed.
        """
        send = _sender(ctx, meta)
        honored: dict[str, Any] = {}
        streams: list[Stream] = []
        if wanted.tools_list_changed and self._tool_changes is not None:
            honored["toolsListChanged"] = True
            streams.append(partial(self._tool_changes.follow, self._tool_changes.count, send))
        if "taskIds" in (wanted.model_extra or {}):
            caller = await self._caller()
            task_ids = await self._tasks.listened(ctx, caller, wanted)
            honored["taskIds"] = task_ids
            for task_id in task_ids:
                streams.append(partial(self._tasks.follow, ctx, caller, task_id, meta))
        if wanted.resource_subscriptions:
            caller = await self._caller()
            found = await self._resources(caller, wanted.resource_subscriptions)
            honored["resourceSubscriptions"] = [one.uri for one in found]
            streams += [partial(self._follow, caller, one, send) for one in found]
        if wanted.resources_list_changed:
            honored["resourcesListChanged"] = True
            caller = await self._caller()
            before = await self._listed(caller)
            streams.append(partial(self._follow_list, caller, before, send))
        return honored, streams

    async def _resources(self, caller: Caller, uris: list[str]) -> list[Followed]:
        if len(uris) > MAX_SUBSCRIPTIONS:
            message = f"`resourceSubscriptions` must be a list of at most {MAX_SUBSCRIPTIONS} URIs."
            raise MCPError(code=INVALID_PARAMS, message=message)
        found = [await self._find(caller, uri) for uri in dict.fromkeys(uris)]
        return [one for one in found if one is not None]

    async def _find(self, caller: Caller, uri: str) -> Followed | None:
        """The resource of this URI; None if it does not exist or is not the caller's."""
        named = job_uri(uri)
        if named is None:
            return Followed(uri) if await self._is_fixed(uri) else None
        job_id, part = named
        try:
            return Followed(uri, await self._service.get(caller, job_id), part)
        except (NotFound, InvalidInput):
            return None
        except CheckbackError as error:
            raise _refusal(error) from None

    async def _is_fixed(self, uri: str) -> bool:
        """Whether this is a resource of the server itself, not of a job."""
        if await self._server.get_resource(uri) is not None:
            return True
        return kind_named(uri) is not None

    async def _follow(self, caller: Caller, resource: Followed, send: Send) -> None:
        """Send an event each time this resource has changed, until the job is deleted."""
        if resource.job is None:
            await asyncio.Event().wait()
            return
        before = _shown(resource.part, resource.job)
        while True:
            try:
                async with aclosing(
                    self._service.watch(caller, resource.job.id, past_end=True)
                ) as watch:
                    async for job in watch:
                        if (shown := _shown(resource.part, job)) != before:
                            before = shown
                            await send(ResourceUpdated(resource.uri))
            except NotFound:
                return
            except EngineUnavailable:
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow_list(self, caller: Caller, before: Listed, send: Send) -> None:
        """Send an event when the list of this caller's resources has changed."""
        while True:
            try:
                async with self._service.changes(caller) as changes:
                    while True:
                        listed = await self._listing.newest(caller)
                        if listed != before:
                            before = listed
                            await send(ResourcesListChanged())
                        await changes.next()
                        await asyncio.sleep(LIST_PAUSE_SECONDS)
            except EngineUnavailable:
                await asyncio.sleep(RETRY_SECONDS)

    async def _listed(self, caller: Caller) -> Listed:
        try:
            return await self._listing.newest(caller)
        except CheckbackError as error:
            raise _refusal(error) from None

    async def _caller(self) -> Caller:
        try:
            await self._tool_context.ready()
            return self._tool_context.caller()
        except CheckbackError as error:
            raise _refusal(error) from None


def _nothing() -> None:
    pass


async def _started(stream: Stream) -> None:
    await stream()


def _sender(ctx: RequestContext, meta: Any) -> Send:
    async def send(event: ServerEvent) -> None:
        note = event_to_notification(event, meta)
        await ctx.session.send_notification(note, related_request_id=ctx.request_id)

    return send


def _shown(part: str, job: Job) -> object:
    """What a resource shows of a job: if two of these are equal, the resource has not changed."""
    if part == "result":
        return job.finished_at if job.state is State.COMPLETED else None
    if part.startswith("artifacts/"):
        return job.artifacts
    return job


def _connection(ctx: RequestContext) -> Connection:
    """The connection, which outlives the request; the SDK has no public attribute for it."""
    return ctx.session._connection  # pyright: ignore[reportPrivateUsage]


def _subscriptions(connection: Connection) -> SessionSubscriptions:
    """The subscriptions of a session, created at first use; they end with it."""
    subscriptions = connection.state.get(STATE_KEY)
    if subscriptions is None:
        subscriptions = connection.state[STATE_KEY] = SessionSubscriptions()
        connection.exit_stack.callback(subscriptions.end)
    return subscriptions


def _refusal(error: CheckbackError) -> MCPError:
    return MCPError(code=INTERNAL_ERROR, message=f"{error.message} {error.hint}")
