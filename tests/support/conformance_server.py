"""A server for MCP's conformance suite: our MCP door as ``serve`` has it, with the
tools, resources and prompts that the suite asks for.

Its settings come from the environment. Prints its port, and serves until it is told to stop. The
worker is another process, and does not know ``protocol_error_job``: a job of that kind is lost, not
failed.
"""

from __future__ import annotations

import asyncio

import uvicorn
from fastmcp.server.http import StarletteWithLifespan

from checkback.api.mcp.server import build_server, http_app, http_caller
from checkback.api.middleware.authentication import AuthenticationMiddleware, RequireCaller
from checkback.app.connect import make_engine, make_service
from checkback.kinds import registry
from checkback.kinds.registry import job
from checkback.security.auth.authenticator import Authenticator
from checkback.security.host_check import HostList
from checkback.service import Service
from checkback.settings import read
from conformance_fixtures import add_fixtures


@job("protocol_error_job")
def protocol_error_job() -> str:
    """No worker has this kind."""
    raise AssertionError("the worker does not know this kind")


def mcp_app(service: Service, hosts: HostList) -> StarletteWithLifespan:
    server = build_server(
        service, caller=http_caller, task_only={"failing_job"}, toolsets=("jobs",)
    )
    add_fixtures(server)
    return http_app(server, allowed_hosts=sorted(hosts.hosts))


async def main() -> None:
    settings = read()
    registry.load(settings.kinds)
    wire, feed, queues = make_engine(settings, "checkback-conformance")
    listening = uvicorn.Config("", host="127.0.0.1", port=0).bind_socket()
    port = listening.getsockname()[1]
    hosts = HostList.of(port)
    app = mcp_app(make_service(settings, queues), hosts)
    gate = AuthenticationMiddleware(
        RequireCaller(app),
        authenticator=Authenticator(
            folder_token="cb_unused", token_file=settings.tokens, no_token=True
        ),
        allowed=hosts,
    )
    config = uvicorn.Config(gate, log_level="warning", lifespan="off")
    print(port, flush=True)
    try:
        async with app.router.lifespan_context(app):
            await uvicorn.Server(config).serve([listening])
    finally:
        await feed.close()
        await wire.close()


if __name__ == "__main__":
    asyncio.run(main())
