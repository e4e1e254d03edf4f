"""The report, the job's small result, and the same things in ReftrixMCP's words."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checkback.core.job import Artifact, Failure, Job
from checkback.core.states import State
from checkback.dialects import reftrix
from checkback.kinds.browser.capture import PageCapture, load_bundle
from checkback.kinds.pages.report.report import AnalysisOutcome, PhaseFailure, assemble, job_result
from checkback.kinds.pages.report.summary import MAX_BYTES, summarize

JOB_ID = "0192f1f0-0000-7000-8000-000000000001"  # that of the fixture ``report``, too
NOW = datetime(2026, 11, 22, 12, 0, 0, 123_000, UTC)


def test_a_bundle_can_be_saved_and_read(home: PageCapture, tmp_path: Path) -> None:
    home.save(tmp_path / "a.json.gz")
    assert load_bundle(tmp_path / "a.json.gz") == home
    home.save(tmp_path / "b.json.gz")
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def test_the_report_marks_foreign_text(report: dict[str, Any]) -> None:
    assert (report["schema"], report["untrusted"]) == ("checkback.page/1", True)
    assert report["source"] == "http://127.0.0.1:8700/"
    assert len(json.dumps(report)) < 60_000


def test_the_result_is_small_and_holds_no_text_of_the_page(report: dict[str, Any]) -> None:
    artifact = Artifact("a1", "report.json", "application/json", 20_000, "0" * 64)
    result = job_result(JOB_ID, report, [artifact])
    assert result["webPageId"] == JOB_ID
    assert result["results"]["layout"] == {"sectionsDetected": 9, "visionUsed": False}
    assert result["results"]["quality"] == {"overallScore": 91, "grade": "A"}
    assert result["results"]["responsive"]["viewportsAnalyzed"][2] == {
        "name": "mobile",
        "width": 375,
        "height": 667,
    }
    assert result["artifacts"][0]["name"] == "report.json"
    text = json.dumps(result)
    assert len(text) < 8000
    assert "Harbourlight" not in text


def test_the_summary_is_short_and_tells_what_matters_without_text_of_the_page(
    report: dict[str, Any],
) -> None:
    summary = report["summary"]
    assert len(summary.encode()) <= MAX_BYTES
    assert "Score 91 of 100, grade A" in summary
    assert "9 sections on 1440 x 3358 px: navigation, hero" in summary
    assert "Increase the contrast of text (5" in summary
    assert "Harbourlight" not in summary


def test_the_summary_of_a_page_with_many_faults_stays_short(report: dict[str, Any]) -> None:
    report["layout"]["sections"] *= 4
    report["layout"]["sectionCount"] = 36
    for item in report["quality"]["recommendations"]:
        item["fix"] *= 6
    assert 300 < len(summarize(report).encode()) <= MAX_BYTES


def test_a_failed_phase_makes_the_result_partial(home: PageCapture, parts: dict[str, Any]) -> None:
    failed = PhaseFailure("motion", "TIMEOUT_ERROR", "Not finished after 5 seconds.")
    del parts["motion"]
    report = assemble(
        JOB_ID, home, parts, AnalysisOutcome(["ingest", "layout"], [failed], {}, 9), []
    )
    report["completedAt"] = NOW.isoformat()
    result = job_result(JOB_ID, report, [])
    assert (result["success"], result["partialSuccess"], result["failedPhases"]) == (
        True,
        True,
        ["motion"],
    )
    assert result["error"] == "motion: Not finished after 5 seconds."
    assert "motion" not in result["results"]
    status = reftrix.sync_data(report, {})["execution_status"]
    assert (status["timedout_phases"], status["timeout_occurred"]) == (["motion"], True)


def test_the_synchronous_answer_in_full(report: dict[str, Any]) -> None:
    data = reftrix.sync_data(report, {"url": "x", "layoutOptions": {"include_screenshot": True}})
    assert data["metadata"]["title"].startswith("Harbourlight")
    assert data["layout"]["sections"][1]["positionIndex"] == 1
    assert data["layout"]["visualFeatures"]["theme"]["type"] == "light"
    assert {"name", "value", "category", "scope"} == set(
        data["layout"]["cssVariables"]["variables"][0]
    )
    assert data["motion"]["a11yWarningCount"] == 1
    quality = data["quality"]
    assert quality["axisScores"] == {"originality": 100, "craftsmanship": 80, "contextuality": 96}
    assert quality["axisGrades"]["craftsmanship"] == "B"
    assert quality["axisDetails"]["craftsmanship"][0] == "-10 motion-not-reduced (1)"
    assert set(quality["recommendations"][0]) == {
        "id",
        "category",
        "priority",
        "title",
        "description",
    }
    assert len(data["responsiveAnalysis"]["viewportsAnalyzed"]) == 3
    assert data["totalProcessingTimeMs"] == 1500


def test_canvases_that_move_are_told_in_reftrix_words(report: dict[str, Any]) -> None:
    canvases = [(False, "webgl"), (True, "webgl2"), (True, "2d"), (None, None)]
    listed = [
        {"box": [0, 0, 9, 9], "active": active, "context": context} for active, context in canvases
    ]
    report["motion"]["canvas"] = {"total": len(listed), "list": listed}
    assert reftrix.sync_data(report, {})["motion"]["webgl_animations"]["totalDetected"] == 1
    assert job_result(JOB_ID, report, [])["results"]["motion"]["webglAnimationsDetected"] == 1


def test_files_are_named_where_reftrix_has_their_content(report: dict[str, Any]) -> None:
    report["layout"] |= {"screenshot": "screenshot.jpg", "html": "page.html"}
    layout = reftrix.sync_data(report, {"layoutOptions": {"include_screenshot": True}})["layout"]
    assert layout["screenshot"] == {"artifact": "screenshot.jpg"}
    assert layout["html"] == {"artifact": "page.html"}


def test_nothing_of_the_wire_format_is_missing_in_the_full_answer(report: dict[str, Any]) -> None:
    data = reftrix.sync_data(report, {})
    fields = {
        "layout": "success pageId sectionCount sectionTypes processingTimeMs cssFramework sections"
        " visualFeatures cssVariables",
        "motion": "success patternCount categoryBreakdown warningCount a11yWarningCount perfWarningCount"
        " patterns warnings js_animations",
        "quality": "success overallScore grade axisScores clicheCount axisGrades axisDetails cliches"
        " recommendations",
        "execution_status": "completed_phases failed_phases timedout_phases timeout_occurred"
        " actual_duration_ms",
        "source": "type usageScope",
    }
    for part, names in fields.items():
        assert set(names.split()) <= data[part].keys(), part
    top = "id url normalizedUrl metadata responsiveAnalysis totalProcessingTimeMs analyzedAt"
    assert set(top.split()) <= data.keys()
    features = data["layout"]["visualFeatures"]
    assert set(features["theme"]) == {
        "type",
        "backgroundColor",
        "textColor",
        "contrastRatio",
        "luminance",
    }
    assert set(features["density"]) == {"contentDensity", "whitespaceRatio", "visualBalance"}
    assert set(features["colors"]) == {"dominant", "accent", "palette"}
    assert set(data["layout"]["cssVariables"]) == {
        "variables", "clampValues", "calcExpressions", "designTokens",
    }  # fmt: skip
    libraries = data["motion"]["js_animations"]["libraries"]
    assert set(libraries) == {"gsap", "framerMotion", "anime", "three", "lottie"}


def test_the_summary_leaves_the_lists_out(report: dict[str, Any]) -> None:
    data = reftrix.sync_data(report, {"summary": True})
    assert set(data["layout"]) == {
        "success", "pageId", "sectionCount", "sectionTypes", "processingTimeMs", "visionUsed", "cssFramework",
    }  # fmt: skip
    assert "patterns" not in data["motion"]
    assert "recommendations" not in data["quality"]
    assert len(json.dumps(data)) < 3000


def job(state: State, **more: Any) -> Job:
    return Job(
        id=JOB_ID,
        kind="page.analyze",
        queue="page-analyze",
        owner="local",
        state=state,
        created_at=NOW,
        **more,
    )


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.WAITING, "waiting"),
        (State.DELAYED, "delayed"),
        (State.ACTIVE, "active"),
        (State.COMPLETED, "completed"),
        (State.FAILED, "failed"),
        (State.CANCELLED, "failed"),
    ],
)
def test_every_state_has_a_word(state: State, word: str) -> None:
    answer = reftrix.status(job(state), "r1")
    assert answer["success"] is True
    assert answer["data"]["status"] == word
    assert answer["metadata"] == {"request_id": "r1"}
    assert ("result" in answer["data"]) == (word == "completed")
    assert ("failedReason" in answer["data"]) == (word == "failed")


def test_times_are_epoch_milliseconds_and_only_known_ones() -> None:
    created = round(NOW.timestamp() * 1000)
    assert reftrix.status(job(State.WAITING), "r")["data"]["timestamps"] == {"created": created}
    done = job(
        State.FAILED,
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=2),
        failure=Failure("x", "No."),
    )
    data = reftrix.status(done, "r")["data"]
    assert data["timestamps"] == {"created": created, "started": created, "failed": created + 2000}
    assert data["failedReason"] == "No."


def test_an_active_job_tells_phase_and_whole_percent() -> None:
    data = reftrix.status(job(State.ACTIVE, phase="motion", progress=57), "r")["data"]
    assert (data["currentPhase"], data["progress"]) == ("motion", 57)
    assert reftrix.status(job(State.COMPLETED, progress=99), "r")["data"]["progress"] == 100


def test_a_cancelled_job_says_so() -> None:
    assert "cancelled" in reftrix.status(job(State.CANCELLED), "r")["data"]["failedReason"].lower()


def test_queued_names_the_real_parameter() -> None:
    answer = reftrix.queued(JOB_ID)
    assert (answer["async"], answer["jobId"], answer["status"]) == (True, JOB_ID, "queued")
    assert answer["polling"]["retentionHours"] == 24
    assert "job_id" in answer["polling"]["howToCheck"]
