"""The browser of page jobs: which program, how it is started, and one fresh context for each job.

One Playwright and one browser stay warm between the jobs of a child process. What keeps a hostile
page in is not written here but started here: Chromium's own sandbox, an unprivileged user where the
server is root, and a network that consists of the egress proxy alone.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import playwright
from playwright.async_api import (
    Browser,
    BrowserContext,
    Dialog,
    Page,
    Playwright,
    ProxySettings,
    async_playwright,
)
from playwright.async_api import Error as PlaywrightError

from checkback.core.errors import JobFailed
from checkback.kinds.browser.executable import BROWSER_UNAVAILABLE, BrowserProgram, find_browser
from checkback.kinds.browser.profile_dir import BrowserFolder
from checkback.kinds.context import Egress, Environment
from checkback.security.sandbox.policy import rights_for_programs

__all__ = [
    "BROWSER_UNAVAILABLE",
    "BrowserProgram",
    "BrowserSession",
    "browser_session",
    "find_browser",
]

#: Contexts after which a browser is started afresh. No leak was measured in 120; this bounds one
#: not yet known.
CONTEXTS_PER_BROWSER = 200
#: Popups closed, and dialogs dismissed, before the page that opens them loses its scripts.
MAX_POPUPS = 20
MAX_DIALOGS = 50
#: Dialogs that a function may still show which was running when its page lost its scripts.
MORE_DIALOGS = 5

UNSANDBOXED = "The browser runs without its own sandbox: this system gives it no user namespaces."

LAUNCH_SECONDS = 30.0
CLOSE_SECONDS = 3.0

_FLAGS = (
    "--disable-gpu",
    "--js-flags=--max-old-space-size=512",
    # Every way out but the proxy is closed. A context brings its own proxy; without one there is
    # port 1, where nobody listens. Chromium would go round a proxy for loopback and link-local
    # addresses: <-loopback> stops that.
    "--proxy-server=http://127.0.0.1:1",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--no-pings",
    "--disable-domain-reliability",
)

# What Chromium prints when the kernel or a container gives it no namespaces, or when it runs as
# root.
_NO_SANDBOX = re.compile(
    r"No usable sandbox|without --no-sandbox is not|Failed to move to new "
    r"namespace|zygote_host_impl"
)

#: Makes Chromium share pictures between its processes through files in its temporary folder. A disk
#: spends a twentieth of an analysis on making and forgetting them; but in containers /dev/shm often
#: has 64 MB only, and a browser that fills it dies.
_SHARE_ON_DISK = "--disable-dev-shm-usage"

# Playwright's defaults for tests of one's own pages; against a stranger's page the protection is
# wanted.
_UNWANTED_DEFAULTS = ("--disable-ipc-flooding-protection", "--disable-popup-blocking")


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Where the browser's processes may share images, if there is room for them and for others'."""

    folder: Path = Path("/dev/shm")  # noqa: S108 - Chromium makes the files, each for itself alone
    least_bytes: int = 2 << 30

    def is_usable(self) -> bool:
        """Whether there is room, and every user may write there: if the server is root, the browser
        is not.
        """
        try:
            status, mode = os.statvfs(self.folder), self.folder.stat().st_mode
        except OSError:
            return False
        free = status.f_bavail * status.f_frsize
        return free >= self.least_bytes and mode & 0o007 == 0o007


_SHARED_MEMORY = SharedMemory()


