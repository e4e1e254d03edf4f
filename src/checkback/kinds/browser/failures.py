"""How a page job fails: codes of the wire format and fixed messages.

No message holds text that a page or a site chose; a number such as the HTTP status is the most
that it holds.
"""

from __future__ import annotations

import re

from checkback.core.errors import FailureCode, JobFailed
from checkback.kinds.browser.devtools import PageGone

ROBOTS_HINT = "Ask the site's owner, or set respect_robots_txt to false for your own site."


def cancelled() -> JobFailed:
    """The job was cancelled."""
    return JobFailed(FailureCode.CANCELLED, "The job was cancelled.", retryable=False)


def blocked() -> JobFailed:
    """The egress proxy refused the page itself."""
    return JobFailed(
        "SSRF_BLOCKED",
        "The page is at an address that is not allowed.",
        retryable=False,
        hint="For your own host, start the server with CHECKBACK_ALLOW_HOSTS=host:port.",
    )


def robots_forbid(*, reachable: bool) -> JobFailed:
    """robots.txt forbids the page, or could not be read, which counts as forbidding it."""
    if reachable:
        message = "The site's robots.txt forbids this page."
    else:
        message = (
            "The site's robots.txt could not be read; "
            "this counts as forbidding the page (RFC 9309)."
        )
    return JobFailed("ROBOTS_TXT_BLOCKED", message, retryable=not reachable, hint=ROBOTS_HINT)


def http_error(status: int) -> JobFailed:
    """The site answered with an error page."""
    return JobFailed(
        "HTTP_ERROR",
        f"The page answered with HTTP status {status}.",
        retryable=status in (408, 425, 429) or status >= 500,
        hint="Open the URL in a browser. Error pages are not analyzed.",
    )


def not_html() -> JobFailed:
    """The URL is not that of an HTML document."""
    return JobFailed(
        "NOT_HTML",
        "The URL does not lead to an HTML page.",
        retryable=False,
        hint="Use the URL of a page. For a PDF or another document, use the document kinds.",
    )


def too_large(what: str) -> JobFailed:
    """The page exceeds a limit."""
    return JobFailed("PAGE_TOO_LARGE", f"The page has {what}.", retryable=False)


def timed_out(seconds: float) -> JobFailed:
    """The page did not load in time."""
    return JobFailed("TIMEOUT_ERROR", f"The page did not load within {seconds:.0f} seconds.")


def held_by_dialogs() -> JobFailed:
    """The page shows dialogs in an endless loop."""
    return JobFailed(
        "TIMEOUT_ERROR",
        "The page cannot be analyzed, because it shows dialogs in an endless loop.",
        retryable=False,
    )


def gone(error: PageGone) -> JobFailed:
    """The page's process or the whole browser died."""
    if error.browser:
        return JobFailed("BROWSER_ERROR", "The browser ended while the page was open.")
    return JobFailed("PAGE_CRASHED", "The page crashed its browser tab.", retryable=False)


# Chromium's error for a failed navigation, and what it means. Nothing else of the error goes into a
# message.
_NETWORK = {
    "ERR_NAME_NOT_RESOLVED": "its host name has no address",
    "ERR_CONNECTION_REFUSED": "its host refused the connection",
    "ERR_CONNECTION_RESET": "its host reset the connection",
    "ERR_CONNECTION_CLOSED": "its host closed the connection",
    "ERR_CONNECTION_TIMED_OUT": "its host did not answer",
    "ERR_ADDRESS_UNREACHABLE": "its host cannot be reached",
    "ERR_EMPTY_RESPONSE": "its host sent nothing",
    "ERR_TOO_MANY_REDIRECTS": "its redirects form a loop",
    "ERR_SSL_PROTOCOL_ERROR": "its TLS connection failed",
    "ERR_INVALID_RESPONSE": "its host did not send valid HTTP",
    "ERR_TUNNEL_CONNECTION_FAILED": "its host could not be reached",
    "ERR_PROXY_CONNECTION_FAILED": "the egress proxy does not answer",
}


# What the egress proxy reports when it is allowed to reach a host and cannot.
_PROXY = {
    "dns": "its host name has no address",
    "refused": "its host refused the connection",
    "timeout": "its host did not answer",
    "unreachable": "its host cannot be reached",
    "bad_answer": "its host did not send valid HTTP",
}


def unreachable(reason: str) -> JobFailed:
    """The egress proxy tried and did not reach the host."""
    message = _PROXY.get(reason, "its host could not be reached")
    return JobFailed("NETWORK_ERROR", f"The page could not be loaded: {message}.")


def navigation_failed(text: str) -> JobFailed:
    """Chromium's error text as one of the fixed messages."""
    match = re.search(r"net::(ERR_[A-Z_]+)", text)
    name = match[1] if match else ""
    if name.startswith("ERR_CERT"):
        reason = "its TLS certificate is not valid"
    else:
        reason = _NETWORK.get(name, "the network connection failed")
    return JobFailed("NETWORK_ERROR", f"The page could not be loaded: {reason}.")
