"""The connection to the folder's server for a process that does not wait for it: made in the
background, or by the first call that needs it, and tried again by the next call if it fails.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from checkback.api.service_source import ServiceSource
from checkback.core.errors import CheckbackError, EngineUnavailable, SettingsDiffer
from checkback.settings import Settings

if TYPE_CHECKING:
    from checkback.app.connect import Connection
    from checkback.service import Service

logger = logging.getLogger(__name__)


class BackgroundConnection(ServiceSource):
    """A source of the use cases. ``arrived`` is awaited once, with the connection, before it is
    used.
    """

    def __init__(
        self,
        settings: Settings,
        chosen: Mapping[str, Any],
        arrived: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._chosen = chosen
        self._arrived = arrived
        self._stack = AsyncExitStack()
        self._attempt: asyncio.Task[None] | None = None
        self.connection: Connection | None = None

    @property
    def service(self) -> Service:
        if self.connection is None:
            raise EngineUnavailable("The server of this data folder has not answered yet.")
        return self.connection.service

    def begin(self) -> None:
        """Connect in the background, unless that is done or in progress. A failure is logged."""
        if self.connection is None and (self._attempt is None or self._attempt.done()):
            self._attempt = asyncio.create_task(self._connect(), name="connect")
            self._attempt.add_done_callback(_log_failure)

    async def ready(self) -> None:
        """Return once there is a connection. Raises EngineUnavailable or SettingsDiffer where there
        is not connected; the next call tries again.
        """
        if self.connection is not None:
            return
        self.begin()
        assert self._attempt is not None
        # A call that waits may be cancelled; others wait for the same attempt.
        await asyncio.shield(self._attempt)

    async def close(self) -> None:
        """Close the connection, or stop connecting."""
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.gather(self._attempt, return_exceptions=True)
        await self._stack.aclose()

    async def _connect(self) -> None:
        # The engine is not needed before; importing it takes a tenth of the start.
        await asyncio.to_thread(importlib.import_module, "checkback.app.connect")
        from checkback.app.connect import connect

        try:
            made = await self._stack.enter_async_context(
                connect(self._settings, chosen=self._chosen)
            )
        except (EngineUnavailable, SettingsDiffer):
            raise
        except CheckbackError as error:
            # Its code would say that the arguments of a call are wrong.
            raise EngineUnavailable(error.message, hint=error.hint) from error
        except OSError as error:
            home = self._settings.home
            raise EngineUnavailable(
                f"The data folder {home} cannot be used: {error.strerror or error}.",
                hint="Choose another folder with CHECKBACK_HOME.",
            ) from error
        await self._arrived(made)
        self.connection = made


def _log_failure(attempt: asyncio.Task[None]) -> None:
    if attempt.cancelled():
        return
    error = attempt.exception()
    if isinstance(error, CheckbackError):
        logger.warning("%s %s", error.message, error.hint)
    elif error is not None:
        logger.error(
            "The background connection to the server of this data folder failed.", exc_info=error
        )
