"""A client of PDF.co's API: one call at a time, its cost, and the meaning of its errors.

The key is sent as ``x-api-key`` to the API's own address only. Texts of the API are never passed
on: every message is one of checkback.
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
    """The API did not respond, or not with valid JSON. A later call may succeed."""

    def __init__(self, after_seconds: float | None = None, *, refused: bool = False) -> None:
        super().__init__()
        #: After how long the API said to call again.
        self.after_seconds = after_seconds
        #: True if the API refused the call (429), so that it did nothing; else that is unknown.
        self.refused = refused


@dataclass(slots=True)
class Remote:
    """The API for one job, with its key, and the credits used so far."""

    url: str
    key: str = field(repr=False)
    egress: Egress
    #: How long one call may take.
    answer_seconds: float = ANSWER_SECONDS
    checks: int = 0
    credits_on_checks: int = 0
    credits_used: int = 0
    credits_remaining: int | None = None

    @classmethod
    def of(cls, ctx: JobContext, key: SecretStr | None) -> Remote:
        """The API with the caller's key, else the server's. Raises the failure ``provider_key``
        without a key.
        """
        api_key = _api_key(ctx, key)
        if ctx.egress is None:
            raise unreachable()
        remote = cls(ctx.environment.pdfco_url.rstrip("/"), api_key, ctx.egress)
        spent = saved_facts(ctx).get("spent", (0, 0, 0))
        remote.checks, remote.credits_on_checks, remote.credits_used = spent
        return remote

    def save(self, ctx: JobContext, **facts: JSON) -> None:
        """Save the credits used for a later attempt, with ``facts`` and what was saved before."""
        spent: list[JSON] = [self.checks, self.credits_on_checks, self.credits_used]
        ctx.save({**saved_facts(ctx), **facts, "spent": spent})

    @property
    def cost(self) -> str:
        """The cost of the checks so far, as a sentence."""
        times = "1 check" if self.checks == 1 else f"{self.checks} checks"
        return f"{times} at PDF.co cost {self.credits_on_checks} credits."

    def call(self, endpoint: str, parameters: dict[str, Any] | None) -> dict[str, Any]:
        """One POST, or a GET without parameters. Raises NoAnswer, or the failures of a wrong key
        and of missing credits.
        """
        method, headers, body = self._request(parameters)
        url = f"{self.url}/v1/{endpoint}"
        try:
            with proxy_client.request(
                method, url, self.egress, seconds=self.answer_seconds, headers=headers, body=body
            ) as response:
                status, after = response.status, response.getheader("Retry-After")
                text = response.read(MAX_ANSWER_BYTES)
        except HostBlocked:
            raise unreachable() from None
        except FetchFailed:
            raise NoAnswer from None
        return self._read(status, after, text)

    def _request(
        self, parameters: dict[str, Any] | None
    ) -> tuple[str, dict[str, str], bytes | None]:
        """Method, headers and body of a request."""
        headers = {"x-api-key": self.key, "User-Agent": "checkback", "Accept": "application/json"}
        if parameters is None:
            return "GET", headers, None
        headers["Content-Type"] = "application/json"
        return "POST", headers, json.dumps(parameters).encode()

    def spent(self) -> dict[str, Any]:
        """What the result reports about the provider."""
        return {
            "name": "pdfco",
            "checks": self.checks,
            "credits_used": self.credits_used,
            "credits_on_checks": self.credits_on_checks,
            "credits_remaining": self.credits_remaining,
        }

    def _read(self, status: int, after: str | None, text: bytes) -> dict[str, Any]:
        """The API's answer as an object. Raises as ``call``."""
        _raise_unavailable(status, after)
        answer = _json_object(text)
        if answer is None:
            _raise_refusal(status)
            raise NoAnswer
        remaining = answer.get("remainingCredits")
        if isinstance(remaining, int):
            self.credits_remaining = remaining
        _raise_refusal(status, answer.get("errorCode", answer.get("status")))
        return answer


def _api_key(ctx: JobContext, key: SecretStr | None) -> str:
    """The caller's key, else the server's. Raises the failure ``provider_key`` without a key."""
    api_key = key.get_secret_value() if key is not None else ctx.environment.pdfco_key
    if not api_key:
        raise wrong_key()
    return api_key


def _raise_unavailable(status: int, after: str | None) -> None:
    """Raise NoAnswer for a status by which the API refuses or cannot handle any call."""
    if status == 429 or status >= 500:
        after_seconds = float(after) if after and after.isdigit() else None
        raise NoAnswer(after_seconds, refused=status == 429)


def _raise_refusal(*codes: Any) -> None:
    """Raise the error that a status or error code stands for, if it is a refusal."""
    if 401 in codes:
        raise wrong_key()
    if 402 in codes:
        raise no_credits()
    if 429 in codes:
        raise NoAnswer(refused=True)


def _json_object(text: bytes) -> dict[str, Any] | None:
    value = json_value(text)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def json_value(text: bytes) -> object:
    """The value of a JSON text; None if it is invalid."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def whole_number(value: object) -> int | None:
    """The value if it is an integer."""
    return value if isinstance(value, int) else None


def saved_facts(ctx: JobContext) -> dict[str, Any]:
    """What an earlier attempt of the job has saved."""
    return cast("dict[str, Any]", ctx.saved or {})


def wrong_key() -> JobFailed:
    return final(
        "provider_key",
        "PDF.co needs an API key, and the key is missing or was refused.",
        "Pass a valid `api_key`, or set CHECKBACK_PDFCO_KEY for the server.",
    )


def no_credits() -> JobFailed:
    return final(
        "provider_credits",
        "The PDF.co account has no credits left.",
        "Buy credits at PDF.co, or run the job on this server.",
    )


def unreachable() -> JobFailed:
    return final(
        "provider_unreachable",
        "This server may not connect to the address of PDF.co.",
        "Check the settings CHECKBACK_PDFCO_URL and CHECKBACK_ALLOW_HOSTS.",
    )


def final(code: str, message: str, hint: str) -> JobFailed:
    return JobFailed(code, message, retryable=False, hint=hint)
