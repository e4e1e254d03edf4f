"""What it means to the caller that a phase of an analysis did not finish."""

from __future__ import annotations

from checkback.kinds.browser import failures
from checkback.kinds.browser.devtools import PageGone, Refused, Unanswered
from checkback.kinds.pages.report.report import PhaseFailure

_FAILED = {
    "layout": "LAYOUT_ANALYSIS_FAILED",
    "motion": "MOTION_DETECTION_FAILED",
    "quality": "QUALITY_EVALUATION_FAILED",
    "responsive": "INTERNAL_ERROR",
}


class Skipped(Exception):
    """A phase that was not begun: an earlier one ran out of time, and the caller is strict."""


def phase_failure(name: str, error: Exception, seconds: float) -> PhaseFailure:
    """What a phase's end means to the caller; the error's own text may come from the page and stays
    here.
    """
    if isinstance(error, Skipped):
        return PhaseFailure(
            name, _FAILED[name], "Not run, because an earlier phase ran out of time."
        )
    if isinstance(error, TimeoutError | Unanswered):
        return PhaseFailure(name, "TIMEOUT_ERROR", f"Not finished after {seconds:.0f} seconds.")
    if isinstance(error, PageGone):
        failure = failures.gone(error)
        return PhaseFailure(name, failure.code, failure.message)
    if isinstance(error, Refused):
        return PhaseFailure(name, "BROWSER_ERROR", "The browser refused to measure this.")
    return PhaseFailure(name, _FAILED[name], "The analysis of this phase failed.")
