"""The MCP API: a FastMCP server for stdio and Streamable HTTP, for clients of both versions of the
protocol.

Over HTTP, ``checkback.api.middleware.authentication`` checks the callers; put its ``RequireCaller``
around the application of ``http_app``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import fastmcp
from fastmcp import FastMCP
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.http import StarletteWithLifespan
from starlette.middleware import Middleware as HttpMiddleware

from checkback.api.mcp import icons
from checkback.api.mcp.capabilities import Capabilities, hint_caches
from checkback.api.mcp.card import add_card, card_tool, show_card
from checkback.api.mcp.completion import Completions
from checkback.api.mcp.instructions import instructions, leave_out_absent
from checkback.api.mcp.resource_list import JobListing
from checkback.api.mcp.resources import add_job_resources
from checkback.api.mcp.subscriptions import Subscriptions
from checkback.api.mcp.tasks import Tasks
from checkback.api.mcp.tools import fast_path
from checkback.api.mcp.tools.context import ApiTool, JobTool, ResultRenderer, ToolContext
from checkback.api.mcp.tools.job_tools import job_renderer, job_tools, kind_tools
from checkback.api.mcp.tools.lean_tools import lean_tools
from checkback.api.mcp.tools.list_changed import ToolListChanges
from checkback.api.mcp.tools.pdfco_tools import (
    PdfcoSetting,
    PdfcoTools,
    covered_kinds,
    pdfco_tools_of,
)
from checkback.api.mcp.tools.reftrix_tools import KIND, ReftrixTools, reftrix_tools
from checkback.api.mcp.tools.tool_list import Listing
from checkback.api.mcp.tools.tool_names import Names, ToolNames
from checkback.api.mcp.tools.toolbox import JobServer, LeftOut, Made, Toolbox, tool_of
from checkback.api.mcp.transport.encodable import encodable
from checkback.api.service_source import Connected, ServiceSource
from checkback.api.signed_files import base_url as base_url_of
from checkback.kinds import registry
from checkback.security.auth.callers import Caller, caller_of

if TYPE_CHECKING:
    from checkback.service import Service

TOOLSETS = ("pages", "documents", "jobs")
"""The default toolsets; ``lean`` is another one."""

DOCUMENT_MODULES = "checkback.kinds.documents."
DOCUMENT_KIND = "pdf.to_text"
"""If this kind is not installed, there are no document tools either."""


# FastMCP's spans contain what callers sent; ours (measures.tool_call) replace them.
fastmcp.settings.telemetry_mode = "off"


def http_caller() -> Caller:
    """The caller of the current HTTP request, as the authentication middleware identified it.
    Raises Unauthorized.
    """
    return caller_of(get_http_request().scope)


def http_base_url() -> str:
    """The URL at which the client of the current HTTP request reached this server."""
    return base_url_of(get_http_request())


def build_server(
    service: Service | ServiceSource,
    *,
    caller: Callable[[], Caller],
    tool_names: ToolNames = "underscore",
    production: bool = True,
    version: str = "0",
    wait_seconds: float = 25.0,
    max_wait_seconds: float = 50.0,
    kind_wait_seconds: float = 2.0,
    toolsets: Collection[str] = TOOLSETS,
    pdfco: PdfcoSetting | None = None,
    task_only: Collection[str] = (),
    page_url: Callable[[], str] | None = None,
    base_url: Callable[[], str] | None = None,
    save_folder: Path | None = None,
    tool_changes: ToolListChanges | None = None,
) -> JobServer:
    """The server with its tools. ``caller`` returns the caller of each call: ``http_caller``, or
    one that returns LOCAL.

    ``toolsets`` selects the tools: ``pages``, ``documents`` (they need ``pdfco``), ``jobs`` and
    ``lean``. Every registered kind that no other tool covers gets its own tool. Tools named in
    ``task_only`` refuse clients without tasks. ``page_url`` returns the URL of the web page, if
    clients can reach it; ``base_url`` the URL of files, if ``pdfco`` has none. ``save_folder`` is
    where job.result may save files. ``tool_changes`` announces new lists of tools; without it the
    list is declared not to change. Raises ValueError when two tools would have the same name.
    """
    names = Names(tool_names)
    tool_context = ToolContext(
        source=service if isinstance(service, ServiceSource) else Connected(service),
        caller=caller,
        names=names,
        production=production,
        wait_seconds=wait_seconds,
        max_wait_seconds=max_wait_seconds,
        kind_wait_seconds=kind_wait_seconds,
        base_url=base_url or (pdfco.base_url if pdfco is not None else None),
        has_retry="lean" not in toolsets or "jobs" in toolsets,
        save_folder=save_folder,
    )
    toolbox = Toolbox(partial(_made, tool_context, toolsets, pdfco, page_url))
    capabilities = Capabilities(tools_change=tool_changes is not None, has_card="jobs" in toolsets)
    server = _server(names, toolbox, capabilities, version, production=production)
    _extend(server, tool_context, task_only, tool_changes, has_card="jobs" in toolsets)
    return server


def _server(
    names: Names, toolbox: Toolbox, capabilities: Capabilities, version: str, *, production: bool
) -> JobServer:
    server = JobServer(
        "checkback",
        instructions=names.text(instructions(toolbox.tools)),
        version=version,
        middleware=[names, Listing(names), capabilities, LeftOut(registry.failed)],
        dereference_schemas=False,
        tools=list(toolbox.tools.values()),
        mask_error_details=production,
        on_duplicate="error",
        icons=[icons.JOB],
    )
    server.toolbox = toolbox
    return server


def _extend(
    server: JobServer,
    tool_context: ToolContext,
    task_only: Collection[str],
    tool_changes: ToolListChanges | None,
    *,
    has_card: bool,
) -> None:
    """Everything besides tools."""
    toolbox, otherwise = server.toolbox, job_renderer(tool_context)
    tasks = Tasks(
        tool_context,
        toolbox.starters,
        lambda job: toolbox.renderers.get(job.kind, otherwise),
        task_only=task_only,
    )
    fast_path.install(
        server, toolbox.called, unneeded=(Names, LeftOut), starts_task=tasks.answers, variant=tuple
    )
    # Outermost, so that it sees what the shortcut answers, too.
    server._mcp_server.middleware.insert(0, encodable)  # pyright: ignore[reportPrivateUsage]
    server.add_extension(tasks)
    add_job_resources(server, tool_context)
    listing = JobListing(server, tool_context)
    listing.add_to(server)
    Completions(tool_context).add_to(server)
    Subscriptions(server, tool_context, tasks, listing, tool_changes).add_to(server)
    if tool_changes is not None:
        tool_changes.add_to(server)
    hint_caches(server)
    if has_card:
        add_card(server, tool_context.names)


def _made(
    tool_context: ToolContext,
    toolsets: Collection[str],
    pdfco: PdfcoSetting | None,
    page_url: Callable[[], str] | None,
) -> Made:
    """The tools for the registered kinds, with texts that mention only existing tools."""
    entries, renderers = _tools(tool_context, toolsets, pdfco, page_url)
    tools = [tool_of(one) for one in entries]
    tool_context.names.learn(tool.name for tool in tools)
    leave_out_absent(tools)
    return entries, renderers


def _tools(
    tool_context: ToolContext,
    toolsets: Collection[str],
    pdfco: PdfcoSetting | None,
    page_url: Callable[[], str] | None,
) -> tuple[list[ApiTool | JobTool], dict[str, ResultRenderer]]:
    """All tools, and for each kind the function that renders its ended jobs."""
    entries: list[ApiTool | JobTool] = []
    renderers: dict[str, ResultRenderer] = {}
    kinds = _kinds_by_toolset()
    if "pages" in toolsets:
        pages = ReftrixTools(tool_context, status_tool=_status_tool(toolsets, pdfco))
        renderers[KIND] = pages.render_result
        entries += reftrix_tools(pages, tool_context.wait_seconds)
        entries += kind_tools(tool_context, kinds["pages"])
    if pdfco is not None and _has_documents(toolsets, pdfco):
        documents = PdfcoTools(tool_context, pdfco)
        renderers |= dict.fromkeys(covered_kinds(), documents.render_result)
        entries += pdfco_tools_of(documents)
        entries += kind_tools(tool_context, kinds["documents"])
    if "lean" in toolsets:
        entries += lean_tools(tool_context, has_job_tools="jobs" in toolsets)
    if "jobs" in toolsets:
        entries += job_tools(tool_context)
        entries += kind_tools(tool_context, kinds["jobs"])
        entries.append(card_tool(tool_context, page_url))
        show_card(entries)
    return entries, renderers


def _kinds_by_toolset() -> dict[str, list[registry.Kind]]:
    """The kinds that have no tool written for them, by the toolset that they belong to."""
    covered = {KIND, *covered_kinds()}
    kinds: dict[str, list[registry.Kind]] = {"pages": [], "documents": [], "jobs": []}
    for kind in registry.all_kinds():
        if kind.name not in covered:
            kinds[_toolset_of(kind)].append(kind)
    return kinds


def _toolset_of(kind: registry.Kind) -> str:
    if kind.name.startswith("page."):
        return "pages"
    return "documents" if kind.function.__module__.startswith(DOCUMENT_MODULES) else "jobs"


def _status_tool(toolsets: Collection[str], pdfco: PdfcoSetting | None) -> str | None:
    """The existing tool that reports on a job of any kind."""
    if "jobs" in toolsets:
        return "job.status"
    if "lean" in toolsets:
        return "job.wait"
    return "get_job_check" if _has_documents(toolsets, pdfco) else None


def _has_documents(toolsets: Collection[str], pdfco: PdfcoSetting | None) -> bool:
    return (
        "documents" in toolsets and pdfco is not None and registry.find(DOCUMENT_KIND) is not None
    )


def http_app(
    server: FastMCP[None], *, path: str = "/mcp", allowed_hosts: Sequence[str] = ()
) -> StarletteWithLifespan:
    """The server as an ASGI application for Streamable HTTP. Its lifespan has to run while it
    serves.

    FastMCP's own check of Host and Origin stays on behind our gate: two locks cost nothing.
    """
    from checkback.api.mcp.transport.response_mode import BriefAnswers, one_piece

    return server.http_app(
        path=path,
        transport="http",
        json_response=one_piece,
        middleware=[HttpMiddleware(BriefAnswers)],
        host_origin_protection=True,
        allowed_hosts=list(allowed_hosts),
    )
