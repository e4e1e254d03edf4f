"""Codes for a link that signs a browser in, once and within ten minutes.

A link with the token itself would stay in the browser's history, and in the logs of proxies.
Anyone who can read the data folder's token can make a code; nothing has to be stored for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from checkback.core.errors import Unauthorized
from checkback.security.signed_urls import parse_expiry

CODE_SECONDS = 600


def make_code(folder_token: str, *, now: float | None = None) -> str:
    """A code for the owner of the data folder."""
    expires_at = int((time.time() if now is None else now) + CODE_SECONDS)
    nonce = secrets.token_urlsafe(12)
    return f"{expires_at}.{nonce}.{_sign(folder_token, expires_at, nonce)}"


class SigninCodes:
    """Takes each code once. What was used is remembered by this process, until
    it would have ended.
    """

    def __init__(self, folder_token: str, *, clock: Callable[[], float] = time.time) -> None:
        self._folder_token = folder_token
        self._clock = clock
        self._used: dict[str, int] = {}

    def use(self, code: str) -> None:
        """Raises Unauthorized, in the same words for every reason."""
        ends, _, rest = code.partition(".")
        nonce, _, signature = rest.partition(".")
        given = signature.encode("utf-8", "surrogatepass")
        expires_at = parse_expiry(ends)
        expected = _sign(self._folder_token, expires_at, nonce).encode()
        now = self._clock()
        if not hmac.compare_digest(expected, given) or expires_at < now:
            raise _used_up()
        self._used = {used: end for used, end in self._used.items() if end >= now}
        if nonce in self._used:
            raise _used_up()
        self._used[nonce] = expires_at


def _sign(folder_token: str, expires_at: int, nonce: str) -> str:
    text = f"signin.{expires_at}.{nonce}".encode("utf-8", "surrogatepass")
    return hmac.new(folder_token.encode(), text, hashlib.sha256).hexdigest()


def _used_up() -> Unauthorized:
    return Unauthorized(
        "This link was used, or it has ended.",
        hint="`checkback token link` prints another one; with a token you can sign in on the page "
        "itself.",
    )
