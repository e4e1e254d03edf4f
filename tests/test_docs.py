"""The documents name everything that is there, and nothing that is not.

Who adds a setting, code, command, option, route, tool or kind documents it, or a test here fails.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, cast

import pytest
from mcp.server.streamable_http_manager import DEFAULT_MAX_SESSIONS
from starlette.routing import Route

import checkback
from checkback.api import operations as http_wire
from checkback.api.http import metrics as http_metrics
from checkback.api.http.jobs import Readiness, build_routes
from checkback.api.http.metrics import Metrics, ServerFigures
from checkback.api.mcp.tools.context import JobTool, ToolContext
from checkback.api.mcp.tools.job_tools import job_tools, kind_tools
from checkback.api.mcp.tools.lean_tools import lean_tools
from checkback.api.mcp.tools.reftrix_tools import ReftrixTools, reftrix_tools
from checkback.api.mcp.tools.tool_names import Names, underscore
from checkback.api.mcp.transport import jsonrpc
from checkback.api.pdfco import endpoints
from checkback.api.service_source import Connected
from checkback.cli.exit_codes import Exit
from checkback.cli.parser import make_parser
from checkback.core import errors
from checkback.core.errors import CheckbackError, FailureCode
from checkback.core.states import MOVES, State
from checkback.dialects.pdfco.mcp_tools import TOOLS
from checkback.dialects.pdfco.requests import ENDPOINTS
from checkback.engine.redis.keys import STANDING_OF_OURS, STANDING_PER_QUEUE
from checkback.kinds import registry
from checkback.kinds.browser import page_load
from checkback.kinds.documents import job_context
from checkback.kinds.documents.failures import DocumentCode
from checkback.kinds.documents.office import converter
from checkback.kinds.documents.pdf import from_images, render
from checkback.kinds.documents.pdf.text import plain as plain_text
from checkback.kinds.documents.sheets import read as sheet_reading
from checkback.kinds.documents.sheets import to_pdf
from checkback.kinds.pages.capture import collector
from checkback.security.auth.authenticator import Authenticator
from checkback.security.auth.callers import LOCAL, Scope
from checkback.service.submissions import MAX_ARGS_BYTES
from checkback.settings import PREFIX, Belongs, Settings
from checkback.storage import uploads

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


# --- Settings -------------------------------------------------------------------------------------

SECTIONS = {
    Belongs.BOTH: "Which server is meant",
    Belongs.SERVER: "The server",
    Belongs.API: "MCP tools",
}
COMPUTED = {
    "home": "the user's data folder",
    "page_concurrency": "processor cores, 4 at most",
    "document_concurrency": "processor cores",
    "job_concurrency": "4 for each processor core",
}


def setting_row(setting: Any) -> str:
    """The line of settings.md that tells of one setting; copy it from here when the test fails."""
    default = setting.default
    if default is MISSING:
        shown = COMPUTED[setting.name]
    elif default in (None, ()):
        shown = "none"
    elif isinstance(default, tuple):
        shown = f"`{','.join(cast('tuple[str, ...]', default))}`"
    else:
        shown = f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return f"| `{PREFIX}{setting.name.upper()}` | {shown} | {setting.metadata['meaning']} |"


@pytest.mark.parametrize("belongs", Belongs)
def test_every_setting_is_documented_where_it_belongs(belongs: Belongs) -> None:
    section = page("settings.md").partition(f"## {SECTIONS[belongs]}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith(f"| `{PREFIX}")]
    assert rows == [
        setting_row(one) for one in fields(Settings) if one.metadata["belongs"] is belongs
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_setting_that_is_none(path: Path) -> None:
    named = set(re.findall(rf"{PREFIX}([A-Z_]+[A-Z])", path.read_text("utf-8")))
    assert named <= {one.name.upper() for one in fields(Settings)}


# --- Words, codes, keys ---------------------------------------------------------------------------


def test_every_state_and_every_move_is_documented() -> None:
    text = page("concepts.md")
    for state in State:
        assert f"| `{state}` |" in text
    moves = {(before.value, after.value) for before, afters in MOVES.items() for after in afters}
    drawn = set(re.findall(r"^    (\w+) --> (\w+):", text, re.MULTILINE))
    assert drawn == moves


def every_error() -> Iterator[type[CheckbackError]]:
    for module in (errors, http_wire):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, CheckbackError):
                yield value


def codes(name: str, section: str) -> dict[str, list[str]]:
    """The rows of one table of codes, by the codes in their first cell."""
    text = page(name).partition(f"## {section}\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if "|" in line
    ]
    return {code: row for row in rows for code in re.findall(r"`(\w+)`", row[0])}


def test_every_error_code_is_documented_with_its_status() -> None:
    documented = codes("errors.md", "Errors")
    assert {code: row[1] for code, row in documented.items()} == {
        error.code: str(error.http_status) for error in every_error()
    }
    by_status = page("http.md").partition("## Errors\n")[2]
    for error in every_error():
        row = next(
            line for line in by_status.splitlines() if line.startswith(f"| {error.http_status} |")
        )
        assert f"`{error.code}`" in row


def test_every_failure_code_is_documented() -> None:
    general = codes("errors.md", "Failures of any job")
    assert set(FailureCode) <= general.keys()
    of_pages = codes("errors.md", "Failures of `page.analyze`").keys()
    further = set(
        re.findall(r"`(\w+)`", page("documents.md") + page("pdfco.md") + page("page-jobs.md"))
    )
    # Code that fails a job names its code as the first argument, or in a table of capital words.
    raised = re.compile(r"""(?:JobFailed|Failure)\(\s*"(\w+)\"""")
    tables = re.compile(r"""^\s+"\w+": "([A-Z]+(?:_[A-Z]+)*_FAILED)",$""", re.MULTILINE)
    for source in (ROOT / "src" / "checkback").rglob("*.py"):
        text = source.read_text("utf-8")
        assert (
            set(raised.findall(text)) | set(tables.findall(text))
            <= general.keys() | of_pages | further
        ), source


