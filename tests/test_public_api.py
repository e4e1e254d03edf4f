"""The public API is what ``__all__`` says, documented, and free to import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import checkback
from checkback.core import errors

ROOT = Path(__file__).parent.parent

PUBLIC = [
    "AddressBlocked",
    "ArgumentsGone",
    "Artifact",
    "AsyncClient",
    "Attempts",
    "CheckbackError",
    "Client",
    "Conflict",
    "Egress",
    "EngineUnavailable",
    "Environment",
    "Failure",
    "Forbidden",
    "InvalidInput",
    "Job",
    "JobContext",
    "JobFailed",
    "JobPage",
    "KeyReused",
    "MemoryLimit",
    "NotFound",
    "NotReady",
    "QueueFull",
    "QuotaExceeded",
    "SettingsDiffer",
    "State",
    "StorageFull",
    "TooLarge",
    "Unauthorized",
    "UnknownKind",
    "__version__",
    "job",
]


def test_these_names_are_public_and_no_others() -> None:
    assert checkback.__all__ == PUBLIC == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(checkback))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    value = getattr(checkback, name)
    assert name == "__version__" or value.__doc__


def test_every_error_is_public() -> None:
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, (errors.CheckbackError, errors.JobFailed)):
            assert getattr(checkback, name) is value


def test_other_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match="'checkback' has no attribute 'Nonsense'"):
        _ = checkback.Nonsense  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    assert name in (ROOT / "docs" / "python.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - {"__version__"}))
def test_every_public_name_has_its_reference(name: str) -> None:
    value = getattr(checkback, name)
    line = f"\n::: {value.__module__}.{name}\n"
    assert (ROOT / "docs" / "reference.md").read_text("utf-8").count(line) == 1


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import json, sys; import checkback; print(json.dumps(sorted(sys.modules)))"
    environment = {"PYTHONPATH": str(ROOT / "src")}
    text = subprocess.check_output(
        [sys.executable, "-S", "-c", code], env=environment, text=True, timeout=60
    )
    imported: list[str] = json.loads(text)
    foreign = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - {"__main__"}
    assert foreign == {"checkback"}
    assert [name for name in imported if name.startswith("checkback")] == ["checkback"]
