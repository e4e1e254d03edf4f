"""The browser of page jobs: which program, how it is started, and one fresh context for each job.

One Playwright and one browser stay warm between the jobs of a child process. What keeps a hostile page in
is not written here but started here: Chromium's own sandbox, an unprivileged user where the server is root,
and a network that consists of the egress proxy alone.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shlex
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from checkback.guard import confine
from checkback.guard.confine import nobody
from checkback.kinds.context import Egress, Environment

BROWSER_UNAVAILABLE = "BROWSER_UNAVAILABLE"

#: Contexts after which a browser is started afresh. No leak was measured in 120; this bounds one not yet
#: known.
CONTEXTS_PER_BROWSER = 200
#: Popups closed, and dialogs dismissed, before the page that opens them loses its scripts.
MAX_POPUPS = 20
MAX_DIALOGS = 50

LAUNCH_SECONDS = 30.0
CLOSE_SECONDS = 3.0

# The program itself, not the shell script in front of it: Debian's /usr/bin/chromium starts five programs to
# read settings that a headless run does not want.
_ORDER = ("headless-shell", "chromium", "google-chrome", "microsoft-edge")
_INSTALLED = (
    ("headless-shell", "usr/lib/chromium/chromium-headless-shell"),
    ("headless-shell", "usr/lib64/chromium-browser/headless_shell"),
    ("chromium", "usr/lib/chromium/chromium"),
    ("chromium", "usr/lib64/chromium-browser/chromium-browser"),
    ("google-chrome", "opt/google/chrome/chrome"),
    ("chromium", "Applications/Chromium.app/Contents/MacOS/Chromium"),
    ("google-chrome", "Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    ("microsoft-edge", "opt/microsoft/msedge/msedge"),
    ("microsoft-edge", "Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge"),
)
_ON_PATH = (
    ("headless-shell", "chromium-headless-shell"),
    ("headless-shell", "chrome-headless-shell"),
    ("chromium", "chromium"),
    ("google-chrome", "google-chrome"),
    ("google-chrome", "google-chrome-stable"),
    ("microsoft-edge", "microsoft-edge"),
)
_DOWNLOADED = (
    ("headless-shell", "chromium_headless_shell-*/*/chrome-headless-shell"),
    ("headless-shell", "chromium_headless_shell-*/*/headless_shell"),
    ("chromium", "chromium-*/chrome-*/chrome"),
    ("chromium", "chromium-*/chrome-*/*.app/Contents/MacOS/*"),
)

_FLAGS = (
    # /dev/shm is 64 MB in containers.
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--js-flags=--max-old-space-size=512",
    # Every way out but the proxy is closed. A context brings its own proxy; without one there is port 1,
    # where nobody listens. Chromium would go round a proxy for loopback and link-local addresses:
    # <-loopback> stops that.
    "--proxy-server=http://127.0.0.1:1",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--no-pings",
    "--disable-domain-reliability",
)

# What Chromium prints when the kernel or a container gives it no namespaces, or when it runs as root.
_NO_SANDBOX = re.compile(
    r"No usable sandbox|without --no-sandbox is not|Failed to move to new namespace|zygote_host_impl"
)

# Playwright's defaults for tests of one's own pages; against a stranger's page the protection is wanted.
_UNWANTED_DEFAULTS = ("--disable-ipc-flooding-protection", "--disable-popup-blocking")

_PREFIX = "checkback-browser-"
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "FONTCONFIG_PATH",
    "FONTCONFIG_FILE",
)


@dataclass(frozen=True, slots=True)
class BrowserProgram:
    """A browser that can be started: where it lies, and which of the known ones it is."""

    path: Path
    name: str


def find_browser(explicit: str | None = None, *, root: Path = Path("/")) -> BrowserProgram:
    """The first browser there is: the one named, an installed one, one that Playwright downloaded.

    A server that runs as root starts its browser as nobody, so programs that nobody may not run do not count.
    ``root`` is the folder that fixed paths start from. Raises JobFailed with the command that installs one.
    """
    if explicit:
        path = Path(explicit).expanduser()
        if not _may_run(path):
            raise JobFailed(
                BROWSER_UNAVAILABLE,
                "CHECKBACK_BROWSER names a program that cannot be started.",
                retryable=False,
                hint="Set it to the full path of Chromium or Chrome, or unset it.",
            )
        return BrowserProgram(path, path.name)
    for name, path in _candidates(root):
        if _may_run(path):
            return BrowserProgram(path, name)
    raise JobFailed(
        BROWSER_UNAVAILABLE,
        "No browser was found on this server.",
        retryable=False,
        hint=_install_hint(),
    )


def _candidates(root: Path) -> list[tuple[str, Path]]:
    found = [(name, root / path) for name, path in _INSTALLED]
    for name, command in _ON_PATH:
        # A snap keeps its programs from folders such as ours.
        if (path := shutil.which(command)) and "snap" not in Path(path).resolve().parts:
            found.append((name, Path(path)))
    found.sort(key=lambda candidate: _ORDER.index(candidate[0]))
    cache = _playwright_cache()
    for name, pattern in _DOWNLOADED:
        downloads = sorted(cache.glob(pattern), key=lambda path: _revision(path, cache), reverse=True)
        found.extend((name, path) for path in downloads)
    return found


def _playwright_cache() -> Path:
    if (configured := os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "0")) != "0":
        return Path(configured)
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/ms-playwright"
    return Path.home() / ".cache/ms-playwright"


def _revision(path: Path, cache: Path) -> int:
    number = path.relative_to(cache).parts[0].rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def _may_run(path: Path) -> bool:
    if not path.is_file() or not os.access(path, os.X_OK):
        return False
    return os.geteuid() != 0 or _others_may_enter(path.resolve())


def _others_may_enter(path: Path) -> bool:
    """Whether a user without rights of any kind may execute this file, or enter this folder."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _install_hint() -> str:
    if sys.platform == "darwin":
        return "Install Google Chrome, or type: playwright install chromium-headless-shell"
    if shutil.which("apt-get"):
        return "Type: sudo apt-get install chromium-headless-shell"
    if os.geteuid() == 0:
        # A download into root's home is out of reach for the user that the browser runs as.
        return (
            "Type: PLAYWRIGHT_BROWSERS_PATH=/opt/playwright playwright install chromium-headless-shell "
            "and set the same variable for the server."
        )
    return "Type: playwright install chromium-headless-shell"


