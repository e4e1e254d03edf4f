"""``checkback mcp``: the MCP server on standard input and output, for one client on this machine.

Jobs run in the folder's server, not here: closing the chat ends this process but no job. The list
of tools needs no server: it is answered while the server is still starting.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from checkback.api.mcp.server import build_server
from checkback.api.mcp.tools.list_changed import ToolListChanges
from checkback.api.mcp.tools.pdfco_tools import PdfcoSetting
from checkback.api.mcp.tools.tool_names import ToolNames
from checkback.app.background_connect import BackgroundConnection
from checkback.app.daemon import find_version, remembered_kinds, server_runs, start_in_background
from checkback.core.errors import EngineUnavailable
from checkback.kinds import registry
from checkback.security.auth.callers import LOCAL
from checkback.settings import Settings
from checkback.telemetry import recording
from checkback.telemetry.logging import log_to_stderr

if TYPE_CHECKING:
    from checkback.app.connect import Connection
    from checkback.security.auth.authenticator import Authenticator

logger = logging.getLogger(__name__)

WATCH_SECONDS = 5.0
BEGIN_SECONDS = 0.5
"""A starting server takes processor time from this process. So a client that only lists our tools,
as hosts do first, is answered before that; a call that needs the server does not wait for this.
"""


def run_stdio(
    settings: Settings, chosen: Mapping[str, Any], *, save_folder: Path | None = None
) -> None:
    """Serve until the client closes our standard input. Agents may save files
    in ``save_folder``.
    """
    # Standard output belongs to the protocol: all logging goes to standard error.
    log_to_stderr("warning", settings.log_format, text="%(levelname)s:%(name)s:%(message)s")
    recording.start("mcp", find_version())
    try:
        asyncio.run(_serve(settings, chosen, save_folder))
    finally:
        recording.stop()


async def _serve(settings: Settings, chosen: Mapping[str, Any], save_folder: Path | None) -> None:
    from checkback.api.mcp.transport.stdio import checked_lines

    with checked_lines():
        await _Stdio(settings, chosen, save_folder).run()


class _Stdio:
    """The server for the client at our standard input. It lists its tools by the kinds that are
    known here, while it finds or starts the folder's server.
    """

    def __init__(
        self, settings: Settings, chosen: Mapping[str, Any], save_folder: Path | None
    ) -> None:
        self._settings = settings
        self._link = BackgroundConnection(settings, chosen, self._arrived)
        self._changes = ToolListChanges()
        self._keeping: asyncio.Task[None] | None = None
        _load_kinds(_likely_kinds(settings))
        self._server = build_server(
            self._link,
            caller=lambda: LOCAL,
            tool_names=cast("ToolNames", settings.tool_names),
            production=settings.production,
            version=find_version(),
            toolsets=settings.toolsets,
            pdfco=PdfcoSetting(
                base_url=self._url,
                is_own_token=lambda text: _authenticator(settings).knows(text),
                has_key=settings.pdfco_key is not None,
                local_files=True,
            ),
            save_folder=save_folder,
            tool_changes=self._changes,
        )

    async def run(self) -> None:
        """Serve until the client closes our standard input."""
        gc.freeze()
        gc.enable()
        begin = asyncio.get_running_loop().call_later(BEGIN_SECONDS, self._link.begin)
        try:
            await self._server.run_stdio_async(show_banner=False)
        finally:
            begin.cancel()
            if self._keeping is not None:
                self._keeping.cancel()
            await self._link.close()

    async def _arrived(self, connection: Connection) -> None:
        """The folder's server may have kinds that were not known here."""
        self._keeping = asyncio.create_task(_keep_server(connection.settings))
        _load_kinds(connection.settings.kinds)
        if self._server.add_new_kinds():
            await self._changes.announce()

    def _url(self) -> str:
        connection = self._link.connection
        settings = self._settings if connection is None else connection.settings
        if settings.public_url is not None:
            return settings.public_url.rstrip("/")
        if connection is not None and connection.server is not None:
            return connection.server.url
        return f"http://{settings.host}:{settings.port}"


def _likely_kinds(settings: Settings) -> tuple[str, ...]:
    """The modules of kinds that the folder's server has, or will be started with, if known without
    asking it.
    """
    if settings.kinds or not settings.own_valkey:
        return settings.kinds
    return remembered_kinds(settings.home)


def _load_kinds(modules: tuple[str, ...]) -> None:
    with contextlib.redirect_stdout(
        sys.stderr
    ):  # a module may print, and standard output is the client's
        failed = registry.load_available(modules)
    for module, reason in failed.items():
        logger.warning("The module %r is left out: %s", module, reason)


@cache
def _authenticator(settings: Settings) -> Authenticator:
    from checkback.security.auth.authenticator import Authenticator
    from checkback.security.auth.token_files import folder_token

    return Authenticator(folder_token=folder_token(settings.home), token_file=settings.tokens)


async def _keep_server(settings: Settings) -> None:
    """Restart the folder's server if it has ended: a chat can last for days."""
    while settings.own_valkey:
        await asyncio.sleep(WATCH_SECONDS)
        if not await asyncio.to_thread(server_runs, settings.home):
            with contextlib.suppress(EngineUnavailable):
                await asyncio.to_thread(start_in_background, settings)
