"""``checkback mcp``: the MCP server on standard input and output, for one client on this machine.

Jobs run in the folder's server, not here: closing the chat closes this process and no job.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from checkback.app.background import find_version, server_runs, start_in_background
from checkback.app.connect import Connection, connect
from checkback.app.work import load_kinds
from checkback.core.errors import EngineUnavailable
from checkback.guard.access import LOCAL
from checkback.guard.authenticator import Authenticator
from checkback.guard.log_lines import log_to_stderr
from checkback.guard.tokens import folder_token
from checkback.settings import Settings
from checkback.telemetry import recording

if TYPE_CHECKING:
    from checkback.doors.mcp_pdfco import PdfcoSetting

WATCH_SECONDS = 5.0


def run_stdio(settings: Settings, chosen: Mapping[str, Any], *, save_folder: Path | None = None) -> None:
    """Serve until the client closes our standard input. Agents may save files in ``save_folder``."""
    # Standard output belongs to the protocol: whatever logs goes to standard error.
    log_to_stderr("warning", settings.log_format, text="%(levelname)s:%(name)s:%(message)s")
    recording.start("mcp", find_version())
    try:
        asyncio.run(_serve(settings, chosen, save_folder))
    finally:
        recording.stop()


async def _serve(settings: Settings, chosen: Mapping[str, Any], save_folder: Path | None) -> None:
    from checkback.app.stdio_lines import checked_lines
    from checkback.doors.mcp import build_server
    from checkback.doors.mcp_names import ToolNames

    async with connect(settings, chosen=chosen) as connection:
        load_kinds(connection.settings)
        server = build_server(
            connection.service,
            caller=lambda: LOCAL,
            tool_names=cast("ToolNames", settings.tool_names),
            production=settings.production,
            version=find_version(),
            toolsets=settings.toolsets,
            pdfco=_pdfco_setting(connection),
            save_folder=save_folder,
        )
        keeping = asyncio.create_task(_keep_server(connection.settings))
        try:
            with checked_lines():
                await server.run_stdio_async(show_banner=False)
        finally:
            keeping.cancel()


def _pdfco_setting(connection: Connection) -> PdfcoSetting:
    from checkback.doors.mcp_pdfco import PdfcoSetting

    settings = connection.settings
    here = connection.server.url if connection.server else f"http://{settings.host}:{settings.port}"
    url = settings.public_url or here
    authenticator = Authenticator(folder_token=folder_token(settings.home), token_file=settings.tokens)
    return PdfcoSetting(
        base_url=lambda: url.rstrip("/"),
        is_own_token=authenticator.knows,
        has_key=settings.pdfco_key is not None,
        local_files=True,
    )


async def _keep_server(settings: Settings) -> None:
    """Start the folder's server again should it have ended: a chat can last for days."""
    while settings.own_valkey:
        await asyncio.sleep(WATCH_SECONDS)
        if not await asyncio.to_thread(server_runs, settings.home):
            with contextlib.suppress(EngineUnavailable):
                await asyncio.to_thread(start_in_background, settings)
