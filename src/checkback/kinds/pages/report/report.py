"""Assembles the full report, and the small result that is in a job's record."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from checkback.core.job import Artifact
from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs
from checkback.kinds.pages.report.summary import summarize
from checkback.kinds.pages.scoring.score import Measure, score

SCHEMA = "checkback.page/1"

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PhaseFailure:
    """A phase that did not finish, and why, without any text from the page."""

    phase: str
    code: str
    message: str


@dataclass(slots=True)
class AnalysisOutcome:
    """How far an analysis came."""

    completed: list[str] = field(default_factory=list[str])
    failed: list[PhaseFailure] = field(default_factory=list[PhaseFailure])
    #: Phase -> milliseconds.
    took: dict[str, int] = field(default_factory=dict[str, int])
    total_ms: int = 0

    @property
    def timed_out(self) -> bool:
        return any(item.code == "TIMEOUT_ERROR" for item in self.failed)

    def is_partial(self, bundle: PageCapture) -> bool:
        """Whether something is missing: a phase, or what a page without its scripts would have
        shown.
        """
        stopped = any(warning["code"] == "SCRIPTS_STOPPED" for warning in bundle.warnings)
        return bool(self.failed) or stopped


def assemble(
    job_id: str,
    bundle: PageCapture,
    parts: Fields,
    outcome: AnalysisOutcome,
    artifacts: list[Fields],
) -> Fields:
    """The full report. Parts without a result are absent."""
    report: Fields = {
        "schema": SCHEMA,
        # Everything below that is text may have been written by the page: show it, never obey it.
        "untrusted": True,
        "source": bundle.final_url,
        "jobId": job_id,
        "url": bundle.requested_url,
        "finalUrl": bundle.final_url,
        "httpStatus": bundle.http_status,
        "redirects": bundle.redirects,
        "fetchedAt": bundle.fetched_at,
        "success": True,
        "partialSuccess": outcome.is_partial(bundle),
        "completedPhases": outcome.completed,
        "failedPhases": [
            {"phase": item.phase, "code": item.code, "message": item.message}
            for item in outcome.failed
        ],
        "warnings": bundle.warnings,
        **parts,
        "artifacts": artifacts,
        "timings": {"totalMs": outcome.total_ms, "phases": outcome.took, "steps": bundle.timings},
        "environment": bundle.environment,
    }
    report["summary"] = summarize(report)
    return report


def report_schema() -> Fields:
    """The JSON Schema of report.json."""
    text = (resources.files("checkback.kinds.pages.report") / "page.schema.json").read_text("utf-8")
    schema: Fields = json.loads(text)
    return schema


def measure_of(args: PageAnalyzeArgs) -> Measure:
    """How the caller wants the page judged."""
    options = args.qualityOptions
    return Measure(
        weights=options.weights.model_dump(),
        strict=options.strict,
        industry=options.targetIndustry,
        audience=options.targetAudience,
        with_recommendations=options.includeRecommendations,
    )


def add_score(parts: Fields, measure: Measure) -> None:
    """Judge the parts that there are, once all of them are."""
    parts["quality"] = score(parts, measure)


def job_result(job_id: str, report: Fields, artifacts: list[Artifact]) -> Fields:
    """The job's result: ReftrixMCP's counters, and the names of the artifacts. Holds no text from
    the page.
    """
    results: Fields = {}
    if "layout" in report:
        results["layout"] = {
            "sectionsDetected": report["layout"]["sectionCount"],
            "visionUsed": False,
        }
    if "motion" in report:
        scripted = report["motion"].get("jsAnimations", {}).get("totalDetected", 0)
        results["motion"] = {
            "patternsDetected": report["motion"]["patternCount"],
            "jsAnimationsDetected": scripted,
        }
        if "canvas" in report["motion"]:
            canvases = report["motion"]["canvas"]["list"]
            active = sum(_moves_by_webgl(canvas) for canvas in canvases)
            results["motion"]["webglAnimationsDetected"] = active
    if "quality" in report:
        # ReftrixMCP's own axes, weighed as the caller asked; report.json also has its own axes.
        results["quality"] = {
            name: report["quality"]["reftrix"][name] for name in ("overallScore", "grade")
        }
    if "responsive" in report:
        results["responsive"] = _responsive_counters(report)
    result: Fields = {
        "webPageId": job_id,
        "success": report["success"],
        "partialSuccess": report["partialSuccess"],
        "completedPhases": report["completedPhases"],
        "failedPhases": [item["phase"] for item in report["failedPhases"]],
        "results": results,
        "summary": report["summary"],
    }
    if report["failedPhases"]:
        result["error"] = " ".join(
            f"{item['phase']}: {item['message']}" for item in report["failedPhases"]
        )
    return result | {
        "processingTimeMs": report["timings"]["totalMs"],
        "completedAt": report["completedAt"],
        "artifacts": [
            {
                "id": item.id,
                "name": item.name,
                "mediaType": item.media_type,
                "sizeBytes": item.size_bytes,
            }
            for item in artifacts
        ],
    }


def _responsive_counters(report: Fields) -> Fields:
    part: Fields = report["responsive"]
    return {
        "differencesDetected": len(part["differences"]),
        "breakpointsDetected": len(part["breakpoints"]),
        "viewportsAnalyzed": [
            {name: viewport[name] for name in ("name", "width", "height")}
            for viewport in part["viewports"]
        ],
        "analysisTimeMs": report["timings"]["phases"].get("responsive", 0),
    }


def _moves_by_webgl(canvas: Fields) -> bool:
    # Reports of earlier versions do not say how a canvas is drawn on, and counted all of them.
    return canvas.get("active") is True and str(canvas.get("context", "webgl")).startswith("webgl")
