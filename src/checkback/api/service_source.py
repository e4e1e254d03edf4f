"""Where tools get the use cases from: at once in a server, after connecting in ``checkback mcp``.

A client that starts ``checkback mcp`` first requests the list of tools, which needs no store, and
some clients wait only a few seconds for it. So it is answered before the folder's server is found;
only a call waits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checkback.service import Service


class ServiceSource(ABC):
    """Provides the use cases once they are available."""

    @property
    @abstractmethod
    def service(self) -> Service:
        """The use cases. Only after ``ready`` has returned."""

    @abstractmethod
    async def ready(self) -> None:
        """Return when there is a service. Raises a CheckbackError that says why there is not."""


class Connected(ServiceSource):
    """A service that is available from the start."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def service(self) -> Service:
        return self._service

    async def ready(self) -> None:
        """Return at once."""
