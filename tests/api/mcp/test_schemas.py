"""What is listed passes the rules of hosts and model APIs, whatever the kinds, and refuses nothing
valid.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
from fastmcp import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import awkward_kinds
from checkback.api.mcp.server import build_server
from checkback.api.mcp.tools.pdfco_tools import PdfcoSetting
from checkback.api.mcp.tools.schemas import portable
from checkback.kinds import registry
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs, listed_schema
from checkback.security.auth.callers import Caller
from checkback.service import Service
from fitting import fitting
from tool_rules import faults

ADA = Caller("ada")
EVERYTHING = ("pages", "documents", "jobs", "lean")
TAKE_ANYTHING = ("awkward_loose", "awkward_nothing", "awkward_circle")
Mode = Literal["legacy", "auto"]
Tools = dict[str, dict[str, Any]]


def validate(schema: dict[str, Any], value: Any) -> None:
    """Raise ValidationError for a value that does not fit."""
    validator: Any = jsonschema.Draft202012Validator(schema)
    validator.validate(value)


async def listed(service: Service, mode: Mode = "auto", **options: Any) -> Tools:
    pdfco = PdfcoSetting(base_url=lambda: "http://127.0.0.1:1", is_own_token=lambda _: False)
    server = build_server(service, caller=lambda: ADA, pdfco=pdfco, **options)
    async with Client(server, mode=mode) as client:
        found = await client.list_tools()
    return {tool.name: tool.model_dump(by_alias=True, exclude_none=True) for tool in found}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_every_listed_tool_passes_the_rules_of_all_hosts(
    service: Service, mode: Mode
) -> None:
    tools = await listed(service, mode, toolsets=EVERYTHING)
    assert {
        "awkward_tuples",
        "awkward_tree",
        "page_crop",
        "pdf_to_text",
        "kind_search",
    } <= tools.keys()
    assert [fault for tool in tools.values() for fault in faults(tool)] == []


def test_the_rules_find_what_pydantic_writes() -> None:
    for name in (
        "awkward.tuples",
        "awkward.tree",
        "awkward.values",
        "awkward.unions",
        "awkward.choice",
    ):
        schema = registry.get(name).args_schema()
        assert faults({"name": "a.b", "description": "x", "inputSchema": schema}), name


@pytest.mark.parametrize("name", sorted(awkward_kinds.VALID))
async def test_a_listed_schema_takes_what_the_kind_takes(service: Service, name: str) -> None:
    tools = await listed(service)
    schema = tools[name.replace(".", "_")]["inputSchema"]
    for arguments in awkward_kinds.VALID[name]:
        registry.get(name).check_args(arguments)
        validate(schema, arguments)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_no_listed_schema_is_narrower_than_pydantics(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(registry.all_kinds()))
    schema = kind.args_schema()
    arguments: Any = data.draw(fitting(schema))
    lists = listed_schema(PageAnalyzeArgs) if kind.name == "page.analyze" else schema
    validate(portable(lists), arguments)


async def test_a_call_is_checked_against_the_real_model_and_the_path_is_named(
    service: Service,
) -> None:
    async with Client(build_server(service, caller=lambda: ADA, kind_wait_seconds=0.05)) as client:
        for tool, arguments, path in (
            ("awkward_tuples", {"box": [1, 2, 3]}, "box"),
            (
                "awkward_tree",
                {"root": {"name": "a", "children": [{"name": 5}]}},
                "root.children.0.name",
            ),
            ("awkward_unions", {"pet": {"sort": "cow"}}, "pet"),
        ):
            refused = await client.call_tool(tool, arguments, raise_on_error=False)
            assert refused.is_error
            error: Any = refused.structured_content
            assert error["error"]["code"] == "invalid_input"
            assert path in error["error"]["message"]


@pytest.mark.parametrize("name", sorted(awkward_kinds.VALID))
async def test_a_kind_with_awkward_arguments_can_be_submitted(service: Service, name: str) -> None:
    for arguments in awkward_kinds.VALID[name]:
        job = (await service.submit(ADA, name, arguments)).job
        assert job.state == "waiting"


def test_recursion_is_written_out_twice_and_then_open() -> None:
    schema = portable(registry.get("awkward.tree").args_schema())
    level = schema["properties"]["root"]
    for _ in range(3):
        assert level["properties"].keys() == {"name", "children", "by_name"}
        level = level["properties"]["children"]["items"]
    assert level == {"type": "object", "description": "Nested further in the same way."}


def test_models_that_all_name_each_other_are_written_out_within_a_limit() -> None:
    names = [f"m{number}" for number in range(20)]
    model = {"type": "object", "properties": {name: {"$ref": f"#/$defs/{name}"} for name in names}}
    schema = portable({**model, "$defs": dict.fromkeys(names, model)})
    assert schema["properties"].keys() == set(names)
    assert len(json.dumps(schema)) < 1_000_000
    validate(schema, {"m0": {"m1": {"m2": {"m3": {"m4": {"m5": {"m6": {}}}}}}}})


def test_secrets_and_comments_are_not_told_to_hosts() -> None:
    secret = portable(registry.get("awkward.secret").args_schema())["properties"]["key"]
    assert secret == {"type": "string"}
    commented = portable(registry.get("awkward.keys").args_schema())["properties"]["commented"]
    assert commented == {"type": "integer", "default": 1}


REWRITTEN: list[tuple[Any, dict[str, Any]]] = [
        (
            {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
             "$defs": {"a": {"type": "object", "properties": {"x": {"type": "string"}, "y": {}},
                             "required": ["x"]},
                       "b": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}}},
            {"type": "object", "required": ["x"],
             "properties": {"x": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "y": {}}},
        ),
        (
            {"type": "object", "properties": {"a": {"type": ["string", "null"], "minLength": 2}}},
            {"type": "object",
             "properties": {"a": {"anyOf": [{"type": "string", "minLength": 2}, {"type": "null"}]}}},
        ),
        (
            {"allOf": [{"type": "object", "properties": {"a": {}}, "required": ["a"]},
                       {"type": "object", "properties": {"b": {}}, "additionalProperties": False}]},
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]},
        ),
        ({"type": "array", "items": {"type": "string"}}, {"type": "object", "properties": {}}),
        (True, {"type": "object", "properties": {}}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), REWRITTEN)
def test_any_schema_becomes_a_plain_object(schema: Any, expected: dict[str, Any]) -> None:
    assert portable(schema) == expected


async def test_a_long_description_is_cut_before_what_every_kind_says(service: Service) -> None:
    description = (await listed(service))["awkward_long"]["description"]
    assert len(description) <= 1024
    assert description.endswith("otherwise a job_id for job_wait.")


async def test_errors_fit_the_output_schemas(service: Service) -> None:
    """Clients of the TypeScript SDK check them, too, and hide an error that does not fit."""
    pdfco = PdfcoSetting(base_url=lambda: "http://127.0.0.1:1", is_own_token=lambda _: False)
    server = build_server(service, caller=lambda: ADA, pdfco=pdfco, toolsets=EVERYTHING)
    async with Client(server) as client:
        for tool in await client.list_tools():
            answer = await client.call_tool(tool.name, {"surprise": 1}, raise_on_error=False)
            assert answer.is_error or tool.name in TAKE_ANYTHING, tool.name
            assert answer.structured_content is not None
            assert tool.output_schema is not None
            validate(tool.output_schema, answer.structured_content)
            text: Any = answer.content[-1]
            assert json.loads(text.text) == answer.structured_content


@pytest.mark.usefixtures("worker")
async def test_answers_fit_the_output_schemas(service: Service, tmp_path: Path) -> None:
    pdfco = PdfcoSetting(
        base_url=lambda: "http://127.0.0.1:1", is_own_token=lambda _: False, local_files=True
    )
    server = build_server(
        service, caller=lambda: ADA, pdfco=pdfco, toolsets=EVERYTHING, kind_wait_seconds=30
    )
    (tmp_path / "a.txt").write_text("text")
    async with Client(server) as client:
        schemas = {tool.name: tool.output_schema or {} for tool in await client.list_tools()}

        async def ask(tool: str, **arguments: Any) -> Any:
            answer = await client.call_tool(tool, arguments, raise_on_error=False)
            validate(schemas[tool], answer.structured_content)
            assert answer.structured_content is not None
            return answer.structured_content

        job_id = (await ask("test_say", words="hello"))["job_id"]
        failed = (await ask("test_fail"))["job_id"]
        for tool in ("job_status", "job_wait", "job_result", "job_cancel"):
            await ask(tool, job_id=job_id)
        await ask("job_result", job_id=job_id, artifact="words.txt")
        await ask("job_retry", job_id=failed)
        assert len((await ask("job_list"))["jobs"]) == 2
        await ask("kind_search", query="pdf")
        await ask("kind_describe", kind="page.analyze")
        await ask("job_submit", kind="test.add", args={"a": 1, "b": 2})
        upload = await ask("upload_file", file_path=str(tmp_path / "a.txt"))
        made = await ask("document_to_pdf", url=upload["content"]["url"])
        await ask("get_job_check", job_id=made["content"]["jobId"])
        analysis = await ask("page_analyze", url="https://example.com/", **{"async": True})
        await ask("page_get_job_status", job_id=analysis["jobId"])
