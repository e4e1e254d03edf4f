"""The MCP door over HTTP, behind its gate, spoken to without a socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from starlette.applications import Starlette
from starlette.routing import Route

from checkback.api.mcp.server import build_server, http_app, http_caller
from checkback.api.middleware.authentication import AuthenticationMiddleware, RequireCaller
from checkback.security.auth.authenticator import Authenticator
from checkback.security.host_check import HostList
from checkback.service import Service


@asynccontextmanager
async def over_http(service: Service, authenticator: Authenticator) -> AsyncGenerator[Any]:
    """The application that a server puts at /mcp, behind its gate."""
    inner = http_app(build_server(service, caller=http_caller, kind_wait_seconds=0.05))
    app = Starlette(routes=[Route("/mcp", RequireCaller(inner))], lifespan=inner.lifespan)
    async with app.router.lifespan_context(app):
        yield AuthenticationMiddleware(app, authenticator=authenticator, allowed=HostList.of(8787))


def transport_for(app: Any, token: str) -> StreamableHttpTransport:
    def factory(**options: Any) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=StreamingASGITransport(app), **options)

    headers = {"authorization": f"Bearer {token}"}
    return StreamableHttpTransport(
        "http://127.0.0.1:8787/mcp",
        headers=headers,
        httpx_client_factory=factory,  # pyright: ignore
    )
