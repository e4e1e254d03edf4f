"""The decorator of the document kinds: a kind with the settings that most of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from checkback.kinds.documents.job_context import PHASES
from checkback.kinds.registry import Admit, MemoryLimit, WarmFactory, job

OCR_SECONDS = 2700.0
"""The deadline of kinds that recognize or draw every page of a long document."""
GIB = 1 << 30

_Function = TypeVar("_Function", bound=Callable[..., Any])


class KindSettings(TypedDict, total=False):
    """The settings that differ between document kinds, as ``@job`` has them."""

    deadline_seconds: float
    attempts: int
    deterministic: bool
    memory_bytes: int
    memory_limit: MemoryLimit
    phases: Iterable[str]
    concurrency: int
    warm: WarmFactory
    admit: Admit
    outputs: Literal["one", "many"]


_DEFAULTS: KindSettings = {
    "attempts": 2,
    "deterministic": True,
    "memory_bytes": 2 * GIB,
    "memory_limit": MemoryLimit.ADDRESS_SPACE,
    "phases": PHASES,
}
_PROGRAM_DEFAULTS: KindSettings = {
    "deterministic": False,
    "memory_limit": MemoryLimit.RESIDENT,
}


def document_job(
    name: str, *, title: str, **settings: Unpack[KindSettings]
) -> Callable[[_Function], _Function]:
    """Register the decorated function as a document kind: in a sandbox, in the document queue."""
    options: dict[str, Any] = {**_DEFAULTS, **settings}
    register = job(name, title=title, queue="documents", network=True, sandbox=True, **options)

    def decorate(function: _Function) -> _Function:
        register(function)
        return function

    return decorate


def program_job(
    name: str, *, title: str, **settings: Unpack[KindSettings]
) -> Callable[[_Function], _Function]:
    """As ``document_job``, for kinds that start LibreOffice or a browser.

    These programs reserve far more address space than they use, and may fail by chance.
    """
    return document_job(name, title=title, **{**_PROGRAM_DEFAULTS, **settings})
