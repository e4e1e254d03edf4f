"""The format of ReftrixMCP: ``page.analyze``, ``page.getJobStatus`` and the job data of its BullMQ
queue.

Pure functions from our job record and our report to its answers. Its clients must not notice a
difference, so nothing is renamed, and additions are made only where its schemas allow them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from checkback.core.job import JSON, Artifact, Job
from checkback.core.states import State

QUEUE = "page-analyze"
RETENTION_HOURS = 24
POLL_SECONDS = 3

Fields = dict[str, Any]

_STATUS = {
    State.WAITING: "waiting",
    State.DELAYED: "delayed",
    State.ACTIVE: "active",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "failed",
}


def queued(job_id: str, status_tool: str = "page.getJobStatus") -> Fields:
    """The answer to a ``page.analyze`` that runs in the background;
    ``status_tool`` reports on it.
    """
    return {
        "async": True,
        "jobId": job_id,
        "status": "queued",
        "message": "The analysis is running in the background.",
        "polling": {
            "intervalSeconds": POLL_SECONDS,
            "retentionHours": RETENTION_HOURS,
            "howToCheck": f'Call {status_tool} with {{"job_id": "{job_id}"}}.',
        },
    }


def status(job: Job, request_id: str) -> Fields:
    """The answer of ``page.getJobStatus`` about one job."""
    data: Fields = {
        "jobId": job.id,
        "status": _STATUS[job.state],
        "progress": 100 if job.state is State.COMPLETED else int(job.progress),
        "timestamps": _timestamps(job),
    }
    data |= _outcome(job)
    return {"success": True, "data": data, "metadata": {"request_id": request_id}}


def _outcome(job: Job) -> Fields:
    """What there is to say in the job's state: its phase, its result, or why it has none."""
    if job.state is State.COMPLETED:
        return {"result": job.result}
    if job.state.is_final:
        return {"failedReason": _failed_reason(job)}
    return {} if job.phase is None else {"currentPhase": job.phase}


def file(item: Artifact) -> Fields:
    """A file of an analysis, with the field names of this wire format."""
    return {
        "id": item.id,
        "name": item.name,
        "mediaType": item.media_type,
        "sizeBytes": item.size_bytes,
    }


def error(code: str, message: str, request_id: str) -> Fields:
    """An error result; the API marks it ``isError``."""
    return {
        "success": False,
        "error": {"code": code, "message": message},
        "metadata": {"request_id": request_id},
    }


def _timestamps(job: Job) -> dict[str, int]:
    times: dict[str, int] = {"created": _milliseconds(job.created_at)}
    if job.started_at is not None:
        times["started"] = _milliseconds(job.started_at)
    if job.finished_at is not None and job.state.is_final:
        name = "completed" if job.state is State.COMPLETED else "failed"
        times[name] = _milliseconds(job.finished_at)
    return times


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _failed_reason(job: Job) -> str:
    message = job.failure.message if job.failure is not None else ""
    if job.state is not State.CANCELLED:
        return message or "The job failed."
    if "cancelled" in message.lower():
        return message
    return f"The job was cancelled. {message}".rstrip()


# --- The synchronous answer -----------------------------------------------------------------------


def sync_data(report: Mapping[str, JSON], args: Mapping[str, JSON]) -> Fields:
    """The ``data`` of a synchronous ``page.analyze``, out of report.json and the job's arguments.

    Parts that were not measured are absent. ``args["summary"]`` leaves out the long lists.
    """
    full = not args.get("summary", False)
    data: Fields = {
        "id": report["jobId"],
        "url": report["url"],
        "normalizedUrl": report["finalUrl"],
        "metadata": _page_metadata(report),
        "source": {
            "type": args.get("sourceType", "user_provided"),
            "usageScope": args.get("usageScope", "inspiration_only"),
        },
    }
    if "layout" in report:
        data["layout"] = _layout(report, args, full)
    if "motion" in report:
        data["motion"] = _motion(report, full)
    if "quality" in report:
        data["quality"] = _quality(report, full)
    if "responsive" in report:
        data["responsiveAnalysis"] = _responsive(report, full)
    data["totalProcessingTimeMs"] = _at(report, "timings", "totalMs", default=0)
    data["analyzedAt"] = report["fetchedAt"]
    data |= _warnings(report)
    data["execution_status"] = _execution_status(report)
    return data


