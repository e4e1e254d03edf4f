"""Durable background jobs that AI agents, programs and people can check back on.

The public API, and only that. A name is imported when it is first used: the egress proxy and
``checkback check`` import this package too, and pay for nothing that they do not need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from checkback.client import AsyncClient, Client, JobPage
    from checkback.core.errors import (
        AddressBlocked,
        ArgumentsGone,
        CheckbackError,
        Conflict,
        EngineUnavailable,
        Forbidden,
        InvalidInput,
        JobFailed,
        KeyReused,
        NotFound,
        NotReady,
        QueueFull,
        QuotaExceeded,
        SettingsDiffer,
        StorageFull,
        TooLarge,
        Unauthorized,
        UnknownKind,
    )
    from checkback.core.job import Artifact, Attempts, Failure, Job
    from checkback.core.states import State
    from checkback.kinds.context import Egress, Environment, JobContext
    from checkback.kinds.registry import MemoryLimit, job

    __version__: str

__all__ = [
    "AddressBlocked",
    "ArgumentsGone",
    "Artifact",
    "AsyncClient",
    "Attempts",
    "CheckbackError",
    "Client",
    "Conflict",
    "Egress",
    "EngineUnavailable",
    "Environment",
    "Failure",
    "Forbidden",
    "InvalidInput",
    "Job",
    "JobContext",
    "JobFailed",
    "JobPage",
    "KeyReused",
    "MemoryLimit",
    "NotFound",
    "NotReady",
    "QueueFull",
    "QuotaExceeded",
    "SettingsDiffer",
    "State",
    "StorageFull",
    "TooLarge",
    "Unauthorized",
    "UnknownKind",
    "__version__",
    "job",
]

_HOMES = {
    "AsyncClient": "client",
    "Client": "client",
    "JobPage": "client",
    "Artifact": "core.job",
    "Attempts": "core.job",
    "Failure": "core.job",
    "Job": "core.job",
    "State": "core.states",
    "Egress": "kinds.context",
    "Environment": "kinds.context",
    "JobContext": "kinds.context",
    "MemoryLimit": "kinds.registry",
    "job": "kinds.registry",
}
"""Where a public name lives; those that are not listed are errors."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version(__name__)
    else:
        value = getattr(
            importlib.import_module(f"{__name__}.{_HOMES.get(name, 'core.errors')}"), name
        )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
