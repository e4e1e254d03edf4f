"""Turns what a request brought, a bearer token or a session cookie, into a caller."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from checkback.core.errors import QuotaExceeded, Unauthorized
from checkback.security.auth.callers import LOCAL, LOCAL_OWNER, Caller
from checkback.security.auth.signin_codes import SigninCodes
from checkback.security.auth.token_files import Token, TokenFile, token_hash
from checkback.security.signed_urls import parse_expiry

SESSION_SECONDS = 7 * 24 * 3600


class Authenticator:
    """Turns tokens and session cookies into callers.

    ``folder_token`` is the data folder's own token; it stands for LOCAL. ``token_file`` lists the
    tokens of other owners and is read again when it has changed, so that a token can be added or
    taken away while the server runs; a file that cannot be read at the start raises InvalidInput.
    With ``no_token`` everybody is LOCAL: for a loopback address only.
    """

    def __init__(
        self,
        *,
        folder_token: str | None = None,
        token_file: Path | None = None,
        no_token: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._own = (
            Token(
                LOCAL_OWNER, token_hash(folder_token), LOCAL.scopes, datetime.fromtimestamp(0, UTC)
            )
            if folder_token
            else None
        )
        self._file = TokenFile(token_file) if token_file else None
        self._no_token = no_token
        self._now = now
        # Sessions are signed with this and the token's hash together: who can read the token file
        # alone can forge none. Without a folder token they end with the process.
        self._session_secret = (folder_token or secrets.token_urlsafe(32)).encode()
        self._folder_token = folder_token
        self._codes = SigninCodes(folder_token) if folder_token else None

    def caller(self, token: str | None) -> Caller:
        """The caller that ``token`` stands for. Raises Unauthorized, in the same words for every
        reason.
        """
        if self._no_token:
            return LOCAL
        if not token:
            raise Unauthorized
        return self._find(token_hash(token)).caller

    def knows(self, token: str) -> bool:
        """Whether this is one of our own tokens, valid or not any more."""
        hashed = token_hash(token)
        is_listed = any(hmac.compare_digest(known.hash, hashed) for known in self._listed())
        return is_listed or token.startswith("cb_")

    def open_session(self, token: str, user: int | None = None) -> str:
        """A cookie value that stands for the caller of ``token``: a week at most, and while it is
        valid.

        It is good for ``user`` alone: the user of this machine whose browser it is, None for one
        elsewhere.
        """
        if self._no_token:
            return "open"
        known = self._find(token_hash(token))
        expires_at = int(self._now().timestamp()) + SESSION_SECONDS
        return f"{known.hash[:16]}.{expires_at}.{self._sign(known, expires_at, user)}"

    def redeem(self, code: str, user: int | None = None) -> str:
        """As ``open_session``, for the code of a link instead of a token. Raises Unauthorized."""
        if self._no_token:
            return "open"
        if self._codes is None or self._folder_token is None:
            raise Unauthorized
        self._codes.use(code)
        return self.open_session(self._folder_token, user)

    def session(self, cookie: str | None, user: int | None = None) -> Caller:
        """The caller that a cookie from ``open_session`` stands for. Raises Unauthorized.

        A browser sends the cookie to every port of this machine; a program of another user that
        received it there cannot use it here.
        """
        if self._no_token:
            return LOCAL
        prefix, expires_at, signature = _parse_cookie(cookie or "")
        if expires_at <= self._now().timestamp():
            raise Unauthorized
        return self._signer(prefix, expires_at, user, signature).caller

    def _signer(self, prefix: str, expires_at: int, user: int | None, signature: bytes) -> Token:
        """The token with which a session was opened. Raises Unauthorized when it is not valid."""
        for token in self._valid():
            expected = self._sign(token, expires_at, user).encode()
            if token.hash.startswith(prefix) and hmac.compare_digest(expected, signature):
                return token
        raise Unauthorized

    def form_token(self, cookie: str | None) -> str:
        """What our forms carry besides the cookie: another site may send the one, not know the
        other.
        """
        return hmac.new(
            self._session_secret, f"form.{cookie or ''}".encode(), hashlib.sha256
        ).hexdigest()

    def _find(self, hashed: str) -> Token:
        # Each is compared: the time taken must not tell which token was near.
        matches = [token for token in self._valid() if hmac.compare_digest(token.hash, hashed)]
        if not matches:
            raise Unauthorized
        return matches[-1]

    def _listed(self) -> list[Token]:
        own = [self._own] if self._own else []
        return own + (self._file.tokens() if self._file else [])

    def _valid(self) -> list[Token]:
        now = self._now()
        return [
            token for token in self._listed() if token.expires_at is None or token.expires_at > now
        ]

    def _sign(self, token: Token, expires_at: int, user: int | None) -> str:
        key = hashlib.sha256(self._session_secret + b"\0" + token.hash.encode()).digest()
        return hmac.new(key, f"session.{expires_at}.{user}".encode(), hashlib.sha256).hexdigest()


def _parse_cookie(cookie: str) -> tuple[str, int, bytes]:
    """What ``open_session`` wrote: the start of a token's hash, when it ends, the signature."""
    prefix, _, rest = cookie.partition(".")
    ends, _, signature = rest.partition(".")
    return prefix, parse_expiry(ends), signature.encode("utf-8", "surrogatepass")


class GuessLimit:
    """Counts bad tokens by client, so that guessing gets slow and loud. In memory, bounded, for one
    process.

    A valid token is never refused for the bad ones of others on the same address: APIs ask only
    after a token was found bad. With 256 random bits in each token that gives nothing away.
    """

    def __init__(
        self,
        *,
        limit: int = 20,
        window_seconds: float = 60.0,
        max_clients: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._window = window_seconds
        self._max_clients = max_clients
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def failed(self, client: str) -> None:
        """Note one bad token from ``client``. Raises QuotaExceeded when there were too many of
        late.
        """
        now = self._clock()
        began, count = self._clients.pop(client, (now, 0))
        if now - began >= self._window:
            began, count = now, 0
        self._clients[client] = (began, count + 1)
        while len(self._clients) > self._max_clients:
            self._clients.popitem(last=False)
        if count >= self._limit:
            raise QuotaExceeded(
                "Too many invalid tokens came from this address.",
                hint="Wait a minute; `checkback token` shows the local token.",
            )