def _page_metadata(report: Mapping[str, JSON]) -> Fields:
    names = ("title", "description", "favicon", "ogImage")
    return {name: report[name] for name in names if report.get(name)}


def _execution_status(report: Mapping[str, JSON]) -> Fields:
    failed: list[Fields] = list(report.get("failedPhases", ()))
    timed_out = [phase["phase"] for phase in failed if phase["code"] == "TIMEOUT_ERROR"]
    return {
        "completed_phases": list(report.get("completedPhases", ())),
        "failed_phases": [phase["phase"] for phase in failed],
        "timedout_phases": timed_out,
        "timeout_occurred": bool(timed_out),
        "actual_duration_ms": _at(report, "timings", "totalMs", default=0),
        "partial_success": bool(report.get("partialSuccess", False)),
    }


def _warnings(report: Mapping[str, JSON]) -> Fields:
    warnings = report.get("warnings")
    return {"warnings": [warning["message"] for warning in warnings]} if warnings else {}


def _layout(report: Mapping[str, JSON], args: Mapping[str, JSON], full: bool) -> Fields:
    layout: Fields = report["layout"]
    data: Fields = {
        "success": True,
        "pageId": report["jobId"],
        "sectionCount": layout["sectionCount"],
        "sectionTypes": layout["sectionTypes"],
        "processingTimeMs": _at(report, "timings", "phases", "layout", default=0),
        "visionUsed": False,
    }
    if "cssFramework" in layout:
        data["cssFramework"] = layout["cssFramework"]
    if full:
        data |= _layout_files(layout, args)
        sections = enumerate(layout["sections"])
        data["sections"] = [_section(place, section) for place, section in sections]
        data |= _layout_styles(report)
    return data


def _layout_files(layout: Mapping[str, JSON], args: Mapping[str, JSON]) -> Fields:
    files: Fields = {}
    if "screenshot" in layout and _wants_screenshot(args):
        files["screenshot"] = {"artifact": layout["screenshot"]}
    if "html" in layout:
        files["html"] = {"artifact": layout["html"]}
    return files


def _layout_styles(report: Mapping[str, JSON]) -> Fields:
    styles: Fields = {}
    if "colors" in report.get("design", {}):
        styles["visualFeatures"] = _visual_features(report)
    if "design" in report:
        styles["cssVariables"] = _css_variables(report["design"])
    return styles


def _wants_screenshot(args: Mapping[str, JSON]) -> bool:
    names = ("include_screenshot", "includeScreenshot")
    return any(_at(args, "layoutOptions", name, default=False) for name in names)


def _section(place: int, section: Fields) -> Fields:
    data: Fields = {"id": section["id"], "type": section["type"], "positionIndex": place}
    if section.get("heading"):
        data["heading"] = section["heading"]
    return data | {"confidence": section["confidence"], "box": section["box"]}


def _visual_features(report: Mapping[str, JSON]) -> Fields:
    design: Fields = report["design"]
    colors: Fields = design["colors"]
    features: Fields = {
        "colors": {
            "dominant": colors["dominant"],
            "accent": colors["accent"],
            "palette": [
                {"color": color, "percentage": round(share * 100, 1)}
                for color, share in colors["palette"]
            ],
        },
        "gradient": {"hasGradient": bool(colors["gradients"]), "gradients": colors["gradients"]},
    }
    if "themeMeasured" in design:
        features["theme"] = {"type": design["theme"], **design["themeMeasured"]}
    density = _at(report, "layout", "density")
    if density is not None:
        features["density"] = density
    return features


