"""All HTTP APIs as one application: the native API, PDF.co's, MCP, the web page, and the middleware
before them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from fastmcp.server.http import StarletteWithLifespan
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from checkback.api import dashboard
from checkback.api.http import metrics as http_metrics
from checkback.api.http.jobs import Readiness, build_routes
from checkback.api.http.metrics import Metrics, ServerFigures
from checkback.api.mcp.server import build_server, http_app, http_base_url, http_caller
from checkback.api.mcp.tools.pdfco_tools import PdfcoSetting
from checkback.api.mcp.tools.tool_names import ToolNames
from checkback.api.mcp.transport.jsonrpc import StrictMessages
from checkback.api.mcp.transport.session_limit import SessionLimit
from checkback.api.mcp.transport.session_owners import OneAtATime, SessionOwners
from checkback.api.middleware.authentication import AuthenticationMiddleware, RequireCaller
from checkback.api.middleware.instrumentation import Instrumentation
from checkback.api.pdfco import endpoints
from checkback.api.signed_files import BASE_URL, SignedFilesApi
from checkback.app.connect import Connection
from checkback.app.daemon import find_version
from checkback.core.errors import EngineUnavailable
from checkback.engine.redis.keys import Keys
from checkback.engine.worker.heartbeat import alive
from checkback.security.auth.authenticator import Authenticator, GuessLimit
from checkback.security.auth.token_files import folder_token
from checkback.security.host_check import HostList
from checkback.security.sandbox import policy
from checkback.telemetry.loop_lag import LoopLag

MCP_PATH = "/mcp"


@dataclass(slots=True)
class Activity:
    """When the APIs were last used; a request that is being answered counts as use."""

    last: float = field(default_factory=time.monotonic)
    open: int = 0

    def touch(self) -> None:
        self.last = time.monotonic()

    def idle_seconds(self) -> float:
        return 0.0 if self.open else time.monotonic() - self.last


class _Watched:
    """Reports every request to the activity monitor."""

    def __init__(self, application: ASGIApp, activity: Activity) -> None:
        self._application = application
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        self._activity.open += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._activity.open -= 1
            self._activity.touch()


def make_application(
    connection: Connection,
    *,
    port: int,
    activity: Activity,
    restarts: Mapping[str, int],
    no_token: bool,
    lag: LoopLag | None = None,
) -> ASGIApp:
    """Everything that listens on the port, behind the same middleware. ``restarts`` counts those of
    store and worker.
    """
    settings = connection.settings
    authenticator = Authenticator(
        folder_token=folder_token(settings.home), token_file=settings.tokens, no_token=no_token
    )
    guesses = GuessLimit()

    async def readiness() -> Readiness:
        found = await check_readiness(connection, restarts)
        return replace(found, loop_lag_seconds=lag.worst_seconds if lag is not None else 0.0)

    routes = _own_routes(connection, authenticator, guesses, readiness)
    routes += _metrics_routes(connection, restarts)
    hosts = HostList.of(port, settings.hosts)
    mcp = mcp_application(connection, sorted(hosts.hosts), authenticator)
    own = Starlette(routes=routes, lifespan=mcp.lifespan)
    bounded = SessionLimit(mcp, limit=settings.owner_sessions)
    owned = SessionOwners(OneAtATime(bounded))
    application = _Apis(own, RequireCaller(StrictMessages(owned)))
    gate = AuthenticationMiddleware(
        application,
        authenticator=authenticator,
        allowed=hosts,
        guesses=guesses,
        quotas=connection.service.quotas,
    )
    observed = Instrumentation(gate, fixed=frozenset({MCP_PATH}))
    return _Watched(PublicAddress(observed, settings.public_url), activity)


def _own_routes(
    connection: Connection,
    authenticator: Authenticator,
    guesses: GuessLimit,
    readiness: Callable[[], Awaitable[Readiness]],
) -> list[BaseRoute]:
    """The routes of every API except MCP, and of the web page."""
    service, production = connection.service, connection.settings.production

    async def count_workers() -> int:
        return (await readiness()).workers

    routes = dashboard.build_routes(
        service, authenticator=authenticator, guesses=guesses, workers=count_workers
    )
    routes += build_routes(
        service,
        authenticator=authenticator,
        readiness=readiness,
        guesses=guesses,
        version=find_version(),
        production=production,
    )
    routes += SignedFilesApi(service).routes()
    routes += endpoints.build_routes(
        service, production=production, is_own_token=authenticator.knows
    )
    return routes


def _metrics_routes(connection: Connection, restarts: Mapping[str, int]) -> list[BaseRoute]:
    settings, wire = connection.settings, connection.wire
    metrics = Metrics(
        connection.service,
        lambda: ServerFigures(restarts, wire.commands, wire.connections),
        version=find_version(),
        disk_budget_bytes=settings.disk_budget_bytes,
    )
    return http_metrics.build_routes(metrics, production=settings.production)


def mcp_application(
    connection: Connection, allowed_hosts: list[str], authenticator: Authenticator
) -> StarletteWithLifespan:
    """MCP over Streamable HTTP, at ``/mcp``; the authentication middleware has identified the
    caller.
    """
    settings = connection.settings
    server = build_server(
        connection.service,
        caller=http_caller,
        tool_names=cast("ToolNames", settings.tool_names),
        production=settings.production,
        version=find_version(),
        toolsets=settings.toolsets,
        pdfco=PdfcoSetting(
            base_url=http_base_url,
            is_own_token=authenticator.knows,
            has_key=settings.pdfco_key is not None,
        ),
        page_url=http_base_url,
    )
    return http_app(server, path=MCP_PATH, allowed_hosts=allowed_hosts)


class PublicAddress:
    """Puts the address at which clients reach this server into the scope, if the settings name
    one.
    """

    def __init__(self, application: ASGIApp, public_url: str | None) -> None:
        self._application = application
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._public_url is not None and scope["type"] == "http":
            scope = {**scope, BASE_URL: self._public_url.rstrip("/")}
        await self._application(scope, receive, send)


class _Apis:
    """Sends MCP's requests to MCP, everything else to our own routes."""

    def __init__(self, own: ASGIApp, mcp: ASGIApp) -> None:
        self._own = own
        self._mcp = mcp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_mcp = scope["type"] == "http" and scope["path"].rstrip("/") == MCP_PATH
        await (self._mcp if is_mcp else self._own)(scope, receive, send)


