"""Every line that a process logs has one form and is masked, whichever library writes it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
before, form = sys.argv[1] == "before", sys.argv[2]
names = ["fastmcp", "fastmcp.server.auth", "mcp.server", "uvicorn.error", "checkback.engine", "some.library"]
if before:
    import fastmcp
    import mcp.server
    import uvicorn
from checkback.telemetry.logging import log_to_stderr
log_to_stderr("info", form)
if not before:
    import fastmcp
    import mcp.server
    import uvicorn
for name in names:
    logging.getLogger(name).error("the key is %s", "sk-" + "q7" * 20)
    try:
        raise ValueError("Bearer abcdefghijklmnopqrstuvwxyz0123456789")
    except ValueError:
        logging.getLogger(name).exception("it failed")
"""


@pytest.mark.parametrize("imported", ["before", "after"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_no_library_logs_past_the_form_and_the_masking(imported: str, form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, imported, form], capture_output=True, text=True, check=True
    )
    assert "q7q7" not in done.stderr
    assert "abcdefghijkl" not in done.stderr
    assert done.stdout == ""
    if form == "json":
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert [line["logger"] for line in lines[::2]] == [
            "fastmcp", "fastmcp.server.auth", "mcp.server", "uvicorn.error", "checkback.engine", 
            "some.library",
        ]  # fmt: skip
        assert len(lines) == 12