def test_the_table_of_limits_has_the_numbers_of_the_code() -> None:
    rows = dict(
        re.findall(
            r"^\| (.*?) \| (.*?) \|", page("limits.md").replace(" | | ", " | "), re.MULTILINE
        )
    )
    mb = {
        "body of the HTTP API": (http_wire.MAX_BODY_BYTES,),
        "body of PDF.co's API, with a base64 file, with a file": (
            endpoints.MAX_JSON_BYTES, endpoints.MAX_BASE64_BYTES, uploads.MAX_UPLOAD_BYTES,
        ),
        "message of MCP, over both of its transports": (jsonrpc.MAX_MESSAGE_BYTES,),
        "upload": (uploads.MAX_UPLOAD_BYTES,),
        "document: text": (plain_text.MAX_TEXT_BYTES,),
    }  # fmt: skip
    for name, sizes in mb.items():
        assert rows[name] == ", ".join(f"{size >> 20} MB" for size in sizes)
    assert rows["arguments"] == f"{MAX_ARGS_BYTES >> 10} KB"
    assert rows["document: pages"] == f"{job_context.MAX_PAGES:,}"
    assert rows["document: pixels of an image"] == f"{from_images.MAX_PIXELS // 10**6} megapixels"
    assert rows["document: pixels of a rendered page"] == f"{render.MAX_PIXELS // 10**6} megapixels"
    unpacked = f"{converter.MAX_UNPACKED_BYTES >> 30} GiB, {converter.MAX_ENTRIES:,}"
    assert rows["document: unpacked bytes and entries of a zip"] == unpacked
    cells = f"{sheet_reading.MAX_CELLS:,}, {to_pdf.MAX_CELLS:,}"
    assert rows["document: cells of a spreadsheet, read, drawn"] == cells
    assert rows["page: elements"] == f"{page_load.MAX_ELEMENTS:,}"
    assert rows["page: height of its screenshot"] == f"{collector.PICTURE_HEIGHT:,} px"
    assert rows["MCP sessions over HTTP"] == f"{DEFAULT_MAX_SESSIONS:,}"


