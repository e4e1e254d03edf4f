"""PDF.co's API as a client sees it: submit once, check, and what its errors mean.

The key goes as ``x-api-key`` to the API's own address and nowhere else. None of its words are passed on:
every message is ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import SecretStr

from checkback.core.errors import JobFailed
from checkback.kinds import proxied
from checkback.kinds.context import Egress, JobContext
from checkback.kinds.proxied import FetchFailed, HostBlocked

ANSWER_SECONDS = 15.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class NoAnswer(Exception):
    """The API did not answer, or not with what can be read; asking again may help."""

    def __init__(self, after_seconds: float | None = None) -> None:
        super().__init__()
        #: When it said to come back.
        self.after_seconds = after_seconds


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
        """The API with the caller's key, else the server's. Raises the failure provider_key without one."""
        found = key.get_secret_value() if key is not None else ctx.environment.pdfco_key
        if not found:
            raise wrong_key()
        if ctx.egress is None:
            raise unreachable()
        return cls(ctx.environment.pdfco_url.rstrip("/"), found, ctx.egress)

    def call(self, endpoint: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """One POST. Raises NoAnswer, or the failures of a wrong key and of no credits left."""
        headers = {
            "x-api-key": self.key,
            "Content-Type": "application/json",
            "User-Agent": "checkback",
            "Accept": "application/json",
        }
        url = f"{self.url}/v1/{endpoint}"
        body = json.dumps(parameters).encode()
        try:
            with proxied.request(
                "POST", url, self.egress, seconds=ANSWER_SECONDS, headers=headers, body=body
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
            raise NoAnswer(float(after) if after and after.isdigit() else None)
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
            raise NoAnswer
        return answer


def submit(
    remote: Remote, ctx: JobContext, endpoint: str, parameters: dict[str, Any]
) -> tuple[str, int | None]:
    """Start the job there and give its id; an attempt after the one that did goes on with that id.

    What is saved first says that a submission may be under way: without an id after it, nobody can know
    whether there is a job, and a second one could be charged, too.
    """
    saved = cast("dict[str, Any]", ctx.saved or {})
    if "job_id" in saved:
        return str(saved["job_id"]), saved.get("pages")
    if saved.get("submitting"):
        raise unknown_submission()
    ctx.phase("submit")
    ctx.save({"submitting": True})
    try:
        answer = remote.call(endpoint, {**parameters, "async": True})
    except NoAnswer as silence:
        if silence.after_seconds is not None:
            ctx.save(None)
            raise busy() from None
        raise unknown_submission() from None
    except JobFailed:
        ctx.save(None)
        raise
    remote_id = answer.get("jobId")
    if answer.get("error") or not isinstance(remote_id, str):
        ctx.save(None)
        number = answer.get("errorCode", answer.get("status"))
        raise refused(number if isinstance(number, int) else None)
    cost = answer.get("credits")
    remote.credits_used += cost if isinstance(cost, int) else 0
    pages = answer.get("pageCount")
    pages = pages if isinstance(pages, int) else None
    ctx.save({"job_id": remote_id, "pages": pages})
    return remote_id, pages


def wrong_key() -> JobFailed:
    return _final(
        "provider_key",
        "PDF.co needs a key, and none that it takes was given.",
        "Pass api_key, or start the server with CHECKBACK_PDFCO_KEY.",
    )


def no_credits() -> JobFailed:
    return _final(
        "provider_credits", "The PDF.co account has no credits left.", "Buy some there, or run the job here."
    )


def refused(number: int | None) -> JobFailed:
    code = f" with its error {number}" if number is not None else ""
    return _final(
        "provider_refused", f"PDF.co refused the job{code}.", "Correct the parameters, or run the job here."
    )


def unknown_submission() -> JobFailed:
    return _final(
        "provider_unknown",
        "It is not known whether PDF.co took the job; it was not sent again, because that could cost twice.",
        "Look for the job in PDF.co's own log, then track it or submit a new one.",
    )


def busy() -> JobFailed:
    return JobFailed(
        "provider_busy", "PDF.co takes no more requests just now.", hint="The job is tried again later."
    )


def unreachable() -> JobFailed:
    return _final(
        "provider_unreachable",
        "PDF.co's address may not be reached from here.",
        "Check CHECKBACK_PDFCO_URL and CHECKBACK_ALLOW_HOSTS.",
    )


def _final(code: str, message: str, hint: str) -> JobFailed:
    return JobFailed(code, message, retryable=False, hint=hint)