class BrowserSession:
    """A warm browser that serves one job after the other. Made by ``browser_session``."""

    def __init__(
        self,
        program: BrowserProgram,
        folder: BrowserFolder,
        shared_memory: SharedMemory = _SHARED_MEMORY,
    ) -> None:
        self.program = program
        self._shared_memory = shared_memory
        self.version = ""
        #: Whether Chromium's own sandbox is on. Off only where the kernel or the container gives it
        #: no namespaces.
        self.sandboxed = True
        #: What an owner should know of this browser, for the result's environment; empty when all
        #: is well.
        self.environment_note = ""
        #: What the page of the present, or the last, context tried. One context is open at a time.
        self.popups = 0
        self.dialogs = 0
        #: The page shows dialogs in an endless loop and stands still behind one: nothing more comes
        #: from it.
        self.held_by_dialog = False
        self._folder = folder
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._contexts = 0
        #: How the last context without a key was made, and one of that kind being made ready.
        self._usual: dict[str, Any] = {}
        self._spare: asyncio.Task[BrowserContext] | None = None

    @property
    def folder(self) -> Path:
        """The browser's own folder for its launcher, profile and temporary files."""
        return self._folder.path

    @asynccontextmanager
    async def context(
        self,
        egress: Egress,
        *,
        width: int = 1440,
        height: int = 900,
        with_key: bool = True,
        **extra: Any,
    ) -> AsyncGenerator[BrowserContext]:
        """A context without a past whose only network is the proxy, with this job's key.

        The first page opened in it is the job's; every later one is a popup and gets closed.
        ``extra`` goes to Playwright's ``new_context``. Without ``with_key`` the proxy knows the
        context only after ``sign_in``: Playwright stops every request on its way to see whether it
        wants the key, and turns the cache off for it; such a context may have its page already, see
        ``make_ready``. A context that cannot be closed within 3 s takes its browser with it; the
        next job gets a new one. Raises JobFailed when no browser can be started.
        """
        proxy = ProxySettings(server=egress.proxy_url)
        if with_key:
            proxy |= ProxySettings(
                server=egress.proxy_url, username=egress.username, password=egress.password
            )
        options: dict[str, Any] = {
            "viewport": {"width": width, "height": height},
            **extra,
            "proxy": proxy,
            "service_workers": "block",
            "accept_downloads": False,
        }
        context = await self._take_spare(options) or await self._new_context(options)
        if not with_key:
            self._usual = options
        warden = _Warden(self, context)
        try:
            yield context
        finally:
            await warden.close()
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await context.close()
            except (TimeoutError, PlaywrightError):
                await self.kill()

    def make_ready(self) -> asyncio.Task[BrowserContext] | None:
        """Open a blank page for the next job, in its own context, while there is nothing else to
        do.

        That takes as long as loading a small site. It is used once, by a job with the same options
        as the last one, and knows no job's key.
        """
        if self._usual and self._spare is None:
            self._spare = asyncio.create_task(self._open_spare(self._usual))
            self._spare.add_done_callback(_look_at)
        return self._spare

    async def _open_spare(self, options: dict[str, Any]) -> BrowserContext:
        context = await self._new_context(options)
        await context.new_page()
        return context

    async def _take_spare(self, options: dict[str, Any]) -> BrowserContext | None:
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        # Without the spare context, this job opens its own, and fails if it cannot.
        with suppress(PlaywrightError, JobFailed):
            context = await spare
            if options == self._usual and self._is_usable(context):
                # A Playwright that has died since then does not say so, but this call fails.
                await context.pages[0].title()
                return context
            await context.close()
        return None

    def _is_usable(self, context: BrowserContext) -> bool:
        return context.browser is self._browser and self._is_connected()

    async def kill(self) -> None:
        """End the browser at once, whatever it is doing; the next context starts a new one."""
        browser, self._browser = self._browser, None
        if browser is not None and browser.is_connected():
            # It is connected, so it is alive and still has this PID. Playwright made it a group's
            # leader.
            with suppress(OSError, ValueError):
                os.killpg(self._folder.read_pid(), signal.SIGKILL)
            await _finish(browser.close())

    async def start(self) -> None:
        """Start Playwright and the browser. Raises JobFailed with BROWSER_UNAVAILABLE."""
        await self.close()
        with self._folder.for_driver(_node()), rights_for_programs(run_python=True):
            self._playwright = await _start_playwright()
        try:
            self._browser = await self._launch(self._playwright)
        except PlaywrightError as error:
            await self.close()
            raise JobFailed(
                BROWSER_UNAVAILABLE,
                "The browser on this server could not be started.",
                hint="Run `checkback doctor` on the server to find out why.",
            ) from error
        self.version = self._browser.version
        self._contexts = 0

    async def close(self) -> None:
        """End browser and Playwright. One that does not end within 3 s is killed."""
        self._cancel_spare()
        browser, self._browser = self._browser, None
        playwright, self._playwright = self._playwright, None
        if browser is not None:
            await _finish(browser.close())
        if playwright is not None:
            await self._stop(playwright)

    def _cancel_spare(self) -> None:
        """Open no spare context, unless that is what this is called for."""
        if self._spare is not None and self._spare is not asyncio.current_task():
            self._spare.cancel()
            self._spare = None

    async def _stop(self, playwright: Playwright) -> None:
        """End Playwright's process and collect it, and with it a browser that it started."""
        stop = asyncio.ensure_future(playwright.stop())
        _, pending = await asyncio.wait({stop}, timeout=CLOSE_SECONDS)
        if not pending:
            return
        # Nobody has collected this process yet, so the PID is still its own.
        with suppress(OSError, ValueError):
            os.kill(self._folder.read_driver_pid(), signal.SIGKILL)
        await asyncio.wait({stop}, timeout=CLOSE_SECONDS)

    async def _new_context(self, options: dict[str, Any]) -> BrowserContext:
        if not self._is_connected() or self._contexts >= CONTEXTS_PER_BROWSER:
            await self.start()
        self._contexts += 1
        try:
            return await self._connected().new_context(**options)
        except PlaywrightError:
            # It has died since the last job; nothing of this job was lost with it.
            await self.start()
            return await self._connected().new_context(**options)

    def _is_connected(self) -> bool:
        return self._browser is not None and self._browser.is_connected()

    def _connected(self) -> Browser:
        if self._browser is None:
            raise JobFailed(BROWSER_UNAVAILABLE, "The browser on this server has ended.")
        return self._browser

    async def _launch(self, playwright: Playwright) -> Browser:
        try:
            browser = await self._launch_as(playwright, sandboxed=True)
        except PlaywrightError as error:
            if not _NO_SANDBOX.search(error.message):
                raise
            browser = await self._launch_as(playwright, sandboxed=False)
            self.sandboxed, self.environment_note = False, UNSANDBOXED
        else:
            self.sandboxed, self.environment_note = True, ""
        return browser

    async def _launch_as(self, playwright: Playwright, *, sandboxed: bool) -> Browser:
        unwanted: list[str] = list(_UNWANTED_DEFAULTS)
        if self._shared_memory.is_usable():
            unwanted.append(_SHARE_ON_DISK)
        return await playwright.chromium.launch(
            executable_path=self._folder.write_launcher(self.program),
            args=list(_FLAGS),
            ignore_default_args=unwanted,
            chromium_sandbox=sandboxed,
            env=self._folder.environment(),
            timeout=LAUNCH_SECONDS * 1000,
            # Signals are the worker's business; Playwright would race it.
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )


