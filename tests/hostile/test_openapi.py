"""Our OpenAPI document, taken at its word by a program that tries what it allows, and much that it
does not.

schemathesis makes the requests. No answer may be an error of the server's, or have a status, a type
or a body that the document does not tell of.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving import Victim, get, post

PROGRAM = Path(sys.executable).with_name("schemathesis")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = 12


def explore(victim: Victim, folder: Path, *options: str) -> str:
    """Run the program in a folder that may have settings for it; its report."""
    command = [
        str(PROGRAM), "run", f"{victim.url}/openapi.json",
        "--header", f"Authorization: Bearer {victim.ada}",
        "--checks", CHECKS,
        "--phases", "coverage,fuzzing",
        "--max-examples", str(EXAMPLES),
        "--seed", "1",
        "--no-color",
        *options,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_answer_is_one_that_the_document_tells_of(victim: Victim, tmp_path: Path) -> None:
    report = explore(victim, tmp_path)
    assert "Selected: 14/14" in report
    assert "Fuzzing" in report


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_answer_about_a_job_that_is_there_too(victim: Victim, tmp_path: Path) -> None:
    done = post(victim, "/api/jobs", b'{"kind":"test.say","args":{"words":"seen"}}')
    job = get(victim, f"/api/jobs/{done.json()['id']}?wait=30").json()
    assert job["state"] == "completed"
    settings = f'[parameters]\njob_id = "{job["id"]}"\nname = "words.txt"\n'
    (tmp_path / "schemathesis.toml").write_text(settings)
    # What deletes the job would leave nothing for the others; without a job it is tried above.
    report = explore(
        victim, tmp_path, "--include-path-regex", "job_id", "--exclude-method", "DELETE"
    )
    assert "Selected: 7/14" in report
    assert "repeatedly returned 404" not in report