async def check_readiness(connection: Connection, restarts: Mapping[str, int]) -> Readiness:
    """Whether the store answers and a worker is running, by the store's clock: workers' clocks may
    differ.
    """
    workers = Keys(connection.settings.prefix).workers()
    walls = policy.standing(connection.settings.sandbox).to_json()
    counts: dict[str, int] = {
        "store": restarts.get("store", 0),
        "worker": restarts.get("worker", 0),
    }
    try:
        now, beats = await connection.wire.transaction([["TIME"], ["HVALS", workers]])
        warnings = await store_warnings(connection)
    except EngineUnavailable:
        return Readiness(("The job store cannot be reached.",), restarts=counts, sandbox=walls)
    running = alive(int(now[0]), beats)
    counts["worker_loop"] = sum(beat["restarts"] for beat in running)
    reasons = () if running else ("No worker is running.",)
    return Readiness(reasons, len(running), counts, warnings, sandbox=walls)


async def store_warnings(connection: Connection) -> tuple[str, ...]:
    """What is nearly used up in the store. Anyone may read it, so no owner is named."""
    warnings: list[str] = []
    if await connection.queues.memory.is_nearly_full():
        warnings.append("The job store is nearly full.")
    if number := await connection.queues.shares.count_nearly_full():
        warnings.append(f"Owners that have nearly used up their share of the job store: {number}.")
    return tuple(warnings)
