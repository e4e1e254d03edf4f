"""One page's DevTools connection: every call has its own deadline, every script its own world.

A page can overwrite what scripts in its own world use (``Array.map``, ``JSON``), and can keep its
thread busy for ever. So ours run in an isolated world, and a call that gets no answer first costs
the page its scripts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

from playwright.async_api import CDPSession, Page
from playwright.async_api import Error as PlaywrightError

WORLD = "checkback"
CALL_SECONDS = 5.0

Fields = dict[str, Any]
T = TypeVar("T")


class PageGone(Exception):
    """The page's process died, or the browser did."""

    def __init__(self, *, browser: bool) -> None:
        super().__init__("browser" if browser else "page")
        self.browser = browser


class Unanswered(Exception):
    """The page did not answer within the time of this call."""


class Refused(Exception):
    """The browser refused the call, or our script failed in the page."""


@lru_cache
def script(name: str) -> str:
    """The text of one of our scripts, without the line comments in front of its function."""
    text = (resources.files("checkback.kinds.pages.capture") / "js" / f"{name}.js").read_text()
    lines = text.splitlines()
    while lines and lines[0].startswith("//"):
        lines.pop(0)
    return "\n".join(lines)


class Devtools:
    """Calls into one page. A page that died makes every call raise PageGone at once."""

    def __init__(
        self,
        session: CDPSession,
        page: Page,
        *,
        silenced: Callable[[], bool] = lambda: False,
        held: Callable[[], bool] = lambda: False,
    ) -> None:
        # Typed loosely by Playwright; what it returns is checked where it is used.
        self._session: Any = session
        # The public session copies every answer, looking for objects of Playwright's that raw
        # answers never hold: a tenth of a second for a snapshot. The one below it hands them on as
        # they came.
        self._inner: Any = getattr(session, "_impl_obj", None)
        self._page = page
        self._context_id: int | None = None
        self._gone: asyncio.Future[PageGone] = asyncio.get_running_loop().create_future()
        self._silenced = silenced
        #: Whether the page is blocked by a dialog that it opened. Then nothing in it can be
        #: asked.
        self.held = held
        self._stopped = False
        page.on("crash", lambda _: self._lose(browser=False))
        page.on("close", lambda _: self._lose(browser=True))

    def _lose(self, *, browser: bool) -> None:
        if not self._gone.done():
            self._gone.set_result(PageGone(browser=browser))

    @property
    def scripts_stopped(self) -> bool:
        """Whether the page lost its scripts, because it hung or because it opened window after
        window.

        Ours still run then, but timers and frames no longer fire: nothing may wait for one.
        """
        return self._stopped or self._silenced()

    def on(self, event: str, handler: Callable[[Fields], None]) -> None:
        """Call ``handler`` for each DevTools event of that name."""
        self._session.on(event, handler)

    async def race(self, work: Awaitable[Any], seconds: float) -> Any:
        """The outcome of ``work``. Raises PageGone when the page dies first, Unanswered after
        ``seconds``.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait(
                {task, self._gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            task.add_done_callback(_forget)
            raise self._gone.result() if self._gone.done() else Unanswered
        error = task.exception()
        if error is not None:
            self._raise_if_gone(error)
        return task.result()

    def _raise_if_gone(self, error: BaseException) -> None:
        """Raise PageGone instead of an error that came of it."""
        if self._gone.done():
            raise self._gone.result() from error
        if "closed" in str(error) and not self._browser_alive():
            raise PageGone(browser=True) from error

    def _browser_alive(self) -> bool:
        browser = self._page.context.browser
        return browser is not None and browser.is_connected()

    async def call(
        self, method: str, params: Fields | None = None, *, seconds: float = CALL_SECONDS
    ) -> Fields:
        """One DevTools call. Raises Unanswered, Refused or PageGone."""
        if self.held():
            raise Unanswered
        try:
            answer: Fields | None = await self.race(self._send(method, params or {}), seconds)
        except PlaywrightError as error:
            raise Refused(method) from error
        return answer or {}

    async def ask(self, method: str, params: Fields | None = None) -> Fields:
        """``call``, for what the page's own thread answers: one that hangs
        loses its scripts first.
        """
        return await self._twice(lambda: self.call(method, params))

    async def _twice(self, work: Callable[[], Awaitable[T]]) -> T:
        """Give something that the page did not answer a second chance, without the page's
        scripts.
        """
        try:
            return await work()
        except Unanswered:
            if self.scripts_stopped:
                raise
            await self.stop_scripts()
            return await work()

    def _send(self, method: str, params: Fields) -> Awaitable[Any]:
        if self._inner is None:
            return self._session.send(method, params)
        return self._inner.send(method=method, params=params, timeout=None)

    async def run(
        self, name: str, argument: object = None, *, seconds: float = CALL_SECONDS
    ) -> Any:
        """The value of our script ``name``, run in the isolated world; a navigation in between is
        tolerated.

        A page that hangs loses its scripts, and ours gets a second chance.
        """
        expression = f"({script(name)})({json.dumps(argument)})"
        return await self._twice(lambda: self.evaluate(expression, seconds=seconds))

    async def evaluate(
        self, expression: str, *, seconds: float = CALL_SECONDS, promise: bool = False
    ) -> Any:
        """The value of an expression in the isolated world. Raises Refused when it throws.

        ``promise`` waits for what it promises; in a page that lost its scripts no promise is ever
        kept.
        """
        for attempt in (1, 2):
            params = {
                "expression": expression,
                "contextId": await self._world(seconds),
                "returnByValue": True,
                "awaitPromise": promise,
            }
            try:
                answer = await self.call("Runtime.evaluate", params, seconds=seconds)
            except Refused:
                # The document that the world belonged to is gone.
                self._context_id = None
                if attempt == 2:
                    raise
                continue
            if "exceptionDetails" in answer:
                raise Refused("Runtime.evaluate")
            return answer.get("result", {}).get("value")
        raise Refused("Runtime.evaluate")

    async def _world(self, seconds: float) -> int:
        if self._context_id is None:
            tree = await self.call("Page.getFrameTree", seconds=seconds)
            params = {"frameId": tree["frameTree"]["frame"]["id"], "worldName": WORLD}
            answer = await self.call("Page.createIsolatedWorld", params, seconds=seconds)
            self._context_id = int(answer["executionContextId"])
        return self._context_id

    async def responsive(self, seconds: float) -> bool:
        """Whether the page's thread answers within ``seconds``."""
        try:
            await self.evaluate("1", seconds=seconds)
        except (Unanswered, Refused):
            return False
        return True

    async def terminate(self) -> None:
        """End the script that runs right now, ours or the page's; the page itself stays usable."""
        with suppress(Unanswered, Refused):
            await self.call("Runtime.terminateExecution", seconds=2)

    async def stop_scripts(self) -> None:
        """End the running script and forbid the page any further one; its document can still be
        read.

        The order matters: the prohibition waits behind the loop that the termination ends.
        """
        self._stopped = True
        off = asyncio.ensure_future(
            self._send("Emulation.setScriptExecutionDisabled", {"value": True})
        )
        off.add_done_callback(_forget)
        for _ in range(3):
            await self.terminate()
            done, _pending = await asyncio.wait({off}, timeout=1)
            if done:
                return


def _forget(task: asyncio.Future[Any]) -> None:
    # An answer that nobody waits for any more; reading its error keeps asyncio from reporting it.
    if not task.cancelled():
        task.exception()
