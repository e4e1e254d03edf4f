"""The published JSON Schema: real reports keep to it, and it promises nothing that no report ever
holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest

from checkback.kinds.pages.report.report import SCHEMA, report_schema

EVERYTHING = (Path(__file__).parents[1] / "everything.html").read_text("utf-8")

Fields = dict[str, Any]


MOVING = """<!DOCTYPE html><html lang=en><title>Moving</title><h1>Moving</h1>
<canvas id=c width=300 height=200></canvas><p>A picture that never rests.</p>
<script>
  const context = document.getElementById("c").getContext("2d");
  // Seven turns until it looks the same: with two, pictures 0.12 s apart often were equal.
  const colors = ["#000", "#fff", "#f00", "#0ff", "#00f", "#ff0", "#080"];
  let turn = 0;
  setInterval(() => {
    context.fillStyle = colors[turn++ % colors.length];
    context.fillRect(0, 0, 300, 200);
  }, 60);
</script>"""


def faults(report: Fields) -> list[str]:
    """Where a report does not keep to the schema."""
    validator: Any = jsonschema.Draft202012Validator(report_schema())
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(report)]


def promised(schema: Fields, place: str = "#") -> Iterator[str]:
    """Every property that the schema names, by its place in the schema."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{place}/{name}"
        yield from promised(inner, f"{place}/{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from promised(schema[key], f"{place}/{key}")
    for name, inner in schema.get("$defs", {}).items():
        yield from promised(inner, f"#/$defs/{name}")


def filled(value: Any, schema: Fields, root: Fields, place: str = "#") -> Iterator[str]:
    """The properties of the schema that a value fills with something."""
    if "$ref" in schema:
        place = schema["$ref"]
        schema = root["$defs"][place.rpartition("/")[2]]
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from filled(item, schema.get("items", {}), root, f"{place}/items")
    elif isinstance(value, dict):
        for name, item in cast("Fields", value).items():
            inner = schema.get("properties", {}).get(name)
            if inner is not None:
                if item not in (None, "", [], {}):
                    yield f"{place}/{name}"
                yield from filled(item, inner, root, f"{place}/{name}")
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from filled(
                    item, schema["additionalProperties"], root, f"{place}/additionalProperties"
                )


def test_the_schema_is_one_and_names_the_report() -> None:
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == SCHEMA == schema["properties"]["schema"]["const"]


def test_the_schema_refuses_what_it_does_not_name(report: Fields) -> None:
    assert faults(report) == []
    report["layout"]["surprise"] = 1
    del report["summary"]
    assert len(faults(report)) == 2


@pytest.mark.chromium
async def test_reports_keep_to_the_schema_and_fill_all_of_it(site: Any, analyze: Any) -> None:
    site.put("/everything", EVERYTHING)
    site.put("/old", "", status="301 Moved", headers={"Location": "/everything"})
    full = await analyze(
        "/old",
        responsiveOptions={"include_screenshots": True},
        visionOptions={"visionForceCpu": True},
        layoutOptions={"include_html": True},
    )
    # Longer to wait than there is time: a phase that fails without any trick.
    waiting = {"motionTimeout": 1000, "motionOptions": {"js_animation_options": {"waitTime": 9000}}}
    site.put("/moving", MOVING)
    watched = {"detection_mode": "video", "js_animation_options": {"waitTime": 1500}}
    reports = [full.report, (await analyze("/", **waiting)).report, (await analyze("/")).report]
    reports.append((await analyze("/moving", motionOptions=watched)).report)
    for report in reports:
        assert faults(report) == []
    schema = report_schema()
    seen = {place for report in reports for place in filled(report, schema, schema)}
    assert set(promised(schema)) - seen == set()


def test_the_document_names_every_field() -> None:
    text = (Path(__file__).parents[4] / "docs" / "page-analysis.md").read_text("utf-8")
    schema = report_schema()
    for part, inner in schema["properties"].items():
        _, found, section = text.partition(f"\n### `{part}`\n")
        fields = inner.get("properties") or inner.get("items", {}).get("properties", {})
        for name in fields if found else ():
            assert f"| `{name}` |" in section.partition("\n#")[0], f"{part}.{name}"
    parts = {part for part, inner in schema["properties"].items() if "properties" in inner}
    assert all(f"\n### `{part}`\n" in text for part in parts)


def test_the_example_report_is_of_today(parts: Fields) -> None:
    example = Path(__file__).parents[4] / "docs" / "example-report"
    report = json.loads((example / "report.json").read_text("utf-8"))
    assert faults(report) == []
    document = (example.parent / "page-analysis.md").read_text("utf-8")
    assert report["summary"] in document
    types = [section["type"] for section in parts["layout"]["sections"]]
    assert [section["type"] for section in report["layout"]["sections"]] == types
    assert (example / "screenshot.jpg").stat().st_size < 60_000
