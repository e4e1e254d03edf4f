"""What PDF.co's clients see of a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from checkback.core.job import Job
from checkback.core.states import State
from checkback.dialects.pdfco import responses


def test_a_clock_that_was_set_back_gives_no_negative_duration() -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    job = Job(
        id="01890a5d-ac96-774b-bcce-b302099a8057",
        kind="pdf.info",
        queue="documents",
        owner="ada",
        state=State.COMPLETED,
        created_at=now,
        started_at=now,
        finished_at=now - timedelta(hours=1),
    )
    answer = responses.check(job, links={}, valid_till=now, duration_ms=0)
    assert answer["jobDuration"] == 0
