"""Which browser there is: the one that is named, an installed one, or one that Playwright
downloaded.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checkback.core.errors import JobFailed

BROWSER_UNAVAILABLE = "BROWSER_UNAVAILABLE"

# The program itself, not the shell script in front of it: Debian's /usr/bin/chromium starts five
# programs to read settings that a headless run does not want.
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


@dataclass(frozen=True, slots=True)
class BrowserProgram:
    """A browser that can be started: its path, and which of the known ones it is."""

    path: Path
    name: str


def find_browser(explicit: str | None = None, *, root: Path = Path("/")) -> BrowserProgram:
    """The first browser there is: the one named, an installed one, one that Playwright downloaded.

    A server that runs as root starts its browser as nobody, so programs that nobody may not run do
    not count. ``root`` is the folder that fixed paths start from. Raises JobFailed with the command
    that installs one.
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
    """The places where a browser may be, the best first."""
    installed = [(name, root / path) for name, path in _INSTALLED]
    by_preference = sorted(
        [*installed, *_on_path()], key=lambda candidate: _ORDER.index(candidate[0])
    )
    return [*by_preference, *_downloaded()]


def _on_path() -> Iterator[tuple[str, Path]]:
    for name, command in _ON_PATH:
        path = shutil.which(command)
        # A program in a snap cannot read the folders that are used here.
        if path is not None and "snap" not in Path(path).resolve().parts:
            yield name, Path(path)


def _downloaded() -> Iterator[tuple[str, Path]]:
    """What Playwright downloaded, of each program the newest first."""
    cache = playwright_cache()
    for name, pattern in _DOWNLOADED:
        paths = cache.glob(pattern)
        for path in sorted(paths, key=lambda path: _revision(path, cache), reverse=True):
            yield name, path


def playwright_cache() -> Path:
    """Where Playwright puts the browsers that it downloads."""
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
    return os.geteuid() != 0 or others_may_enter(path.resolve())


def others_may_enter(path: Path) -> bool:
    """Whether a user without rights of any kind may execute this file, or enter this folder."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _install_hint() -> str:
    if sys.platform == "darwin":
        return "Install Google Chrome, or run: playwright install chromium-headless-shell"
    if shutil.which("apt-get"):
        return "Run: sudo apt-get install chromium-headless-shell libatomic1 fonts-noto-core"
    if os.geteuid() == 0:
        # A download into root's home is out of reach for the user that the browser runs as.
        return (
            "Run: PLAYWRIGHT_BROWSERS_PATH=/opt/playwright playwright install "
            "chromium-headless-shell and set the same variable for the server."
        )
    return "Run: playwright install chromium-headless-shell"
