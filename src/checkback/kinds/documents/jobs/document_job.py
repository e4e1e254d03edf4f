"""The decorator of the document kinds: a kind with the settings that most of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from checkback.kinds.documents.job_context import PHASES
from checkback.kinds.registry import Admit, MemoryLimit, WarmFactory, job

DEADLINE_SECONDS = 600.0
OCR_SECONDS = 2700.0
"""The deadline of kinds that recognize or draw every page of a long document."""
GIB = 1 << 30

_Function = TypeVar("_Function", bound=Callable[..., Any])


def document_job(
    name: str,
    *,
    title: str,
    deadline_seconds: float = DEADLINE_SECONDS,
    attempts: int = 2,
    deterministic: bool = True,
    memory_bytes: int = 2 * GIB,
    memory_limit: MemoryLimit = MemoryLimit.ADDRESS_SPACE,
    phases: Iterable[str] = PHASES,
    concurrency: int | None = None,
    warm: WarmFactory | None = None,
    admit: Admit | None = None,
) -> Callable[[_Function], _Function]:
    """Register the decorated function as a document kind: in a sandbox, in the document queue."""
    register = job(
        name,
        title=title,
        queue="documents",
        network=True,
        sandbox=True,
        deadline_seconds=deadline_seconds,
        attempts=attempts,
        deterministic=deterministic,
        memory_bytes=memory_bytes,
        memory_limit=memory_limit,
        phases=phases,
        concurrency=concurrency,
        warm=warm,
        admit=admit,
    )

    def decorate(function: _Function) -> _Function:
        register(function)
        return function

    return decorate


def program_job(
    name: str,
    *,
    title: str,
    memory_bytes: int = 2 * GIB,
    concurrency: int | None = None,
    warm: WarmFactory | None = None,
    admit: Admit | None = None,
) -> Callable[[_Function], _Function]:
    """As ``document_job``, for kinds that start LibreOffice or a browser.

    These programs reserve far more address space than they use, and may fail by chance.
    """
    return document_job(
        name,
        title=title,
        deterministic=False,
        memory_bytes=memory_bytes,
        memory_limit=MemoryLimit.RESIDENT,
        concurrency=concurrency,
        warm=warm,
        admit=admit,
    )