def test_every_exit_code_is_documented() -> None:
    table = page("cli.md").partition("## Exit codes\n")[2].partition("\n## ")[0]
    assert {int(number) for number in re.findall(r"^\| (\d) \|", table, re.MULTILINE)} == set(Exit)


def test_every_scope_is_documented() -> None:
    for scope in Scope:
        assert f"| `{scope}` |" in page("security.md")


def test_every_queue_and_every_key_that_stands_is_documented() -> None:
    text = page("engine.md")
    for queue in Settings().concurrency:
        assert f"| `{queue}` |" in text
    standing = next(line for line in text.splitlines() if "BullMQ's own, for each queue" in line)
    for part in STANDING_PER_QUEUE:
        assert f"`{part}`" in standing or f":{part}`" in standing
    for part in STANDING_OF_OURS:
        assert f"| `bull:cb:{part}` |" in text


def test_every_field_of_ours_in_a_jobs_hash_is_documented() -> None:
    text = page("engine.md")
    for source in (ROOT / "src" / "checkback" / "engine").rglob("*.[pl]*"):
        if source.suffix in (".py", ".lua"):
            for field in re.findall(r"""["'](cb:\w+)["']""", source.read_text("utf-8")):
                if field not in ("cb:none", "cb:retry"):  # nothing, and an event
                    assert f"`{field}`" in text or f'"{field}"' in text, f"{field} in {source.name}"


# --- Ways in --------------------------------------------------------------------------------------


def commands() -> dict[str, argparse.ArgumentParser]:
    for action in make_parser()._actions:  # pyright: ignore[reportPrivateUsage]
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            return cast("dict[str, argparse.ArgumentParser]", vars(action)["choices"])
    raise AssertionError


@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_is_documented(name: str) -> None:
    sections = re.split(r"^### ", page("cli.md"), flags=re.MULTILINE)[1:]
    (section,) = [
        text for text in sections if re.search(rf"`checkback {name}\b", text.splitlines()[0])
    ]
    for action in commands()[name]._actions:  # pyright: ignore[reportPrivateUsage]
        if action.help != argparse.SUPPRESS:
            for option in action.option_strings:
                assert option in ("-h", "--help") or f"{option}" in section, f"{name} {option}"
            choices: tuple[str, ...] | None = vars(action)["choices"]
            for choice in () if choices is None or action.dest == "state" else choices:
                assert choice in section, f"{name} {choice}"


def test_no_command_or_option_is_documented_that_is_none() -> None:
    text = page("cli.md")
    known = {option for command in commands().values() for option in command._option_string_actions}  # pyright: ignore[reportPrivateUsage]
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= known | {"--version"}
    assert set(re.findall(r"`checkback ([a-z][a-z-]*)", text)) <= commands().keys()


def test_every_route_is_documented() -> None:
    async def ready() -> Readiness:
        return Readiness()

    service: Any = None
    routes = build_routes(service, authenticator=Authenticator(), readiness=ready)
    metrics = Metrics(service, lambda: ServerFigures({}, 0, 0), version="0", disk_budget_bytes=0)
    routes += http_metrics.build_routes(metrics, production=True)
    known = {"/mcp"}
    text = page("http.md")
    documented = set(re.findall(r"^\| `([A-Z]+) (/\S*)` \|", text, re.MULTILINE))
    for route in routes:
        assert isinstance(route, Route)
        methods = cast("dict[str, Any]", vars(route.app)["operations"])
        for method in methods:
            assert (method, route.path) in documented
            documented.discard((method, route.path))
        known.add(route.path)
    assert not documented


def tool_context() -> ToolContext:
    service: Any = None
    return ToolContext(source=Connected(service), caller=lambda: LOCAL, names=Names("dotted"))


