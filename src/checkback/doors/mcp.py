"""The MCP door: a FastMCP server for stdio and Streamable HTTP, for clients of both eras of the protocol.

Who may speak to it over HTTP is found out before it, by ``checkback.doors.gate``; put its ``RequireCaller``
around what ``http_app`` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

import fastmcp
from fastmcp import FastMCP
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.http import StarletteWithLifespan
from fastmcp.server.middleware import Middleware
from starlette.middleware import Middleware as HttpMiddleware

from checkback.doors import mcp_fast
from checkback.doors.mcp_card import add_card, card_tool, show_card
from checkback.doors.mcp_jobs import job_told, job_tools, kind_tools
from checkback.doors.mcp_names import Names, ToolNames
from checkback.doors.mcp_pdfco import PdfcoSetting, PdfcoTools, covered_kinds, pdfco_tools_of
from checkback.doors.mcp_reftrix import KIND, ReftrixTools, reftrix_tools
from checkback.doors.mcp_resources import add_job_resources
from checkback.doors.mcp_schemas import WrittenOut
from checkback.doors.mcp_tasks import Tasks
from checkback.doors.mcp_tool_changes import DeclaredToolChanges, ToolListChanges
from checkback.doors.mcp_toolbox import JobServer, LeftOut, Toolbox
from checkback.doors.mcp_tools import Desk, DoorTool, JobTool, Told
from checkback.doors.service_source import Connected, ServiceSource
from checkback.guard.access import Caller, caller_of
from checkback.kinds import registry

if TYPE_CHECKING:
    from checkback.service import Service

INSTRUCTIONS = (
    "Tools that start work run it as a durable background job and answer with a job_id when it is not done "
    "within moments. Wait for it with job_wait, which answers when the job ends or after 25 seconds, and "
    "call it again until is_final is true: do not poll in a loop of your own, and do not start the work a "
    "second time. Read long results with job_result; jobs outlive this session, and job_list finds them."
)


TOOLSETS = ("pages", "documents", "jobs")
DOCUMENT_KIND = "pdf.to_text"
"""Where this kind is not installed there are no document tools either."""

# FastMCP's spans hold what callers sent; ours (measures.tool_call) take their place.
fastmcp.settings.telemetry_mode = "off"


def http_caller() -> Caller:
    """Who sent the HTTP request that is being answered, as the gate found out. Raises Unauthorized."""
    return caller_of(get_http_request().scope)


def http_base_url() -> str:
    """Under which address the client of the current HTTP request called us."""
    return str(get_http_request().base_url).rstrip("/")


def build_server(
    service: Service | ServiceSource,
    *,
    caller: Callable[[], Caller],
    tool_names: ToolNames = "auto",
    production: bool = True,
    version: str = "0",
    wait_seconds: float = 25.0,
    max_wait_seconds: float = 50.0,
    kind_wait_seconds: float = 2.0,
    toolsets: Collection[str] = TOOLSETS,
    pdfco: PdfcoSetting | None = None,
    task_only: Collection[str] = (),
    page_url: Callable[[], str] | None = None,
    tool_changes: ToolListChanges | None = None,
) -> JobServer:
    """The server with its tools. ``caller`` is asked at each call: ``http_caller``, or one that gives LOCAL.

    ``toolsets`` says which tools are there: of ``pages``, ``documents`` (they need ``pdfco``) and ``jobs``.
    Every kind that is registered by now and that no other tool covers gets one. Tools named in ``task_only``
    refuse clients that do not speak tasks. ``page_url`` gives the address of the web page, for those who can
    reach it. ``tool_changes`` is where a change of the list of tools is announced; without it the list is
    declared not to change. Raises ValueError when two tools would have the same name.
    """
    names = Names(tool_names)
    desk = Desk(
        source=service if isinstance(service, ServiceSource) else Connected(service),
        caller=caller,
        names=names,
        production=production,
        wait_seconds=wait_seconds,
        max_wait_seconds=max_wait_seconds,
        kind_wait_seconds=kind_wait_seconds,
    )
    toolbox = Toolbox(partial(_tools, desk, toolsets, pdfco, page_url))
    server = JobServer(
        "checkback",
        instructions=INSTRUCTIONS,
        version=version,
        middleware=_middleware(names, tool_changes),
        dereference_schemas=False,
        tools=list(toolbox.tools.values()),
        mask_error_details=production,
        on_duplicate="error",
    )
    server.toolbox = toolbox
    _extend(server, desk, task_only, tool_changes, has_card="jobs" in toolsets)
    return server


def _middleware(names: Names, tool_changes: ToolListChanges | None) -> list[Middleware]:
    return [
        names,
        WrittenOut(),
        DeclaredToolChanges(sent=tool_changes is not None),
        LeftOut(registry.failed),
    ]


def _extend(
    server: JobServer,
    desk: Desk,
    task_only: Collection[str],
    tool_changes: ToolListChanges | None,
    *,
    has_card: bool,
) -> None:
    """What is there besides tools."""
    toolbox, otherwise = server.toolbox, job_told(desk)
    tasks = Tasks(
        desk,
        toolbox.starters,
        lambda job: toolbox.told.get(job.kind, otherwise),
        task_only=task_only,
        tool_changes=tool_changes,
    )
    mcp_fast.install(
        server,
        toolbox.called,
        unneeded=(Names, LeftOut),
        starts_task=tasks.answers,
        variant=desk.names.shows_dots,
    )
    server.add_extension(tasks)
    tasks.listen_on(server)
    add_job_resources(server, desk)
    if tool_changes is not None:
        tool_changes.add_to(server)
    if has_card:
        add_card(server)


def _tools(
    desk: Desk,
    toolsets: Collection[str],
    pdfco: PdfcoSetting | None,
    page_url: Callable[[], str] | None,
) -> tuple[list[DoorTool | JobTool], dict[str, Told]]:
    """The tools that there are, and by kind who tells of an ended job in its own words."""
    found: list[DoorTool | JobTool] = []
    told: dict[str, Told] = {}
    covered = {KIND, *covered_kinds()}
    kinds = [kind for kind in registry.all_kinds() if kind.name not in covered]
    if "pages" in toolsets:
        pages = ReftrixTools(desk)
        told[KIND] = pages.told
        found += reftrix_tools(pages, desk.wait_seconds)
        found += kind_tools(desk, [kind for kind in kinds if _is_of_pages(kind)])
    if "documents" in toolsets and pdfco is not None and registry.find(DOCUMENT_KIND) is not None:
        documents = PdfcoTools(desk, pdfco)
        told |= dict.fromkeys(covered_kinds(), documents.told)
        found += pdfco_tools_of(documents)
    if "jobs" in toolsets:
        found += job_tools(desk)
        found += kind_tools(desk, [kind for kind in kinds if not _is_of_pages(kind)])
        found.append(card_tool(desk, page_url))
        show_card(found)
    return found, told


def _is_of_pages(kind: registry.Kind) -> bool:
    return kind.name.startswith("page.")


def http_app(
    server: FastMCP[None], *, path: str = "/mcp", allowed_hosts: Sequence[str] = ()
) -> StarletteWithLifespan:
    """The server as an ASGI application for Streamable HTTP. Its lifespan has to run while it serves.

    FastMCP's own check of Host and Origin stays on behind our gate: two locks cost nothing.
    """
    from checkback.doors.mcp_brief import BriefAnswers, one_piece

    return server.http_app(
        path=path,
        transport="http",
        json_response=one_piece,
        middleware=[HttpMiddleware(BriefAnswers)],
        host_origin_protection=True,
        allowed_hosts=list(allowed_hosts),
    )
