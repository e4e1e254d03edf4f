"""Which kinds can be registered, and what becomes of a module that brings one that cannot."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

from checkback.api.mcp.server import TOOLSETS, build_server
from checkback.api.mcp.tools.pdfco_tools import PdfcoSetting
from checkback.core.tool_names import PORTABLE, RESERVED, underscore
from checkback.kinds import registry, source_arguments
from checkback.kinds.registry import KindRefused, job
from checkback.security.auth.callers import LOCAL


def function(value: int) -> int:
    return value


def built_in() -> list[registry.Kind]:
    return [
        kind
        for kind in registry.all_kinds()
        if kind.function.__module__.startswith("checkback.kinds.")
    ]


def test_the_reserved_names_are_those_of_all_tools_that_are_not_a_kinds_own() -> None:
    pdfco = PdfcoSetting(
        base_url=lambda: "", is_own_token=lambda _: False, has_key=True, local_files=True
    )
    server = build_server(
        cast("Any", None), caller=lambda: LOCAL, toolsets=(*TOOLSETS, "lean"), pdfco=pdfco
    )
    tools = {tool.name for tool in asyncio.run(server.list_tools(run_middleware=False))}
    own = {kind.name for kind in registry.all_kinds()} - {"page.analyze"}
    assert {underscore(name) for name in tools - own} == RESERVED


def test_the_built_in_kinds_share_names_with_the_tools_that_stand_for_them_only() -> None:
    kinds = {kind.name for kind in built_in()}
    assert {"pdf.to_text", "page.analyze"} <= kinds
    assert len({underscore(name) for name in kinds}) == len(kinds)
    assert all(PORTABLE.fullmatch(underscore(kind.name)) for kind in registry.all_kinds())


@pytest.mark.parametrize(
    "name",
    [
        *(
            "job_wait",
            "job.wait",
            "job.card",
            "pdf_to_text",
            "pdf.to_text",
            "get_job_check",
            "page_analyze",
        ),
        *(
            "page.analyze",
            "page.get.job.status",
            "upload_file",
            "kind.search",
            "kind_describe",
            "job.submit",
        ),
    ],
)
def test_a_kind_with_the_name_of_a_tool_is_refused_in_one_sentence(name: str) -> None:
    before = registry.find(name)
    with pytest.raises(KindRefused) as caught:
        job(name)(function)
    assert registry.find(name) is before
    if before is None:
        tool = underscore(name)
        assert str(caught.value) == f"The kind {name!r} has the name of the tool {tool}: rename it."


@pytest.mark.parametrize("name", ["test_add", "page_compare", "test.add"])
def test_a_kind_with_the_name_of_another_kind_is_refused(name: str) -> None:
    with pytest.raises(KindRefused, match=r"would both be the tool|already registered"):
        job(name)(function)


@pytest.mark.parametrize("name", ["", "A.b", "a-b", "a b", ".a", "a.", "a" * 65, "ä", "a\n"])
def test_a_name_that_no_tool_can_have_is_refused(name: str) -> None:
    with pytest.raises(KindRefused, match="is not a valid name for a kind"):
        job(name)(function)


def test_parameters_that_a_kind_cannot_have_are_refused_with_its_name() -> None:
    def many(*values: int) -> int:
        return len(values)

    with pytest.raises(KindRefused, match=r"'my\.many' cannot be registered: .*\*args"):
        job("my.many")(many)


LOADING = """
import json, logging, sys
from checkback.core.errors import CheckbackError
from checkback.kinds import registry, source_arguments
logging.basicConfig(level="WARNING", stream=sys.stderr, format="%(levelname)s %(message)s")
report = {}
try:
    registry.load(sys.argv[1:])
    registry.load(sys.argv[1:])
    report["refused"] = [str(refusal) for refusal in registry.refused()]
    report["kinds"] = [kind.name for kind in registry.all_kinds() if kind.name.startswith("mine.")]
    for name in ("job_wait", "mine.late"):
        try:
            registry.get(name)
        except CheckbackError as error:
            report[name] = error.message
except registry.ModuleNotLoaded as error:
    report["not loaded"] = str(error)
print(json.dumps(report))
"""


def loaded(*files: Path) -> tuple[dict[str, Any], str]:
    """What a new process reports that loads these modules, and its log."""
    command = [sys.executable, "-c", LOADING, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def module(folder: Path, name: str, *kinds: str, more: str = "") -> Path:
    lines = [
        f'@job("{kind}")\ndef f{number}(x: int) -> int:\n    return x\n'
        for number, kind in enumerate(kinds)
    ]
    path = folder / f"{name}.py"
    path.write_text("from checkback import job\n" + "".join(lines) + more)
    return path


def test_a_refused_kind_leaves_all_others_and_its_reason_is_told(tmp_path: Path) -> None:
    files = [
        module(tmp_path, "one", "mine.early", "job_wait", "mine.late"),
        module(tmp_path, "two", "mine.report_build"),
        module(tmp_path, "three", "mine_report.build", "mine.never"),
        module(tmp_path, "four", "mine.other"),
    ]
    told, log = loaded(*files)
    wait = "The kind 'job_wait' has the name of the tool job_wait: rename it."
    both = "The kinds 'mine.report_build' and 'mine_report.build' would both be the tool mine_report_build: "
    both += "rename one of them."
    assert told["refused"] == [wait, both]
    assert told["kinds"] == ["mine.early", "mine.other", "mine.report_build"]
    assert told["job_wait"] == f'Unknown kind "job_wait". {wait}'
    assert log.splitlines() == [
        f"WARNING A kind of {files[0]} is left out. {wait}",
        f"WARNING A kind of {files[2]} is left out. {both}",
    ]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ValueError('no\\n good')", "ValueError: no good (line 2)."),
        ("x = {}['key']", "KeyError: 'key' (line 2)."),
        ("def f(:", "SyntaxError: invalid syntax (broken.py, line 2)."),
        ("import sys; sys.exit('usage: broken')", "SystemExit: usage: broken (line 2)."),
        (
            "import no_such_module_here",
            "ModuleNotFoundError: No module named 'no_such_module_here' (line 2).",
        ),
        ("raise RecursionError", "RecursionError (line 2)."),
        ("raise RuntimeError('\\udce9')", None),
    ],
)
def test_any_error_of_a_module_is_told_in_one_sentence(
    tmp_path: Path, code: str, said: str | None
) -> None:
    file = module(tmp_path, "broken", more=code + "\n")
    told, log = loaded(file)
    assert "Traceback" not in log
    assert told["not loaded"].startswith(f"{file} cannot be imported: ")
    if said is not None:
        assert told["not loaded"].removeprefix(f"{file} cannot be imported: ") == said


def test_a_file_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    told, _ = loaded(tmp_path / "nothing.py")
    assert "there is no file" in told["not loaded"]


def test_models_that_all_name_each_other_are_looked_through_once() -> None:
    """Of twenty such models there are more paths than could ever be walked."""
    names = [f"Model{number}" for number in range(20)]
    lines = "".join(f"    {name.lower()}: {name} | None = None\n" for name in names)
    code = "from __future__ import annotations\nfrom pydantic import BaseModel\n"
    code += "".join(f"class {name}(BaseModel):\n{lines}" for name in names)
    module: dict[str, Any] = {"__name__": "models_that_name_each_other"}
    exec(code, module)
    model: type[BaseModel] = module["Model0"]
    for name in names:
        module[name].model_rebuild(_types_namespace=module)
    assert source_arguments.paths(model) == ()