def _css_variables(design: Fields) -> Fields:
    names = ("clampValues", "calcExpressions", "designTokens")
    variables = [
        {key: variable[key] for key in ("name", "value", "category", "scope")}
        for variable in design.get("cssVariables", ())
    ]
    return {"variables": variables} | {name: design[name] for name in names if name in design}


def _motion(report: Mapping[str, JSON], full: bool) -> Fields:
    motion: Fields = report["motion"]
    warnings: list[Fields] = motion.get("warnings", [])
    data: Fields = {
        "success": True,
        "patternCount": motion["patternCount"],
        "categoryBreakdown": motion["categoryBreakdown"],
        "warningCount": len(warnings),
        "a11yWarningCount": _starting(warnings, "A11Y"),
        "perfWarningCount": _starting(warnings, "PERF"),
        "processingTimeMs": _at(report, "timings", "phases", "motion", default=0),
    }
    if full:
        data["patterns"] = motion["patterns"]
        data["warnings"] = warnings
        if "jsAnimations" in motion:
            data["js_animations"] = motion["jsAnimations"]
        if "canvas" in motion:
            canvases: list[Fields] = motion["canvas"]["list"]
            active = sum(_moves_by_webgl(canvas) for canvas in canvases)
            data["webgl_animations"] = {"totalDetected": active, "canvases": canvases}
    return data


def _starting(warnings: Sequence[Fields], prefix: str) -> int:
    return sum(1 for warning in warnings if str(warning["code"]).startswith(prefix))


def _quality(report: Mapping[str, JSON], full: bool) -> Fields:
    quality: Fields = report["quality"]
    theirs: Fields = quality["reftrix"]
    axes: dict[str, Fields] = theirs["axes"]
    data: Fields = {
        "success": True,
        "overallScore": theirs["overallScore"],
        "grade": theirs["grade"],
        "axisScores": _of_each(axes, "score"),
        "clicheCount": len(quality["cliches"]),
        "processingTimeMs": _at(report, "timings", "phases", "quality", default=0),
    }
    if full:
        data["axisGrades"] = _of_each(axes, "grade")
        data["axisDetails"] = {name: _reasons(axis) for name, axis in axes.items()}
        data["cliches"] = quality["cliches"]
        data["recommendations"] = list(map(_recommendation, quality.get("recommendations", ())))
    return data


def _of_each(axes: Mapping[str, Fields], key: str) -> Fields:
    return {name: axis[key] for name, axis in axes.items()}


def _recommendation(item: Fields) -> Fields:
    return {
        "id": item["rule"],
        "category": item["dimension"],
        "priority": item["priority"],
        "title": item["title"],
        "description": item["fix"],
    }


def _reasons(axis: Fields) -> list[str]:
    return [f"{item['points']:g} {item['rule']} ({item['count']})" for item in axis["deductions"]]


def _responsive(report: Mapping[str, JSON], full: bool) -> Fields:
    responsive: Fields = report["responsive"]
    viewports: list[Fields] = responsive["viewports"]
    data: Fields = {
        "success": True,
        "viewportsAnalyzed": [viewport_size(viewport) for viewport in viewports],
        "differencesDetected": len(responsive["differences"]),
        "breakpointsDetected": len(responsive["breakpoints"]),
        "analysisTimeMs": _at(report, "timings", "phases", "responsive", default=0),
    }
    if full:
        data["differences"] = responsive["differences"]
        data["breakpoints"] = responsive["breakpoints"]
        data["viewports"] = viewports
    return data


def viewport_size(viewport: Mapping[str, JSON]) -> Fields:
    """A viewport as ReftrixMCP lists it: name and size, nothing else."""
    return {"name": viewport["name"], "width": viewport["width"], "height": viewport["height"]}


def _at(value: Any, *path: str, default: Any = None) -> Any:
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return default
        value = cast("Mapping[str, Any]", value)[key]
    return value


def _moves_by_webgl(canvas: Fields) -> bool:
    # Reports of earlier versions do not say how a canvas is drawn on, and counted all of them.
    return canvas.get("active") is True and str(canvas.get("context", "webgl")).startswith("webgl")