class BrowserSession:
    """A warm browser that serves one job after the other. Made by ``browser_session``."""

    def __init__(self, program: BrowserProgram, scratch: _Scratch) -> None:
        self.program = program
        self.version = ""
        #: Whether Chromium's own sandbox is on. Off only where the kernel or the container gives it no
        #: namespaces.
        self.sandboxed = True
        #: What an owner should know of this browser, for the result's environment; empty when all is well.
        self.environment_note = ""
        #: What the page of the present, or the last, context tried. One context is open at a time.
        self.popups = 0
        self.dialogs = 0
        self._scratch = scratch
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._contexts = 0

    @asynccontextmanager
    async def context(
        self, egress: Egress, *, width: int = 1440, height: int = 900, **extra: Any
    ) -> AsyncGenerator[BrowserContext]:
        """A context without a past whose only network is the proxy, with this job's key.

        The first page opened in it is the job's; every later one is a popup and gets closed. ``extra`` goes
        to Playwright's ``new_context``. A context that cannot be closed within 3 s takes its browser with
        it; the next job gets a new one. Raises JobFailed when no browser can be started.
        """
        proxy = ProxySettings(server=egress.proxy_url, username=egress.username, password=egress.password)
        options: dict[str, Any] = {
            "viewport": {"width": width, "height": height},
            **extra,
            "proxy": proxy,
            "service_workers": "block",
            "accept_downloads": False,
        }
        context = await self._new_context(options)
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

    async def kill(self) -> None:
        """End the browser at once, whatever it is doing; the next context starts a new one."""
        browser, self._browser = self._browser, None
        if browser is not None and browser.is_connected():
            # Connected, hence alive, hence the number is still its own. Playwright made it a group's leader.
            with suppress(OSError, ValueError):
                os.killpg(self._scratch.read_pid(), signal.SIGKILL)
            with suppress(TimeoutError, PlaywrightError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await browser.close()

    async def start(self) -> None:
        """Start Playwright and the browser. Raises JobFailed with BROWSER_UNAVAILABLE."""
        await self.close()
        self._playwright = await async_playwright().start()
        try:
            self._browser = await self._launch(self._playwright)
        except PlaywrightError as error:
            await self.close()
            raise JobFailed(
                BROWSER_UNAVAILABLE,
                "The browser of this server could not be started.",
                hint="`checkback doctor` on the server says why.",
            ) from error
        self.version = self._browser.version
        self._contexts = 0

    async def close(self) -> None:
        """End browser and Playwright; neither is waited for longer than 3 s."""
        browser, self._browser = self._browser, None
        playwright, self._playwright = self._playwright, None
        for ending in (browser and browser.close(), playwright and playwright.stop()):
            if ending is not None:
                with suppress(TimeoutError, PlaywrightError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await ending

    async def _new_context(self, options: dict[str, Any]) -> BrowserContext:
        if (
            self._browser is None
            or not self._browser.is_connected()
            or self._contexts >= CONTEXTS_PER_BROWSER
        ):
            await self.start()
        self._contexts += 1
        try:
            return await self._connected().new_context(**options)
        except PlaywrightError:
            # It has died since the last job; nothing of this job was lost with it.
            await self.start()
            return await self._connected().new_context(**options)

    def _connected(self) -> Browser:
        if self._browser is None:
            raise JobFailed(BROWSER_UNAVAILABLE, "The browser of this server has ended.")
        return self._browser

    async def _launch(self, playwright: Playwright) -> Browser:
        try:
            browser = await self._launch_as(playwright, sandboxed=True)
        except PlaywrightError as error:
            if not _NO_SANDBOX.search(error.message):
                raise
            browser = await self._launch_as(playwright, sandboxed=False)
            self.sandboxed = False
            self.environment_note = (
                "The browser runs without its own sandbox: this system gives it no user namespaces."
            )
        return browser

    async def _launch_as(self, playwright: Playwright, *, sandboxed: bool) -> Browser:
        return await playwright.chromium.launch(
            executable_path=self._scratch.write_launcher(self.program),
            args=list(_FLAGS),
            ignore_default_args=list(_UNWANTED_DEFAULTS),
            chromium_sandbox=sandboxed,
            env=self._scratch.environment(),
            timeout=LAUNCH_SECONDS * 1000,
            # Signals are the worker's business; Playwright would race it.
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )


class _Warden:
    """Closes popups and dialogs of one context, and takes the scripts from a page that has too many."""

    def __init__(self, session: BrowserSession, context: BrowserContext) -> None:
        self._session = session
        self._context = context
        self._own: Page | None = None
        self._silenced = False
        self._tasks: set[asyncio.Task[None]] = set()
        session.popups = session.dialogs = 0
        context.on("page", self._on_page)
        context.on("dialog", self._on_dialog)

    def _on_page(self, page: Page) -> None:
        if self._own is None:
            self._own = page
            return
        self._session.popups += 1
        self._do(page.close())
        if self._session.popups > MAX_POPUPS:
            self._silence()

    def _on_dialog(self, dialog: Dialog) -> None:
        self._session.dialogs += 1
        self._do(dialog.dismiss())
        if self._session.dialogs > MAX_DIALOGS:
            self._silence()

    def _silence(self) -> None:
        if not self._silenced and self._own is not None:
            self._silenced = True
            self._do(self._take_scripts(self._own))

    async def _take_scripts(self, page: Page) -> None:
        devtools: Any = await self._context.new_cdp_session(page)
        await devtools.send("Emulation.setScriptExecutionDisabled", {"value": True})
        await devtools.send("Runtime.terminateExecution")

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            # The page, its browser or the whole connection may be gone by now, which is just as well.
            with suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        self._context.remove_listener("page", self._on_page)
        self._context.remove_listener("dialog", self._on_dialog)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Scratch:
    """The browser's own folder: its launcher, profile and temporary files. Removed at the end.

    A lock on it tells a folder in use from one that a killed process left behind; those go at the next start.
    """

    def __init__(self, temporary_folder: Path) -> None:
        base = _base_folder(temporary_folder)
        _remove_abandoned(base)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self.folder.chmod(0o711)
        self._lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def write_launcher(self, program: BrowserProgram) -> str:
        """A program for Playwright to start, which becomes the browser in a fresh profile."""
        home = self.folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(home, *nobody())
        command = [sys.executable, "-IS", confine.__file__, str(self._pid_file), str(program.path)]
        launcher = self.folder / "launch"
        launcher.write_text(
            f'#!/bin/sh\nexec {shlex.join(command)} "$@" {shlex.quote(f"--user-data-dir={home}/profile")}\n'
        )
        launcher.chmod(0o700)
        return str(launcher)

    def environment(self) -> dict[str, str | float | bool]:
        """What the browser sees of our environment: none of our secrets, and a home of its own."""
        passed: dict[str, str | float | bool] = {
            name: os.environ[name] for name in _PASSED_ON if name in os.environ
        }
        home = str(self.folder / "home")
        return {**passed, "HOME": home, "TMPDIR": home, "XDG_RUNTIME_DIR": home}

    def read_pid(self) -> int:
        return int(self._pid_file.read_text())

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"


def _base_folder(preferred: Path) -> Path:
    """A folder whose files can be executed and, where the browser runs as nobody, entered by anybody."""
    for folder in (preferred, Path(tempfile.gettempdir()), Path("/var/tmp")):  # noqa: S108 - mkdtemp below it
        if not folder.is_dir() or os.statvfs(folder).f_flag & os.ST_NOEXEC:
            continue
        if os.geteuid() != 0 or _others_may_enter(folder.resolve()):
            return folder
    raise JobFailed(
        BROWSER_UNAVAILABLE,
        "There is no folder for the browser's files.",
        retryable=False,
        hint="Set TMPDIR to a folder that every user may enter and that is not mounted noexec.",
    )


def _remove_abandoned(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
                continue
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@asynccontextmanager
async def browser_session(environment: Environment) -> AsyncGenerator[BrowserSession]:
    """The warm browser of a child process. Raises JobFailed with BROWSER_UNAVAILABLE when there is none."""
    scratch = _Scratch(environment.temporary_folder)
    session = BrowserSession(find_browser(environment.browser), scratch)
    try:
        await session.start()
        yield session
    finally:
        await session.close()
        scratch.remove()
