"""PDF.co's API as a client sees it: one call at a time, what it costs, and what its errors mean.

The key goes as ``x-api-key`` to the API's own address and nowhere else. None of its words are
passed on: every message is ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import SecretStr

from checkback.core.errors import JobFailed
from checkback.core.job import JSON
from checkback.kinds import proxy_client
from checkback.kinds.context import Egress, JobContext
from checkback.kinds.proxy_client import FetchFailed, HostBlocked

ANSWER_SECONDS = 15.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class NoAnswer(Exception):
    """The API did not answer, or not with what can be read; asking again may help."""

    def __init__(self, after_seconds: float | None = None, *, refused: bool = False) -> None:
        super().__init__()
        #: When it said to come back.
        self.after_seconds = after_seconds
        #: Whether it said that it did nothing (429); else nobody knows.
        self.refused = refused


@dataclass(slots=True)
class Remote:
    """The API for one job, with its key, and what it has cost so far."""

    url: str
    key: str = field(repr=False)
    egress: Egress
    checks: int = 0
    credits_on_checks: int = 0
    credits_used: int = 0
    credits_remaining: int | None = None

    @classmethod
    def of(cls, ctx: JobContext, key: SecretStr | None) -> Remote:
        """The API with the caller's key, else the server's. Raises the failure provider_key without
        one.
        """
        found = key.get_secret_value() if key is not None else ctx.environment.pdfco_key
        if not found:
            raise wrong_key()
        if ctx.egress is None:
            raise unreachable()
        made = cls(ctx.environment.pdfco_url.rstrip("/"), found, ctx.egress)
        saved = cast("dict[str, Any]", ctx.saved or {})
        if "spent" in saved:
            made.checks, made.credits_on_checks, made.credits_used = saved["spent"]
        return made

    def save(self, ctx: JobContext, **facts: JSON) -> None:
        """Keep what has been spent for a later attempt, beside ``facts`` and
        what was saved before.
        """
        saved = cast("dict[str, JSON]", ctx.saved or {})
        spent: list[JSON] = [self.checks, self.credits_on_checks, self.credits_used]
        ctx.save({**saved, **facts, "spent": spent})

    @property
    def cost(self) -> str:
        """What the checks have cost so far, as a sentence."""
        times = "1 check" if self.checks == 1 else f"{self.checks} checks"
        return f"{times} there cost {self.credits_on_checks} credits."

    def call(self, endpoint: str, parameters: dict[str, Any] | None) -> dict[str, Any]:
        """One POST, or a GET without parameters. Raises NoAnswer, or the failures of a wrong key
        and of no credits left.
        """
        headers = {"x-api-key": self.key, "User-Agent": "checkback", "Accept": "application/json"}
        body = None
        if parameters is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(parameters).encode()
        url = f"{self.url}/v1/{endpoint}"
        method = "GET" if body is None else "POST"
        try:
            with proxy_client.request(
                method, url, self.egress, seconds=ANSWER_SECONDS, headers=headers, body=body
            ) as response:
                status, after = response.status, response.getheader("Retry-After")
                text = response.read(MAX_ANSWER_BYTES)
        except HostBlocked:
            raise unreachable() from None
        except FetchFailed:
            raise NoAnswer from None
        return self._read(status, after, text)

    def spent(self) -> dict[str, Any]:
        """What the result tells of the provider."""
        return {
            "name": "pdfco",
            "checks": self.checks,
            "credits_used": self.credits_used,
            "credits_on_checks": self.credits_on_checks,
            "credits_remaining": self.credits_remaining,
        }

    def _read(self, status: int, after: str | None, text: bytes) -> dict[str, Any]:
        if status == 429 or status >= 500:
            later = float(after) if after and after.isdigit() else None
            raise NoAnswer(later, refused=status == 429)
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            if status in (401, 402):
                found = {"error": True, "status": status}
            else:
                raise NoAnswer
        answer = cast("dict[str, Any]", found)
        remaining = answer.get("remainingCredits")
        if isinstance(remaining, int):
            self.credits_remaining = remaining
        number = answer.get("errorCode", answer.get("status"))
        if status == 401 or number == 401:
            raise wrong_key()
        if status == 402 or number == 402:
            raise no_credits()
        if number == 429:
            raise NoAnswer(refused=True)
        return answer


def wrong_key() -> JobFailed:
    return final(
        "provider_key",
        "PDF.co needs a key, and none that it takes was given.",
        "Pass api_key, or start the server with CHECKBACK_PDFCO_KEY.",
    )


def no_credits() -> JobFailed:
    return final(
        "provider_credits",
        "The PDF.co account has no credits left.",
        "Buy some there, or run the job here.",
    )


def unreachable() -> JobFailed:
    return final(
        "provider_unreachable",
        "PDF.co's address may not be reached from here.",
        "Check CHECKBACK_PDFCO_URL and CHECKBACK_ALLOW_HOSTS.",
    )


def final(code: str, message: str, hint: str) -> JobFailed:
    return JobFailed(code, message, retryable=False, hint=hint)
