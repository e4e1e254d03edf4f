"""Limits the open MCP sessions of each owner: past the limit, the one that was idle longest ends.

A session costs memory until its client ends it or has been silent for half an hour, and clients
forget to. If an idle session ends, its client only has to start a new one, as the protocol says;
refusing the new one would lock an owner out because of forgotten sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checkback.api.middleware.authentication import header
from checkback.security.auth.callers import caller_of
from checkback.security.rate_limits import has_quota

SESSION = "mcp-session-id"


class OwnersSessions:
    """The open sessions of one owner, by when they were last used; an event stream alone does not
    count as use.
    """

    def __init__(self) -> None:
        #: The session that was idle longest comes first.
        self._ids: dict[str, None] = {}
        self._answering: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._ids)

    def opened(self, session: str) -> None:
        """Add a session."""
        self._ids[session] = None

    def ended(self, session: str) -> None:
        """Remove a session."""
        self._ids.pop(session, None)

    @contextmanager
    def used(self, session: str) -> Generator[None]:
        """A message of this session is being answered."""
        self._answering[session] += 1
        try:
            yield
        finally:
            self._answering -= Counter([session])
            if session in self._ids:
                del self._ids[session]
                self._ids[session] = None

    def to_end(self, limit: int) -> list[str]:
        """The sessions to end so that ``limit`` are left, including the newest: those that answer
        no message first.
        """
        old = list(self._ids)[:-1]
        old.sort(key=lambda session: self._answering[session] > 0)
        return old[: max(0, len(self) - limit)]


class SessionLimit:
    """Middleware around MCP's application, after authentication: counts each owner's sessions, and
    ends those past ``limit``.

    0 means no limit; the owner ``local`` and admins are not limited. Only what the protocol says is
    used: a session is known by the header that opens it, and ended by the DELETE that its client
    would have sent.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._owners: dict[str, OwnersSessions] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_limited(scope):
            await self._app(scope, receive, send)
            return
        sessions = self._owners.setdefault(caller_of(scope).owner, OwnersSessions())
        session_id = header(scope, SESSION)
        if session_id is None:
            await self._open(sessions, scope, receive, send)
        elif scope["method"] == "POST":
            with sessions.used(session_id):
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)
            if scope["method"] == "DELETE":
                sessions.ended(session_id)

    def _is_limited(self, scope: Scope) -> bool:
        return scope["type"] == "http" and self._limit > 0 and has_quota(caller_of(scope))

    async def _open(
        self, sessions: OwnersSessions, scope: Scope, receive: Receive, send: Send
    ) -> None:
        before = dict(scope)  # routers write into a scope

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                for name, value in message.get("headers", ()):
                    if name.lower() == SESSION.encode() and message["status"] < 400:
                        sessions.opened(value.decode())
                        await self._make_room(sessions, before)
            await send(message)

        await self._app(scope, receive, watched)

    async def _make_room(self, sessions: OwnersSessions, scope: Scope) -> None:
        for session in sessions.to_end(self._limit):
            sessions.ended(session)
            await self._end(session, scope)

    async def _end(self, session: str, scope: Scope) -> None:
        kept = [(name, value) for name, value in scope["headers"] if name == b"host"]
        lines = [*kept, (SESSION.encode(), session.encode())]
        await self._app({**scope, "method": "DELETE", "headers": lines}, _nothing_to_read, _unheard)


async def _nothing_to_read() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _unheard(_: Message) -> None:
    pass
