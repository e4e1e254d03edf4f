"""Makes a fresh context known to the egress proxy, once, before its page asks for anything.

The network of a context remembers the key of its proxy, for all that is loaded in it. So one
request that asks for the key is enough, and no later one has to wait for us.
"""

from __future__ import annotations

import asyncio
from typing import Any

from checkback.core.errors import JobFailed
from checkback.kinds.browser.devtools import Devtools, Refused, Unanswered
from checkback.kinds.browser.proxy_fetch import REPORT_URL
from checkback.kinds.context import Egress

Fields = dict[str, Any]

# The proxy's own page; what it says is not looked at, and a blank page may not read it.
_ASK = f"fetch({REPORT_URL!r}, {{mode: 'no-cors'}}).then(() => 1, () => 1)"


async def sign_in(devtools: Devtools, egress: Egress) -> None:
    """Answer the proxy's question for the key. Raises JobFailed when it does not ask or does not
    take it.
    """
    asked: list[Fields] = []
    tasks: set[asyncio.Task[Fields]] = set()

    def done(task: asyncio.Task[Fields]) -> None:
        tasks.discard(task)
        if not task.cancelled():
            task.exception()  # that the key was not taken shows in what follows

    def answer(method: str, event: Fields, **more: Fields) -> None:
        task = asyncio.create_task(devtools.call(method, {"requestId": event["requestId"], **more}))
        tasks.add(task)
        task.add_done_callback(done)

    def tell_key(event: Fields) -> None:
        asked.append(event)
        right = event["authChallenge"].get("source") == "Proxy" and len(asked) == 1
        key = {
            "response": "ProvideCredentials",
            "username": egress.username,
            "password": egress.password,
        }
        answer(
            "Fetch.continueWithAuth",
            event,
            authChallengeResponse=key if right else {"response": "CancelAuth"},
        )

    devtools.on("Fetch.authRequired", tell_key)
    devtools.on("Fetch.requestPaused", lambda event: answer("Fetch.continueRequest", event))
    try:
        patterns = [{"urlPattern": REPORT_URL}]
        await devtools.call("Fetch.enable", {"handleAuthRequests": True, "patterns": patterns})
        await devtools.call("Runtime.evaluate", {"expression": _ASK, "awaitPromise": True})
        await devtools.call("Fetch.disable")
    except (Unanswered, Refused) as error:
        raise JobFailed(
            "BROWSER_ERROR", "The browser did not sign in to this server's proxy."
        ) from error
    if len(asked) != 1:  # never, or again because the proxy does not know the key
        raise JobFailed("BROWSER_ERROR", "The browser did not sign in to this server's proxy.")