def test_every_mcp_tool_is_documented_under_both_names_with_what_it_takes() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `(\w+)` \| (.*?) \|", page("mcp.md"), re.MULTILINE)
    found = [*reftrix_tools(ReftrixTools(tool_context()), 25.0), *job_tools(tool_context())]
    found += lean_tools(tool_context(), has_job_tools=True)
    tools = {
        one.name: one for one in (one.tool if isinstance(one, JobTool) else one for one in found)
    }
    assert {(dotted, plain) for dotted, plain, _ in rows} == {
        (name, underscore(name)) for name in tools
    }
    for name, _, takes in rows:
        if name != registry.get("page.analyze").name:
            assert set(re.findall(r"`(\w+)`", takes)) == set(tools[name].parameters["properties"])


def test_every_built_in_kind_is_documented() -> None:
    pages = {"page-analyze": ("README.md", "docs/concepts.md", "docs/errors.md", "docs/reftrix.md")}
    for kind in registry.all_kinds():
        if kind.function.__module__.startswith("checkback."):
            family = kind.name.partition(".")[0]
            where = {"pdfco": "docs/pdfco.md", "page": "docs/page-jobs.md"}.get(
                family, "docs/documents.md"
            )
            names = pages.get(kind.queue, (where,))
            for name in names:
                assert f"`{kind.name}`" in (ROOT / name).read_text("utf-8"), name
            for phase in kind.phases:
                assert f"`{phase}`" in (ROOT / names[-1]).read_text("utf-8"), phase


def test_every_failure_of_documents_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", page("documents.md")))
    assert {code.value for code in DocumentCode} <= documented


def test_every_document_tool_and_endpoint_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", page("mcp.md")))
    assert {tool.name for tool in TOOLS} <= documented
    text = page("pdfco.md")
    for path in ENDPOINTS:
        if not path.startswith("pdf/convert/to/json") and path != "pdf/convert/to/text-simple":
            assert f"/v1/{path}`" in text or f"`{path.rsplit('/', 1)[-1]}`" in text, path


def test_every_option_of_a_kind_is_documented() -> None:
    import inspect

    text = page("kinds.md")
    for parameter in inspect.signature(checkback.job).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert f"| `{parameter.name}` |" in text
    members = {name for name in vars(checkback.JobContext) if not name.startswith("_")} - {
        "mark_cancelled"
    }
    for member in members | {
        "job_id",
        "kind",
        "attempt",
        "folder",
        "environment",
        "egress",
        "resource",
    }:
        assert f"`ctx.{member}" in text


def test_a_kind_gets_a_tool_as_the_document_says() -> None:
    kind = registry.get("test.add")
    (tool,) = kind_tools(tool_context(), [kind])
    assert tool.tool.name == kind.name


# --- The pages themselves -------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{target} in {path.name}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            slugs = {
                re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
            }
            assert anchor in slugs, f"{target} in {path.name}"


def test_every_page_stands_in_the_index() -> None:
    index = page("README.md")
    for path in DOCS.glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in index


def test_every_test_and_file_that_a_page_names_is_there() -> None:
    for path in PAGES:
        text = path.read_text("utf-8")
        for name in re.findall(r"`((?:src|tests|scripts|examples|docs)/[\w./*-]*)`", text):
            assert list(ROOT.glob(name.rstrip("/"))), f"{name} in {path.name}"
    tests = "\n".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", page("reliability.md") + page("security.md")):
        assert f"def {name}(" in tests, name
    for number in range(1, 24):
        assert f"\n| A{number} | " in page("security.md")


def test_every_page_that_the_code_names_is_there() -> None:
    for source in (ROOT / "src").rglob("*.py"):
        for name in re.findall(r"docs/[\w-]+\.md", source.read_text("utf-8")):
            assert (ROOT / name).exists(), f"{name} in {source.name}"


def test_the_examples_of_kinds_are_kinds() -> None:
    text, _, rest = page("kinds.md").partition("## Testing a kind")  # tests/test_testing.py runs it
    text += rest.partition("\n## ")[2]
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    check = "from checkback.kinds import registry; assert len(registry.all_kinds()) == 1"
    for block in blocks:
        assert "@job(" in block
        code = block + check
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr


def test_no_page_names_what_only_one_machine_has() -> None:
    for path in PAGES:
        text = path.read_text("utf-8")
        assert not re.search(r"/(root|work)/|/tmp/", text), path.name
