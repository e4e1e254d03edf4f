"""Which browser is taken, whom it runs as, what it may load, and that it ends when it should."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Error as PlaywrightError

from checkback.core.errors import JobFailed
from checkback.kinds.browser import session as browser
from checkback.kinds.browser.session import (
    BrowserSession,
    SharedMemory,
    browser_session,
    find_browser,
)
from checkback.kinds.context import Egress, Environment
from checkback.security.egress.client import EgressProxy

chromium = pytest.mark.chromium


def program(path: Path) -> Path:
    """A program that anybody may run, at this path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def empty_system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A system without any browser, as a folder to put some into. Everybody may enter it, as with
    /.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        monkeypatch.setenv("PATH", str(root / "bin"))
        monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(root / "cache"))
        yield root


def test_browsers_are_looked_for_in_order(empty_system: Path) -> None:
    best_last = [
        ("cache/chromium-1200/chrome-linux64/chrome", "chromium"),
        (
            "cache/chromium_headless_shell-1200/chrome-headless-shell-linux64/chrome-headless-shell",
            "headless-shell",
        ),
        ("bin/microsoft-edge", "microsoft-edge"),
        ("opt/microsoft/msedge/msedge", "microsoft-edge"),
        ("bin/google-chrome", "google-chrome"),
        ("opt/google/chrome/chrome", "google-chrome"),
        ("bin/chromium", "chromium"),
        ("usr/lib/chromium/chromium", "chromium"),
        ("bin/chromium-headless-shell", "headless-shell"),
        ("usr/lib/chromium/chromium-headless-shell", "headless-shell"),
    ]
    for path, name in best_last:
        made = program(empty_system / path)
        found = find_browser(root=empty_system)
        assert (found.path, found.name) == (made, name)


def test_the_newest_download_is_taken(empty_system: Path) -> None:
    for revision in (999, 1200, 1100):
        program(
            empty_system / f"cache/chromium_headless_shell-{revision}/chrome-linux/headless_shell"
        )
    assert "chromium_headless_shell-1200" in str(find_browser(root=empty_system).path)


def test_a_named_browser_is_taken_or_nothing(empty_system: Path) -> None:
    program(empty_system / "usr/lib/chromium/chromium-headless-shell")
    mine = program(empty_system / "mine/brave")
    assert find_browser(str(mine), root=empty_system).path == mine
    with pytest.raises(JobFailed) as caught:
        find_browser(str(empty_system / "missing"), root=empty_system)
    assert (caught.value.code, caught.value.retryable) == ("BROWSER_UNAVAILABLE", False)


def test_a_snap_is_passed_over(empty_system: Path) -> None:
    snap = program(empty_system / "snap/chromium/current/chromium")
    (empty_system / "bin").mkdir()
    (empty_system / "bin/chromium").symlink_to(snap)
    with pytest.raises(JobFailed):
        find_browser(root=empty_system)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its user")
def test_root_takes_no_browser_that_nobody_may_not_run(empty_system: Path) -> None:
    hidden = program(empty_system / "cache/chromium-1/chrome-linux/chrome")
    hidden.parent.chmod(0o700)
    with pytest.raises(JobFailed):
        find_browser(root=empty_system)
    hidden.parent.chmod(0o755)
    assert find_browser(root=empty_system).path == hidden


def test_without_a_browser_the_failure_says_what_to_type(empty_system: Path) -> None:
    with pytest.raises(JobFailed) as caught:
        find_browser(root=empty_system)
    assert (caught.value.code, caught.value.retryable) == ("BROWSER_UNAVAILABLE", False)
    assert caught.value.hint is not None
    assert re.search(r"install .*(chromium-headless-shell|Chrome)", caught.value.hint)


@pytest.fixture
async def session(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserSession]:
    async with browser_session(Environment()) as started:
        yield started


class Site:
    """A page on 127.0.0.1, reached through a proxy that allows it."""

    html = "<title>t</title>"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = self.html.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()


class Way:
    """A site, and a job's way to it."""

    def __init__(self, site: Site, url: str, proxy: EgressProxy) -> None:
        self.site, self.url, self.proxy = site, url, proxy

    async def egress(self) -> Egress:
        grant = await self.proxy.grant("job")
        return Egress(grant.proxy_url, grant.username, grant.password)


