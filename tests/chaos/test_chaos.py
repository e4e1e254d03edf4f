"""The chaos programs themselves, for as long as a test may take. Any length by hand: docs/reliability.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 90


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_every_promise_holds_while_everything_is_broken(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chaos", "--seconds", str(SECONDS), "--seed", "7"]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    log = tmp_path / "log.txt"
    assert done.returncode == 0, (done.stdout, done.stderr[-2000:], log.read_text()[-2000:])
    assert "every promise held" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_server_that_is_killed_amid_submits_and_work_knows_every_job() -> None:
    command = [sys.executable, "-m", "chaos.kills", "--times", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr[-2000:])
    assert "every job ran" in done.stdout
