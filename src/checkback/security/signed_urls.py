"""Signed links: who has one may do this one thing with this one path until it expires, without a
token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping


class LinkSigner:
    """Signs and checks links of one server. All servers with the same secret take each other's."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def query(self, method: str, path: str, expires_at: float) -> str:
        """What makes ``path``, unquoted, a link for ``method`` until
        ``expires_at``, a Unix time.
        """
        ends = int(expires_at)
        return f"exp={ends}&sig={self._sign(method, path, ends)}"

    def allows(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Whether a request's query is a valid signature for it; nothing says why not."""
        ends, signature = query.get("exp", ""), query.get("sig", "")
        if not (ends.isascii() and ends.isdigit() and len(ends) < 12):
            return False
        wanted = "GET" if method == "HEAD" else method
        expected = self._sign(wanted, path, int(ends))
        fits = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))
        return fits and int(ends) > time.time()

    def _sign(self, method: str, path: str, ends: int) -> str:
        text = f"{method}\n{path}\n{ends}".encode("utf-8", "surrogatepass")
        digest = hmac.new(self._key, text, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:24]).decode()