@pytest.fixture
async def way() -> AsyncIterator[Way]:
    site = Site()
    async with await asyncio.start_server(site.serve, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        proxy = await EgressProxy.start(allow_hosts=(address,))
        yield Way(site, f"http://{address}/", proxy)
        await proxy.close()


def descendants(pid: int) -> dict[int, Path]:
    """The folders in /proc of all processes below this one."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(
                folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            )
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: Path("/proc") / str(child) for child in found - {pid}}


def browsers(pid: int) -> dict[int, Path]:
    """All processes of browsers below this one."""
    return {
        child: folder
        for child, folder in descendants(pid).items()
        if b"--headless" in command(folder)
    }


def browser_of(session: BrowserSession) -> dict[int, Path]:
    """All processes of this session's browser: those of other tests may live on in this process."""
    pid = int((session.folder / "pid").read_text())
    return {pid: Path("/proc") / str(pid), **browsers(pid)}


def drivers(pid: int) -> list[int]:
    """Playwright's own process below this one."""
    return [child for child, folder in descendants(pid).items() if b"run-driver" in command(folder)]


def command(folder: Path) -> bytes:
    """A process's command line; Chromium's own children write theirs with spaces."""
    try:
        return folder.joinpath("cmdline").read_bytes()
    except OSError:
        return b""


@chromium
@pytest.mark.parametrize(
    ("mode", "least", "in_memory"),
    [(0o1777, 0, True), (0o1777, 1 << 62, False), (0o755, 0, False)],
    ids=["has room", "is small", "is root's"],
)
async def test_pictures_are_shared_in_memory_where_it_has_room(
    tmp_path: Path, mode: int, least: int, *, in_memory: bool
) -> None:
    if in_memory and Path("/dev/shm").stat().st_mode & 0o007 != 0o007:
        pytest.skip("Only root may write to /dev/shm here.")
    tmp_path.chmod(mode)
    async with browser_session(Environment(), SharedMemory(tmp_path, least)) as session:
        started = [command(folder) for folder in browser_of(session).values()]
    used = {
        b"--disable-dev-shm-usage" not in line for line in started if b"--remote-debugging" in line
    }
    assert used == {in_memory}


def fields(folder: Path) -> dict[str, str]:
    lines = folder.joinpath("status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def has_namespaces() -> bool:
    """Whether this system gives a process its own user namespace: not
    inside of a chroot, say.
    """
    done = subprocess.run(["unshare", "--user", "true"], capture_output=True, timeout=20)
    return done.returncode == 0


@chromium
@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its user")
async def test_for_root_the_browser_runs_as_nobody_in_its_sandbox(
    session: BrowserSession, way: Way
) -> None:
    if not has_namespaces():
        assert (session.sandboxed, session.environment_note) == (False, NO_SANDBOX)
        return
    assert session.sandboxed
    assert session.environment_note == ""
    async with session.context(await way.egress()) as context:
        await (await context.new_page()).goto(way.url)
        found = browser_of(session)
        assert len(found) >= 4
        renderers = 0
        for folder in found.values():
            status = fields(folder)
            assert set(status["Uid"].split()) == {"65534"}
            assert set(status["Gid"].split()) == {"65534"}
            assert status["Groups"] == ""
            # A zygote, and the renderers that come from it, have capabilities in their own user
            # namespace only.
            assert b"--no-sandbox" not in command(folder)
            if b"--type=renderer" in command(folder):
                renderers += 1
                assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert renderers >= 1


NO_SANDBOX = "The browser runs without its own sandbox: this system gives it no user namespaces."

WITHOUT_NAMESPACES = """
import asyncio, ctypes, os, pathlib

def enter():
    # A user namespace in which no further one may be made: what many containers are like.
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child:
        os.read(ready[0], 1)
        for name in ("uid_map", "gid_map"):
            pathlib.Path(f"/proc/{child}/{name}").write_text("0 0 65536")
        os.write(go[1], b"x")
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert ctypes.CDLL(None).unshare(0x10000000) == 0
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    pathlib.Path("/proc/sys/user/max_user_namespaces").write_text("0")

enter()
from checkback.kinds.context import Environment
from checkback.kinds.browser.session import browser_session

async def main():
    async with browser_session(Environment()) as session:
        print(session.sandboxed, session.environment_note)

asyncio.run(main())
"""


@chromium
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can map users")
async def test_without_namespaces_the_browser_runs_without_its_sandbox_and_says_so() -> None:
    if not has_namespaces():
        pytest.skip("There are no namespaces here that could be taken away.")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WITHOUT_NAMESPACES, stdout=subprocess.PIPE
    )
    said, _ = await child.communicate()
    assert said.decode() == f"False {NO_SANDBOX}\n"


@chromium
async def test_the_browser_sees_nothing_of_our_environment(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECKBACK_SECRET_KEY", "hidden")
    async with browser_session(Environment()) as session:
        assert re.fullmatch(r"\d+(\.\d+)+", session.version)
        for folder in browser_of(session).values():
            assert b"hidden" not in folder.joinpath("environ").read_bytes()


@chromium
async def test_a_context_has_no_past_and_its_own_key(session: BrowserSession, way: Way) -> None:
    for number in range(2):
        async with session.context(await way.egress(), width=800, height=600) as context:
            page = await context.new_page()
            await page.goto(way.url)
            assert await page.evaluate("document.cookie + (localStorage.getItem('x') || '')") == ""
            await page.evaluate("document.cookie='a=b'; localStorage.setItem('x', 'y')")
            assert await page.evaluate("[innerWidth, innerHeight]") == [800, 600], number
    revoked = await way.proxy.grant("job")
    await way.proxy.revoke(revoked)
    async with session.context(
        Egress(revoked.proxy_url, revoked.username, revoked.password)
    ) as context:
        page = await context.new_page()
        with pytest.raises(PlaywrightError):
            response = await page.goto(way.url)
            assert response is not None
            assert response.status == 407
            raise PlaywrightError("refused")


@chromium
async def test_a_page_made_ready_serves_the_next_job_that_wants_the_same_and_no_other(
    session: BrowserSession, way: Way
) -> None:
    egress = await way.egress()
    async with session.context(egress, with_key=False) as context:
        assert context.pages == []
    used = [context]
    for width, ready in ((1440, 1), (800, 0), (800, 1)):
        session.make_ready()
        async with session.context(egress, width=width, with_key=False) as context:
            assert len(context.pages) == ready, width
            page = context.pages[0] if context.pages else await context.new_page()
            assert await page.evaluate("[innerWidth, history.length]") == [width, 1]
            # A later page is still a popup.
            popup = await context.new_page()
            if not popup.is_closed():
                await popup.wait_for_event("close")
            assert session.popups == 1
        assert context not in used
        used.append(context)
    session.make_ready()
    await session.kill()
    async with session.context(egress, width=800, with_key=False) as context:
        page = context.pages[0] if context.pages else await context.new_page()
        assert await page.evaluate("innerWidth") == 800


@chromium
async def test_without_its_proxy_a_context_has_no_network(
    session: BrowserSession, way: Way
) -> None:
    async with session.context(Egress("http://127.0.0.1:1", "x", "y")) as context:
        with pytest.raises(PlaywrightError, match="ERR_PROXY_CONNECTION_FAILED"):
            await (await context.new_page()).goto(way.url)


@chromium
async def test_popups_are_closed_and_too_many_cost_the_page_its_scripts(
    session: BrowserSession, way: Way
) -> None:
    way.site.html = (
        "<title>0</title><script>setInterval(()=>{open('about:blank');open('/')},5)</script>"
    )
    async with session.context(await way.egress()) as context:
        page = await context.new_page()
        await page.goto(way.url)
        await until_silent(session, "popups")
        assert session.popups > browser.MAX_POPUPS
        assert await page.title() == "0"


@chromium
@pytest.mark.parametrize(
    "script", ["setInterval(()=>alert(1),1)", "setInterval(()=>confirm(1)||prompt(2),1)"]
)
async def test_too_many_dialogs_cost_the_page_its_scripts(
    session: BrowserSession, way: Way, script: str
) -> None:
    way.site.html = f"<title>t</title><script>{script}</script>"
    async with session.context(await way.egress()) as context:
        page = await context.new_page()
        await page.goto(way.url)
        await until_silent(session, "dialogs")
        assert browser.MAX_DIALOGS < session.dialogs <= browser.MAX_DIALOGS + browser.MORE_DIALOGS
        assert not session.held_by_dialog
        assert await page.title() == "t"


@chromium
async def test_an_endless_loop_of_dialogs_ends_with_its_job(
    session: BrowserSession, way: Way
) -> None:
    way.site.html = "<title>t</title><script>for(;;)alert(1)</script>"
    async with session.context(await way.egress()) as context:
        page = await context.new_page()
        with pytest.raises(PlaywrightError):
            await page.goto(way.url, timeout=3_000)
        await until_silent(session, "dialogs")
        assert session.held_by_dialog
    way.site.html = "<title>next</title>"
    async with session.context(await way.egress()) as context:
        page = await context.new_page()
        await page.goto(way.url)
        assert await page.title() == "next"


async def until_silent(session: BrowserSession, counter: str) -> None:
    """Wait until the page has gone over its limit and then added nothing for a while."""
    last, limit = -1, {"popups": browser.MAX_POPUPS, "dialogs": browser.MAX_DIALOGS}[counter]
    async with asyncio.timeout(20):
        while (now := getattr(session, counter)) != last or now <= limit:
            last = now
            await asyncio.sleep(0.5)


@chromium
async def test_a_browser_that_died_is_replaced(session: BrowserSession, way: Way) -> None:
    async with session.context(await way.egress()) as context:
        page = await context.new_page()
        await page.goto(way.url)
        first = set(browser_of(session))
        assert len(first) > 1
        await session.kill()
        with pytest.raises(PlaywrightError):
            await page.title()
    async with session.context(await way.egress()) as context:
        page = await context.new_page()
        await page.goto(way.url)
        assert await page.title() == "t"
    assert not first & set(browsers(os.getpid()))


@chromium
async def test_a_playwright_that_died_is_replaced(session: BrowserSession, way: Way) -> None:
    os.kill(driver_of(session), signal.SIGKILL)
    async with session.context(await way.egress()) as context:
        page = await context.new_page()
        await page.goto(way.url)
        assert await page.title() == "t"


@chromium
async def test_a_page_made_ready_by_a_playwright_that_died_is_not_used(
    session: BrowserSession, way: Way
) -> None:
    async with session.context(await way.egress(), with_key=False):
        pass
    spare = session.make_ready()
    assert spare is not None
    (ready,) = (await spare).pages
    driver = os.pidfd_open(driver_of(session))
    signal.pidfd_send_signal(driver, signal.SIGKILL)
    await readable(driver)
    os.close(driver)
    async with session.context(await way.egress(), with_key=False) as context:
        page = context.pages[0] if context.pages else await context.new_page()
        assert page is not ready
        await context.new_cdp_session(page)


def driver_of(session: BrowserSession) -> int:
    """The process of this session's Playwright: other tests of this run have their own."""
    browser_pid = (session.folder / "pid").read_text()
    stat = Path(f"/proc/{browser_pid}/stat").read_text()
    parent = int(stat.rpartition(")")[2].split()[1])
    assert b"run-driver" in Path(f"/proc/{parent}/cmdline").read_bytes()
    return parent


@chromium
async def test_a_playwright_that_hangs_is_killed_at_the_end_and_its_browser_with_it(
    tmp_path: Path,
) -> None:
    async with browser_session(Environment(temporary_folder=tmp_path)) as session:
        driver = driver_of(session)
        ends = [os.pidfd_open(pid) for pid in (driver, *browser_of(session))]
        os.kill(driver, signal.SIGSTOP)
    for end in ends:
        await readable(end)
        os.close(end)
    assert not Path(f"/proc/{driver}").exists(), "it was not collected"


@chromium
async def test_a_session_leaves_no_process_and_no_file_behind(way: Way, tmp_path: Path) -> None:
    environment = Environment(temporary_folder=tmp_path)
    async with browser_session(environment) as session:
        folder = session.folder
        assert folder.is_dir()
        async with session.context(await way.egress()) as context:
            await (await context.new_page()).goto(way.url)
            running = set(browser_of(session))
    assert len(running) > 1
    assert not running & set(descendants(os.getpid()))
    assert not folder.exists()


KILLED = """
import asyncio, os
from checkback.kinds.context import Environment
from checkback.kinds.browser.session import browser_session

async def main():
    async with browser_session(Environment()) as session:
        print(session.folder, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@chromium
@pytest.mark.parametrize("victim", ["job process", "playwright"])
async def test_no_browser_outlives_its_killed_parent(tmp_path: Path, victim: str) -> None:
    script = tmp_path / "child.py"
    script.write_text(KILLED)
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        folder = Path((await child.stdout.readline()).decode().strip())
        running = browsers(child.pid)
        assert len(running) >= 3
        watched = [os.pidfd_open(pid) for pid in running]
        os.kill(child.pid if victim == "job process" else drivers(child.pid)[0], signal.SIGKILL)
        async with asyncio.timeout(5):
            for descriptor in watched:
                await readable(descriptor)
                os.close(descriptor)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
    if victim == "playwright":
        # A driver whose job process was killed may still have had the time to clean up after
        # itself.
        assert list(folder.glob("playwright*"))
    # What the killed one left behind goes when the next one starts.
    assert folder.is_dir()
    async with browser_session(Environment()):
        assert not folder.exists()


@chromium
async def test_no_playwright_outlives_its_killed_parent_though_its_browser_hangs(
    tmp_path: Path,
) -> None:
    script = tmp_path / "child.py"
    script.write_text(KILLED)
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    folder = Path((await child.stdout.readline()).decode().strip())
    watched = [os.pidfd_open(pid) for pid in (*drivers(child.pid), *browsers(child.pid))]
    os.kill(int((folder / "pid").read_text()), signal.SIGSTOP)
    child.kill()
    async with asyncio.timeout(5):
        for descriptor in watched:
            await readable(descriptor)
            os.close(descriptor)
    await child.wait()


async def readable(descriptor: int) -> None:
    """Wait until a descriptor can be read: for that of a process, until it has ended."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    await ended.wait()
    asyncio.get_running_loop().remove_reader(descriptor)


async def test_a_driver_that_cannot_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", "/bin/false")
    with pytest.raises(JobFailed) as caught:
        async with browser_session(Environment(temporary_folder=tmp_path)):
            pass
    assert caught.value.code == "BROWSER_UNAVAILABLE"
    assert caught.value.hint
