"""Signed links: who has one may do this one thing with this one path until it expires, without a
token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

_SIGNED_AS = {"HEAD": "GET"}
"""A link for one method serves for these, too."""


def parse_expiry(text: str) -> int:
    """The Unix time that a signed text names; 0, which is over, for what is not one."""
    is_time = text.isascii() and text.isdigit() and len(text) < 12
    return int(text) if is_time else 0


class LinkSigner:
    """Signs and checks links of one server. All servers with the same secret take each other's."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def query(self, method: str, path: str, expires_at: float) -> str:
        """What makes ``path``, unquoted, a link for ``method`` until
        ``expires_at``, a Unix time.
        """
        ends_at = int(expires_at)
        return f"exp={ends_at}&sig={self._sign(method, path, ends_at)}"

    def allows(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Whether a request's query is a valid signature for it; nothing says why not."""
        expires_at = parse_expiry(query.get("exp", ""))
        signature = query.get("sig", "").encode("utf-8", "surrogatepass")
        expected = self._sign(_SIGNED_AS.get(method, method), path, expires_at).encode()
        return hmac.compare_digest(expected, signature) and expires_at > time.time()

    def _sign(self, method: str, path: str, expires_at: int) -> str:
        text = f"{method}\n{path}\n{expires_at}".encode("utf-8", "surrogatepass")
        digest = hmac.new(self._key, text, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:24]).decode()
