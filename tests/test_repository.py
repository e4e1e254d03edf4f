"""What must not be in the repository: where packages came from, and where somebody's clone lies."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# In pieces, or this file would be the first to hold them.
REGISTRIES = tuple(
    ".".join(name) for name in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))
)
INDEX_LINES = ("://", "--index", "--extra-index", "--find-links", "--trusted-host")


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """The text of every file that git knows here, by its path."""
    # A clone may belong to somebody else than who runs the tests.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    try:
        listed = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a clone, or no git")
    paths = [ROOT / name for name in listed.split("\0") if name]
    return {
        str(path.relative_to(ROOT)): path.read_text(errors="replace")
        for path in paths
        if path.is_file()
    }


def test_that_the_locks_hold_hashes_and_no_addresses(tracked: dict[str, str]) -> None:
    locks = {name: text for name, text in tracked.items() if name.startswith("requirements/")}
    assert locks
    for name, text in locks.items():
        assert not [mark for mark in INDEX_LINES if mark in text], name
        if name.endswith(".txt"):
            packages = text.count("==")
            assert 0 < packages <= text.count("--hash=sha256:"), name


def test_that_npm_locks_do_not_say_where_a_package_came_from(tracked: dict[str, str]) -> None:
    locks = [name for name in tracked if name.endswith("package-lock.json")]
    assert [name for name in locks if '"resolved"' in tracked[name]] == []


def test_that_no_file_names_a_registry(tracked: dict[str, str]) -> None:
    found = [(name, host) for name, text in tracked.items() for host in REGISTRIES if host in text]
    assert found == []


def test_that_no_file_names_the_folder_of_this_clone(tracked: dict[str, str]) -> None:
    assert [name for name, text in tracked.items() if f"{ROOT}/" in text] == []
