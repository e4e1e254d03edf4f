"""Puts the process of a job whose kind reads untrusted files into the sandbox of
``security.sandbox``.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from checkback.core.errors import FailureCode, JobFailed
from checkback.kinds.browser.executable import find_browser
from checkback.kinds.context import Environment, ResultWarning
from checkback.kinds.documents.files import external_programs
from checkback.kinds.registry import Kind, MemoryLimit
from checkback.security.sandbox import policy
from checkback.security.sandbox.policy import Reach, Walls

PARTIAL = "sandbox_partial"

_BROWSING = frozenset(
    {
        "page.analyze",
        "webpage.to_pdf",
        "html.to_pdf",
        "document.to_pdf",
        "email.to_pdf",
        "pdf.merge",
    }
)
_NO_SOCKETS_BROWSER = "headless-shell"
"""The only browser that is known to work without a Unix socket."""
_NO_SANDBOX = ResultWarning(
    policy.MISSING,
    "The job ran without a sandbox: a hostile file could have read files of the server.",
)
_PARTIAL_SANDBOX = ResultWarning(
    PARTIAL,
    "Only the programs that the job started ran in a sandbox: this system has no Landlock.",
)


@dataclass(frozen=True, slots=True)
class Own:
    """The folder and the proxy of a child process."""

    #: The only folder that it may write to.
    home: Path
    #: The proxy that is its only access to the network; None without any access.
    proxy_url: str | None = None


def prepare() -> None:
    """Determine once what the sandbox of every job needs. For the process that forks those
    of jobs.
    """
    policy.prepare()
    external_programs.folders()


def shut_in(kind: Kind, own: Own, environment: Environment) -> tuple[ResultWarning, ...]:
    """Put this process into the sandbox that its kind needs. Returns warnings for the result.

    Call it before other threads are started. Raises JobFailed ``sandbox_unavailable`` if the system
    has no sandbox and the settings do not accept that.
    """
    if not kind.sandbox:
        return ()
    walls = policy.standing(environment.sandbox)
    if not walls.are_enough and not environment.accept_missing_sandbox:
        raise _unavailable()
    browser = _browser(kind, environment)
    try:
        policy.enter(
            _reach(kind, own, browser),
            walls,
            unix_sockets=_needs_unix_sockets(kind, browser),
        )
    except OSError as error:
        raise _unavailable() from error
    if not kind.network:
        policy.cut_network()
    return _warnings(walls)


def _unavailable() -> JobFailed:
    return JobFailed(
        FailureCode.SANDBOX_UNAVAILABLE,
        "This server cannot run the job in a sandbox, and the job reads untrusted files.",
        retryable=False,
        hint="Use a Linux kernel with Landlock (5.13 or newer), or install bubblewrap; `checkback "
        "doctor` shows what is missing. To run such jobs without a sandbox, set "
        "CHECKBACK_ACCEPT_MISSING_SANDBOX=1.",
    )


def _warnings(walls: Walls) -> tuple[ResultWarning, ...]:
    if not walls.are_enough:
        return (_NO_SANDBOX,)
    return () if walls.landlock else (_PARTIAL_SANDBOX,)


def _may_browse(kind: Kind) -> bool:
    """Whether its jobs may start a browser, which needs more access than other programs."""
    return kind.is_built_in and kind.name in _BROWSING


def _needs_unix_sockets(kind: Kind, browser: tuple[str, Path] | None) -> bool:
    """LibreOffice makes a socket after the network is cut; browsers with windows make one too."""
    if kind.warm is None:
        return kind.is_built_in and kind.memory_limit is MemoryLimit.RESIDENT
    return browser is not None and browser[0] != _NO_SOCKETS_BROWSER


def _browser(kind: Kind, environment: Environment) -> tuple[str, Path] | None:
    """Name and path of the browser that the kind's jobs may start."""
    if not _may_browse(kind):
        return None
    try:
        browser = find_browser(environment.browser)
    except JobFailed:
        return None
    return browser.name, browser.path


def _reach(kind: Kind, own: Own, browser: tuple[str, Path] | None) -> Reach:
    execute = [*external_programs.folders()]
    if browser is not None:
        execute.append(browser[1].resolve().parent)
    return Reach(
        write=(own.home,),
        read=_own_code(kind),
        execute=tuple(execute),
        browser=_may_browse(kind),
        ports=_ports(own),
    )


def _own_code(kind: Kind) -> tuple[Path, ...]:
    """The folder of the code of a user's kind, for its late imports."""
    if kind.is_built_in:
        return ()
    file = inspect.getsourcefile(inspect.unwrap(kind.function))
    return (Path(file).resolve().parent,) if file else ()


def _ports(own: Own) -> tuple[int, ...]:
    """The TCP ports that the process may connect to: that of the proxy."""
    port = urlsplit(own.proxy_url).port if own.proxy_url else None
    return (port,) if port else ()