async def _finish(work: Awaitable[Any]) -> None:
    """Wait for the end of a browser or driver, but not longer than 3 s."""
    with suppress(TimeoutError, PlaywrightError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await work


class _Warden:
    """Closes popups and dialogs of one context, and takes the scripts from a page that has too
    many.
    """

    def __init__(self, session: BrowserSession, context: BrowserContext) -> None:
        self._session = session
        self._context = context
        self._own: Page | None = None
        #: Attached while the page is still quiet: one that shows dialogs in a loop takes no new
        #: sessions.
        self._devtools: asyncio.Task[Any] | None = None
        self._silencing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        session.popups = session.dialogs = 0
        session.held_by_dialog = False
        for page in context.pages:
            self._on_page(page)
        context.on("page", self._on_page)
        context.on("dialog", self._on_dialog)

    def _on_page(self, page: Page) -> None:
        if self._own is None:
            self._own = page
            self._devtools = asyncio.create_task(self._context.new_cdp_session(page))
            self._devtools.add_done_callback(_look_at)
            return
        self._session.popups += 1
        self._do(page.close())
        if self._session.popups > MAX_POPUPS:
            self._silence()

    def _on_dialog(self, dialog: Dialog) -> None:
        self._session.dialogs += 1
        if self._session.dialogs > MAX_DIALOGS:
            # Send the commands before the page continues, or it shows the next dialog first.
            self._silence()
        if self._session.dialogs <= MAX_DIALOGS + MORE_DIALOGS:
            self._do(dialog.dismiss())
        else:
            # An endless loop around alert() cannot be stopped. It may keep this dialog, which
            # blocks it.
            self._session.held_by_dialog = True

    def _silence(self) -> None:
        if self._silencing is None:
            self._silencing = self._do(self._take_scripts())

    async def _take_scripts(self) -> None:
        if self._devtools is not None:
            devtools = await self._devtools
            await asyncio.gather(
                devtools.send("Emulation.setScriptExecutionDisabled", {"value": True}),
                devtools.send("Runtime.terminateExecution"),
            )

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def run() -> None:
            # The page, its browser or the whole connection may be gone by now, which is fine.
            with suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Stop watching the context, which is about to be closed."""
        self._context.remove_listener("page", self._on_page)
        self._context.remove_listener("dialog", self._on_dialog)
        tasks: list[asyncio.Task[Any]] = [
            *self._tasks,
            *([self._devtools] if self._devtools else []),
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _look_at(task: asyncio.Task[Any]) -> None:
    """Ignore a failure of this task: the job that waits for it sees it, if there is one."""
    if not task.cancelled():
        task.exception()


@asynccontextmanager
async def browser_session(
    environment: Environment, shared_memory: SharedMemory = _SHARED_MEMORY
) -> AsyncGenerator[BrowserSession]:
    """The warm browser of a child process. Raises JobFailed with BROWSER_UNAVAILABLE if none
    starts.
    """
    folder = BrowserFolder(environment.temporary_folder)
    session = BrowserSession(find_browser(environment.browser), folder, shared_memory)
    try:
        await session.start()
        yield session
    finally:
        await session.close()
        folder.remove()


def _node() -> Path:
    """The Node.js program for Playwright: the one of its package, unless another one was chosen."""
    chosen = os.environ.get("PLAYWRIGHT_NODEJS_PATH")
    return Path(chosen) if chosen else Path(playwright.__file__).parent / "driver" / "node"


async def _start_playwright() -> Playwright:
    """Start Playwright's driver, a Node.js program that comes with its package."""
    try:
        return await async_playwright().start()
    except Exception as error:  # Playwright has no separate error for a driver that cannot start
        raise JobFailed(
            BROWSER_UNAVAILABLE,
            "Playwright could not be started on this server.",
            retryable=False,
            hint="On a minimal Debian or Ubuntu, run: sudo apt-get install libatomic1",
        ) from error
